package train

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// golden is a case's golden.json: testdata/golden.py says what it holds.
type golden struct {
	Base    string
	Task    Task
	Rows    string // the file of the data; "" for rows.json
	LoRA    *struct{ R int }
	Options struct {
		LR, Warmup, Clip, Beta1, Beta2, Epsilon, Beta float64
		WeightDecay                                   float64 `json:"weight_decay"`
		Schedule                                      string
		Batch, Steps                                  int
	}
	Records []Record
	Params  map[string]struct {
		Stride int
		After  float64
		Zero   [2]int
	}
}

// goldenBound is how far numbers may be from PyTorch's in float32, relative to them: losses,
// norms, and parameters by the norm of a tensor. updateBound is that of what the steps have
// changed in a tensor. golden.py has found that float64 moves PyTorch's losses and norms by up to
// 1.5e-6.
const (
	goldenBound = 2e-5
	updateBound = 2e-4
)

// TestGoldens holds the first ten and twenty steps of training to PyTorch's, transformers' and
// trl's: records of every step, and parameters after the last.
func TestGoldens(t *testing.T) {
	paths, err := filepath.Glob("testdata/golden/*/golden.json")
	if err != nil || len(paths) < 31 {
		t.Fatalf("%d goldens (%v), wanted 31", len(paths), err)
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		if testing.Short() && i%5 != 0 {
			continue // of every task, some
		}
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			holdRun(t, dir, backend)
		})
	}
}

func holdRun(t *testing.T, dir string, backend compute.Backend) {
	t.Helper()
	var g golden
	readJSON(t, filepath.Join(dir, "golden.json"), &g)
	tensors, err := checkpoint.OpenFile(filepath.Join(dir, "tensors.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()
	tr := goldenTrainer(t, dir, &g, tensors, backend)
	before := map[string][]float32{}
	for _, p := range tr.params() {
		before[p.Name] = slices.Clone(p.Value)
	}
	furthest := 0.0
	for _, want := range g.Records {
		got, err := tr.step(t.Context(), want.Step)
		if err != nil {
			t.Fatal(err)
		}
		furthest = max(furthest, holdRecord(t, got, want))
	}
	names := slices.Sorted(maps.Keys(g.Params))
	if got := slices.Sorted(maps.Keys(before)); !slices.Equal(got, names) {
		t.Fatalf("%v are trained, wanted %v", got, names)
	}
	far, at := 0.0, ""
	for _, p := range tr.params() {
		want := g.Params[p.Name]
		kept := goldenTensor(t, tensors, "after/"+p.Name)
		var off, all, moved float64
		for i, w := range kept {
			if j := i * want.Stride; j < want.Zero[0] || j >= want.Zero[1] {
				off += square(p.Value[j] - w)
				all += square(w)
				moved += square(w - before[p.Name][j])
			}
		}
		if want.Zero[1] == 0 {
			square := 0.0
			for _, x := range p.Value {
				square += float64(x) * float64(x)
			}
			near(t, "norm of "+p.Name+" after the last step", math.Sqrt(square), want.After, goldenBound)
		}
		if off > goldenBound*goldenBound*all || off > updateBound*updateBound*moved || math.IsNaN(off) {
			t.Errorf("%s after the last step: %.2g off PyTorch's, %.2g of what the steps changed; wanted %g and %g", p.Name, math.Sqrt(off/all), math.Sqrt(off/moved), goldenBound, updateBound)
		}
		if moved > 0 && math.Sqrt(off/moved) > far {
			far, at = math.Sqrt(off/moved), p.Name
		}
	}
	t.Logf("furthest: records %.2g; of what the steps changed %.2g, %s", furthest, far, at)
}

// holdRecord compares what is told of a step, and returns how far losses and norms are apart.
func holdRecord(t *testing.T, got, want Record) float64 {
	t.Helper()
	near(t, "loss", got.Loss, want.Loss, goldenBound)
	near(t, "gradient norm", got.GradNorm, want.GradNorm, goldenBound)
	near(t, "learning rate", got.LR, want.LR, 1e-8) // golden.json has nine digits
	for what, pair := range map[string][2]*float64{"accuracy": {got.Accuracy, want.Accuracy}, "margin": {got.Margin, want.Margin}, "mean reward": {got.Reward, want.Reward}} {
		if pair[1] == nil {
			continue
		}
		if pair[0] == nil {
			t.Errorf("step %d: no %s, wanted %v", want.Step, what, *pair[1])
			continue
		}
		// Sums of rewards near 0 have no relative bound.
		if bound := goldenBound * math.Max(1, math.Abs(*pair[1])); !(math.Abs(*pair[0]-*pair[1]) <= bound) {
			t.Errorf("step %d: %s %v, wanted %v within %g", want.Step, what, *pair[0], *pair[1], bound)
		}
	}
	return max(math.Abs(got.Loss-want.Loss)/want.Loss, math.Abs(got.GradNorm-want.GradNorm)/want.GradNorm)
}

// goldenTrainer is a run of a case before its first step, without a folder.
func goldenTrainer(t *testing.T, dir string, g *golden, tensors *checkpoint.Weights, backend compute.Backend) *trainer {
	t.Helper()
	o := &logprob.Options{Backend: backend, DType: dtypes.Float32, Trunk: g.Task == Reward}
	if g.LoRA != nil {
		o.Adapter = filepath.Join(dir, "adapter")
	}
	m, err := logprob.Load(t.Context(), filepath.Join("../../logprob/testdata/families", g.Base), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	tuned, err := m.Tune(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tuned.Close)
	samples, order := goldenSamples(t, g)
	p := g.Options
	tr := &trainer{model: tuning{tuned}, samples: samples, o: Options{
		Task: g.Task, LR: p.LR, Schedule: p.Schedule, Warmup: p.Warmup, Batch: p.Batch, Steps: p.Steps, Clip: p.Clip, WeightDecay: p.WeightDecay,
		Beta1: p.Beta1, Beta2: p.Beta2, Epsilon: p.Epsilon, Beta: p.Beta, Order: order,
	}}
	switch g.Task {
	case Reward:
		score := &logprob.Param{Name: "score.weight"}
		if g.LoRA == nil {
			score.Value = goldenTensor(t, tensors, "score/score.weight")
		} else {
			adapter, err := checkpoint.OpenFile(filepath.Join(o.Adapter, "adapter_model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer adapter.Close()
			score.Name = "base_model.model.score.weight"
			score.Value = goldenTensor(t, adapter, score.Name)
		}
		score.Shape, score.Grad = []int{1, len(score.Value)}, make([]float32, len(score.Value))
		tr.objective = newBradleyTerry(&tr.o, score)
	case DPO:
		tr.objective = preferred{p.Beta}
		if err := refer(t.Context(), m, samples); err != nil {
			t.Fatal(err)
		}
	default:
		tr.objective = likelihood{}
	}
	if err := tr.plan(); err != nil {
		t.Fatal(err)
	}
	tr.adamw = newAdamW(&tr.o, tr.params())
	return tr
}

// goldenSamples are the rows of all cases, and their order.
func goldenSamples(t *testing.T, g *golden) (samples []*sample, order []int) {
	t.Helper()
	var data struct {
		Rows []struct {
			From             int
			Chosen, Rejected []int32
			Margin           float64
		}
		Order []int
	}
	readJSON(t, filepath.Join("testdata/golden", cmp.Or(g.Rows, "rows.json")), &data)
	for i, r := range data.Rows {
		s := &sample{row: row{index: i, number: i + 1, margin: r.Margin, texts: []text{{r.Chosen, r.From}, {r.Rejected, r.From}}}}
		if g.Task == SFT {
			s.texts = s.texts[:1]
		}
		samples = append(samples, s)
	}
	return samples, data.Order
}

func square(x float32) float64 { return float64(x) * float64(x) }

func goldenTensor(t *testing.T, from *checkpoint.Weights, name string) []float32 {
	t.Helper()
	tensor, ok := from.Get(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	numbers, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(numbers) // they lie in the file
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
