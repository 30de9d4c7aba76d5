package study

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
)

// writeReward writes a contest as score does, CSV or Parquet.
func writeReward(t *testing.T, path string, c *contest, m words.Provenance) {
	t.Helper()
	rows := func(yield func(words.Record, error) bool) {
		for p, prompt := range c.prompts {
			for w, word := range c.words {
				r := words.Record{Prompt: prompt, Category: c.category[w], Word: word, Form: " " + word, NTokens: int32(c.tokens[w]), Tuned: c.tuned[p][w], Base: c.base[p][w], Reward: m.Beta * (c.tuned[p][w] - c.base[p][w])}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
	write := func(path string, use func(w io.Writer) error) {
		f, err := os.Create(path)
		if err == nil {
			err = use(f)
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.HasSuffix(path, ".parquet") {
		write(path, func(w io.Writer) error { return words.WriteParquet(w, rows, m) })
		return
	}
	write(path, func(w io.Writer) error { return words.WriteCSV(w, rows) })
	write(path+".meta.json", m.WriteJSON)
}

// TestRewards: rewards files, CSV and Parquet, as rewards and as scores, whatever beta.
func TestRewards(t *testing.T) {
	c := planted("", "", 0.5, 9)
	models := []Model{{Name: "org/tuned", Family: "X", ID: "T"}}
	m := words.Provenance{Tuned: logprob.Meta{Model: "org/tuned"}, Base: logprob.Meta{Model: "org/base"}, Beta: 3}
	for _, name := range []string{"r.csv", "r.parquet"} {
		path := filepath.Join(t.TempDir(), name)
		writeReward(t, path, c, m)
		r, err := ReadReward(path, models)
		if err != nil {
			t.Fatal(err)
		}
		if r.Name != "org/base \u2192 org/tuned" || r.Model.Family != "X" || r.Meta.Beta != 3 {
			t.Errorf("%s: %s, %+v, %+v", name, r.Name, r.Model, r.Meta)
		}
		s, err := ReadScores(path, models)
		if err != nil {
			t.Fatal(err)
		}
		if s.Model.ID != "T" || len(s.Words) != len(c.words) || len(s.Prompts) != len(c.prompts) {
			t.Fatalf("%s: %+v, %d words, %d prompts", name, s.Model, len(s.Words), len(s.Prompts))
		}
		for p := range c.prompts {
			want := c.reward(p)
			for w := range want {
				if s.Words[w] != c.words[w] || s.Values[p][w] != want[w] || r.NTokens[w] != c.tokens[w] {
					t.Fatalf("%s: prompt %d, %s: %v, want %v", name, p, s.Words[w], s.Values[p][w], want[w])
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "r.csv")
	header := "prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward\n"
	for text, want := range map[string]string{
		header: "no rows",
		header + "a,X,one,one,1,-1,-2,1\na,X,one,one,1,-1,-2,1\n":                    `"one" stands twice after prompt a`,
		header + "a,X,one,one,1,-1,-inf,inf\n":                                       "infinite log-probability",
		header + "a,X,one,one,1,-1,-2,1\nb,X,two,two,1,-1,-2,1\n":                    `no row of "two" after prompt a`,
		header + "a,X,one,one,1,-1,much,1\n":                                         "line 2, column 7 (logp_base)",
		"prompt,category,word,form,n_tokens,logp_tuned,reward\na,X,one,one,1,-1,1\n": "no column logp_base",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadReward(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "r.csv") {
			t.Errorf("%v, wanted %q in it", err, want)
		}
	}
}

// TestRewardMeasures: of several measures one is taken, and named; several forms of a
// word are refused.
func TestRewardMeasures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.csv")
	const header = "prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward,wildcard,measure,n_forms,mwlr,rank\n"
	read := func(rows string) (*Reward, error) {
		if err := os.WriteFile(path, []byte(header+rows), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadReward(path, nil)
	}
	const exact = "a,X,one,one,1,-9,-3,-6,,exact,1,0.1,1\na,X,one, one,2,-9,-3,-6,,exact,1,0.1,1\n"
	for rows, want := range map[string]struct {
		name string
		base float64
	}{
		exact + "a,X,one,,1,-1,-2,1,,pooled,2,0.1,1\na,X,one,,1,-4,-5,1,,ended,2,0.1,1\n": {"r (pooled)", -2},
		"a,X,one,,1,-1,-7,1,,paper,2,0.1,1\n" + exact:                                     {"r (paper)", -7},
		"a,X,one,one,1,-1,-8,1,o*,exact,1,0.1,1\n":                                        {"r", -8},
	} {
		r, err := read(rows)
		if err != nil || r.Name != want.name || len(r.Words) != 1 || r.Base[0][0] != want.base {
			t.Errorf("%s: %+v, %v, wanted %+v", rows, r, err, want)
		}
	}
	if _, err := read(exact); err == nil || !strings.Contains(err.Error(), `"one" stands twice after prompt a, as "one" and " one", wanted one row a word`) {
		t.Errorf("error %v", err)
	}
}

// TestTwoModels: one model a family, rewards and scores together: everything that can
// be made is made and drawn.
func TestTwoModels(t *testing.T) {
	files := map[string]string{"models.csv": "name,family\norg/one,X\norg/two,Y\nrm,X\n"}
	dict := "Category,token_decoded\n"
	a, b := planted("", "", 0.7, 1), planted("", "", 0.2, 2)
	rm := "response," + strings.Join(a.prompts, ",") + "\n"
	for w, word := range a.words {
		dict += a.category[w] + "," + word + "\n"
		rm += word
		for p := range a.prompts {
			rm += "," + number4(a.tuned[p][w]+2*a.base[len(a.prompts)-1-p][w], true)
		}
		rm += "\n"
	}
	files["words.csv"], files["scores/rm.csv"] = dict, rm
	r, err := runFiles(t, files, func(c *Config, dir string) {
		for i, k := range []*contest{a, b} {
			name := []string{"one", "two"}[i]
			path := filepath.Join(dir, name+".parquet")
			writeReward(t, path, k, words.Provenance{Tuned: logprob.Meta{Model: "org/" + name}, Base: logprob.Meta{Model: "org/base"}, Beta: 1})
			c.Rewards = append(c.Rewards, path)
			c.Corpora[0].Scores = append(c.Corpora[0].Scores, path)
		}
		c.Corpora[0].Scores = c.Corpora[0].Scores[1:] // not the folder, which has the reward model alone
		c.Corpora = append(c.Corpora, CorpusConfig{Name: "again", File: filepath.Join(dir, "words.csv"), Scores: []string{filepath.Join(dir, "scores")}})
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
	if _, err := r.files(t.Context()); err != nil {
		t.Error(err)
	}
}
