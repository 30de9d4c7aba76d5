package preference

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/tokenize"
)

// all reads a file whole.
func all(t testing.TB, data string) (rows []Row, err error) {
	t.Helper()
	for row, err := range Read(t.Context(), strings.NewReader(data)) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// show writes a row as "role: content | ... => chosen / ... > rejected / ...".
func show(r Row) string {
	if r.Err != nil {
		return "refused: " + r.Err.Error()
	}
	var b strings.Builder
	for i, m := range r.Messages {
		if i > 0 {
			b.WriteString(" | ")
		}
		fmt.Fprintf(&b, "%s: %s", m.Role, m.Content)
		for _, e := range m.Extra {
			fmt.Fprintf(&b, " {%s: %s}", e.Name, e.Value)
		}
	}
	return fmt.Sprintf("%s => %s > %s", &b, strings.Join(r.Chosen, " / "), strings.Join(r.Rejected, " / "))
}

// TestShapes: a row of each published shape is read as its writers mean it.
func TestShapes(t *testing.T) {
	const want = "user: Hi => Hello > Go"
	for _, c := range []struct{ name, row, want string }{
		{"TRL, explicit prompt", `{"prompt": "Hi", "chosen": "Hello", "rejected": "Go"}`, want},
		{"TRL, conversational", `{"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Hello"}], "rejected": [{"role": "assistant", "content": "Go"}]}`, want},
		{"TRL, implicit prompt", `{"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Go"}]}`, want},
		{"one message for a reply", `{"prompt": "Hi", "chosen": {"role": "assistant", "content": "Hello"}, "rejected": {"role": "assistant", "content": "Go"}}`, want},
		{"one message for a prompt", `{"prompt": {"role": "user", "content": "Hi"}, "chosen": "Hello", "rejected": "Go"}`, want},
		{"text parts", `{"prompt": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "chosen": "Hello", "rejected": [{"role": "assistant", "content": [{"text": "Go", "type": "text"}]}]}`, want},
		{"text parts of a Parquet file", `{"prompt": [{"role": "user", "content": [{"type": "text", "text": "Hi", "image_url": null}]}], "chosen": "Hello", "rejected": "Go"}`, want},
		{"hh-rlhf", `{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: Go"}`, want},
		{"hh-rlhf, several turns", `{"chosen": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: a\nb \n\nAssistant: Hello\n\nworld", "rejected": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: a\nb \n\nAssistant: Go"}`, "user: Hi | assistant: Ho | user: a\nb => Hello\n\nworld > Go"},
		{"full-hh-rlhf", `{"prompt": "\n\nHuman: Hi\n\nAssistant:", "response": " Hello", "chosen": " Hello", "rejected": " Go"}`, want},
		{"UltraFeedback binarized", `{"prompt": "Hi", "prompt_id": "ab", "chosen": [{"content": "Hi", "role": "user"}, {"content": "Hello", "role": "assistant"}], "rejected": [{"content": "Hi", "role": "user"}, {"content": "Go", "role": "assistant"}], "messages": [{"content": "Hi", "role": "user"}, {"content": "Hello", "role": "assistant"}], "score_chosen": 8.0, "score_rejected": 3.5}`, want},
		{"argilla's UltraFeedback", `{"instruction": "Hi", "chosen_response": "Hello", "rejected_response": "Go"}`, want},
		{"Intel's Orca pairs", `{"system": "", "question": "Hi", "chosen": "Hello", "rejected": "Go"}`, want},
		{"axolotl, chatml.icr", `{"system": "Be brief.", "input": "Hi", "chosen": "Hello", "rejected": "Go"}`, "system: Be brief. | " + want},
		{"axolotl, chatml.prompt_pairs", `{"system": "Be brief.", "prompt": "Hi", "chosen": "Hello", "rejected": "Go"}`, "system: Be brief. | " + want},
		{"axolotl, chatml.ultra", `{"system": "Be brief.", "prompt": "Hi", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Go"}]}`, "system: Be brief. | " + want},
		{"axolotl, chat_template", `{"messages": [{"role": "user", "content": "Hi"}], "chosen": {"role": "assistant", "content": "Hello"}, "rejected": {"role": "assistant", "content": "Go"}}`, want},
		{"a system text that is there", `{"system_prompt": "S", "prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}], "chosen": "Hello", "rejected": "Go"}`, "system: S | " + want},
		{"LLaMA-Factory, sharegpt", `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello"}, "rejected": {"from": "gpt", "value": "Go"}, "system": "S", "tools": ""}`, "system: S | user: a | assistant: b | " + want},
		{"LLaMA-Factory, alpaca", `{"instruction": "Say", "input": "Hi", "history": [["a", "b"]], "chosen": "Hello", "rejected": "Go", "images": []}`, "user: a | assistant: b | user: Say\nHi => Hello > Go"},
		{"alpaca without an input", `{"instruction": "Hi", "input": "", "history": null, "chosen": "Hello", "rejected": "Go"}`, want},
		{"RewardBench", `{"prompt": "Hi", "chosen": "Hello", "chosen_model": "x", "rejected": "Go", "rejected_model": "y", "subset": "s", "id": 1}`, want},
		{"RewardBench 2", `{"id": "0", "prompt": "Hi", "chosen": ["Hello"], "rejected": ["B", "C", "D"], "num_correct": 1, "subset": "Factuality"}`, "user: Hi => Hello > B / C / D"},
		{"lists of conversations", `{"chosen": [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]], "rejected": [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "B"}], [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "C"}]]}`, "user: Hi => Hello > B / C"},
		{"members of messages", `{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "c", "name": null, "tool_calls": [{"z": 1, "a": 2}]}, {"role": "tool", "content": "d"}], "chosen": {"role": "assistant", "content": "Hello", "tool_calls": []}, "rejected": "Go"}`, `user: a | assistant: b {reasoning_content: "c"} {tool_calls: [{"z": 1, "a": 2}]} | tool: d => Hello > Go`},
		{"a surrogate pair", `{"prompt": "\ud83d\ude00", "chosen": "Hello", "rejected": "Go"}`, "user: \U0001f600 => Hello > Go"},
		{"an empty prompt beside a conversation", `{"prompt": "", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "rejected": "Go"}`, want},
	} {
		rows, err := all(t, c.row)
		if err != nil || len(rows) != 1 || show(rows[0]) != c.want {
			t.Errorf("%s: %+v, %v, wanted %s", c.name, rows, err, c.want)
		}
	}
	rows, err := all(t, `{"id": 7, "subset": "s", "prompt": "Hi", "score": [1], "chosen": "Hello", "source": "x", "rejected": "Go"}`)
	if err != nil || rows[0].ID != "7" || rows[0].Subset != "s" || !slices.Equal(rows[0].Unread, []string{"score", "source"}) {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestRefused: a line that is no preference is refused with a reason that gives fact and
// wanted, and the lines around it are read.
func TestRefused(t *testing.T) {
	user, reply := `{"role": "user", "content": "x"}`, `{"role": "assistant", "content": "y"}`
	with := func(more string) string { return `{"prompt": "x", "chosen": "y", "rejected": "z", ` + more + `}` }
	prompt := func(p string) string { return `{"prompt": ` + p + `, "chosen": "y", "rejected": "z"}` }
	chosen := func(c string) string { return `{"prompt": "x", "chosen": ` + c + `, "rejected": "z"}` }
	for _, c := range [][2]string{
		{"prompt,chosen,rejected", `byte 0: no JSON, wanted an object {"prompt": ..., "chosen": ..., "rejected": ...}`},
		{`{"prompt": "x"`, "byte 14: "},
		{`{"prompt": "x", "chosen": "y", "rejected": "z"} {}`, "text after the end of the value"},
		{with(`"prompt": 1`), `"prompt"`},
		{with(`"extra": {"a": 1, "a": 2}`), `"a"`},
		{with(`"System": "s"`), `"System", wanted "system" in small letters`},
		{with(`"systen": "s"`), `"systen", wanted "system", or another name for what is not read`},
		{with(`"imges": ["s"]`), `"imges", wanted "images", or another name for what is not read`},
		{`{"Prompt": "x", "chosen": "y", "rejected": "z"}`, `"Prompt", wanted "prompt" in small letters`},
		{`{"prompt": "x", "chosen": "\ud83d", "rejected": "z"}`, "surrogate"},
		{"{\"prompt\": \"x\", \"chosen\": \"\xff\", \"rejected\": \"z\"}", "UTF-8"},
		{with(`"score": 1e999`), "1e999, wanted a number that float64 can hold"},
		{with(`"score": NaN`), "byte"},
		{`{"prompt": "x", "response1": "y", "response2": "z", "overall_preference": -1}`, `no "chosen", found "prompt", "response1", "response2", "overall_preference"`},
		{`{"prompt": "x", "answers": [{"answer": "y", "rank": 1}]}`, `no "chosen", found "prompt", "answers"`},
		{`{"prompt": "x", "chosen": "y"}`, `no "rejected", found "prompt", "chosen"`},
		{`{}`, `no "chosen", found nothing`},
		{`{"chosen": "y", "rejected": "z", "context": "x"}`, `no "prompt", and no messages before the replies, wanted one of them, found "chosen", "rejected", "context"`},
		{`{"prompt": {"0": "x"}, "chosen": {"0": "y"}, "rejected": {"0": "z"}}`, `chosen: neither role nor content, found "0"`},
		{with(`"chosen_response": "w"`), "chosen and chosen_response, wanted one of them"},
		{with(`"subset": 1`), "subset: a number, wanted text"},
		{with(`"id": [1]`), "id: a list, wanted text or a number"},
		{with(`"tools": [{"type": "function"}]`), "tools: not read, and a conversation without it is another one, wanted none"},
		{with(`"images": ["a.png"]`), "images: not read, and a conversation without it is another one, wanted none"},
		{with(`"system": ["s"]`), "system: a list, wanted text"},
		{with(`"system": "s", "system_prompt": "t"`), "system and system_prompt, wanted one of them"},
		{`{"system": "s", "prompt": [{"role": "system", "content": "t"}, ` + user + `], "chosen": "y", "rejected": "z"}`, "system is another text than the system message"},
		{with(`"question": "w"`), "question is another text than the last message before the replies"},
		{with(`"messages": [{"role": "user", "content": "w"}]`), "messages is another conversation than that before the replies"},
		{with(`"messages": [` + user + `, {"role": "assistant", "content": "w"}]`), "messages is another conversation than that before the replies"},
		{with(`"history": [["a"]]`), "history: turn 1: wanted a pair of texts"},
		{with(`"history": "a"`), "history: text, wanted pairs of texts"},
		{prompt("7"), `prompt: a number, wanted text or a list of messages {"role": ..., "content": ...}`},
		{prompt(`["x", "w"]`), `prompt: message 1: text, wanted an object {"role": ..., "content": ...}`},
		{prompt("[]"), "prompt: no messages, wanted at least one"},
		{prompt(`[{"role": "user", "content": null}]`), "prompt: message 1: content is no text"},
		{prompt(`[{"role": "user", "Content": "x"}]`), `prompt: message 1: "Content", wanted "content" in small letters`},
		{prompt(`[{"role": "user", "content": [{"type": "text"}]}]`), "prompt: message 1: content: a part of text without text"},
		{prompt(`[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]`), `prompt: message 1: content: a part with "image_url", wanted type and text alone`},
		{prompt(`[{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]`), `prompt: message 1: content: a part of the type "input_text", wanted text`},
		{prompt(`[{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "w"}]}]`), "prompt: message 1: content: 2 parts, which templates join in different ways, wanted one part of text"},
		{prompt(`[{"role": "user", "content": ["x"]}]`), `prompt: message 1: content: a list of text, wanted text, or a part {"type": "text", "text": ...}`},
		{prompt(`[{"role": "narrator", "content": "x"}]`), `prompt: message 1: of the role "narrator", wanted system, developer, user, assistant, tool`},
		{prompt(`[{"from": "observation", "value": "x"}]`), `prompt: message 1: from "observation", wanted system, human or gpt`},
		{prompt(`[{"from": "human", "content": "x"}]`), "prompt: message 1: value is no text"},
		{prompt(`[{"role": "system", "content": "x"}]`), "the last message before the replies is of the system, wanted the user's"},
		{prompt(`[{"role": "tool", "content": "x"}]`), "no message of the user before the replies, wanted one"},
		{prompt(`[{"role": "user", "role": "x", "content": "x"}]`), `"role"`},
		{chosen("null"), "chosen: null, wanted a reply"},
		{chosen(`""`), "chosen: empty, wanted text"},
		{chosen("3"), `chosen: a number, wanted text, a message {"role": ..., "content": ...}, a list of messages, or a list of texts`},
		{chosen("[]"), "chosen: the last of 0 messages is not of the assistant"},
		{chosen("[" + user + "]"), "chosen: the last of 1 messages is not of the assistant"},
		{chosen(`["y", ""]`), "chosen: empty, wanted text"},
		{chosen(`["y", {"role": "assistant", "content": "w"}]`), "chosen: reply 2: an object among others, wanted texts, or lists of messages"},
		{chosen("[" + reply + ", " + reply + "]"), "chosen: 2 messages, all of the assistant, wanted one reply, or a list of texts"},
		{chosen(`[[` + user + `, ` + reply + `], [` + reply + `]]`), "chosen: reply 2: answers another conversation than the first"},
		{chosen(`{"role": "assistant", "content": "y", "reasoning_content": "r"}`), `chosen: the reply has "reasoning_content" beside its text, which would not be scored, wanted role and content alone`},
		{chosen(`[{"role": "assistant", "content": "y", "tool_calls": [1]}]`), `chosen: the reply has "tool_calls" beside its text, which would not be scored, wanted role and content alone`},
		{chosen(`{"from": "gpt", "value": "y", "thinking": "r"}`), `chosen: the reply has "thinking" beside its text, which would not be scored, wanted role and content alone`},
		{chosen(`[{"role": "user", "content": "w"}, ` + reply + `]`), "prompt is another text than the last message before the replies"},
		{`{"prompt": [{"role": "user", "content": "w"}], "chosen": [` + user + `, ` + reply + `], "rejected": "z"}`, "prompt is another conversation than that before the replies"},
		{`{"chosen": [` + user + `, ` + reply + `], "rejected": [{"role": "user", "content": "w"}, ` + reply + `]}`, "chosen and rejected answer different conversations"},
		{`{"chosen": [{"role": "user", "content": "x", "name": "A"}, ` + reply + `], "rejected": [` + user + `, ` + reply + `]}`, "chosen and rejected answer different conversations"},
		{`{"chosen": "\n\nHuman: Hi\n\nAssistant: a\n\nHuman: b", "rejected": "z"}`, "chosen: the transcript does not end with the Assistant's turn"},
		{`{"chosen": "\n\nHuman: Hi\n\nAssistant:", "rejected": "\n\nHuman: Hi\n\nAssistant: Go"}`, "chosen: empty, wanted text"},
		{`{"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Ho\n\nAssistant: Go"}`, "chosen and rejected answer different conversations"},
	} {
		good := `{"prompt": "x", "chosen": "y", "rejected": "z"}`
		rows, err := all(t, good+"\n\n"+c[0]+"\n"+good)
		if err != nil || len(rows) != 3 || rows[0].Err != nil || rows[2].Err != nil || rows[1].Number != 3 || rows[2].Number != 4 {
			t.Fatalf("%s: %+v, %v", c[0], rows, err)
		}
		if got := rows[1].Err; got == nil || !strings.Contains(got.Error(), c[1]) || rows[1].Messages != nil || rows[1].Chosen != nil {
			t.Errorf("%s: %v, wanted %s", c[0], got, c[1])
		}
	}
}

func packed(t testing.TB, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFiles: lines, arrays and their gzipped forms give the same rows; other files are
// errors.
func TestFiles(t *testing.T) {
	a, b := `{"prompt": "Hi", "chosen": "Hello", "rejected": "Go"}`, `{"prompt": "Ho", "chosen": "Hello", "rejected": "Go"}`
	lines := a + "\n" + b
	for name, data := range map[string]string{
		"lines": lines, "CRLF": a + "\r\n" + b + "\r\n", "a byte order mark": "\ufeff" + lines, "an array": "[" + a + "," + b + "]", "a wide array": "\ufeff\n [\n" + a + "\n,\n" + b + "\n]\n",
		"packed lines": packed(t, lines), "a packed array": packed(t, "["+a+","+b+"]"),
	} {
		rows, err := all(t, data)
		if err != nil || len(rows) != 2 || show(rows[0]) != "user: Hi => Hello > Go" || show(rows[1]) != "user: Ho => Hello > Go" || rows[1].Number != 2 {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
	rows, err := all(t, `[{"prompt": "x"}, 7, `+a+`]`)
	if err != nil || len(rows) != 3 || rows[0].Err == nil || rows[1].Err == nil || rows[2].Err != nil || rows[2].Number != 3 {
		t.Errorf("an array with rows that are none: %+v, %v", rows, err)
	}
	empty := `preference: empty, wanted rows {"prompt": ..., "chosen": ..., "rejected": ...}`
	for _, c := range [][2]string{
		{"", empty}, {"\n \n", empty}, {"[]", empty}, {packed(t, ""), empty},
		{"[" + a, "preference: array: unexpected EOF"},
		{"[" + a + ", {", "preference: row 2 of the array: unexpected EOF"},
		{"[" + a + " " + a + "]", "preference: row 2 of the array: "},
		{"[" + a + "] x", "preference: text after the array, wanted its end"},
		{packed(t, lines)[:60], "unexpected EOF"},
		{"\x1f\x8b" + lines, "preference: gzip: gzip: invalid header"},
		{packed(t, packed(t, lines)), ""},
		{"\x28\xb5\x2f\xfd....", "preference: compressed by Zstandard, wanted it unpacked, or gzip"},
		{"PK\x03\x04......", "preference: a zip archive, wanted the file in it"},
		{"ARROW1\x00\x00", "preference: an Arrow file, wanted JSON Lines or Parquet (in Python: Dataset.to_parquet)"},
		{"\xff\xfe{\x00", "preference: UTF-16, wanted UTF-8"},
		{"version https://git-lfs.github.com/spec/v1\n", "preference: a pointer of Git LFS, wanted the file itself"},
		{"PAR1" + lines, "preference: the file ends in "},
	} {
		rows, err := all(t, c[0])
		if c[1] == "" { // gzip within gzip: lines that are none
			if err != nil || rows[0].Err == nil {
				t.Errorf("%+v, %v", rows, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%.40q: %+v, %v, wanted %s", c[0], rows, err, c[1])
		}
	}
}

// endless is a file without an end.
type endless string

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

// TestEndless: a row has a bound.
func TestEndless(t *testing.T) {
	for _, r := range []io.Reader{endless("x"), io.MultiReader(strings.NewReader("[\""), endless("x")), io.MultiReader(strings.NewReader("["), endless("["))} {
		n := 0
		var last error
		for _, err := range Read(t.Context(), r) {
			n, last = n+1, err
		}
		if n != 1 || last == nil {
			t.Errorf("%d rows, %v", n, last)
		}
	}
}

// TestStop: break ends the reading, and so does the context where a read waits.
func TestStop(t *testing.T) {
	line := `{"prompt": "x", "chosen": "y", "rejected": "z"}` + "\n"
	for range Read(t.Context(), strings.NewReader(line+line)) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, line)
	time.AfterFunc(20*time.Millisecond, cancel)
	var last error
	for _, err := range Read(ctx, in) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("%v, wanted %v", last, context.Canceled)
	}
}

// Rows of Parquet files, as data sets have them.
type (
	message struct {
		Content   string  `parquet:"content"`
		Role      string  `parquet:"role"`
		Reasoning *string `parquet:"reasoning_content,optional"`
	}
	nested struct {
		Source   string    `parquet:"source"`
		Rejected []message `parquet:"rejected,list,optional"`
		Chosen   []message `parquet:"chosen,list,optional"`
		Subset   *string   `parquet:"subset,optional"`
		ID       int64     `parquet:"id"`
	}
	flat struct {
		System   *string  `parquet:"system,optional"`
		Prompt   string   `parquet:"prompt"`
		Chosen   []string `parquet:"chosen,list"`
		Rejected []string `parquet:"rejected,list"`
	}
	bare struct { // byte arrays that are not marked as text
		Prompt   []byte `parquet:"prompt"`
		Chosen   []byte `parquet:"chosen"`
		Rejected []byte `parquet:"rejected"`
	}
)

func parquetOf[T any](t testing.TB, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestParquet: the shapes of JSON are read from Parquet.
func TestParquet(t *testing.T) {
	system, why, subset := "S", "why", "s"
	for _, c := range []struct{ data, want string }{
		{parquetOf(t, nested{"x", []message{{"Hi", "user", nil}, {"Go", "assistant", nil}}, []message{{"Hi", "user", nil}, {"Hello", "assistant", nil}}, &subset, 7}), "user: Hi => Hello > Go"},
		{parquetOf(t, nested{"x", []message{{"Hi", "user", nil}, {"Go", "assistant", nil}}, []message{{"Hi", "user", nil}, {"Hello", "assistant", &why}}, &subset, 7}), `refused: chosen: the reply has "reasoning_content" beside its text, which would not be scored, wanted role and content alone`},
		{parquetOf(t, flat{&system, "Hi", []string{"Hello"}, []string{"B", "C"}}), "system: S | user: Hi => Hello > B / C"},
		{parquetOf(t, flat{nil, "Hi", []string{"Hello"}, []string{"B", "C"}}), "user: Hi => Hello > B / C"},
		{parquetOf(t, bare{[]byte("Hi"), []byte("Hello"), []byte("Go")}), "user: Hi => Hello > Go"},
		{parquetOf(t, bare{[]byte("Hi"), []byte("\xff"), []byte("Go")}), "refused: column chosen: not valid UTF-8"},
	} {
		rows, err := all(t, c.data)
		if err != nil || len(rows) != 1 || show(rows[0]) != c.want || rows[0].Number != 1 {
			t.Errorf("%+v, %v, wanted %s", rows, err, c.want)
		}
	}
	for name, want := range map[string]string{"pyarrow": "system: S | user: Hi => Hello > B / C", "sharegpt": "user: Hi => Hello > Go"} {
		b, err := os.ReadFile("testdata/" + name + ".parquet")
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := all(t, string(b)); err != nil || len(rows) != 1 || show(rows[0]) != want {
			t.Errorf("%s: %+v, %v, wanted %s", name, rows, err, want)
		}
	}
	rows, err := all(t, parquetOf(t, nested{"x", []message{{"Hi", "user", nil}, {"Go", "assistant", nil}}, []message{{"Hi", "user", nil}, {"Hello", "assistant", nil}}, &subset, 7}))
	if err != nil || rows[0].ID != "7" || rows[0].Subset != "s" || !slices.Equal(rows[0].Unread, []string{"source"}) {
		t.Errorf("%+v, %v", rows, err)
	}
	_, err = all(t, parquetOf(t, struct {
		Prompt string `parquet:"prompt"`
		Chosen string `parquet:"chosen"`
	}{"x", "y"}))
	if want := `preference: no column rejected, wanted prompt, chosen, rejected, found ["prompt" "chosen"]`; err == nil || err.Error() != want {
		t.Errorf("%v, wanted %s", err, want)
	}
}

// seeds are files of all kinds.
func seeds(t testing.TB) []string {
	line := `{"id": 1, "subset": "s", "system": "S", "prompt": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "chosen": {"from": "gpt", "value": "Hello"}, "rejected": ["B", "C"], "source": 1.5}`
	hh := `{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: Go"}`
	system := "S"
	return []string{
		line + "\n" + hh, "[" + line + "," + hh + "]", packed(t, hh), "\ufeff{\"prompt\": [], \"chosen\": [[]], \"rejected\": [null]}",
		parquetOf(t, nested{"x", []message{{"Hi", "user", nil}, {"Go", "assistant", nil}}, []message{{"Hi", "user", nil}, {"Hello", "assistant", &system}}, &system, 7}),
		parquetOf(t, flat{&system, "Hi", []string{"Hello"}, []string{"B", "C"}}), parquetOf(t, bare{[]byte("Hi"), []byte("Hello"), []byte("Go")}),
	}
}

// sound checks what was read against Read's contract.
func sound(t testing.TB, data string) {
	rows, err := all(t, data)
	if err == nil && len(rows) == 0 {
		t.Errorf("%.80q: no rows, and no error", data)
	}
	for _, r := range rows {
		if (r.Err == nil) != (len(r.Messages) > 0 && len(r.Chosen) > 0 && len(r.Rejected) > 0) || r.Number < 1 {
			t.Errorf("%.80q: %+v", data, r)
		}
		if r.Err != nil {
			continue
		}
		for _, text := range slices.Concat(r.Chosen, r.Rejected, []string{r.Subset + r.ID}) {
			if !utf8.ValidString(text) {
				t.Errorf("%.80q: %+v", data, r)
			}
		}
		if last := r.Messages[len(r.Messages)-1]; last.Role != "user" && last.Role != "tool" || slices.Contains(slices.Concat(r.Chosen, r.Rejected), "") {
			t.Errorf("%.80q: %+v", data, r)
		}
	}
}

// TestMutations: 3,000 files with bytes changed, cut or doubled cause no panic, and what is
// read is sound.
func TestMutations(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 3))
	files := seeds(t)
	for i := range 3000 {
		b := []byte(files[i%len(files)])
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(b))
			switch rng.IntN(4) {
			case 0:
				b[at] = byte(rng.IntN(256))
			case 1:
				b = slices.Delete(b, at, min(len(b), at+1+rng.IntN(8)))
			case 2:
				b = slices.Insert(b, at, b[at:min(len(b), at+1+rng.IntN(16))]...)
			case 3:
				b[at] ^= 1 << rng.IntN(8)
			}
			if len(b) == 0 {
				b = []byte("x")
			}
		}
		sound(t, string(b))
	}
}

// TestStructure: of 5,000 files in which a byte of a name, a bracket or a mark is changed, lost
// or doubled, no row is read as another conversation: it is as it was, or refused.
func TestStructure(t *testing.T) {
	file := `{"id": "1", "system": "S", "prompt": [{"role": "user", "content": [{"type": "text", "text": "A"}]}, {"role": "assistant", "content": "B", "reasoning_content": "R"}, {"role": "user", "content": "C"}], "chosen": {"role": "assistant", "content": "D"}, "rejected": ["E", "F"]}
{"system_prompt": "S", "history": [["A", "B"]], "instruction": "C", "input": "D", "chosen_response": "E", "rejected_response": "F", "tools": []}
{"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "A"}], "chosen": {"from": "gpt", "value": "B"}, "rejected": {"from": "gpt", "value": "C"}, "subset": "s", "images": null}
`
	known := map[string]bool{}
	rows, err := all(t, file)
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		if known[show(r)] = true; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	// Where the values are: those of one letter in quotes, and roles.
	values := regexp.MustCompile(`"(?:[A-Zs1]|user|system|assistant|human|gpt|text)"[,}\]]`)
	var places []int
	for at := range file {
		if !slices.ContainsFunc(values.FindAllStringIndex(file, -1), func(v []int) bool { return at > v[0] && at < v[1]-2 }) {
			places = append(places, at)
		}
	}
	extra := regexp.MustCompile(`{[^"]*: ("R")}`) // of any name: the template refuses one that it does not read
	rng := rand.New(rand.NewPCG(13, 5))
	refused := 0
	for range 5000 {
		b, at := []byte(file), places[rng.IntN(len(places))]
		switch rng.IntN(3) {
		case 0:
			b[at] = " \"\\,:{}[]abcdefghijklmnopqrstuvwxyzABN01-"[rng.IntN(41)]
		case 1:
			b = slices.Delete(b, at, at+1)
		case 2:
			b = slices.Insert(b, at, b[at])
		}
		rows, err := all(t, string(b))
		if err != nil {
			continue
		}
		for _, r := range rows {
			if r.Err != nil {
				refused++
			} else if !known[extra.ReplaceAllString(show(r), "{reasoning_content: $1}")] {
				t.Errorf("%s\nis read as %s", b, show(r))
			}
		}
	}
	if refused < 1000 {
		t.Errorf("%d rows refused, wanted most of those that were changed", refused)
	}
}

// FuzzRead is TestMutations without its bound.
func FuzzRead(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sound(t, string(b)) })
}

// TestSplit: a first message has none before it.
func TestSplit(t *testing.T) {
	a, b := tokenize.Message{Role: "user"}, tokenize.Message{Role: "assistant"}
	for n, list := range [][]tokenize.Message{nil, {a}, {a, b}} {
		before, last := split(list)
		if (before == nil) != (n < 2) || n > 0 && last.Role != list[n-1].Role {
			t.Errorf("%d: %v, %v", n, before, last)
		}
	}
}
