package train

import (
	"encoding/json"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
)

// optimizerGolden is testdata/adamw.json, which testdata/adamw.py makes with torch and transformers.
type optimizerGolden struct {
	Optimizers []struct {
		Clip, Decay, LR, Beta2, Eps float64
		Start                       [][]float32
		Steps                       []struct {
			Grads  [][]float32
			Norm   float64
			Values [][]float32
		}
	}
	Schedules []struct {
		Kind  string
		Total int
		Ratio float64
		Rates []float64
	}
}

func readOptimizerGolden(t *testing.T) (g optimizerGolden) {
	t.Helper()
	data, err := os.ReadFile("testdata/adamw.json")
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// near holds a number to a reference within a relative bound.
func near(t *testing.T, what string, got, want, bound float64) {
	t.Helper()
	if !(math.Abs(got-want) <= bound*math.Max(math.Abs(want), 1e-30)) {
		t.Errorf("%s: %v, wanted %v within %g", what, got, want, bound)
	}
}

// TestAdamW: ten updates equal torch's within float32 rounding, norms and clipping too.
func TestAdamW(t *testing.T) {
	for _, g := range readOptimizerGolden(t).Optimizers {
		params := []*logprob.Param{
			{Shape: []int{3, 4}, Value: slices.Clone(g.Start[0])},
			{Shape: []int{5}, Value: slices.Clone(g.Start[1])},
		}
		a := newAdamW(&Options{Beta1: 0.9, Beta2: g.Beta2, Epsilon: g.Eps, WeightDecay: g.Decay}, params)
		for _, step := range g.Steps {
			for i, p := range params {
				p.Grad = step.Grads[i]
			}
			n := norm(params)
			near(t, "norm", n, step.Norm, 1e-6)
			a.update(params, g.LR, clipScale(n, g.Clip))
			for i, p := range params {
				for j, got := range p.Value {
					if want := step.Values[i][j]; math.Abs(float64(got-want)) > 1e-6*math.Max(0.1, math.Abs(float64(want))) {
						t.Errorf("update %d, parameter %d: value %d is %v, wanted %v", a.step, i, j, got, want)
					}
				}
			}
		}
	}
}

// TestPieces: a long parameter gets the same bits on one core and on several.
func TestPieces(t *testing.T) {
	run := func(procs int) (float64, []float32) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		n := 3*piece + 17
		p := &logprob.Param{Shape: []int{n}, Value: make([]float32, n), Grad: make([]float32, n)}
		for i := range p.Grad {
			p.Grad[i] = float32(math.Sin(float64(i)))
		}
		params := []*logprob.Param{p}
		a := newAdamW(&Options{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, params)
		total := norm(params)
		a.update(params, 0.1, 1/total)
		return total, p.Value
	}
	one, values := run(1)
	many, same := run(7)
	if one != many || !slices.Equal(values, same) {
		t.Errorf("norm %v on one core, %v on seven, values equal: %v", one, many, slices.Equal(values, same))
	}
	if last := values[len(values)-1]; last == 0 {
		t.Error("the last value was not updated")
	}
}

// TestSchedule: learning rates equal those of transformers.
func TestSchedule(t *testing.T) {
	for _, g := range readOptimizerGolden(t).Schedules {
		s, err := newSchedule(&Options{Schedule: g.Kind, LR: 1e-3, Warmup: g.Ratio}, g.Total)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range g.Rates {
			if got := s.rate(i + 1); math.Abs(got-want) > 1e-18 {
				t.Errorf("%s, warm-up %v: rate of step %d of %d is %v, wanted %v", g.Kind, g.Ratio, i+1, g.Total, got, want)
			}
		}
	}
	if _, err := newSchedule(&Options{Schedule: "step"}, 3); err == nil {
		t.Error("an unknown schedule, and no error")
	}
}
