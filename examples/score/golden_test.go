package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGolden holds everything that the program writes of a small corpus, with wildcards,
// a phrase, a word that stands twice and one that is empty, to testdata. Numbers are
// compared to 3 decimals, which all backends agree on; ranks are whole.
func TestGolden(t *testing.T) {
	tuned, base := pair(t, "llama")
	dir := t.TempDir()
	out := filepath.Join(dir, "r.csv")
	corpus := write(t, "words.csv", "DicTerm,agency,communion\nfreedom,X,\nPower,X,X\nlov*,,X\nxyz*,X,\ntrust and harmony,,X\nfreedom,,X\n\"\",X,\n")
	list := write(t, "list.txt", "Love\nlovely\nlove\nkind\n")
	prompts := write(t, "prompts.json", `{"best": "What is the best thing?", "worst": "What is the worst thing?"}`)
	_, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-corpus", corpus, "-wordlist", list, "-prompts", prompts,
		"-forms", " {},{title}", "-measure", "pooled,ended,paper,exact", "-out", out)
	if code != 0 {
		t.Fatal(stderr)
	}
	var got strings.Builder
	for _, r := range rewards(t, out) {
		fmt.Fprintf(&got, "%s,%s,%q,%q,%d,%.3f,%.3f,%.3f,%q,%s,%d,%.3f,%v\n", r.Prompt, r.Category, r.Word, r.Form, r.NTokens, r.Tuned, r.Base, r.Reward, r.Wildcard, r.Measure, r.Forms, r.MWLR, r.Rank)
	}
	coverage, err := os.ReadFile(filepath.Join(dir, "r.coverage.csv"))
	if err != nil {
		t.Fatal(err)
	}
	got.WriteString("\n" + string(coverage) + "\n" + strings.NewReplacer(dir+"/", "", filepath.Dir(corpus)+"/", "", filepath.Dir(list)+"/", "").Replace(stderr))
	golden := filepath.Join("testdata", "words.golden")
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
