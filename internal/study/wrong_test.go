package study

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/study/analysis"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/study/input"
	"github.com/implicitreward/implicitreward/internal/study/report"
)

// small are inputs that are right: a dictionary, and scores of four models.
func small() map[string]string {
	files := map[string]string{
		"words.csv":  "Category,token_decoded\nA,one\nA,two\nB,three\nB,four\n",
		"models.csv": "name,family\nm1,X\nm2,X\nm3,Y\nm4,Y\n",
	}
	for i, m := range []string{"m1", "m2", "m3", "m4"} {
		rows := "response,best_ever_one,good_ever_one,worst_ever_one,bad_ever_one\n"
		for k, w := range []string{"one", "two", "three", "four"} {
			rows += w
			for p := range 4 {
				rows += "," + string(rune('0'+(k*3+p*5+i*7+k*p*i)%10)) + ".5"
			}
			rows += "\n"
		}
		files["scores/"+m+".csv"] = rows
	}
	return files
}

// run writes files, and makes everything of them.
func runFiles(t *testing.T, files map[string]string, change func(c *Config, dir string)) (*report.Report, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := &Config{}
	c.Models, c.Draws = filepath.Join(dir, "models.csv"), 99
	c.Corpora = []input.CorpusConfig{{Name: "c", File: filepath.Join(dir, "words.csv"), Scores: []string{filepath.Join(dir, "scores")}}}
	if change != nil {
		change(c, dir)
	}
	in, err := Read(c)
	if err != nil {
		return nil, err
	}
	results, err := Run(t.Context(), c, in)
	if err != nil {
		return nil, err
	}
	return NewReport(c, in, results), nil
}

// TestWrongInput: each fault is an error that names where it is.
func TestWrongInput(t *testing.T) {
	if _, err := runFiles(t, small(), nil); err != nil {
		t.Fatalf("the files are right before anything is made wrong: %v", err)
	}
	scores := small()["scores/m2.csv"]
	replace := func(old, new string) string {
		if !strings.Contains(scores, old) {
			t.Fatalf("%q is not in %q", old, scores)
		}
		return strings.Replace(scores, old, new, 1)
	}
	first := func(line string) string { return strings.Split(line, ",")[1] } // the first score of a row
	rows := strings.Split(scores, "\n")
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{"no column of replies", "scores/m2.csv", replace("response", "reply"), []string{"m2.csv", "no column response"}},
		{"missing prompt", "scores/m2.csv", replace("worst_ever_one", "worst_ever_other"), []string{"m2.csv", "worst_ever_other", "m1.csv"}},
		{"prompt twice", "scores/m2.csv", replace("good_ever_one", "best_ever_one"), []string{"m2.csv", "line 1, column 3 (best_ever_one)"}},
		{"text for a number", "scores/m2.csv", replace(rows[2], strings.Replace(rows[2], first(rows[2]), "high", 1)), []string{"m2.csv", "line 3, column 2 (best_ever_one)", `"high", wanted a number`}},
		{"NA", "scores/m2.csv", replace(rows[2], strings.Replace(rows[2], first(rows[2]), "NA", 1)), []string{"m2.csv", "line 3, column 2 (best_ever_one)", `"NA", wanted a number`}},
		{"nothing", "scores/m2.csv", replace(rows[2], strings.Replace(rows[2], first(rows[2]), "", 1)), []string{"m2.csv", "line 3, column 2 (best_ever_one)", "empty, wanted a number"}},
		{"infinity", "scores/m2.csv", replace(rows[3], strings.Replace(rows[3], first(rows[3]), "-inf", 1)), []string{"m2.csv", "line 4, column 2 (best_ever_one)", "-inf, wanted a finite number"}},
		{"too great", "scores/m2.csv", replace(rows[3], strings.Replace(rows[3], first(rows[3]), "1e999", 1)), []string{"m2.csv", "line 4, column 2 (best_ever_one)", "finite"}},
		{"column missing in a row", "scores/m2.csv", replace(rows[3], rows[3][:strings.LastIndexByte(rows[3], ',')]), []string{"m2.csv", "line 4", "4 columns, wanted 5"}},
		{"reply twice", "scores/m2.csv", replace("\ntwo,", "\none,"), []string{"m2.csv", "line 3, column 1 (response)", `"one" stands in line 2, column 1 (response)`}},
		{"reply missing", "scores/m2.csv", replace(rows[2]+"\n", ""), []string{"m2.csv", `no row for "two"`, "m1.csv"}},
		{"constant scores", "scores/m2.csv", "response,best_ever_one,good_ever_one,worst_ever_one,bad_ever_one\none,1,2,1,1\ntwo,1,3,2,2\nthree,1,4,3,3\nfour,1,5,4,4\n", []string{"m2.csv", "column best_ever_one", "all 4 words have the score 1"}},
		{"empty file", "scores/m2.csv", "", []string{"m2.csv", "empty file"}},
		{"header alone", "scores/m2.csv", rows[0] + "\n", []string{"m2.csv", "no rows"}},
		{"not UTF-8", "scores/m2.csv", replace("two", "t\xffo"), []string{"m2.csv", "line 3, column 1 (response)", "UTF-8"}},
		{"no Parquet", "scores/m2.parquet", "PAR1 but not really", []string{"m2.parquet", "Parquet"}},
		{"word in two categories", "words.csv", "Category,token_decoded\nA,one\nA,two\nB,three\nB,four\nB,one\n", []string{"words.csv", "category A has one word", "in two or more categories are left out: one"}},
		{"one word in a category", "words.csv", "Category,token_decoded\nA,one\nA,two\nB,three\n", []string{"words.csv", "category B has one word"}},
		{"no categories", "words.csv", "one\ntwo\n", []string{"words.csv", "line 1", "no category"}},
		{"two marks", "words.csv", "DicTerm,A,B\none,X,X\ntwo,X,\nthree,,X\nfour,,X\n", []string{"words.csv", "category A has one word", "in two or more categories are left out: one"}},
		{"wrong mark", "words.csv", "DicTerm,A,B\none,yes,\n", []string{"words.csv", "line 2, column 2 (A)", `"yes", wanted X`}},
		{"category without scores", "words.csv", "Category,token_decoded\nA,one\nA,two\nB,five\nB,six\n", []string{"m1.csv", "0 words of category B"}},
		{"model without a family", "models.csv", "name,family\nm1,X\nm2,\nm3,Y\nm4,Y\n", []string{"models.csv", "line 3, column 2 (family)", "m2: no family"}},
		{"model unknown", "models.csv", "name,family\nm1,X\nm3,Y\nm4,Y\n", []string{"m2.csv", `model "m2" without a family`}},
		{"model twice", "models.csv", "name,family\nm1,X\nm1,Y\n", []string{"models.csv", "line 3", "m1 stands twice"}},
		{"models' column", "models.csv", "name,familly\nm1,X\n", []string{"models.csv", "line 1, column 2", `"familly"`}},
	}
	for _, c := range tests {
		files := small()
		if c.file == "scores/m2.parquet" {
			delete(files, "scores/m2.csv")
		}
		files[c.file] = c.text
		_, err := runFiles(t, files, nil)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, wanted %q in it", c.name, err, part)
			}
		}
	}
}

// TestFamilies: families by name, without a file of models.
func TestFamilies(t *testing.T) {
	files := small()
	delete(files, "models.csv")
	r, err := runFiles(t, files, func(c *Config, _ string) {
		c.Models, c.Families = "", map[string]string{"m1": "x", "m2": "x", "m3": "y", "m4": "y"}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, r.Results[0], "per-model")[0]["base_model"]; got != "X" {
		t.Errorf("family %s, want X", got)
	}
}

// TestWrongConfig: what cannot be meant.
func TestWrongConfig(t *testing.T) {
	for want, change := range map[string]func(c *Config, dir string){
		`compat "papers", wanted paper`:         func(c *Config, _ string) { c.Compat = "papers" },
		`no analysis "fig9", wanted some of`:    func(c *Config, _ string) { c.Only = []string{"fig9"} },
		"fig3: no inputs for it, wanted tables": func(c *Config, _ string) { c.Only = []string{"fig3"} },
		"corpus name":                           func(c *Config, _ string) { c.Corpora[0].Name = "a/b" },
		"no such file":                          func(c *Config, dir string) { c.Tables = []string{filepath.Join(dir, "nothing")} },
		"nothing to do":                         func(c *Config, _ string) { c.Corpora = nil },
		"wanted five numbers":                   func(c *Config, _ string) { c.Design = []int{4, 6} },
	} {
		if _, err := runFiles(t, small(), change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, wanted %q in it", err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "study.yaml")
	if err := os.WriteFile(path, []byte("out: x\ncompact: paper\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := ReadConfig(path, &Config{}); err == nil || !strings.Contains(err.Error(), "line 2: field compact not found") {
		t.Errorf("%v, wanted the unknown key by line", err)
	}
}

// TestRowOrder: the order of rows, and CSV or Parquet, change nothing.
func TestRowOrder(t *testing.T) {
	plain, err := runFiles(t, small(), nil)
	if err != nil {
		t.Fatal(err)
	}
	files := small()
	for name, text := range files {
		if strings.HasPrefix(name, "scores/") {
			rows := strings.Split(strings.TrimSpace(text), "\n")
			rows[1], rows[4] = rows[4], rows[1]
			rows[2], rows[3] = rows[3], rows[2]
			files[name] = strings.Join(rows, "\r\n")
		}
	}
	turned, err := runFiles(t, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	asParquet, err := runFiles(t, small(), func(c *Config, dir string) {
		type row struct {
			Response string  `parquet:"response"`
			A        float64 `parquet:"best_ever_one"`
			B        float64 `parquet:"good_ever_one"`
			C        float64 `parquet:"worst_ever_one"`
			D        float64 `parquet:"bad_ever_one"`
		}
		for _, m := range []string{"m1", "m2", "m3", "m4"} {
			s, err := input.ReadScores(filepath.Join(dir, "scores", m+".csv"), []cube.Model{{Name: m, Family: "X"}})
			if err != nil {
				t.Fatal(err)
			}
			var rows []row
			for i, w := range s.Words {
				rows = append(rows, row{w, s.Values[0][0][i], s.Values[0][1][i], s.Values[0][2][i], s.Values[0][3][i]})
			}
			if err := parquet.WriteFile(filepath.Join(dir, "scores", m+".parquet"), rows); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "scores", m+".csv")); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, res := range plain.Results {
		if res.Name != "fig1-c" {
			continue
		}
		for k, table := range res.Tables {
			want := cells(table)
			for how, other := range map[string]*report.Report{"rows turned": turned, "Parquet": asParquet} {
				if got := cells(other.Results[i].Tables[k]); got != want {
					t.Errorf("%s: %s:\n%s\nwant\n%s", how, table.Name, got, want)
				}
			}
		}
	}
}

// cells are all that a table has.
func cells(t analysis.Table) string {
	text := strings.Join(t.Header(), ",") + "\n"
	for i := range t.Len() {
		text += strings.Join(t.Cells(i, true), ",") + "\n"
	}
	return text
}

// rowsOf returns a table of a result by column.
func rowsOf(t *testing.T, res *analysis.Result, name string) []map[string]string {
	t.Helper()
	for _, table := range res.Tables {
		if table.Name != name {
			continue
		}
		var rows []map[string]string
		for i := range table.Len() {
			row := map[string]string{}
			for k, cell := range table.Cells(i, true) {
				row[table.Header()[k]] = cell
			}
			rows = append(rows, row)
		}
		return rows
	}
	t.Fatalf("no table %s", name)
	return nil
}

// TestOneCategory: a dictionary of one category has no gap, which no analysis stumbles over.
func TestOneCategory(t *testing.T) {
	files := small()
	files["words.csv"] = "Category,token_decoded\nA,one\nA,two\nA,three\nA,four\n"
	rewards := "prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward,wildcard,measure,n_forms,mwlr,rank\n"
	for _, p := range []string{"best_x", "best_y"} {
		for i, w := range []string{"one", "two", "three", "four"} {
			rewards += fmt.Sprintf("%s,A,%s,,1,-%d,-%d,%d,,pooled,1,0,%d\n", p, w, i+1, 2*i+1+len(w)%2, i+len(w)%2, 4-i)
		}
	}
	files["rewards/m1.csv"], files["rewards/m3.csv"] = rewards, rewards
	with := func(only ...string) func(c *Config, dir string) {
		return func(c *Config, dir string) { c.Rewards, c.Only = []string{filepath.Join(dir, "rewards")}, only }
	}
	r, err := runFiles(t, files, with())
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		if res.Analysis == "did" || res.Analysis == "words" {
			t.Errorf("%s was made of one category", res.Name)
		}
		for _, f := range res.Figures {
			if err := f.WriteSVG(io.Discard); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
	}
	if _, err := runFiles(t, files, with("did")); err == nil || !strings.Contains(err.Error(), "a corpus of two categories or more") {
		t.Errorf("did alone: %v", err)
	}
}
