package logprob_test

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// trainGoldens is what ../implicit/train/testdata/golden.py has made; it says what the files hold.
const trainGoldens = "../implicit/train/testdata/golden"

// trainGolden is the part of a case's golden.json that this package is held to.
type trainGolden struct {
	Base, Task string
	Rows       string // the file of the data; "" for rows.json
	LoRA       *struct{ R int }
	Options    struct{ Batch int }
	Records    []struct {
		Loss     float64
		GradNorm float64 `json:"grad_norm"`
	}
	Params map[string]struct {
		Shape  []int
		Stride int
		Grad   float64
	}
}

// trainRow is a row of rows.json.
type trainRow struct {
	From             int
	Chosen, Rejected []int32
	Margin           float64
}

// tuneBound is how far gradients may be from PyTorch's, relative to the tensor's norm. golden.py
// has checked that float64 moves PyTorch's own by no more, and found less than 3e-6.
const tuneBound = 2e-5

// TestTuneGradients holds the gradients of each tensor at the first step of training to
// PyTorch's: LoRA and full, of six families, by the losses of reward, dpo and sft.
func TestTuneGradients(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(trainGoldens, "*/golden.json"))
	if err != nil || len(paths) < 31 {
		t.Fatalf("%d goldens (%v), wanted 31", len(paths), err)
	}
	for i, path := range paths {
		some := i%5 == 0 // of every task
		if testing.Short() && !some {
			continue
		}
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			all := backends(t)
			if !some { // XLA compiles long
				all = all[:1]
			}
			for _, backend := range all {
				holdGradients(t, dir, backend)
			}
		})
	}
}

func holdGradients(t *testing.T, dir string, backend compute.Backend) {
	t.Helper()
	var g trainGolden
	readJSON(t, filepath.Join(dir, "golden.json"), &g)
	var rows struct {
		Rows  []trainRow
		Order []int
	}
	readJSON(t, filepath.Join(trainGoldens, cmp.Or(g.Rows, "rows.json")), &rows)
	tensors, err := checkpoint.OpenFile(filepath.Join(dir, "tensors.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()

	o := &logprob.Options{Backend: backend, DType: dtypes.Float32, Trunk: g.Task == "reward"}
	if g.LoRA != nil {
		o.Adapter = filepath.Join(dir, "adapter")
	}
	m, err := logprob.Load(t.Context(), filepath.Join("testdata/families", g.Base), o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tuning, err := m.Tune(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tuning.Close()

	var score []float32
	if g.Task == "reward" {
		score = scoreRow(t, dir, tensors, g.LoRA != nil)
	}
	batch := make([]trainRow, g.Options.Batch)
	for i := range batch {
		batch[i] = rows.Rows[rows.Order[i]]
	}
	loss, scoreGrad := tuneStep(t, tuning, g.Task, batch, score)
	if want := g.Records[0].Loss; !(math.Abs(loss-want) <= tuneBound*want) {
		t.Errorf("loss %v, wanted %v", loss, want)
	}

	got := map[string][]float32{}
	for _, p := range tuning.Params() {
		if want, ok := g.Params[p.Name]; !ok || !slices.Equal(p.Shape, want.Shape) {
			t.Errorf("%s %v is trained, wanted %v", p.Name, p.Shape, want.Shape)
		}
		got[p.Name] = p.Grad
	}
	if scoreGrad != nil {
		name := "score.weight"
		if g.LoRA != nil {
			name = "base_model.model.score.weight"
		}
		got[name] = scoreGrad
	}
	holdTensors(t, g, tensors, got)
}

// holdTensors compares gradients with the golden's: their norms and the numbers kept.
func holdTensors(t *testing.T, g trainGolden, tensors *checkpoint.Weights, got map[string][]float32) {
	t.Helper()
	total, furthest, at := 0.0, 0.0, ""
	for name, p := range g.Params {
		grad, ok := got[name]
		if !ok {
			t.Errorf("%s is not trained", name)
			continue
		}
		want := floats(t, tensors, "grad/"+name)
		square, off, kept := 0.0, 0.0, 0.0
		for i, x := range grad {
			square += float64(x) * float64(x)
			if i%p.Stride == 0 {
				w := float64(want[i/p.Stride])
				off += (float64(x) - w) * (float64(x) - w)
				kept += w * w
			}
		}
		total += square
		if p.Grad < 1e-6 {
			// Rounding of a gradient that is 0, as golden.py says.
			if !(math.Sqrt(square) < 1e-6) {
				t.Errorf("gradient of %s has norm %g, wanted 0", name, math.Sqrt(square))
			}
			continue
		}
		d := max(math.Sqrt(off/kept), math.Abs(math.Sqrt(square)-p.Grad)/p.Grad)
		if !(d <= tuneBound) {
			t.Errorf("gradient of %s is %.2g off PyTorch's, wanted at most %g", name, d, tuneBound)
		}
		if d > furthest {
			furthest, at = d, name
		}
	}
	if want := g.Records[0].GradNorm; !(math.Abs(math.Sqrt(total)-want) <= tuneBound*want) {
		t.Errorf("norm of all gradients %v, wanted %v", math.Sqrt(total), want)
	}
	t.Logf("furthest: %.2g, %s", furthest, at)
}

// tuneStep computes the loss of a batch and all gradients, also the score row's.
func tuneStep(t *testing.T, tuning *logprob.Tuning, task string, batch []trainRow, score []float32) (loss float64, scoreGrad []float32) {
	t.Helper()
	var groups [][]logprob.Request
	tokens := 0
	for _, r := range batch {
		var group []logprob.Request
		for _, ids := range [][]int32{r.Chosen, r.Rejected} {
			if task == "reward" {
				group = append(group, logprob.Request{IDs: ids, From: len(ids), States: []int{len(ids) - 1}})
			} else {
				group = append(group, logprob.Request{IDs: ids, From: r.From})
			}
		}
		if task == "sft" {
			group = group[:1]
			tokens += len(r.Chosen) - r.From
		}
		groups = append(groups, group)
	}
	if score != nil {
		scoreGrad = make([]float32, len(score))
	}
	for _, numbers := range tuning.Split(groups) {
		var together [][]logprob.Request
		for _, n := range numbers {
			together = append(together, groups[n])
		}
		pass, err := tuning.Forward(t.Context(), together)
		if err != nil {
			t.Fatal(err)
		}
		var derivatives [][]logprob.Outputs
		for i, n := range numbers {
			l, d := tuneLoss(task, batch[n], pass.Outputs[i], score, scoreGrad, float64(len(batch)), float64(tokens))
			loss += l
			derivatives = append(derivatives, d)
		}
		if err := pass.Backward(t.Context(), derivatives); err != nil {
			t.Fatal(err)
		}
		pass.Close()
	}
	return loss, scoreGrad
}

// tuneLoss is what a row adds to the loss of its batch, with its derivatives. At the first step
// dpo's policy is its reference.
func tuneLoss(task string, r trainRow, out []logprob.Outputs, score, scoreGrad []float32, rows, tokens float64) (float64, []logprob.Outputs) {
	every := func(x float64, n int) []float64 { return slices.Repeat([]float64{x}, n) }
	switch task {
	case "sft":
		loss := 0.0
		for _, lnp := range out[0].LogProbs {
			loss -= lnp / tokens
		}
		return loss, []logprob.Outputs{{LogProbs: every(-1/tokens, len(out[0].LogProbs))}}
	case "dpo":
		const beta = 0.1
		d := beta / 2 / rows
		return math.Ln2 / rows, []logprob.Outputs{{LogProbs: every(-d, len(out[0].LogProbs))}, {LogProbs: every(d, len(out[1].LogProbs))}}
	}
	reward := func(state []float64) (sum float64) {
		for i, x := range state {
			sum += x * float64(score[i])
		}
		return sum
	}
	chosen, rejected := out[0].States[0], out[1].States[0]
	margin := reward(chosen) - reward(rejected) - r.Margin
	d := 1 / (1 + math.Exp(margin)) / rows
	up, down := make([]float64, len(score)), make([]float64, len(score))
	for i, w := range score {
		up[i], down[i] = -d*float64(w), d*float64(w)
		scoreGrad[i] += float32(d * (rejected[i] - chosen[i]))
	}
	return math.Log1p(math.Exp(-margin)) / rows, []logprob.Outputs{{States: [][]float64{up}}, {States: [][]float64{down}}}
}

// scoreRow is the row of the reward that training begins with.
func scoreRow(t *testing.T, dir string, tensors *checkpoint.Weights, lora bool) []float32 {
	t.Helper()
	if !lora {
		return floats(t, tensors, "score/score.weight")
	}
	adapter, err := checkpoint.OpenFile(filepath.Join(dir, "adapter/adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer adapter.Close()
	return floats(t, adapter, "base_model.model.score.weight")
}

// floats are the numbers of a float32 tensor.
func floats(t *testing.T, from *checkpoint.Weights, name string) []float32 {
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
