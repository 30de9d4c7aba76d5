package implicit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
)

// asStored is a model that says how its weights are stored.
type asStored struct {
	logprob.LM
	how string
}

func (m asStored) Quantised() string { return m.how }

// TestStoredDifferently: of two models whose weights are stored in different ways a pair and a
// table say so, and of others nothing.
func TestStoredDifferently(t *testing.T) {
	for _, test := range []struct{ tuned, base, want string }{
		{"", "", ""},
		{"fp8 128x128", "fp8 128x128", ""},
		{"gguf Q4_K", "", "the weights of one model are stored as gguf Q4_K, of the other as floats: their difference measures the rounding as well as the training"},
		{"", "fp8", "the weights of one model are stored as floats, of the other as fp8: their difference measures the rounding as well as the training"},
	} {
		pair := implicit.Pair{Tuned: implicit.Raw(asStored{&implicittest.Fake{}, test.tuned}), Base: implicit.Cached(implicit.Raw(asStored{&implicittest.Fake{}, test.base}), nil)}
		rng := rand.New(rand.NewPCG(1, 2))
		p, q := random(rng, 5, false), random(rng, 5, false)
		p.Meta, q.Meta = logprob.Meta{WeightsHash: "p", Quantised: test.tuned}, logprob.Meta{WeightsHash: "q", Quantised: test.base}
		wantPair, wantJoin := "[]", "[]"
		if test.want != "" {
			wantPair, wantJoin = "[implicit: pair: "+test.want+"]", "[implicit: join: "+test.want+"]"
		}
		if got := fmt.Sprint(pair.Warnings()); got != wantPair {
			t.Errorf("pair: %s, wanted %s", got, wantPair)
		}
		if got := fmt.Sprint(mustJoin(t, p, q, nil).Warnings); got != wantJoin {
			t.Errorf("join: %s, wanted %s", got, wantJoin)
		}
	}
	alone := implicit.Pair{Tuned: implicit.Raw(asStored{&implicittest.Fake{}, "fp8"})}
	if got := alone.Warnings(); got != nil {
		t.Errorf("without a base model: %v", got)
	}
}
