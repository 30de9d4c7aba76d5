package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// numbers runs the program on a file of one row without a base model and returns what it
// says of the row, with its exit code.
func numbers(t *testing.T, tuned, name, data string) (row, stderr string, code int) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.jsonl")
	_, stderr, code = call(t, "", "-tuned", tuned, "-data", write(t, name, data), "-out", out)
	b, err := os.ReadFile(out)
	if err != nil && code == 0 {
		t.Fatal(err)
	}
	return string(b), stderr, code
}

// TestSameNumbers: the numbers of a preference do not depend on how its file is written, and
// a system text that stands in a column of its own is part of the conversation.
func TestSameNumbers(t *testing.T) {
	tuned, _ := models(t, "llama")
	plain, stderr, code := numbers(t, tuned, "p.jsonl", `{"prompt":"Hi","chosen":"love","rejected":"power"}`)
	if code != 0 || strings.Contains(stderr, "not read") {
		t.Fatal(stderr)
	}
	for name, data := range map[string]string{
		"array.json":    `[{"prompt":"Hi","chosen":"love","rejected":"power"}]`,
		"hh.jsonl":      `{"chosen":"\n\nHuman: Hi\n\nAssistant: love","rejected":"\n\nHuman: Hi\n\nAssistant: power"}`,
		"message.jsonl": `{"prompt":"Hi","chosen":{"role":"assistant","content":"love"},"rejected":{"role":"assistant","content":"power"}}`,
		"parts.jsonl":   `{"prompt":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"chosen":"love","rejected":"power"}`,
		"gpt.json":      `[{"conversations":[{"from":"human","value":"Hi"}],"chosen":{"from":"gpt","value":"love"},"rejected":{"from":"gpt","value":"power"}}]`,
		"lists.jsonl":   `{"prompt":"Hi","chosen":["love"],"rejected":["power"]}`,
	} {
		if got, stderr, code := numbers(t, tuned, name, data); code != 0 || got != plain {
			t.Errorf("%s: exit code %d, %s%s, wanted %s", name, code, stderr, got, plain)
		}
	}
	column, _, _ := numbers(t, tuned, "c.jsonl", `{"system":"Be kind.","prompt":"Hi","chosen":"love","rejected":"power"}`)
	messages, _, _ := numbers(t, tuned, "m.jsonl", `{"prompt":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}],"chosen":"love","rejected":"power"}`)
	if column == "" || column != messages || column == plain {
		t.Errorf("with a column system %s, with a system message %s, without %s", column, messages, plain)
	}
}

// TestSeveralReplies: of RewardBench 2's lists the best chosen reply must beat all that were
// rejected, and the rows file holds them all.
func TestSeveralReplies(t *testing.T) {
	tuned, base := models(t, "llama")
	r, rows := run1(t, `{"id":"0","prompt":"Q?","chosen":["love"],"rejected":["power","rain","freedom"],"subset":"Factuality"}
{"id":"1","prompt":"Q?","chosen":["power","love"],"rejected":["rain"],"subset":"Factuality"}
`, "-tuned", tuned, "-base", base)
	if r.All.Pairs != 2 || len(rows) != 2 {
		t.Fatalf("%+v", r)
	}
	wins := 0
	for i, row := range rows {
		chosen, rejected := strings.Split(row["chosen_tuned"], ";"), strings.Split(row["rejected_tuned"], ";")
		if len(chosen) != 1+i || len(rejected) != 3-2*i {
			t.Fatal(row)
		}
		best := func(values []string) float64 {
			b := float(t, values[0])
			for _, v := range values {
				b = max(b, float(t, v))
			}
			return b
		}
		margin := best(chosen) - best(rejected)
		if margin != float(t, row["margin_tuned"]) {
			t.Errorf("margin %s, wanted %v", row["margin_tuned"], margin)
		}
		if margin > 0 {
			wins++
		}
	}
	if a := r.All.Measures[3]; a.Measure != "tuned" || a.Wins != wins || float64(a.Accuracy) != float64(wins)/2 {
		t.Errorf("%+v, wanted %d wins", a, wins)
	}
}

// TestBadLine: a line that is no text, or whose reply has members that would not be scored, is
// refused alone and by name, and the exit code says it.
func TestBadLine(t *testing.T) {
	tuned, _ := models(t, "llama")
	good := `{"prompt":"Hi","chosen":"love","rejected":"power"}` + "\n"
	for line, want := range map[string]string{
		`{"prompt":"Hi \ud83d","chosen":"love","rejected":"power"}`: "half of a surrogate pair",
		`{"prompt":"Hi`: "byte 13",
		`{"prompt":"Hi","chosen":"love","rejected":"power","chosen":"rain"}`:                                                 `"chosen"`,
		`{"prompt":"Hi","chosen":[{"role":"assistant","content":"love","reasoning_content":"It fits."}],"rejected":"power"}`: `chosen: the reply has "reasoning_content" beside its text`,
		`{"prompt":[{"role":"user","content":"Hi","name":"Ann"}],"chosen":"love","rejected":"power"}`:                        `message 1 of the user: the chat template does not read its "name"`,
		`{"prompt":"Hi","chosen":"love\u0000","rejected":"power"}`:                                                           "NUL",
		`{"prompt":"Hi","chosen":"love","rejected":"power","tools":[{"name":"f"}]}`:                                          "tools: not read",
	} {
		row, stderr, code := numbers(t, tuned, "p.jsonl", good+line+"\n"+good)
		lines := strings.Split(strings.TrimSpace(row), "\n")
		if code != 3 || !strings.Contains(stderr, "2 pairs scored, 1 refused\n  2: ") || !strings.Contains(stderr, want) || len(lines) != 3 || strings.Replace(lines[0], `"row":1`, `"row":3`, 1) != lines[2] {
			t.Errorf("%s: exit code %d, %s%s", line, code, stderr, row)
		}
	}
}
