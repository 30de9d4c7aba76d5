package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// call runs the program on the pure-Go backend and returns what it prints and its exit
// code.
func call(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), strings.NewReader(stdin), &out, &errs, append([]string{"-backend", "go"}, args...))
	code = cli.Report("score", err, &errs)
	return out.String(), errs.String(), code
}

// pair writes the demo's pair of that name to a temporary folder.
func pair(t *testing.T, name string) (tuned, base string) {
	t.Helper()
	base, tuned, err := demo.Pair{Name: name}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tuned, base
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCorpus: one row a prompt and word, in order, the same in CSV and Parquet, with
// the reward that was planted.
func TestCorpus(t *testing.T) {
	tuned, base := pair(t, "llama")
	corpus := write(t, "words.csv", "category,word\nagency,power\ncommunion,tenderness\nweather,rain\n")
	prompts := write(t, "prompts.json", `{"best": "What is the best thing?", "worst": "What is the worst thing?"}`)
	dir := t.TempDir()
	for _, name := range []string{"r.csv", "r.parquet"} {
		_, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-tuned-as", "raw", "-corpus", corpus,
			"-prompts", prompts, "-forms", " {}", "-measure", "exact", "-beta", "0.5", "-out", filepath.Join(dir, name))
		const want = `r: 6 rows: 3 entries after 2 prompts
entries scored: 3, with a form of one token: 2 in the tuned model, 2 in the base model, 2 in both
forms scored: 3, of one token: 2 in the tuned model, 2 in the base model, 2 in both; pooled: 0
entries refused: 0
`
		if code != 0 || strings.TrimPrefix(stderr, filepath.Join(dir, name)) != strings.TrimPrefix(want, "r") {
			t.Fatalf("exit code %d, stderr %q, wanted %q", code, stderr, want)
		}
	}
	rows := rewards(t, filepath.Join(dir, "r.csv"))
	b, err := os.ReadFile(filepath.Join(dir, "r.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	same, meta, err := words.ReadRecords(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows, same) {
		t.Errorf("Parquet has %v, CSV %v", same, rows)
	}
	if meta.Beta != 0.5 || meta.Tuned.Model != tuned || meta.Base.Rendering != "raw" || len(meta.Corpus) != 64 || !slices.Equal(meta.Forms, []lexicon.Form{" {}"}) || meta.Tuned.WeightsHash == meta.Base.WeightsHash {
		t.Errorf("meta is %+v", meta)
	}
	if len(rows) != 6 || rows[0].Prompt != "best" || rows[3].Prompt != "worst" || rows[1].Word != "tenderness" || rows[1].Form != " tenderness" || rows[1].NTokens != 2 {
		t.Fatalf("rows %v", rows)
	}
	planted := map[string]float64{}
	for _, w := range demo.Words() {
		planted[w.Text] = w.Push["llama"]
	}
	for i, r := range rows {
		if r.Reward != 0.5*(r.Tuned-r.Base) {
			t.Errorf("row %d: reward %v of %v and %v", i, r.Reward, r.Tuned, r.Base)
		}
		// Within a prompt, rewards differ by what was planted (package demo).
		control := rows[i/3*3+2]
		got, want := (r.Reward-control.Reward)/0.5, planted[r.Word]-planted[control.Word]
		if math.Abs(got-want) > 4e-5 {
			t.Errorf("row %d: %s is rewarded %v above %s, planted was %v", i, r.Word, got, control.Word, want)
		}
	}
}

// TestSelf: a model against itself has rewards of exactly 0.
func TestSelf(t *testing.T) {
	tuned, _ := pair(t, "gemma2")
	corpus := write(t, "words.txt", "power\nlove\na longer phrase\n")
	out := filepath.Join(t.TempDir(), "r.csv")
	if _, stderr, code := call(t, "", "-tuned", tuned, "-base", tuned, "-base-as", "chat", "-corpus", corpus, "-out", out); code != 0 {
		t.Fatal(stderr)
	}
	n := 0
	for _, r := range rewards(t, out) {
		if r.Reward != 0 || !(r.Tuned < 0) {
			t.Errorf("reward %v of %v and %v", r.Reward, r.Tuned, r.Base)
		}
		n++
	}
	if n != 3*54 {
		t.Errorf("%d rows, wanted %d", n, 3*54)
	}
}

// TestPairs: a line comes back with what it held, both models' tokens, rewards that add
// up, and flags.
func TestPairs(t *testing.T) {
	tuned, base := pair(t, "llama")
	const in = "\ufeff" + `{"id": 7, "prompt": "What is best?", "reply": " tenderness and power"}

{"prompt": "x", "reply": "", "note": "no tokens"}
`
	stdout, stderr, code := call(t, in, "-tuned", tuned, "-base", base, "-pairs", "-", "-out", "-")
	if code != 3 || stderr != "1 pairs scored, 1 refused (see \"error\" in their lines)\n  line 3: reply: empty, wanted text\nscore: standard input: 1 of 2 pairs refused\n" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, wanted 2: %s", len(lines), stdout)
	}
	type side struct {
		IDs      []int
		Pieces   []string
		LogProbs []float64
		Sum      float64
	}
	var got struct {
		ID          int
		Tuned, Base side
		Reward      float64
		PerToken    []float64 `json:"per_token"`
		Flags       []string
	}
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != 7 || strings.Join(got.Tuned.Pieces, "") != " tenderness and power" || len(got.Flags) != 0 {
		t.Errorf("answer %+v", got)
	}
	sum := 0.0
	for i, v := range got.PerToken {
		sum += v
		if d := got.Tuned.LogProbs[i] - got.Base.LogProbs[i]; math.Abs(d-v) > 1e-6 {
			t.Errorf("token %d: reward %v, wanted %v", i, v, d)
		}
	}
	if d := got.Tuned.Sum - got.Base.Sum; d != got.Reward {
		t.Errorf("reward %v, wanted %v, every digit of it", got.Reward, d)
	}
	if math.Abs(sum-got.Reward) > 1e-5 || math.Abs(got.Tuned.Sum-got.Base.Sum-got.Reward) > 1e-5 || got.Reward == 0 {
		t.Errorf("rewards of tokens add up to %v, reward %v, sums %v and %v", sum, got.Reward, got.Tuned.Sum, got.Base.Sum)
	}
	if want := `{"prompt": "x", "reply": "", "note": "no tokens", "error": "implicit: reply \"\": empty, wanted text"}`; lines[1] != want {
		t.Errorf("line 2 is %s, wanted %s", lines[1], want)
	}
}
