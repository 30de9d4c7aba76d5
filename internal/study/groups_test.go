package study

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/study/input"
	"github.com/implicitreward/implicitreward/internal/study/report"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestStudyGroups: the analyses test within the groups of the file, in its order; one of one
// prompt is doubted by name, and a file for other prompts is an error.
func TestStudyGroups(t *testing.T) {
	files := small()
	files["groups.csv"] = "prompt,group\ngood_ever_one,late\nworst_ever_one,early\nbest_ever_one,early\nother,late\n"
	with := func(c *Config, dir string) { c.Groups = filepath.Join(dir, "groups.csv") }
	r, err := runFiles(t, files, with)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rowsOf(t, r.Results[0], "families") {
		if row["Category"] == "A" && row["base_model"] == "X" {
			got = append(got, row["prompt_framing"])
		}
	}
	if strings.Join(got, " ") != "late early other" {
		t.Errorf("groups %q, wanted late, early and other", got)
	}
	text := fileOf(t, r, "report.md")
	for _, part := range []string{"late 1, early 2, other 1 (bad", "which names prompts that the study has not: other",
		"The group late has one prompt, good", "groups.csv | groups of prompts"} {
		if !strings.Contains(strings.ReplaceAll(text, `\`, ""), part) {
			t.Errorf("report.md does not say %q", part)
		}
	}
	files["groups.csv"] = "prompt,group\na,b\n"
	if _, err := runFiles(t, files, with); err == nil || !strings.Contains(err.Error(), "none of the study's prompts, wanted some of best_ever_one, good_ever_one") {
		t.Errorf("groups of other prompts: %v", err)
	}
}

// TestWrongContrast: categories that the corpus does not have.
func TestWrongContrast(t *testing.T) {
	for want, contrast := range map[string][]string{
		`words.csv has no category "C", wanted two of A, B`: {"A", "C"},
		"wanted two different categories of":                {"A", "A"},
		"contrast A, wanted two":                            {"A"},
	} {
		if _, err := runFiles(t, small(), func(c *Config, _ string) { c.Contrast = contrast }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %q in it", contrast, err, want)
		}
	}
}

// TestCategoriesInOrder: every table and axis has the categories in the order of the
// dictionary's file, B before A, and so has Figure 4 with its own dictionary and runs.
func TestCategoriesInOrder(t *testing.T) {
	files := small()
	files["words.csv"] = "Category,token_decoded\nB,three\nB,four\nA,one\nA,two\n"
	files["series/m1.csv"] = "token_decoded,step-1,step-2\none,1,5\ntwo,3,2\nthree,2,9\nfour,4,1\n"
	files["runs/r.csv"] = "model_id,Category,checkpoint,base_model,sum_value,data_size,data_source,method\n" +
		"a,B,5,Gemma,10,13,x,BT\na,A,5,Gemma,20,13,x,BT\nb,B,5,Llama,11,13,x,BT\nb,A,5,Llama,21,13,x,BT\n"
	r, err := runFiles(t, files, func(c *Config, dir string) {
		c.Series, c.Ablations = []string{filepath.Join(dir, "series")}, []string{filepath.Join(dir, "runs")}
	})
	if err != nil {
		t.Fatal(err)
	}
	tables, charts := 0, 0
	for _, res := range r.Results {
		for _, table := range res.Tables {
			column := slices.Index(table.Header(), "Category")
			if column < 0 || table.Len() == 0 {
				continue
			}
			tables++
			if first := table.Cells(0, true)[column]; !strings.HasPrefix(first, "B") {
				t.Errorf("%s, %s begins with category %s", res.Name, table.Name, first)
			}
		}
		for _, f := range res.Figures {
			var names []string
			switch chart := f.Chart.(type) {
			case *plot.Violins:
				names = chart.Columns
			case *plot.Lines:
				names = []string{chart.Facets[0].Name, chart.Facets[1].Name}
			case *plot.Points:
				names = []string{chart.Facets[0].Name, chart.Facets[1].Name}
			case *plot.Bars:
				names = []string{chart.Groups[0].Name, chart.Groups[1].Name}
			default:
				continue
			}
			charts++
			if strings.Join(names, " ") != "B A" {
				t.Errorf("%s: categories %q, wanted B before A", f.Name, names)
			}
		}
	}
	if tables < 8 || charts < 5 {
		t.Errorf("%d tables and %d charts with categories, wanted more", tables, charts)
	}
}

// TestStudyTwoCategories: a dictionary with a word in two categories is studied, and the
// report names the word.
func TestStudyTwoCategories(t *testing.T) {
	files := small()
	files["words.csv"] = "Category,token_decoded\nB,three\nB,four\nA,one\nA,two\nA,five\nB,five\n"
	r, err := runFiles(t, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		if !slices.Contains(res.Differs, "c: words in two or more categories, which are left out (1): five.") {
			t.Errorf("%s does not say what is left out: %q", res.Name, res.Differs)
		}
	}
}

// fileOf is the text of a file of a report.
func fileOf(t *testing.T, r *report.Report, name string) string {
	t.Helper()
	files, err := r.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	t.Fatalf("no file %s", name)
	return ""
}

// TestTwoModels: one model a family, rewards and scores together: everything that can
// be made is made and drawn.
func TestTwoModels(t *testing.T) {
	files := map[string]string{"models.csv": "name,family\norg/one,X\norg/two,Y\nrm,X\n"}
	dict := "Category,token_decoded\n"
	a, b := synth.Planted(0.7, 1), synth.Planted(0.2, 2)
	rm := "response," + strings.Join(a.Prompts, ",") + "\n"
	for w, word := range a.Words {
		dict += a.Category[w] + "," + word + "\n"
		rm += word
		for p := range a.Prompts {
			rm += "," + fmt.Sprint(a.Values[1][p][w]+2*a.Values[0][len(a.Prompts)-1-p][w])
		}
		rm += "\n"
	}
	files["words.csv"], files["scores/rm.csv"] = dict, rm
	r, err := runFiles(t, files, func(c *Config, dir string) {
		for i, k := range []*cube.Scores{a, b} {
			name := []string{"one", "two"}[i]
			path := filepath.Join(dir, name+".parquet")
			synth.WriteRewards(t, path, k, words.Provenance{Tuned: logprob.Meta{Model: "org/" + name}, Base: logprob.Meta{Model: "org/base"}, Beta: 1})
			c.Rewards = append(c.Rewards, path)
			c.Corpora[0].Scores = append(c.Corpora[0].Scores, path)
		}
		c.Corpora[0].Scores = c.Corpora[0].Scores[1:] // not the folder, which has the reward model alone
		c.Corpora = append(c.Corpora, input.CorpusConfig{Name: "again", File: filepath.Join(dir, "words.csv"), Scores: []string{filepath.Join(dir, "scores")}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, res := range r.Results {
		names = append(names, res.Name)
	}
	if got, want := strings.Join(names, " "), "fig1-c fig1-again crossed-c words-c did-c controls-c"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := r.Files(t.Context()); err != nil {
		t.Error(err)
	}
}
