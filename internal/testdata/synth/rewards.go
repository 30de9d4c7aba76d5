package synth

import (
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// Planted makes ln p of a base and a tuned model, whose reward of words of category A is
// greater than that of B by shift, nats.
func Planted(shift float64, seed uint64) *cube.Scores {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &cube.Scores{Values: make([][][]float64, 2),
		Prompts: []string{"best_a", "best_b", "good_a", "good_b", "great", "worst_a", "worst_b", "bad_a"}}
	for i := range 40 {
		s.Words = append(s.Words, "w"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		s.Category = append(s.Category, []string{"A", "B"}[i%2])
		s.Tokens = append(s.Tokens, 1+i%3)
	}
	for range s.Prompts {
		base, tuned := make([]float64, 40), make([]float64, 40)
		for w := range base {
			base[w] = -10 + r.NormFloat64()
			tuned[w] = base[w] + 0.1*r.NormFloat64()
			if w%2 == 0 {
				tuned[w] += shift
			}
		}
		s.Values[0], s.Values[1] = append(s.Values[0], base), append(s.Values[1], tuned)
	}
	return s
}

// WriteRewards writes ln p of a base and a tuned model as score does, CSV or Parquet.
func WriteRewards(t testing.TB, path string, c *cube.Scores, m words.Provenance) {
	t.Helper()
	rows := func(yield func(words.Record, error) bool) {
		for p, prompt := range c.Prompts {
			for w, word := range c.Words {
				r := words.Record{Prompt: prompt, Category: c.Category[w], Word: word, Form: " " + word, NTokens: int32(c.Tokens[w]), Tuned: c.Values[1][p][w], Base: c.Values[0][p][w], Reward: m.Beta * (c.Values[1][p][w] - c.Values[0][p][w])}
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
