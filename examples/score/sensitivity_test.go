package main

import (
	"bytes"
	"encoding/csv"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/demo"
)

var update = flag.Bool("update", false, "write testdata anew")

// planted is the demo's list as a corpus, and three prompts: of words with the same push,
// which only rounding ranks, the first, and a control.
func planted(t *testing.T) (corpus, prompts string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("category,word\n")
	seen := map[float64]bool{}
	for _, w := range demo.Words() {
		if push := w.Push["llama"]; w.Text != "family" && !seen[push] {
			seen[push] = true
			b.WriteString(w.Category + "," + w.Text + "\n")
		}
	}
	return write(t, "words.csv", b.String()), write(t, "prompts.json", `{"best": "What is the best thing?", "worst": "What is the worst thing?", "want": "What do you want?"}`)
}

// varied reads R.vary.csv: the rows by variant and category.
func varied(t *testing.T, path string) map[[2]string][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], ","); got != "variant,category,words,median_rank,correlation,lowest,why" {
		t.Fatalf("header %s", got)
	}
	all := map[[2]string][]string{}
	for _, row := range rows[1:] {
		all[[2]string{row[0], row[1]}] = row
	}
	return all
}

// TestVary compares the whole answer with a golden file, and what it says of the ranks with
// the rewards of runs of their own.
func TestVary(t *testing.T) {
	if testing.Short() {
		t.Skip("long: scores in nine ways")
	}
	tuned, base := pair(t, "llama")
	corpus, prompts := planted(t)
	dir := t.TempDir()
	score := func(out string, args ...string) string {
		t.Helper()
		stdout, stderr, code := call(t, "", append([]string{"-tuned", tuned, "-base", base, "-corpus", corpus, "-prompts", prompts, "-out", filepath.Join(dir, out)}, args...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		return stdout
	}
	got := score("r.csv", "-vary", "rendering,forms,measure,dtype")
	got = strings.NewReplacer(dir, "DIR", filepath.Dir(base), "MODELS").Replace(got)
	if *update {
		if err := os.WriteFile("testdata/vary.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/vary.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwanted\n%s", got, want)
	}
	rows := varied(t, filepath.Join(dir, "r.vary.csv"))
	if len(rows) != 10*4+1 {
		t.Errorf("%d rows, wanted ten variants of four and one that could not be computed", len(rows))
	}
	if why := rows[[2]string{"rendering=chat/chat", ""}]; !strings.Contains(why[6], "no chat template") || strings.Join(why[1:6], "") != "" {
		t.Errorf("chat/chat: %v, wanted why it could not be computed", why)
	}

	// With both models raw the truth is known, by the planted pushes: the seven of agency come
	// first, then the control, then the six of communion.
	for category, want := range map[string]float64{"agency": 100 * 3.5 / 14, "weather": 100 * 7.5 / 14, "communion": 100 * 11 / 14.} {
		if got, err := strconv.ParseFloat(rows[[2]string{"rendering=raw/raw", category}][3], 64); err != nil || !(math.Abs(got-want) < 1e-9) {
			t.Errorf("raw/raw, %s: median rank %v, planted was %v", category, got, want)
		}
	}

	// Each variant as a default of its own: the medians of the ranks in its output.
	for variant, args := range map[string][]string{
		"default":           nil,
		"rendering=raw/raw": {"-tuned-as", "raw"},
		"forms=no-space":    {"-forms", "{},{lower},{title},{upper}"},
		"forms=space":       {"-forms", " {}, {lower}, {title}, {upper}"},
		"forms=word":        {"-forms", "{}"},
		"forms=space-word":  {"-forms", " {}"},
		"measure=exact":     {"-measure", "exact", "-forms", "{}"},
		"measure=ended":     {"-measure", "ended"},
		"measure=paper":     {"-measure", "paper"},
		"dtype=bf16":        {"-dtype", "bf16"},
	} {
		score("one.csv", args...)
		for category, want := range medianRanks(t, filepath.Join(dir, "one.csv")) {
			row := rows[[2]string{variant, category}]
			if row == nil {
				t.Errorf("%s: no row of %s", variant, category)
				continue
			}
			if got, err := strconv.ParseFloat(row[3], 64); err != nil || !(math.Abs(got-want) < 1e-9) {
				t.Errorf("%s, %s: median rank %s, a run of its own has %v", variant, category, row[3], want)
			}
		}
	}

	// The rewards themselves do not change by being varied.
	one, two := score("plain.csv"), score("varied.csv", "-vary", "measure")
	if one != "" || two == "" {
		t.Errorf("printed %q without and %q with -vary", one, two)
	}
	a, b := rewards(t, filepath.Join(dir, "plain.csv")), rewards(t, filepath.Join(dir, "varied.csv"))
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d and %d rewards", len(a), len(b))
	}
	for i := range a {
		if !(math.Abs(a[i].Reward-b[i].Reward) < 1e-5) || a[i].Word != b[i].Word {
			t.Errorf("%v without, %v with -vary", a[i], b[i])
		}
	}
}

func rewards(t *testing.T, path string) []words.Record {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := words.ReadRecords(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// medianRanks makes of an output's own ranks what stats.RankSummary.MedianRank says.
func medianRanks(t *testing.T, path string) map[string]float64 {
	t.Helper()
	ranks := map[string]map[string][]float64{} // by prompt and category
	for _, r := range rewards(t, path) {
		if ranks[r.Prompt] == nil {
			ranks[r.Prompt] = map[string][]float64{}
		}
		ranks[r.Prompt][r.Category] = append(ranks[r.Prompt][r.Category], r.Rank)
	}
	medians := map[string][]float64{}
	for _, of := range ranks {
		n := 0
		for _, list := range of {
			n += len(list)
		}
		for category, list := range of {
			medians[category] = append(medians[category], 100*(middle(list)-0.5)/float64(n))
		}
	}
	all := map[string]float64{}
	for category, list := range medians {
		all[category] = middle(list)
	}
	return all
}

func middle(x []float64) float64 {
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// TestVaryPlain: a corpus without categories has correlations and no order.
func TestVaryPlain(t *testing.T) {
	tuned, base := pair(t, "gemma2")
	corpus := write(t, "words.txt", "power\nlove\na longer phrase\nrain\n")
	_, prompts := planted(t)
	out := filepath.Join(t.TempDir(), "r.parquet")
	stdout, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-corpus", corpus, "-prompts", prompts, "-vary", "forms", "-out", out)
	if code != 0 {
		t.Fatal(stderr)
	}
	if want := "Does the finding survive? There are no two categories with words to compare: see the correlations.\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("stdout %s, wanted %s at its end", stdout, want)
	}
	rows := varied(t, strings.TrimSuffix(out, ".parquet")+".vary.csv")
	if len(rows) != 5 {
		t.Errorf("%d rows, wanted 5 variants", len(rows))
	}
	for key, row := range rows {
		rho, err := strconv.ParseFloat(row[4], 64)
		if key[1] != "" || row[2] != "4" || err != nil || !(rho >= -1 && rho <= 1) || key[0] == "default" && rho != 1 {
			t.Errorf("row %v", row)
		}
	}
	if _, err := os.Stat(strings.TrimSuffix(out, ".parquet") + ".vary.csv.meta.json"); err != nil {
		t.Error(err)
	}
}

// TestVarySelf: a model against itself ties all words under every variant.
func TestVarySelf(t *testing.T) {
	tuned, _ := pair(t, "llama")
	corpus, prompts := planted(t)
	stdout, stderr, code := call(t, "", "-tuned", tuned, "-base", tuned, "-base-as", "chat", "-corpus", corpus, "-prompts", prompts, "-vary", "measure,dtype", "-out", filepath.Join(t.TempDir(), "r.csv"))
	if code != 0 {
		t.Fatal(stderr)
	}
	if want := "Does the finding survive? Yes: none of 4 variants changes the order of two categories.\n"; !strings.HasSuffix(stdout, want) ||
		!strings.Contains(stdout, "agency level with communion: by 0.0 points in the default, by 0.0 (measure=exact) to 0.0 (measure=exact) in 4 variants\n") {
		t.Errorf("stdout %s, wanted all categories level, and %s at its end", stdout, want)
	}
}

func TestVaryWrong(t *testing.T) {
	corpus, _ := planted(t)
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"-vary", "renderings"}, "score: -vary \"renderings\", wanted some of rendering, forms, measure, dtype\nscore -h lists the flags\n", 2},
		{[]string{"-vary", "forms, measure"}, "score: -vary \" measure\", wanted some of rendering, forms, measure, dtype\nscore -h lists the flags\n", 2},
		{[]string{"-vary", "forms,forms"}, "score: -vary: \"forms\" stands twice, wanted each once\nscore -h lists the flags\n", 2},
	} {
		out := filepath.Join(t.TempDir(), "r.csv")
		_, stderr, code := call(t, "", append([]string{"-tuned", "./x", "-base", "./x", "-corpus", corpus, "-out", out}, c.args...)...)
		if stderr != c.want || code != c.code {
			t.Errorf("%v: exit code %d, stderr %q, wanted %d, %q", c.args, code, stderr, c.code, c.want)
		}
	}
	_, stderr, code := call(t, "{}", "-tuned", "./x", "-base", "./x", "-pairs", "-", "-out", "-", "-vary", "forms")
	if want := "score: -vary with -pairs, wanted it with -corpus alone\nscore -h lists the flags\n"; stderr != want || code != 2 {
		t.Errorf("exit code %d, stderr %q, wanted %q", code, stderr, want)
	}
	// The sensitivity must not replace an input either.
	dir := t.TempDir()
	list := filepath.Join(dir, "r.vary.csv")
	if err := os.WriteFile(list, []byte("power\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr, code = call(t, "", "-tuned", "./x", "-base", "./x", "-corpus", list, "-out", filepath.Join(dir, "r.csv"), "-vary", "forms")
	if want := "score: output " + list + " would replace the input " + list + "\nscore -h lists the flags\n"; stderr != want || code != 2 {
		t.Errorf("exit code %d, stderr %q, wanted %q", code, stderr, want)
	}
}
