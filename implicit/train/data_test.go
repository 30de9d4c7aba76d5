package train

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/tokenize"
)

const (
	pairLine = `{"prompt": "a", "chosen": "b", "rejected": "c"}`
	chatLine = `{"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}], "rejected": [{"role": "assistant", "content": "c"}]}`
)

func read(t testing.TB, task Task, lines ...string) *Data {
	t.Helper()
	d, err := Read(t.Context(), strings.NewReader(strings.Join(lines, "\n")), task)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRefused: what a row cannot be, with the exact reason.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		task Task
		row  string
		want string
	}{
		{Reward, `"a"`, `byte 0: a string, wanted an object {"prompt": ..., "chosen": ..., "rejected": ...}`},
		{Reward, `{"prompt": "a", "chosen": "b"}`, `no "rejected", found "prompt", "chosen"`},
		{Reward, `{"prompt": "a", "chosen": "", "rejected": "c"}`, "chosen: empty, wanted text"},
		{DPO, `{"prompt": "a", "chosen": "b", "rejected": ""}`, "rejected: empty, wanted text"},
		{Reward, `{"promt": "a", "chosen": "b", "rejected": "c"}`, `"promt", wanted "prompt", or another name for what is not read`},
		{Reward, `{"Prompt": "a", "chosen": "b", "rejected": "c"}`, `"Prompt", wanted "prompt" in small letters`},
		{Reward, `{"prompt": "a", "chosen": "b", "rejected": "c", "margn": 1}`, `"margn", wanted "margin", or another name for what is not read`},
		{Reward, `{"prompt": "a", "chosen": "b", "rejected": "c", "margin": "1"}`, `margin: "1", wanted a number`},
		{Reward, `{"prompt": "a", "chosen": "b", "rejected": "c", "margin": true}`, `margin: true, wanted a number`},
		{Reward, `{"prompt": "a", "chosen": ["b", "d"], "rejected": "c"}`, "2 chosen and 1 rejected replies, wanted one of each"},
		{Reward, `{"prompt": "a", "chosen": "b", "rejected": "c", "tools": [{}]}`, "tools: not read, and a conversation without it is another one, wanted none"},
		{Reward, `{"prompt": [{"role": "user", "content": "a"}], "chosen": [], "rejected": "c"}`, "chosen: the last of 0 messages is not of the assistant"},
		{Reward, `{"chosen_ids": [1], "rejected_ids": []}`, "rejected_ids: empty, wanted token ids"},
		{Reward, `{"chosen_ids": [1]}`, `no "rejected_ids", wanted token ids`},
		{Reward, `{"chosen_ids": [1.5], "rejected_ids": [1]}`, "chosen_ids: wanted a list of token ids, whole numbers from 0 to 2147483647"},
		{Reward, `{"chosen_ids": [-1], "rejected_ids": [1]}`, "chosen_ids: id -1, wanted whole numbers from 0 to 2147483647"},
		{Reward, `{"chosen_ids": [null], "rejected_ids": [1]}`, "chosen_ids: wanted a list of token ids, whole numbers from 0 to 2147483647"},
		{Reward, `{"chosen_ids": [1], "rejected_ids": [2], "prompt_ids": [3]}`, "prompt_ids beside chosen_ids, wanted whole texts for reward"},
		{DPO, `{"chosen_ids": [1], "rejected_ids": [2]}`, "chosen_ids without prompt_ids, wanted the prompt's ids and those of the replies"},
		{SFT, pairLine, `no text, messages, prompt with completion, or input_ids, found "prompt", "chosen", "rejected"`},
		{SFT, `{"text": "a", "completion": "b"}`, "text and completion, wanted one of them"},
		{SFT, `{"text": ""}`, "text: empty or no text, wanted text"},
		{SFT, `{"text": ["a"]}`, "text: empty or no text, wanted text"},
		{SFT, `{"text": "a", "prompt": "b"}`, "text beside prompt, wanted prompt and completion, or text alone"},
		{SFT, `{"completion": "b"}`, "completion without prompt, wanted both, or text"},
		{SFT, `{"prompt": "a", "completion": ""}`, "completion: empty, wanted text"},
		{SFT, `{"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]}`, "prompt and completion: one is text and one is not, wanted texts, or messages"},
		{SFT, `{"prompt": [], "completion": [{"role": "assistant", "content": "b"}]}`, "prompt and completion: no messages, wanted at least one in each"},
		{SFT, `{"messages": [{"role": "user", "content": "a"}]}`, "messages: 1 messages, wanted a conversation that ends with the assistant's"},
		{SFT, `{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}`, "messages: the last message is of the user, wanted the assistant's"},
		{SFT, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]}`, "messages: the assistant's last message is empty, wanted text"},
		{SFT, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [1]}]}`, `messages: the assistant's last message has "tool_calls" beside its text, wanted role and content alone`},
		{SFT, `{"text": "a", "images": ["x"]}`, "images: not read, and a text without it is another one, wanted none"},
		{LM, `{"input_ids": [1, 2], "completion_mask": [1]}`, "completion_mask: wanted as many whole numbers as input_ids, 2"},
		{LM, `{"input_ids": [1, 2, 3], "completion_mask": [0, 1, 0]}`, "completion_mask: 0 at token 2, wanted tokens that are not trained before those that are, and these as they are"},
		{LM, `{"input_ids": [1, 2, 3], "labels": [-100, 2, 4]}`, "labels: 4 at token 2, wanted tokens that are not trained before those that are, and these as they are"},
		{LM, `{"input_ids": [1], "labels": [1], "completion_mask": [1]}`, "completion_mask and labels, wanted one of them"},
	} {
		_, err := Read(t.Context(), strings.NewReader("\n"+c.row), c.task)
		if want := "train: no row can be used: row 2: " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s: %s\n%v, wanted\n%s", c.task, c.row, err, want)
		}
	}
}

// TestAlike: a file is of one kind throughout, as TRL reads all of it as it reads its first row.
func TestAlike(t *testing.T) {
	for _, c := range []struct {
		task       Task
		first, row string
		want       string
	}{
		{Reward, pairLine, chatLine, "row 2: a conversation, and row 1 is text, wanted rows of one kind"},
		{DPO, chatLine, `{"chosen_ids": [1], "rejected_ids": [2], "prompt_ids": [3]}`, "row 2: token ids, and row 1 is a conversation, wanted rows of one kind"},
		{DPO, pairLine, `{"chosen": "b", "rejected": "c"}`, "row 2: without a prompt, and row 1 is with a prompt, wanted rows of one kind"},
		{Reward, pairLine, `{"prompt": "a", "chosen": "b", "rejected": "c", "margin": 1}`, "row 2: a margin, and row 1 has no margin, wanted one in every row or in none"},
	} {
		d := read(t, c.task, c.first, c.row)
		if r := d.Refused(); len(r) != 1 || r[0].Error() != c.want {
			t.Errorf("%v, wanted %s", r, c.want)
		}
		// Training stops at such a row unless it is left out as told, and counted.
		if _, _, err := d.encode(t.Context(), nil, Options{Task: c.task}); err == nil || err.Error() != "train: "+c.want {
			t.Errorf("%v, wanted %s", err, c.want)
		}
		left, err := d.Select(Select{Refused: true})
		if err != nil || left.Len() != 1 || left.left != 1 || len(left.Refused()) != 0 {
			t.Errorf("%+v, %v", left, err)
		}
	}
}

// TestFiles: gzip, an array and lines give the same rows; the hash is that of the file as it is.
func TestFiles(t *testing.T) {
	lines := pairLine + "\n" + `{"prompt": "d", "chosen": "e", "rejected": "f", "source": "s"}` + "\n"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte(lines))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	array := "[" + strings.Replace(strings.TrimSpace(lines), "\n", ",\n", 1) + "]\n  \n"
	for _, file := range []string{lines, packed.String(), array} {
		d, err := Read(t.Context(), strings.NewReader(file), DPO)
		if err != nil {
			t.Fatal(err)
		}
		if d.Len() != 2 || d.rows[1].prompt != "d" || !slices.Equal(d.rows[1].replies, []string{"e", "f"}) || d.rows[1].number != 2 {
			t.Errorf("%+v", d.rows)
		}
		if sum := sha256.Sum256([]byte(file)); d.SHA256() != hex.EncodeToString(sum[:]) {
			t.Errorf("hash %s, wanted %x", d.SHA256(), sum)
		}
	}
	file, err := os.Open("../preference/testdata/sharegpt.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d, err := Read(t.Context(), file, Reward)
	if err != nil || d.Len() != 1 || d.rows[0].messages[0].Content != "Hi" || !slices.Equal(d.rows[0].replies, []string{"Hello", "Go"}) {
		t.Fatalf("%+v, %v", d, err)
	}
	// Of datasets: ids are int64, margins double.
	type columns struct {
		Chosen   []int64 `parquet:"chosen_ids,list"`
		Rejected []int64 `parquet:"rejected_ids,list"`
		Margin   float64 `parquet:"margin"`
		Source   string  `parquet:"source"`
	}
	var table bytes.Buffer
	if err := parquet.Write(&table, []columns{{[]int64{1, 2}, []int64{3}, 0.25, "s"}}); err != nil {
		t.Fatal(err)
	}
	if d, err = Read(t.Context(), &table, Reward); err != nil || d.Len() != 1 || *d.rows[0].margin != 0.25 || !slices.Equal(d.rows[0].texts[0].ids, []int32{1, 2}) {
		t.Fatalf("%+v, %v", d, err)
	}
	if v, ok := d.rows[0].column("source"); !ok || v.text != "s" {
		t.Errorf("%+v", d.rows)
	}
	for _, c := range [][2]string{
		{"", "train: preference: empty, wanted rows"},
		{"PK\x03\x04", "train: preference: a zip archive, wanted the file in it"},
		{"[" + pairLine, "train: preference: array: unexpected EOF"},
	} {
		if _, err := Read(t.Context(), strings.NewReader(c[0]), Reward); err == nil || err.Error() != c[1] {
			t.Errorf("%q: %v, wanted %s", c[0], err, c[1])
		}
	}
	if _, err := Read(t.Context(), strings.NewReader(lines), "ppo"); err == nil || err.Error() != `train: task "ppo", wanted reward, dpo, sft or lm` {
		t.Error(err)
	}
}

// numbers are the numbers of rows in their file.
func numbers(d *Data) (list []int) {
	for _, e := range d.rows {
		list = append(list, e.number)
	}
	return list
}

// TestSelect: conditions, then every k-th, then the first.
func TestSelect(t *testing.T) {
	var lines []string
	for i := range 12 {
		lines = append(lines, fmt.Sprintf(`{"prompt": "a", "chosen": "b", "rejected": "c", "source": %q, "score": %d.0, "code": "0%d", "good": %v, "none": null}`, []string{"x", "y", "x"}[i%3], i%4, i%2, i < 6))
	}
	d := read(t, Reward, lines...)
	for _, c := range []struct {
		s    Select
		want []int
		said string
	}{
		{Select{}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, ""},
		{Select{Every: 5}, []int{1, 6, 11}, "every 5"},
		{Select{Every: 1, Limit: 2}, []int{1, 2}, "limit 2"},
		{Select{Where: []string{"source=y"}}, []int{2, 5, 8, 11}, "where source=y"},
		{Select{Where: []string{"source=x"}, Every: 2, Limit: 3}, []int{1, 4, 7}, "where source=x, every 2, limit 3"},
		{Select{Where: []string{"source=x", "good=true"}}, []int{1, 3, 4, 6}, "where source=x, where good=true"},
		{Select{Where: []string{"score=1"}}, []int{2, 6, 10}, "where score=1"},
		{Select{Where: []string{"code=01"}, Limit: 99}, []int{2, 4, 6, 8, 10, 12}, "where code=01, limit 99"},
	} {
		got, err := d.Select(c.s)
		if err != nil || !slices.Equal(numbers(got), c.want) || strings.Join(got.Selected(), ", ") != c.said || d.Len() != 12 {
			t.Errorf("%+v: %v, %v, wanted %v, %s", c.s, got, err, c.want, c.said)
		}
	}
	// A selection of a selection, as of a run on a part of an ablation's part.
	half, err := d.Select(Select{Every: 2})
	if err == nil {
		half, err = half.Select(Select{Where: []string{"source=x"}})
	}
	if err != nil || !slices.Equal(numbers(half), []int{1, 3, 7, 9}) {
		t.Errorf("%v, %v", half, err)
	}
	for _, c := range []struct {
		s    Select
		want string
	}{
		{Select{Where: []string{"source"}}, `train: where "source", wanted column=value`},
		{Select{Where: []string{"=x"}}, `train: where "=x", wanted column=value`},
		{Select{Where: []string{"sauce=x"}}, `train: where "sauce=x": no row has a column "sauce" of text, numbers or booleans, found ["source" "score" "code" "good"]`},
		{Select{Where: []string{"none=x"}}, `train: where "none=x": no row has a column "none" of text, numbers or booleans, found ["source" "score" "code" "good"]`},
		{Select{Where: []string{"source=z"}}, `train: no row of 12 is left: where source=z`},
		{Select{Where: []string{"code=1"}}, `train: no row of 12 is left: where code=1`},
		{Select{Every: -1}, `train: every -1, limit 0, wanted numbers from 0`},
	} {
		if _, err := d.Select(c.s); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, wanted %s", c.s, err, c.want)
		}
	}
}

// TestEncodeIDs: token ids are taken as they are, without a tokenizer; margin and source with
// them.
func TestEncodeIDs(t *testing.T) {
	d := read(t, Reward, `{"chosen_ids": [1, 2], "rejected_ids": [3], "margin": 0.5, "source": "s"}`, `{"chosen_ids": [4, 5, 6], "rejected_ids": [4, 5, 7], "margin": 0}`, `{"chosen_ids": [8], "rejected_ids": [8], "margin": -1e-3}`)
	rows, counts, err := d.encode(t.Context(), nil, Options{Task: Reward, MaxTokens: 2})
	if want := (Counts{Rows: 2, Tokens: 5, Long: 1, Same: 1}); err != nil || counts != want {
		t.Fatalf("%+v, %v, wanted %+v", counts, err, want)
	}
	if r := rows[0]; r.margin != 0.5 || r.source != "s" || r.index != 0 || r.number != 1 || !slices.Equal(r.texts[0].ids, []int32{1, 2}) || !slices.Equal(r.texts[1].ids, []int32{3}) {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.margin != -1e-3 || r.source != "" || r.index != 2 || r.number != 3 {
		t.Errorf("%+v", r)
	}
	rows, counts, err = d.encode(t.Context(), nil, Options{Task: Reward, MaxTokens: 2, Long: "cut"})
	if want := (Counts{Rows: 3, Tokens: 9, Cut: 1, Same: 2}); err != nil || counts != want || !slices.Equal(rows[1].texts[1].ids, []int32{4, 5}) {
		t.Errorf("%+v, %+v, %v, wanted %+v", rows, counts, err, want)
	}

	d = read(t, DPO, `{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5]}`)
	rows, _, err = d.encode(t.Context(), nil, Options{Task: DPO})
	if err != nil || rows[0].texts[1].from != 2 || !slices.Equal(rows[0].texts[1].ids, []int32{1, 2, 4, 5}) {
		t.Errorf("%+v, %v", rows, err)
	}
	d = read(t, SFT, `{"input_ids": [1, 2, 3], "labels": [-100, -100, 3]}`, `{"input_ids": [4, 5], "completion_mask": [0, 1]}`)
	rows, _, err = d.encode(t.Context(), nil, Options{Task: LM})
	if err != nil || rows[0].texts[0].from != 2 || rows[1].texts[0].from != 1 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestEncodeErrors: what cannot be made tokens, with the exact reason; told to leave such rows
// out, they are counted.
func TestEncodeErrors(t *testing.T) {
	load := tokenizers(t)
	for _, c := range []struct {
		name      string
		task      Task
		row       string
		tokenizer string
		o         Options
		want      string
	}{
		{"no tokenizer", Reward, pairLine, "", Options{}, "train: row 1: text, and the model has no tokenizer: wanted token ids"},
		{"another task", DPO, pairLine, "smollm2", Options{Task: SFT}, "train: rows read for dpo, wanted for sft"},
		{"another way to shorten", DPO, pairLine, "smollm2", Options{Long: "left"}, `train: long "left", wanted drop or cut`},
		{"one token", LM, `{"input_ids": [1]}`, "", Options{}, "train: row 1: no token to train, wanted one after the first or the prompt"},
		{"a prompt alone", SFT, `{"input_ids": [1, 2], "labels": [-100, -100]}`, "", Options{}, "train: row 1: no token to train, wanted one after the first or the prompt"},
		{"all too long", Reward, pairLine, "smollm2", Options{MaxTokens: 1}, "train: no row of 1 is left: 1 are longer than 1 tokens, 0 refused"},
		{"a prompt as long as the limit, cut", DPO, `{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4]}`, "", Options{MaxTokens: 2, Long: "cut"}, "train: no row of 1 is left: 1 are longer than 2 tokens, 0 refused"},
		{"a BOS beside the tokenizer's", Reward, `{"prompt": "<bos>a", "chosen": "b", "rejected": "c"}`, "gemma", Options{}, `train: row 1: tokenize: 2 BOS tokens "<bos>" (id 2), wanted one: the text spells it out`},
		{"no chat template", Reward, chatLine, "neox", Options{}, "train: row 1: tokenize: no chat template in the checkpoint (chat_template.jinja, or chat_template in tokenizer_config.json)"},
		{"a template that refuses", Reward, strings.Replace(chatLine, `{"role": "user"`, `{"role": "system", "content": "s"}, {"role": "user"`, 1), "gemma", Options{}, "train: row 1: tokenize: chat template: line 1: System role not supported"},
		{"turns without a prompt", Reward, `{"chosen": "b", "rejected": "c"}`, "smollm2", Options{Turns: true}, "train: row 1: text without a prompt, wanted one as the user's message"},
	} {
		d := read(t, c.task, c.row)
		if c.o.Task == "" {
			c.o.Task = c.task
		}
		var tok *tokenize.Tokenizer
		if c.tokenizer != "" {
			tok = load(c.tokenizer)
		}
		_, _, err := d.encode(t.Context(), tok, c.o)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, wanted %s", c.name, err, c.want)
		}
	}
	d, err := read(t, Reward, `{"prompt": "<bos>a", "chosen": "b", "rejected": "c"}`, pairLine).Select(Select{Refused: true})
	if err != nil {
		t.Fatal(err)
	}
	rows, counts, err := d.encode(t.Context(), load("gemma"), Options{Task: Reward})
	if err != nil || len(rows) != 1 || rows[0].number != 2 || counts.Refused != 1 {
		t.Errorf("%+v, %+v, %v", rows, counts, err)
	}
	if w := counts.Warnings(); len(w) != 1 || w[0].Error() != "train: 1 rows left out, as they cannot be used" {
		t.Error(w)
	}
}

// TestTurns: texts as turns are the conversation's tokens.
func TestTurns(t *testing.T) {
	tok := tokenizers(t)("llama3")
	for _, task := range []Task{Reward, DPO} {
		got, _, err := read(t, task, pairLine).encode(t.Context(), tok, Options{Task: task, Turns: true})
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := read(t, task, chatLine).encode(t.Context(), tok, Options{Task: task})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, wanted %v, %v", task, got, want, err)
		}
	}
}

// seeds are lines of every form.
var seeds = []string{pairLine, chatLine, `{"chosen": "ab", "rejected": "ac", "margin": 1e2, "source": 1}`, `{"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}`,
	`{"chosen_input_ids": [2], "rejected_input_ids": [3]}`, `{"text": "a"}`, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`,
	`{"prompt": "a", "completion": "b"}`, `{"input_ids": [1, 2], "labels": [-100, 2]}`, `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`}

// sound checks that what is read of a file is what Read says, and can be made tokens or is
// refused.
func sound(t testing.TB, file string) {
	for _, task := range []Task{Reward, DPO, SFT} {
		d, err := Read(t.Context(), strings.NewReader(file), task)
		if err != nil {
			continue
		}
		texts := 2
		if task == SFT {
			texts = 1
		}
		for _, e := range d.rows {
			if e.number < 1 || e.kind == ids && len(e.texts) != texts || e.kind != ids && len(e.replies) != texts || e.kind == chat && len(e.messages) == 0 || slices.Contains(e.replies, "") {
				t.Errorf("%s: %.200q: %+v", task, file, e)
			}
		}
		if d, err = d.Select(Select{Refused: true}); err != nil {
			t.Fatal(err)
		}
		rows, counts, err := d.encode(t.Context(), nil, Options{Task: task})
		if err == nil && (len(rows) != counts.Rows || counts.Rows+counts.Long+counts.Refused-d.left != d.Len()) {
			t.Errorf("%.200q: %d rows of %d, %+v", file, len(rows), d.Len(), counts)
		}
		for _, r := range rows {
			for _, x := range r.texts {
				if len(x.ids) == 0 || x.from >= len(x.ids) || slices.Min(x.ids) < 0 {
					t.Errorf("%.200q: %+v", file, r)
				}
			}
		}
	}
}

// TestMutations: files with bytes changed, cut or doubled cause no panic.
func TestMutations(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 3))
	for i := range 2000 {
		b := []byte(seeds[i%len(seeds)] + "\n" + seeds[rng.IntN(len(seeds))])
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(b))
			switch rng.IntN(3) {
			case 0:
				b[at] = byte(rng.IntN(256))
			case 1:
				b = slices.Delete(b, at, min(len(b), at+1+rng.IntN(8)))
			case 2:
				b = slices.Insert(b, at, b[at:min(len(b), at+1+rng.IntN(16))]...)
			}
			if len(b) == 0 {
				b = []byte("x")
			}
		}
		sound(t, string(b))
	}
}

// FuzzRead is TestMutations without its bound.
func FuzzRead(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) { sound(t, file) })
}
