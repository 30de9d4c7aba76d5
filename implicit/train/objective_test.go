package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
)

func TestLogSigmoid(t *testing.T) {
	tests := []struct{ x, log, sigmoid float64 }{
		{0, -math.Ln2, 0.5},
		{1, -0.31326168751822286, 0.7310585786300049}, // torch.nn.functional.logsigmoid, torch.sigmoid in float64
		{-1, -1.3132616875182228, 0.2689414213699951},
		{40, -4.248354255291589e-18, 1},
		{-40, -40, 4.248354255291589e-18},
		{1e308, 0, 1},
		{-1e308, -1e308, 0},
		{math.Inf(1), 0, 1},
		{math.Inf(-1), math.Inf(-1), 0},
	}
	for _, test := range tests {
		if got := logSigmoid(test.x); got != test.log && math.Abs(got/test.log-1) > 1e-15 {
			t.Errorf("ln sigmoid(%v) is %v, wanted %v", test.x, got, test.log)
		}
		if got := sigmoid(test.x); got != test.sigmoid && math.Abs(got/test.sigmoid-1) > 1e-15 {
			t.Errorf("sigmoid(%v) is %v, wanted %v", test.x, got, test.sigmoid)
		}
	}
}

// objectives are one of each kind, with outputs of a width.
func objectives(width int) map[string]objective {
	score := func() *logprob.Param {
		p := &logprob.Param{Name: "score.weight", Shape: []int{1, width}, Value: make([]float32, width), Grad: make([]float32, width)}
		for i := range p.Value {
			p.Value[i] = float32(math.Cos(float64(3 * i)))
		}
		return p
	}
	return map[string]objective{
		"reward":          newBradleyTerry(&Options{}, score()),
		"reward, centred": newBradleyTerry(&Options{Center: 0.3}, score()),
		"reward, GRM":     newBradleyTerry(&Options{Center: 0.1, SFT: 0.4}, score()),
		"dpo":             preferred{beta: 0.7},
		"sft":             likelihood{},
	}
}

// outputsOf draws what a model could say to requests.
func outputsOf(rng *rand.Rand, requests []logprob.Request, width int) []logprob.Outputs {
	out := make([]logprob.Outputs, len(requests))
	for i, r := range requests {
		for range len(r.IDs) - r.From {
			out[i].LogProbs = append(out[i].LogProbs, -rng.ExpFloat64())
		}
		for range r.States {
			state := make([]float64, width)
			for j := range state {
				state[j] = rng.NormFloat64()
			}
			out[i].States = append(out[i].States, state)
		}
	}
	return out
}

func testPair() *sample {
	return &sample{row: row{number: 1, margin: 0.25, texts: []text{{[]int32{1, 2, 3, 4, 5}, 2}, {[]int32{1, 2, 6}, 2}}}, reference: []float64{-3, -1.5}}
}

// TestAdjoints: derivatives equal central differences of the loss, with respect to every
// log-probability, state and value of the score row.
func TestAdjoints(t *testing.T) {
	const width, scale, h = 6, 0.125, 1e-5
	for name, o := range objectives(width) {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			e := testPair()
			out := outputsOf(rng, o.requests(e), width)
			loss := func() float64 {
				r, _ := o.of(e, out, 0)
				return scale * r.loss
			}
			o.settle()
			_, adjoints := o.of(e, out, scale)
			o.settle()
			check := func(what string, x *float64, got float64) {
				at := *x
				*x = at + h
				up := loss()
				*x = at - h
				down := loss()
				*x = at
				if want := (up - down) / (2 * h); math.Abs(got-want) > 1e-9 {
					t.Errorf("%s: derivative %v, wanted %v", what, got, want)
				}
			}
			seen := 0
			for i := range out {
				for j := range out[i].LogProbs {
					check(fmt.Sprintf("text %d, token %d", i, j), &out[i].LogProbs[j], adjoints[i].LogProbs[j])
					seen++
				}
				for k := range out[i].States {
					for j := range out[i].States[k] {
						check(fmt.Sprintf("text %d, state %d", i, j), &out[i].States[k][j], adjoints[i].States[k][j])
						seen++
					}
				}
			}
			if seen == 0 {
				t.Error("no output was read")
			}
			for _, p := range o.params() {
				for j := range p.Value {
					const h = 1.0 / 1024 // float32 holds it
					at := p.Value[j]
					p.Value[j] = at + h
					up, step := loss(), float64(p.Value[j])
					p.Value[j] = at - h
					down := loss()
					step -= float64(p.Value[j])
					p.Value[j] = at
					if want := (up - down) / step; math.Abs(float64(p.Grad[j])-want) > 1e-6 {
						t.Errorf("%s[%d]: derivative %v, wanted %v", p.Name, j, p.Grad[j], want)
					}
				}
			}
		})
	}
}

// TestObjectivesByHand: losses, rewards and weights of one pair, as worked out.
func TestObjectivesByHand(t *testing.T) {
	ln := func(x float64) float64 { return -math.Log(1 / (1 + math.Exp(-x))) } // -ln sigmoid
	e := testPair()
	score := &logprob.Param{Shape: []int{1, 2}, Value: []float32{2, -1}, Grad: make([]float32, 2)}
	states := []logprob.Outputs{{States: [][]float64{{1, 0.5}}}, {States: [][]float64{{0.25, 1}}}} // 1.5, -0.5
	logs := []logprob.Outputs{{LogProbs: []float64{-1, -2, -0.5}, States: states[0].States}, {LogProbs: []float64{-2}, States: states[1].States}}
	tests := []struct {
		o            objective
		out          []logprob.Outputs
		loss, weight float64
		rewards      []float64
	}{
		{newBradleyTerry(&Options{}, score), states, ln(2 - 0.25), 1, []float64{1.5, -0.5}},
		{newBradleyTerry(&Options{Center: 0.01}, score), states, ln(1.75) + 0.01*1, 1, []float64{1.5, -0.5}},
		{newBradleyTerry(&Options{SFT: 0.01}, score), logs, 0.99*ln(1.75) + 0.01*ln(0.1*-3.5), 1, []float64{1.5, -0.5}},
		// b(chosen) = 0.1 (-3.5 - -3), b(rejected) = 0.1 (-2 - -1.5); the margin column is not dpo's.
		{preferred{0.1}, logs, math.Ln2, 1, []float64{-0.05, -0.05}},
		{likelihood{}, logs[:1], 3.5, 4, nil},
	}
	for i, test := range tests {
		r, _ := test.o.of(e, test.out, 1)
		if math.Abs(r.loss-test.loss) > 1e-12 || test.o.weight(e) != test.weight || len(r.rewards) != len(test.rewards) {
			t.Errorf("%d: loss %v of weight %v, rewards %v, wanted %v, %v, %v", i, r.loss, test.o.weight(e), r.rewards, test.loss, test.weight, test.rewards)
		}
		for j, want := range test.rewards {
			near(t, "reward", r.rewards[j], want, 1e-9)
		}
	}
}

// TestRefer: the reference is the sum over the trained tokens of what the model says.
func TestRefer(t *testing.T) {
	m := &implicittest.Fake{Seed: 1}
	a, b := testPair(), testPair()
	for _, e := range []*sample{a, b} {
		e.texts = []text{{[]int32{1, 2, 0}, 1}, {[]int32{1, 1}, 1}}
	}
	b.texts = slices.Clone(b.texts)
	b.texts[0].from = 2
	if err := refer(t.Context(), m, []*sample{a, b}); err != nil {
		t.Fatal(err)
	}
	for i, text := range []text{a.texts[0], a.texts[1], b.texts[0]} {
		var want float64
		for r, err := range m.Run(t.Context(), slices.Values([]logprob.Request{text.scored()})) {
			if err != nil {
				t.Fatal(err)
			}
			want = r.Sum()
		}
		if got := []float64{a.reference[0], a.reference[1], b.reference[0]}[i]; got != want || got == 0 {
			t.Errorf("reference %d: %v, wanted %v", i, got, want)
		}
	}
}
