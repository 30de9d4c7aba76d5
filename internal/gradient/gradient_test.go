package gradient

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/internal/adapter"
	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/engine"
)

const testdata = "../../logprob/testdata/"

// families has one checkpoint of each, or of each kind of block.
var families = []string{"gemma2-base", "gemma3-hub", "gemma3n-hub", "gemma4_text-shared", "gemma4-hub", "gpt2-plain", "gpt_neox-serial", "gpt_neox-parallel", "llama-llama3", "llama-gqa-tied",
	"mistral-window", "olmo2-gqa-bias", "phi3-partial", "qwen2-window", "qwen3-bias-window", "olmo-clip", "olmo3-yarn", "gemma-bias",
	"smollm3-window", "granite-factors", "seed_oss-out", "arcee-bias",
	"bloom-heads", "mpt-clip", "falcon-multi", "falcon-groups", "falcon-alibi", "glm-partial", "glm4-partial", "exaone4-hybrid", "hunyuan_v1_dense-alpha", "ernie4_5-bias", "helium-plain", "cohere-norm", "cohere2-hybrid", "gptj-partial", "phi-partial", "phi-gqa-tied", "apertus-xielu", "opt-relu", "opt-350m", "opt-narrow", "opt-galactica",
	"qwen3_5_text-hybrid", "bamba-hybrid", "falcon_h1-norm", "nemotron_h-plain", "granitemoehybrid-dense", "starcoder2-window", "stablelm-parallel", "nemotron-relu2", "gpt_neo-local"}

// adapters has a LoRA of each family, and of each place that one can have.
var adapters = []string{"llama-alllinear", "gemma2-alllinear", "gpt2-conv1d", "qwen3-alllinear", "gpt_neox-alllinear", "phi3-fused",
	"mistral-alllinear", "olmo2-alllinear", "qwen2-alllinear", "gemma3_text-alllinear", "llama-lora-head", "llama-lorabias", "olmoe-attention", "gpt_oss-attention",
	"phi-bias-all", "opt-alllinear", "apertus-alllinear", "gemma4_text-alllinear"}

func goBackend(t *testing.T) compute.Backend {
	t.Helper()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

func open(t *testing.T, dir string) (*arch.Model, *checkpoint.Weights) {
	t.Helper()
	keys, err := checkpoint.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	m, err := arch.New(keys, func(name string) bool { _, ok := w.Get(name); return ok })
	if err != nil {
		t.Fatal(err)
	}
	return m, w
}

// groupsOf makes groups whose texts begin alike.
func groupsOf(rng *rand.Rand, groups, context, vocabulary int) [][]Text {
	ids := func(n int) []int32 {
		some := make([]int32, n)
		for i := range some {
			some[i] = int32(rng.IntN(vocabulary))
		}
		return some
	}
	var all [][]Text
	for range groups {
		prompt := ids(2 + rng.IntN(8))
		var group []Text
		for range 2 {
			t := Text{IDs: append(append([]int32(nil), prompt...), ids(1+rng.IntN(min(12, context-10)))...)}
			t.From = 1 + rng.IntN(len(prompt))
			t.States = []int{len(t.IDs) - 1, rng.IntN(len(t.IDs))}
			group = append(group, t)
		}
		all = append(all, group)
	}
	return all
}

// loss weighs every number differently; with it come its derivatives.
func loss(outputs [][]Outputs) (sum float64, derivatives [][]Outputs) {
	i := 0.0
	weight := func() float64 { i++; return math.Sin(i) }
	for _, group := range outputs {
		var of []Outputs
		for _, o := range group {
			var d Outputs
			for _, x := range o.LogProbs {
				w := weight()
				sum += w * x
				d.LogProbs = append(d.LogProbs, w)
			}
			for _, state := range o.States {
				var ds []float64
				for _, x := range state {
					w := weight()
					sum += w * x
					ds = append(ds, w)
				}
				d.States = append(d.States, ds)
			}
			of = append(of, d)
		}
		derivatives = append(derivatives, of)
	}
	return sum, derivatives
}

// inParts are the checkpoints and adapters of which a pass is several parts: with what is given to
// blocks and lent by them, with positions, with dropout.
var inParts = []string{"gemma4_text-shared", "gpt2-plain", "llama-alllinear"}

// holdGradients compares, in float64, gradients with central differences: of every parameter
// the element with the largest gradient, and of some another one.
func holdGradients(t *testing.T, m *Model, name string) {
	t.Helper()
	m.wide = true
	n := 3
	if slices.Contains(inParts, name) {
		m.partTokens, n = 1, 5 // a part of each row, more groups than a row has room for
	}
	t.Cleanup(m.Close)
	rng := rand.New(rand.NewPCG(7, 11))
	groups := groupsOf(rng, n, m.arch.Context, m.arch.V)
	compute := func(backward bool) float64 {
		m.Skip(3) // the same dropout
		p, err := m.Forward(t.Context(), groups)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if n > 3 && len(p.parts) < 2 {
			t.Fatalf("%d part, wanted several", len(p.parts))
		}
		sum, derivatives := loss(p.Outputs)
		if backward {
			back := func() (all []float32) {
				for _, p := range m.Params() {
					clear(p.Grad)
				}
				if err := p.Backward(t.Context(), derivatives); err != nil {
					t.Fatal(err)
				}
				for _, p := range m.Params() {
					all = append(all, p.Grad...)
				}
				return all
			}
			if !slices.Equal(back(), back()) {
				t.Error("other gradients of the same pass the second time")
			}
		}
		return sum
	}
	compute(true)
	nonzero := 0
	for _, p := range m.Params() {
		largest := 0
		for i, g := range p.Grad {
			if math.Abs(float64(g)) > math.Abs(float64(p.Grad[largest])) {
				largest = i
			}
		}
		elements := []int{largest}
		if len(p.Shape) == 1 || p.Name == m.arch.Embed.Table.Name {
			elements = append(elements, rng.IntN(len(p.Value)))
		}
		for _, at := range elements {
			x := p.Value[at]
			const step = 1.0 / (1 << 17)
			p.Value[at] = x + step
			above := p.Value[at]
			m.Update()
			high := compute(false)
			p.Value[at] = x - step
			below := p.Value[at]
			m.Update()
			low := compute(false)
			p.Value[at] = x
			got, want := float64(p.Grad[at]), (high-low)/(float64(above)-float64(below))
			if got != 0 {
				nonzero++
			}
			if !(math.Abs(got-want) <= 2e-5*max(1, math.Abs(want))) {
				t.Errorf("%s %v, element %d: gradient %g, central difference %g", p.Name, p.Shape, at, got, want)
			}
		}
	}
	if nonzero < len(m.Params()) {
		t.Errorf("%d of %d gradients are not 0, wanted one of each parameter or more", nonzero, len(m.Params()))
	}
}

// some are every sixth of names in -short runs, which the race detector slows down: it finds the
// same in all.
func some(names []string) (few []string) {
	for i, name := range names {
		if !testing.Short() || i%6 == 0 {
			few = append(few, name)
		}
	}
	return few
}

// TestFull: all weights of every family, embeddings, positions and tied matrices among them.
func TestFull(t *testing.T) {
	for _, family := range some(families) {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			m, w := open(t, testdata+"families/"+family)
			g, err := Full(goBackend(t), m, w, Options{})
			if err != nil {
				t.Fatal(err)
			}
			holdGradients(t, g, family)
		})
	}
}

// TestFullRefused: all weights of a model with mixtures of experts are not trained.
func TestFullRefused(t *testing.T) {
	for _, name := range []string{"granitemoe-factors", "gemma4_text-moe"} {
		m, w := open(t, testdata+"families/"+name)
		_, err := Full(goBackend(t), m, w, Options{})
		if want := "gradient: " + m.Type + ": training all weights of a model with mixtures of experts is not supported, wanted an adapter"; err == nil || err.Error() != want {
			t.Errorf("error %v, wanted %s", err, want)
		}
	}
}

// baseOf is the checkpoint that an adapter was made for.
func baseOf(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(testdata + "adapters/" + name + "/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Base string }
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return testdata + g.Base
}

// TestAdapter: the side paths of every family, with and without dropout.
func TestAdapter(t *testing.T) {
	for _, name := range some(adapters) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			family, _, _ := strings.Cut(name, "-")
			base := baseOf(t, name)
			if !strings.HasPrefix(filepath.Base(base), family) {
				t.Fatal(base)
			}
			m, w := open(t, base)
			a, err := adapter.Open(testdata + "adapters/" + name)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			applied, err := a.Apply(t.Context(), m, w)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { applied.Weights.Close() })
			backend := goBackend(t)
			e, err := engine.New(t.Context(), backend, m, w, engine.Options{DType: dtypes.Float32})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Close)
			e, err = e.Adapted(t.Context(), applied.Model, applied.Weights, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Close)
			for _, dropout := range []float64{0, 0.3} {
				if dropout > 0 && !strings.HasPrefix(name, "llama") {
					continue // it is the same in all families
				}
				g, err := Adapter(backend, e, applied.Model, applied.Weights, Options{Dropout: dropout, Seed: 5})
				if err != nil {
					t.Fatal(err)
				}
				holdGradients(t, g, name)
				if dropout > 0 {
					plain, err := Adapter(backend, e, applied.Model, applied.Weights, Options{Seed: 5})
					if err != nil {
						t.Fatal(err)
					}
					plain.wide, plain.partTokens = g.wide, g.partTokens
					holdEvaluate(t, g, plain)
				}
			}
		})
	}
}

// holdEvaluate holds an evaluation by a model with dropout to a pass of one without, and sees
// that it is not counted, and that a pass is none.
func holdEvaluate(t *testing.T, g, plain *Model) {
	t.Helper()
	groups := [][]Text{{{IDs: []int32{1, 2, 3, 4}, From: 2, States: []int{3}}, {IDs: []int32{1, 2, 5}, From: 2}}}
	g.Update() // values that holdGradients has put back
	before := g.Passes()
	outputs := map[string]string{}
	for name, compute := range map[string]func(context.Context, [][]Text) (*Pass, error){"plain": plain.Forward, "evaluate": g.Evaluate, "dropout": g.Forward} {
		p, err := compute(t.Context(), groups)
		if err != nil {
			t.Fatal(err)
		}
		outputs[name] = fmt.Sprint(p.Outputs)
		p.Close()
	}
	if outputs["evaluate"] != outputs["plain"] || outputs["evaluate"] == outputs["dropout"] {
		t.Errorf("an evaluation gives %s, wanted %s and not %s", outputs["evaluate"], outputs["plain"], outputs["dropout"])
	}
	if n := g.Passes() - before; n != 1 {
		t.Errorf("%d passes, wanted 1: an evaluation does not count", n)
	}
}
