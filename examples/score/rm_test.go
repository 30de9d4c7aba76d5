package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// rewardModel writes the demo's reward model of that family to a temporary folder.
func rewardModel(t *testing.T, family string) string {
	t.Helper()
	rm, err := demo.Pair{Name: family}.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return rm
}

func scores(t *testing.T, path string) ([]words.ScoreRecord, words.ScoreProvenance) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, meta, err := words.ReadScores(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return all, meta
}

const rmPrompts = `{"best": "What is the best thing?", "worst": "What is the worst thing?"}`

// TestGoldenRM holds everything that the program writes of a small corpus under a reward model
// to testdata: wildcards, a phrase, a word that stands twice, one that is empty, and forms that
// the template makes the same. Rewards are compared to 3 decimals, of 1e-4 more than they are,
// since planted ones end in 5 at the fourth; which of equal forms is the best is rounding.
func TestGoldenRM(t *testing.T) {
	rm := rewardModel(t, "gemma2")
	dir := t.TempDir()
	out := filepath.Join(dir, "r.csv")
	corpus := write(t, "words.csv", "DicTerm,agency,communion\nfreedom,X,\nPower,X,X\nlov*,,X\nxyz*,X,\ntrust and harmony,,X\nfreedom,,X\n\"\",X,\n")
	list := write(t, "list.txt", "Love\nlove\nkind\n")
	_, stderr, code := call(t, "", "-rm", rm, "-corpus", corpus, "-wordlist", list, "-prompts", write(t, "prompts.json", rmPrompts),
		"-forms", " {},{title},{}", "-measure", "mean,best,exact", "-out", out)
	if code != 0 {
		t.Fatal(stderr)
	}
	var got strings.Builder
	records, _ := scores(t, out)
	for _, r := range records {
		if r.Measure == "best" {
			r.Form, r.Flags = "", ""
		}
		fmt.Fprintf(&got, "%s,%s,%q,%q,%d,%.3f,%q,%s,%d,%v,%s,%s\n", r.Prompt, r.Category, r.Word, r.Form, r.NTokens, r.Reward+1e-4, r.Wildcard, r.Measure, r.Forms, r.Rank, r.Flags, r.Outputs)
	}
	coverage, err := os.ReadFile(filepath.Join(dir, "r.coverage.csv"))
	if err != nil {
		t.Fatal(err)
	}
	got.WriteString("\n" + string(coverage) + "\n" + strings.NewReplacer(dir+"/", "", rm, "RM", filepath.Dir(corpus)+"/", "", filepath.Dir(list)+"/", "").Replace(stderr))
	golden := filepath.Join("testdata", "rm.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwanted\n%s", got.String(), want)
	}
}

// TestCorpusRM: by default a row a prompt and word, in order, the word in lower case, with the
// reward that was planted; the same in CSV, in Parquet, and in the paper's table.
func TestCorpusRM(t *testing.T) {
	planted := map[string]demo.Word{}
	for _, w := range demo.Words() {
		planted[w.Text] = w
	}
	for _, family := range []string{"llama", "gemma2"} {
		rm := rewardModel(t, family)
		corpus := write(t, "words.csv", "category,word\nagency,power\ncommunion,tenderness\nweather,Rain\n")
		prompts := write(t, "prompts.json", rmPrompts)
		dir := t.TempDir()
		for _, name := range []string{"r.csv", "r.parquet", "t.csv"} {
			args := []string{"-rm", rm, "-corpus", corpus, "-prompts", prompts, "-out", filepath.Join(dir, name)}
			if name == "t.csv" {
				args = append(args, "-format", "paper")
			}
			if _, stderr, code := call(t, "", args...); code != 0 {
				t.Fatal(stderr)
			}
		}
		rows, _ := scores(t, filepath.Join(dir, "r.csv"))
		again, meta := scores(t, filepath.Join(dir, "r.parquet"))
		if !slices.Equal(rows, again) {
			t.Errorf("Parquet has %v, CSV %v", again, rows)
		}
		if meta.RM.Model != rm || meta.RM.Pooling != "last" || meta.RM.Rendering != "chat" || len(meta.Corpus) != 64 || len(meta.RM.WeightsHash) != 64 || !slices.Equal(meta.Forms, []lexicon.Form{"{lower}"}) || !slices.Equal(meta.Measures, []words.ScoreMeasure{"exact"}) {
			t.Errorf("meta %+v", meta)
		}
		var beside words.ScoreProvenance
		if b, err := os.ReadFile(filepath.Join(dir, "t.csv.meta.json")); err != nil || json.Unmarshal(b, &beside) != nil || beside.RM.Model != rm || beside.RM.WeightsHash != meta.RM.WeightsHash {
			t.Errorf("%v, %+v", err, beside)
		}
		if len(rows) != 6 || rows[0].Prompt != "best" || rows[3].Prompt != "worst" || rows[1].Word != "tenderness" || rows[2].Word != "Rain" || rows[2].Form != "rain" {
			t.Fatalf("rows %v", rows)
		}
		for _, r := range rows {
			if want := planted[r.Form].Reward(family) + demo.Moods()[r.Prompt]; math.Abs(r.Reward-want) > 2e-5 {
				t.Errorf("%s after %s: %v, planted was %v", r.Form, r.Prompt, r.Reward, want)
			}
		}
		f, err := os.Open(filepath.Join(dir, "t.csv"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		table, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(table) != 4 || !slices.Equal(table[0], []string{"response", "best", "worst"}) {
			t.Fatalf("%v", table)
		}
		for i, row := range table[1:] {
			for p, cell := range row[1:] {
				if x, err := strconv.ParseFloat(cell, 64); err != nil || x != rows[3*p+i].Reward || row[0] != rows[i].Form {
					t.Errorf("%v: %s, wanted %v", row, cell, rows[3*p+i])
				}
			}
		}
	}
}

// TestPaperPartly: the paper's table has no row for what has not a number after every prompt,
// and says so, as it says which words it writes in other letters than the corpus.
func TestPaperPartly(t *testing.T) {
	rm := rewardModel(t, "llama")
	prompts := write(t, "prompts.json", `{"short": "What is best?", "long": "`+strings.Repeat("What is best? ", 95)+`"}`)
	out := filepath.Join(t.TempDir(), "t.csv")
	_, stderr, code := call(t, "", "-rm", rm, "-corpus", write(t, "w.txt", "Power\nlove\n"+strings.Repeat("power ", 200)+"\n"), "-prompts", prompts, "-format", "paper", "-out", out)
	for _, want := range []string{
		"t.csv: 2 rows: 3 entries after 2 prompts\nentries scored: 3, in 3 forms, of which 0 are the same text to the model as another of the word\nwords without a row, as they were scored after some of the prompts only: power power ",
		"words that stand in lower case, and in other letters in the corpus: 1 (study looks them up by their letters)\nentries scored after some of the prompts only: 1\nentries refused: 0\n",
	} {
		if code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, %s, wanted %q", code, stderr, want)
		}
	}
	stdout, stderr, code := call(t, "", "-rm", rm, "-corpus", write(t, "w.txt", "love\nlove\n"), "-prompts", prompts, "-format", "paper", "-measure", "best", "-forms", "all", "-out", "-")
	if code != 0 || !strings.HasPrefix(stdout, "response,short,long\nlove,") || strings.Count(stdout, "\n") != 2 {
		t.Errorf("%d, %s, %s", code, stdout, stderr)
	}
}

// TestPairsRM: a line comes back with what it held and the reward model's answer; what is
// refused is refused as under a pair.
func TestPairsRM(t *testing.T) {
	rm := rewardModel(t, "llama")
	const in = `{"id": 7, "prompt": "What is best?", "reply": "power", "tuned": 1}
{"id": 8, "prompt": "What is best?", "reply": " power"}
{"id": 9, "prompt": "x", "reply": ""}
{"id": 10, "prompt": "x", "reply": "y", "ids": []}
{"id": 11, "prompt": "x", "reply": "y", "messages": [1]}
`
	out := filepath.Join(t.TempDir(), "o.jsonl")
	_, stderr, code := call(t, in, "-rm", rm, "-pairs", "-", "-out", out)
	const want = `2 pairs scored, 3 refused (see "error" in their lines)
  line 3: reply: empty, wanted text
  line 4: "ids" is there already, wanted lines without the members that are added
  line 5: "messages" is not read, and the reply would be to another conversation, wanted prompt and reply (-system gives all lines one system text)
score: standard input: 3 of 5 pairs refused
`
	if _, said, _ := strings.Cut(stderr, "\n"); code != 3 || said != want || !strings.HasPrefix(stderr, rm+": linear head (score.weight [1 64])") {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var meta words.ScoreProvenance
	if text, err := os.ReadFile(out + ".meta.json"); err != nil || json.Unmarshal(text, &meta) != nil || meta.RM.Head == "" || meta.RM.Model != rm {
		t.Errorf("%v, %+v", err, meta)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], `{"id": 7, "prompt": "What is best?", "reply": "power", "tuned": 1, "reward": `) ||
		lines[2] != `{"id": 9, "prompt": "x", "reply": "", "error": "implicit: reply \"\": empty, wanted text"}` ||
		!strings.HasPrefix(lines[3], `{"line": 4, "error": `) || !strings.HasPrefix(lines[4], `{"id": 11, "prompt": "x", "reply": "y", "messages": [1], "error": `) {
		t.Fatalf("%s", b)
	}
	type answered struct {
		Reward  float64
		IDs     []int32
		Outputs map[string]float64
		Flags   []string
	}
	var two [2]answered
	for i := range two {
		if err := json.Unmarshal([]byte(lines[i]), &two[i]); err != nil {
			t.Fatal(err)
		}
	}
	power := 0.0
	for _, w := range demo.Words() {
		if w.Text == "power" {
			power = w.Reward("llama") + demo.Moods()["best"]
		}
	}
	if a := two[0]; math.Abs(a.Reward-power) > 2e-5 || len(a.Outputs) != 1 || a.Outputs["LABEL_0"] != a.Reward || len(a.IDs) < 10 || a.Flags == nil || len(a.Flags) > 0 {
		t.Errorf("%+v, wanted the reward %v", a, power)
	}
	if a := two[1]; a.Reward != two[0].Reward || !slices.Equal(a.IDs, two[0].IDs) || !slices.Equal(a.Flags, []string{"trimmed"}) {
		t.Errorf("%+v, wanted that of %+v, flagged", a, two[0])
	}
	stdout, stderr, code := call(t, in, "-rm", rm, "-pairs", "-", "-out", "-", "-format", "inspect")
	if code != 3 || !strings.Contains(stderr, "2 pairs scored, 3 refused (they have no record)") {
		t.Fatal(stderr)
	}
	lines = strings.Split(strings.TrimSpace(stdout), "\n")
	wanted := fmt.Sprintf(`{"id":"8","value":%s,"answer":" power","metadata":{"tokens":%d,"outputs":{"LABEL_0":%[1]s},"flags":["trimmed"]}}`, strconv.FormatFloat(two[0].Reward, 'g', -1, 64), len(two[0].IDs))
	if len(lines) != 2 || lines[1] != wanted {
		t.Errorf("%s, wanted %s", stdout, wanted)
	}
}

// TestWrongRM: what does not go with a reward model is refused in one line, and leaves nothing.
func TestWrongRM(t *testing.T) {
	const usage = "score -h lists the flags\n"
	rm := rewardModel(t, "llama")
	tuned, base := pair(t, "llama")
	corpus := write(t, "words.csv", "category,word\nagency,power\n")
	for _, test := range []struct {
		name string
		args []string // further arguments, the later ones win
		want string
		code int
	}{
		{"tuned", []string{"-tuned", tuned}, "score: -tuned with -rm, wanted it with -tuned and -base alone: a reward model is no pair\n" + usage, 2},
		{"base", []string{"-base", base}, "score: -base with -rm, wanted it with -tuned and -base alone: a reward model is no pair\n" + usage, 2},
		{"beta", []string{"-beta", "0.1"}, "score: -beta with -rm, wanted it with -tuned and -base alone: a reward model is no pair\n" + usage, 2},
		{"vary", []string{"-vary", "forms"}, "score: -vary with -rm, wanted it with -tuned and -base alone: a reward model is no pair\n" + usage, 2},
		{"rendering of a pair", []string{"-tuned-as", "raw"}, "score: -tuned-as with -rm, wanted it with -tuned and -base alone: a reward model is no pair\n" + usage, 2},
		{"measure of a pair", []string{"-measure", "pooled"}, "score: -measure: words: measure \"pooled\", wanted exact, best or mean\n" + usage, 2},
		{"measure twice", []string{"-measure", "mean,mean"}, "score: -measure: words: measure \"mean\" stands twice, wanted each once\n" + usage, 2},
		{"form", []string{"-forms", "word"}, "score: -forms: lexicon: form \"word\", wanted one of {}, {lower}, {title}, {upper} in it, where the word goes\n" + usage, 2},
		{"pooling", []string{"-pooling", "first"}, "score: -pooling \"first\", wanted last, hf or hf-old\n" + usage, 2},
		{"rendering", []string{"-rm-as", "chatty"}, "score: -rm-as \"chatty\", wanted chat, raw or ended\n" + usage, 2},
		{"system of raw text", []string{"-rm-as", "raw", "-system", "x"}, "score: -system is about chats, and every prompt is read raw: wanted a rendering as chat\n" + usage, 2},
		{"no output", []string{"-out", ""}, "score: flag -out is missing: `file` to write: .csv or .parquet with -corpus, .jsonl with -pairs; - for standard output\n" + usage, 2},
		{"no input", []string{"-corpus", ""}, "score: wanted -corpus or -pairs, one of them\n" + usage, 2},
		{"two inputs", []string{"-pairs", "-"}, "score: wanted -corpus or -pairs, one of them\n" + usage, 2},
		{"forms of pairs", []string{"-corpus", "", "-pairs", "p.jsonl", "-out", "o.jsonl", "-forms", "all"}, "score: -forms with -pairs, wanted it with -corpus alone\n" + usage, 2},
		{"paper of pairs", []string{"-corpus", "", "-pairs", "p.jsonl", "-out", "o.jsonl", "-format", "paper"}, "score: -format \"paper\", wanted jsonl or inspect\n" + usage, 2},
		{"format", []string{"-format", "wide"}, "score: -format \"wide\", wanted csv or parquet or paper or series\n" + usage, 2},
		{"paper as parquet", []string{"-format", "paper", "-out", "r.parquet"}, "score: output \"r.parquet\" with -format paper, wanted a name that ends in .csv\n" + usage, 2},
		{"paper of many forms", []string{"-format", "paper", "-forms", "all"}, "score: -format paper with -measure exact and 8 forms, wanted one form, or -measure best or mean: the file has one number a word and prompt\n" + usage, 2},
		{"paper of many measures", []string{"-format", "paper", "-measure", "best,mean"}, "score: -format paper with 2 measures, wanted one: the file has one number a word and prompt\n" + usage, 2},
		{"output is the corpus", []string{"-out", corpus}, " would replace the input ", 2},
		{"no model", []string{"-rm", "./no-model"}, "score: checkpoint: \"./no-model\": no such folder\n", 1},
		{"causal model", []string{"-rm", base}, "score: " + base + ": rewardmodel: ", 1},
		{"output of the head", []string{"-output", "helpfulness"}, "score: " + rm + ": rewardmodel: ", 1},
		{"wildcard", []string{"-corpus", write(t, "w.dic", "%\n1\tagency\n%\nfree*\t1\n")}, "\"free*\": a wildcard, wanted a word: expand it with a list of words\nscore: no word of ", 1},
		{"wildcard of the paper", []string{"-format", "paper", "-corpus", write(t, "w.dic", "%\n1\tagency\n%\nfree*\t1\n")}, "\"free*\": a wildcard, wanted a word: expand it with a list of words\nscore: no word of ", 1},
		{"capitals", []string{"-format", "paper", "-forms", "{}", "-corpus", write(t, "w.txt", "power\nPOWER\n")}, "are one response, \"power\", with rewards ", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "r.csv")
			args := []string{"-corpus", corpus, "-prompts", write(t, "p.json", rmPrompts), "-out", out}
			if test.args[0] != "-rm" {
				args = append(args, "-rm", rm)
			}
			stdout, stderr, code := call(t, "", append(args, test.args...)...)
			exact := strings.HasPrefix(test.want, "score:") && strings.HasSuffix(test.want, "\n")
			if exact && stderr != test.want || !strings.Contains(stderr, test.want) {
				t.Errorf("stderr %q, wanted %q", stderr, test.want)
			}
			if code != test.code || stdout != "" {
				t.Errorf("exit code %d, stdout %q; wanted %d and nothing", code, stdout, test.code)
			}
			if b, err := os.ReadFile(out); err == nil {
				t.Errorf("an output file was left: %q", b)
			}
		})
	}
	for _, name := range []string{"output", "pooling", "rm-as"} {
		want := "score: -" + name + " is about a reward model, wanted -rm\n" + usage
		value := map[string]string{"output": "x", "pooling": "hf", "rm-as": "raw"}[name]
		if _, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-corpus", corpus, "-out", "-", "-"+name, value); code != 2 || stderr != want {
			t.Errorf("exit code %d, %q, wanted %q", code, stderr, want)
		}
	}
	if _, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-corpus", corpus, "-out", "r.csv", "-format", "paper"); code != 2 || stderr != "score: -format \"paper\", wanted csv or parquet\n"+usage {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}
