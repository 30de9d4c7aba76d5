package study

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/plot"
)

// groupsOf reads a file of groups.
func groupsOf(t *testing.T, text string) (*Groups, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "groups.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return ReadGroups(path)
}

// TestGroupsByName: the paper's names are positive and negative, the rest are other, and
// all only where really all are of one group. An adjective without the underscore of the
// paper's names is none: best, käse and emoji are three prompts of one study.
func TestGroupsByName(t *testing.T) {
	for _, c := range []struct{ prompts, groups string }{
		{"worst_a best_a greatest_b terrible_c bad_d good_e", "positive:best_a,greatest_b,good_e negative:worst_a,terrible_c,bad_d"},
		{"best käse emoji", "all:best,käse,emoji"},
		{"käse worst_x best_x", "positive:best_x negative:worst_x other:käse"},
		{"best_x best_y", "positive:best_x,best_y"},
		{"", ""},
	} {
		g := &Groups{Prompts: strings.Fields(c.prompts)}
		var got []string
		for _, name := range g.in(g.Prompts) {
			got = append(got, name+":"+strings.Join(g.members(name, g.Prompts), ","))
		}
		if s := strings.Join(got, " "); s != c.groups {
			t.Errorf("%s: %s, wanted %s", c.prompts, s, c.groups)
		}
	}
	all := []string{"a", "best_x"}
	if g := (&Groups{Prompts: all}); !reflect.DeepEqual(g.in(all[:1]), []string{"other"}) {
		t.Errorf("a file with a part of the study's prompts: %q, wanted other", g.in(all[:1]))
	}
}

// TestReadGroups: groups in the file's order, from a list of their own or the prompts' file.
func TestReadGroups(t *testing.T) {
	for name, text := range map[string]string{
		"own":           "prompt,group\nb,warm\na,cold\nc,warm\n",
		"prompts' file": "\ufeffName,prompt,Framing\r\nb,What?,warm\r\na,\"Why, so?\",cold\r\nc,How?,warm\r\n",
		"tabs":          "group\tprompt\nwarm\tb\ncold\ta\nwarm\tc\nwarm\tc\n",
	} {
		g, err := groupsOf(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g.Prompts = []string{"a", "b", "c", "d", "best_e"}
		if got := g.in(g.Prompts); !reflect.DeepEqual(got, []string{"warm", "cold", "other"}) {
			t.Errorf("%s: groups %q", name, got)
		}
		if got := g.members("other", g.Prompts); !reflect.DeepEqual(got, []string{"d", "best_e"}) {
			t.Errorf("%s: other %q", name, got)
		}
		if got := g.about(); !strings.HasPrefix(got, "groups of prompts: warm 2, cold 1, other 2 (d, best_e) (from ") {
			t.Errorf("%s: %s", name, got)
		}
	}
	for text, want := range map[string]string{
		"":                              "empty file",
		"prompt,group\n":                "no rows",
		"prompt,kind\na,b\n":            "line 1: columns prompt, kind, wanted prompt,group",
		"prompt;group\na;b\n":           "line 1: columns prompt;group, wanted prompt,group",
		"prompt,group\na,\n":            "line 2, column 2 (group): prompt a without a group",
		"prompt,group\n,x\n":            "line 2, column 1 (prompt): empty",
		"prompt,group\na,x\nb,x\na,y\n": "line 4, column 2 (group): prompt a is in group x already",
	} {
		if _, err := groupsOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %q in it", text, err, want)
		}
	}
}

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
	text := string(r.markdown())
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

// TestContrast: the categories asked for, the first less the second; by default the
// dictionary's first two in its order, which is not the alphabet's.
func TestContrast(t *testing.T) {
	c, d := planted("one", "X", 0.7, 1), planted("two", "Y", 0.2, 2)
	dict := &Dictionary{Name: "ba", File: "ba.csv", Categories: []string{"B", "A"}}
	diff := func(o *Options) float64 {
		t.Helper()
		res, err := DiD(dict, []*contest{c, d}, o)
		if err != nil {
			t.Fatal(err)
		}
		return rowsOf(t, res, "parts")[1].num(t, "diff")
	}
	asked := diff(&Options{Draws: 99, Contrast: []string{"A", "B"}})
	near(t, "A less B", asked, 0.5, 0.1) // planted 0.7 - 0.2
	near(t, "B less A", diff(&Options{Draws: 99}), -asked, 1e-12)
	res, err := AllWords(dict, []*contest{planted("one", "X", 0.2, 1)}, &Options{Contrast: []string{"A", "B"}})
	if err != nil || !strings.HasSuffix(res.Tests[0].Name, "A - B") {
		t.Errorf("words: %v, %v, wanted A - B", res, err)
	}
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
			column := slices.Index(table.header(), "Category")
			if column < 0 || table.len() == 0 {
				continue
			}
			tables++
			if first := table.cells(0, true)[column]; !strings.HasPrefix(first, "B") {
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
