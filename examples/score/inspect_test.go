package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/words"
)

// TestInspect: records as inspect_ai's precomputed_scores reads them (setup/inspect_scores.py
// lets it), with the values of -format jsonl.
func TestInspect(t *testing.T) {
	tuned, base := pair(t, "llama")
	const in = `{"id": "a", "prompt": "What is best?", "reply": " power", "epoch": 2}
{"id": "a", "prompt": "What is best?", "reply": " <love> & rain"}
{"id": 7, "prompt": "What is best?", "reply": "", "epoch": null}
{"id": -8, "prompt": "What is best?", "reply": " power and rain"}
`
	args := []string{"-tuned", tuned, "-base", base, "-pairs", "-", "-beta", "0.5"}
	out := filepath.Join(t.TempDir(), "scores.jsonl")
	_, stderr, code := call(t, in, append(args, "-format", "inspect", "-out", out)...)
	if want := "3 pairs scored, 1 refused (they have no record)\n  line 3 (id \"7\"): reply: empty, wanted text\nscore: standard input: 1 of 4 pairs refused\n"; code != 3 || stderr != want {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out + ".meta.json"); err != nil {
		t.Error(err)
	}
	plain, _, code := call(t, in, append(args, "-out", "-", "-format", "jsonl")...)
	if code != 3 {
		t.Fatal(plain)
	}
	var want []map[string]any
	for line := range strings.Lines(plain) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if v["error"] == nil {
			want = append(want, v)
		}
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"id":"a","epoch":2,"value":`) || !strings.HasPrefix(lines[1], `{"id":"a","value":`) || !strings.Contains(lines[1], `"answer":" <love> & rain"`) {
		t.Fatalf("%s", b)
	}
	for i, id := range []string{"a", "a", "-8"} {
		var got struct {
			ID       string
			Value    float64
			Answer   string
			Metadata metadata
		}
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		side := func(name string) map[string]any { return want[i][name].(map[string]any) }
		if got.ID != id || got.Value != want[i]["reward"] || got.Answer != want[i]["reply"] || got.Metadata.Tuned != side("tuned")["sum"] || got.Metadata.Base != side("base")["sum"] ||
			got.Metadata.Beta != 0.5 || got.Metadata.TunedTokens != len(side("tuned")["ids"].([]any)) || got.Metadata.PerByte != got.Value/float64(len(got.Answer)) || got.Metadata.Flags == nil {
			t.Errorf("%+v, wanted the values of %v", got, want[i])
		}
	}
	// Without ids samples are numbered from 1, refused ones included.
	_, _, code = call(t, "{\"prompt\": \"x\", \"reply\": \"\"}\n\n{\"id\": null, \"prompt\": \"x\", \"reply\": \"y\"}\n", append(args, "-format", "inspect", "-out", out)...)
	if b, err := os.ReadFile(out); err != nil || code != 3 || !strings.HasPrefix(string(b), `{"id":2,"value":`) || strings.Count(string(b), "\n") != 1 {
		t.Errorf("exit code %d, %s, %v", code, b, err)
	}
}

// TestInspectWrong: samples that are not told apart, and formats that do not fit.
func TestInspectWrong(t *testing.T) {
	tuned, base := pair(t, "llama")
	const usage = "score -h lists the flags\n"
	for in, want := range map[string]string{
		`{"id": 7, "prompt": "x", "reply": "y"} {"id": "7", "prompt": "x", "reply": "y"}`:                       "line 2: the \"id\" \"7\" stands in line 1 already, wanted one pair a sample (and \"epoch\")",
		`{"prompt": "x", "reply": "y"} {"id": "7", "prompt": "x", "reply": "y"}`:                                "line 2: some pairs have an \"id\" and some have none, wanted all or none",
		`{"id": 1.5, "prompt": "x", "reply": "y"}`:                                                              "line 1: \"id\" is 1.5, wanted a string or a whole number",
		`{"id": ["x"], "prompt": "x", "reply": "y"}`:                                                            "line 1: \"id\" is [\"x\"], wanted a string or a whole number",
		`{"id": "\ud83d", "prompt": "x", "reply": "y"}`:                                                         "line 1: byte 8: id: half of a surrogate pair, wanted text",
		`{"id": 1, "epoch": "1", "prompt": "x", "reply": "y"}`:                                                  "line 1: \"epoch\" is \"1\", wanted a whole number",
		`{"id": 1, "epoch": 1, "prompt": "x", "reply": "y"} {"id": 1, "epoch": 1, "prompt": "x", "reply": "y"}`: "line 2: the \"id\" \"1\" stands in line 1 already, wanted one pair a sample (and \"epoch\")",
	} {
		_, stderr, code := call(t, strings.ReplaceAll(in, "} {", "}\n{"), "-tuned", tuned, "-base", base, "-pairs", "-", "-out", "-", "-format", "inspect")
		if (code != 1 || !strings.HasPrefix(stderr, "score: standard input: none of the 1 pairs could be scored; the first: ")) && code != 3 || !strings.Contains(stderr, want+"\n") {
			t.Errorf("%s: exit code %d, stderr %q, wanted %q", in, code, stderr, want)
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-pairs", "-", "-out", "-", "-format", "csv"}, "score: -format \"csv\", wanted jsonl or inspect\n"},
		{[]string{"-corpus", "w.csv", "-out", "-", "-format", "inspect"}, "score: -format \"inspect\", wanted csv or parquet\n"},
		{[]string{"-corpus", "w.csv", "-out", "r.csv", "-format", "parquet"}, "score: output \"r.csv\" with -format parquet, wanted a name that ends in .parquet\n"},
		{[]string{"-corpus", "w.csv", "-out", "-", "-vary", "forms"}, "score: -vary with -out -, wanted a file, beside which it writes\n"},
		{[]string{"-pairs", "-", "-out", "s.json", "-format", "inspect"}, "score: output \"s.json\", wanted a name that ends in .jsonl\n"},
	} {
		if _, stderr, code := call(t, "", append([]string{"-tuned", tuned, "-base", base}, test.args...)...); code != 2 || stderr != test.want+usage {
			t.Errorf("%v: exit code %d, stderr %q, wanted %q", test.args, code, stderr, test.want)
		}
	}
	// A reply of probability 0 has no record.
	if line, reason := (sample{ID: []byte("1")}).record(zero()); line != nil || !strings.Contains(reason, "probability 0") {
		t.Errorf("%s, %q", line, reason)
	}
}

// TestCorpusPipe: prompts from standard input and rows to standard output, the same as of
// files.
func TestCorpusPipe(t *testing.T) {
	tuned, base := pair(t, "gemma2")
	corpus := write(t, "words.csv", "category,word\nagency,power\ncommunion,love\n")
	prompts := write(t, "p.csv", "name,prompt\nbest,What is best?\nworst,What is worst?\n")
	lines := write(t, "p.jsonl", "{\"prompt\": \"What is best?\", \"name\": \"best\"}\n{\"name\": \"worst\", \"prompt\": \"What is worst?\", \"more\": 1}\n")
	piped, err := os.ReadFile(lines)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-tuned", tuned, "-base", base, "-corpus", corpus}
	out := filepath.Join(t.TempDir(), "r.csv")
	if _, stderr, code := call(t, "", append(args, "-prompts", prompts, "-out", out)...); code != 0 {
		t.Fatal(stderr)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"-", lines} {
		stdout, stderr, code := call(t, string(piped), append(args, "-prompts", from, "-out", "-")...)
		if code != 0 || stdout != string(want) || !strings.HasPrefix(stderr, "standard output: 4 rows: 2 entries after 2 prompts\n") {
			t.Errorf("%s: exit code %d, %q, stderr %q, wanted %q", from, code, stdout, stderr, want)
		}
	}
	stdout, _, code := call(t, string(piped), append(args, "-prompts", "-", "-out", "-", "-format", "parquet")...)
	rows, meta, err := words.ReadRecords(strings.NewReader(stdout), int64(len(stdout)))
	if code != 0 || err != nil || len(rows) != 4 || rows[3].Prompt != "worst" || meta.Base.Rendering != "raw" {
		t.Errorf("exit code %d, %v, %v", code, rows, err)
	}
}

// zero is a reward of a reply that the base model gives probability 0.
func zero() (r implicit.Reward) {
	r.Reply = "x"
	r.Tuned.LogProbs = []float32{-1}
	r.Base.LogProbs = []float32{float32(math.Inf(-1))}
	return r
}
