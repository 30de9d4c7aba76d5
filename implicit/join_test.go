package implicit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

var negInf = float32(math.Inf(-1))

// random makes a table of n tokens and 3 prompts whose columns are distributions,
// with one token of probability 0 in each if zero is set.
func random(rng *rand.Rand, n int, zero bool) *logprob.Table {
	t := &logprob.Table{Prompts: []string{"a", "b", "c"}}
	for i := range n {
		t.Tokens = append(t.Tokens, tokenize.Token{ID: int32(i), Name: fmt.Sprint("n", i), Text: fmt.Sprint("t", i)})
	}
	for range t.Prompts {
		logits := make([]float64, n)
		sum := 0.0
		for i := range logits {
			logits[i] = 5 * rng.NormFloat64()
			if zero && i == n/2 {
				logits[i] = math.Inf(-1)
			}
			sum += math.Exp(logits[i])
		}
		column := make([]float32, n)
		for i, z := range logits {
			column[i] = float32(z - math.Log(sum))
		}
		t.LogProb = append(t.LogProb, column)
	}
	return t
}

func mustJoin(t *testing.T, p, q *logprob.Table, o *implicit.JoinOptions) *implicit.Joined {
	t.Helper()
	j, err := implicit.Join(p, q, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestMWLRIdentities holds, on random distributions over one vocabulary:
// antisymmetry, 0 for a model against itself (also where it gives 0), the sum
// (KL(p|q)-KL(q|p))/2, and that the log-ratio is antisymmetric too.
func TestMWLRIdentities(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		n := 2 + rng.IntN(500)
		p, q := random(rng, n, false), random(rng, n, false)
		pq, qp := mustJoin(t, p, q, nil), mustJoin(t, q, p, nil)
		zero := random(rng, n, true)
		self := mustJoin(t, zero, zero, nil)
		for k := range pq.Prompts {
			forth, back := pq.MWLR(k), qp.MWLR(k)
			ratio, inverse := pq.LogRatio(k), qp.LogRatio(k)
			same, none := self.MWLR(k), self.LogRatio(k)
			sum, klPQ, klQP := 0.0, 0.0, 0.0
			for i := range forth {
				if forth[i] != -back[i] || ratio[i] != -inverse[i] {
					t.Fatalf("MWLR %v and %v, log-ratio %v and %v, want opposites", forth[i], back[i], ratio[i], inverse[i])
				}
				if same[i] != 0 || none[i] != 0 {
					t.Fatalf("a model against itself: MWLR %v, log-ratio %v, want 0", same[i], none[i])
				}
				lp, lq := float64(p.LogProb[k][i]), float64(q.LogProb[k][i])
				sum += forth[i]
				klPQ += math.Exp(lp) * (lp - lq)
				klQP += math.Exp(lq) * (lq - lp)
			}
			near(t, "sum of MWLR", sum, (klPQ-klQP)/2, 1e-12*(1+klPQ+klQP))
		}
	}
}

func TestMWLREdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ p, q, want float64 }{
		{-inf, -inf, 0}, {-1, -inf, inf}, {-inf, -1, -inf}, {-800, -inf, inf}, // e^-800 is 0 in float64, and 0*Inf would be NaN
		{0, -1, (1 + math.Exp(-1)) / 2}, {-2, -2, 0},
	} {
		if got := implicit.MWLR(c.p, c.q); got != c.want {
			t.Errorf("MWLR(%v, %v) = %v, want %v", c.p, c.q, got, c.want)
		}
	}
	p := &logprob.Table{Prompts: []string{"x"}, Tokens: []tokenize.Token{{ID: 0, Text: "a"}, {ID: 1, Text: "b"}, {ID: 2, Text: "c"}}, LogProb: [][]float32{{negInf, -1, negInf}}}
	q := &logprob.Table{Prompts: p.Prompts, Tokens: p.Tokens, LogProb: [][]float32{{negInf, negInf, -1}}}
	if got := mustJoin(t, p, q, nil).LogRatio(0); !reflect.DeepEqual(got, []float64{0, inf, -inf}) {
		t.Errorf("LogRatio %v, want 0, +Inf, -Inf", got)
	}
}

// TestJoin joins tables with other ids, other orders of prompts, and repeated texts.
func TestJoin(t *testing.T) {
	p := &logprob.Table{
		Prompts: []string{"x", "y", "only p"},
		Tokens:  []tokenize.Token{{ID: 0, Name: "<0x61>", Text: "a"}, {ID: 1, Text: "\r\n"}, {ID: 2, Text: "NA"}, {ID: 3, Name: "a", Text: "a"}, {ID: 4, Text: "p"}, {ID: 5, Text: "p"}},
		LogProb: [][]float32{{-1, -2, -3, -4, -5, -6}, {-9, -2, -3, -0.5, -5, -6}, {-1, -1, -1, -1, -1, -1}},
		Meta:    logprob.Meta{DType: "f32", Processor: "amd64 avx2"},
	}
	q := &logprob.Table{
		Prompts: []string{"y", "x"},
		Tokens:  []tokenize.Token{{ID: 10, Text: "\n"}, {ID: 11, Text: "NA"}, {ID: 12, Text: "a"}, {ID: 13, Text: "\r\n"}, {ID: 14, Text: "\r\n"}},
		LogProb: [][]float32{{-1, -1, -1, -1, -2}, {-2, -2, -2, -3, -2.5}},
		Meta:    logprob.Meta{DType: "bf16", Processor: "amd64 avx512"},
	}
	j := mustJoin(t, p, q, nil)
	if want := []string{"x", "y"}; !reflect.DeepEqual(j.Prompts, want) {
		t.Errorf("prompts %q, want %q", j.Prompts, want)
	}
	if want := []tokenize.Token{p.Tokens[0], p.Tokens[1], p.Tokens[2]}; !reflect.DeepEqual(j.Tokens, want) {
		t.Errorf("tokens %q, want %q", j.Tokens, want)
	}
	if want := (implicit.Coverage{Shared: 3, P: 6, Q: 5, RepeatedP: 2, RepeatedQ: 1, OnlyP: 1, OnlyQ: 1}); j.Coverage != want {
		t.Errorf("coverage %+v, want %+v", j.Coverage, want)
	}
	// "a" is likelier by its first token after x and by its second after y.
	for k, want := range [][]float64{{-1 + 2, -2 + 2.5, -3 + 2}, {-0.5 + 1, -2 + 1, -3 + 1}} {
		if got := j.LogRatio(k); !reflect.DeepEqual(got, want) {
			t.Errorf("prompt %s: log-ratio %v, want %v", j.Prompts[k], got, want)
		}
	}
	warnings := fmt.Sprint(j.Warnings)
	if want := "[implicit: join: 1 prompts in one table only: only p implicit: join: p was computed in f32, q in bf16: the rounding differs implicit: join: p and q were computed on other processors (amd64 avx2; amd64 avx512): the rounding differs]"; warnings != want {
		t.Errorf("warnings %s, want %s", warnings, want)
	}
	j = mustJoin(t, p, q, &implicit.JoinOptions{DropNA: true})
	if want := (implicit.Coverage{Shared: 2, P: 6, Q: 5, RepeatedP: 2, RepeatedQ: 1, OnlyP: 1, OnlyQ: 1, DroppedP: 1, DroppedQ: 1}); j.Coverage != want {
		t.Errorf("without NA: coverage %+v, want %+v", j.Coverage, want)
	}
}

// TestJoinByID keeps apart the tokens that share a text, so that the identity of the
// sum holds where it fails by text.
func TestJoinByID(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	p, q := random(rng, 50, false), random(rng, 50, false)
	for _, table := range []*logprob.Table{p, q} {
		for i := range 10 {
			table.Tokens[i].Text = "\ufffd"
		}
	}
	j := mustJoin(t, p, q, &implicit.JoinOptions{ByID: true})
	if len(j.Tokens) != 50 {
		t.Fatalf("%d tokens, want 50", len(j.Tokens))
	}
	if n := len(mustJoin(t, p, q, nil).Tokens); n != 41 {
		t.Errorf("by text: %d tokens, want 41", n)
	}
	for k := range j.Prompts {
		ratio := j.LogRatio(k)
		for i := range ratio {
			if want := float64(p.LogProb[k][i]) - float64(q.LogProb[k][i]); ratio[i] != want {
				t.Errorf("token %d: %v, want %v", i, ratio[i], want)
			}
		}
	}
	q.Tokens[7].Name = "other"
	_, err := implicit.Join(p, q, &implicit.JoinOptions{ByID: true})
	if want := `implicit: join: by id: token 7 is "n7" ("` + "\ufffd" + `") in p, token 7 is "other" ("` + "\ufffd" + `") in q, wanted one vocabulary`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	q = random(rng, 49, false)
	p = random(rng, 50, false)
	if _, err = implicit.Join(p, q, &implicit.JoinOptions{ByID: true}); err == nil || err.Error() != "implicit: join: by id: 50 tokens in p, 49 in q, wanted one vocabulary" {
		t.Error(err)
	}
}

func TestJoinErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for want, spoil := range map[string]func(q *logprob.Table){
		"implicit: join: no prompt in both tables: p has a, b, c, q has d, e, f":              func(q *logprob.Table) { q.Prompts = []string{"d", "e", "f"} },
		"implicit: join: q: logprob: table: prompt a: token 1: NaN, wanted a log-probability": func(q *logprob.Table) { q.LogProb[0][1] = float32(math.NaN()) },
		"implicit: join: the tables share none of their 3 and 3 tokens": func(q *logprob.Table) {
			for i := range q.Tokens {
				q.Tokens[i].Text = "other"
			}
		},
	} {
		p, q := random(rng, 3, false), random(rng, 3, false)
		spoil(q)
		if _, err := implicit.Join(p, q, nil); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := implicit.Join(&logprob.Table{}, random(rng, 3, false), nil); err == nil || !strings.HasPrefix(err.Error(), "implicit: join: p: ") {
		t.Error(err)
	}
}
