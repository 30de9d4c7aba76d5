package input

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestRewards: rewards files, CSV and Parquet, as rewards and as scores, whatever beta.
func TestRewards(t *testing.T) {
	c := synth.Planted(0.5, 9)
	models := []cube.Model{{Name: "org/tuned", Family: "X", ID: "T"}}
	m := words.Provenance{Tuned: logprob.Meta{Model: "org/tuned"}, Base: logprob.Meta{Model: "org/base"}, Beta: 3}
	for _, name := range []string{"r.csv", "r.parquet"} {
		path := filepath.Join(t.TempDir(), name)
		synth.WriteRewards(t, path, c, m)
		r, err := ReadRewards(path, models)
		if err != nil {
			t.Fatal(err)
		}
		if r.Name != "org/base \u2192 org/tuned" || r.Models[1].Family != "X" || r.Meta.Beta != 3 {
			t.Errorf("%s: %s, %+v, %+v", name, r.Name, r.Models, r.Meta)
		}
		s, err := ReadScores(path, models)
		if err != nil {
			t.Fatal(err)
		}
		if s.Models[0].ID != "T" || len(s.Words) != len(c.Words) || len(s.Prompts) != len(c.Prompts) {
			t.Fatalf("%s: %+v, %d words, %d prompts", name, s.Models, len(s.Words), len(s.Prompts))
		}
		for p := range c.Prompts {
			want := c.Reward(p)
			for w := range want {
				if s.Words[w] != c.Words[w] || s.Values[0][p][w] != want[w] || r.Tokens[w] != c.Tokens[w] {
					t.Fatalf("%s: prompt %d, %s: %v, want %v", name, p, s.Words[w], s.Values[0][p][w], want[w])
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
		if _, err := ReadRewards(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "r.csv") {
			t.Errorf("%v, wanted %q in it", err, want)
		}
	}
}

// TestRewardMeasures: of several measures one is taken, and named; several forms of a
// word are refused.
func TestRewardMeasures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.csv")
	const header = "prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward,wildcard,measure,n_forms,mwlr,rank\n"
	read := func(rows string) (*cube.RewardFile, error) {
		if err := os.WriteFile(path, []byte(header+rows), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadRewards(path, nil)
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
		if err != nil || r.Name != want.name || len(r.Words) != 1 || r.Values[0][0][0] != want.base {
			t.Errorf("%s: %+v, %v, wanted %+v", rows, r, err, want)
		}
	}
	if _, err := read(exact); err == nil || !strings.Contains(err.Error(), `"one" stands twice after prompt a, as "one" and " one", wanted one row a word`) {
		t.Errorf("error %v", err)
	}
}
