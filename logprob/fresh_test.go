package logprob_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// families are the tiny checkpoints of all families, under testdata/families, with -short kinds.
func families(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		return oneEach(t)
	}
	dirs, err := filepath.Glob("testdata/families/*")
	if err != nil || len(dirs) < 60 {
		t.Fatalf("%d checkpoints (%v), wanted more than 60", len(dirs), err)
	}
	return dirs
}

// params reads the tensors of a safetensors file as params.
func params(t *testing.T, file string) []*logprob.Param {
	t.Helper()
	w, err := checkpoint.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all []*logprob.Param
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		values := make([]float32, len(tensor.Data)/tensor.DType.Size())
		if err := tensor.Float32sInto(values); err != nil {
			t.Fatal(err)
		}
		all = append(all, &logprob.Param{Name: name, Shape: tensor.Shape, Value: values})
	}
	return all
}

// sameFiles fails unless two folders have the same files with the same bytes.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	read := func(dir string) map[string]string {
		all := map[string]string{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] = string(data)
		}
		return all
	}
	if !reflect.DeepEqual(read(a), read(b)) {
		t.Errorf("%s and %s differ", a, b)
	}
}

// TestNewAdapter: with a new adapter every family computes the bits that it does without; with
// other values of B, written and read again, it does not, and they are the values written.
func TestNewAdapter(t *testing.T) {
	backend := pureGo(t)
	for i, dir := range families(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			base := load(t, dir, backend, dtypes.Float32)
			g := upTo(readGolden(t, dir), base.MaxTokens())
			want := allBits(t, base, g)
			tmp := t.TempDir()
			out := filepath.Join(tmp, "deep", "adapter")
			o := &logprob.AdapterOptions{R: 3, Seed: 7, Base: "tiny"}
			if i%2 == 1 {
				o.Targets, o.RSLoRA = []string{"all-linear"}, true
			}
			for _, out := range []string{out, out + "-again"} {
				if err := logprob.NewAdapter(t.Context(), dir, out, o); err != nil {
					t.Fatal(err)
				}
			}
			sameFiles(t, out, out+"-again")
			bits := func(dir string) string {
				m, err := base.WithAdapter(t.Context(), dir, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				return allBits(t, m, g)
			}
			if bits(out) != want {
				t.Error("a new adapter changes the base model's bits")
			}
			all := params(t, filepath.Join(out, "adapter_model.safetensors"))
			var some []*logprob.Param
			r := rand.New(rand.NewPCG(1, 2))
			for _, p := range all {
				switch {
				case strings.HasSuffix(p.Name, ".lora_A.weight"):
					checkUniform(t, p)
				case strings.HasSuffix(p.Name, ".lora_B.weight"):
					for i := range p.Value {
						if p.Value[i] != 0 {
							t.Fatalf("%s is not zero", p.Name)
						}
						p.Value[i] = float32(r.NormFloat64())
					}
					some = append(some, p)
				default:
					t.Errorf("tensor %s", p.Name)
				}
			}
			if err := logprob.WriteAdapter(t.Context(), out, out+"-trained", some); err != nil {
				t.Fatal(err)
			}
			if bits(out+"-trained") == want {
				t.Error("other values of B change nothing")
			}
			if got := params(t, filepath.Join(out+"-trained", "adapter_model.safetensors")); !reflect.DeepEqual(got, all) {
				t.Error("other values than were written")
			}
			if err := logprob.WriteAdapter(t.Context(), out+"-trained", out+"-copy", nil); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, out+"-trained", out+"-copy")
			if left, _ := filepath.Glob(filepath.Join(tmp, "deep", "*.part")); len(left) > 0 {
				t.Errorf("%v left behind", left)
			}
		})
	}
}

// checkUniform holds A [r in] to U(-1/sqrt(in), 1/sqrt(in)): peft's kaiming_uniform(a=sqrt 5).
func checkUniform(t *testing.T, p *logprob.Param) {
	t.Helper()
	bound, sum, squares := 1/math.Sqrt(float64(p.Shape[1])), 0.0, 0.0
	for _, x := range p.Value {
		v := float64(x) / bound
		if math.Abs(v) > 1 {
			t.Fatalf("%s has %g, beyond %g", p.Name, x, bound)
		}
		sum, squares = sum+v, squares+v*v
	}
	n := float64(len(p.Value))
	// Six standard errors: those of a uniform variable's mean and mean square are
	// sqrt(1/3n) and sqrt(4/45n).
	if math.Abs(sum/n) > 6*math.Sqrt(1/(3*n)) || math.Abs(squares/n-1./3) > 6*math.Sqrt(4/(45*n)) {
		t.Errorf("%s has mean %g and mean square %g of its bound, wanted 0 and 1/3", p.Name, sum/n, squares/n)
	}
}

// TestNewAdapterTargets: what is adapted in which family, and what the config says of it.
func TestNewAdapterTargets(t *testing.T) {
	for _, c := range []struct {
		family  string
		targets []string
		config  string // a part of adapter_config.json
		tensors int    // A and B of each layer, of two blocks
	}{
		{"llama-mha", nil, `"target_modules": ["k_proj","o_proj","q_proj","v_proj"]`, 2 * 2 * 4},
		{"llama-mha", []string{"ALL-linear"}, `"target_modules": ["down_proj","gate_proj","k_proj","o_proj","q_proj","up_proj","v_proj"]`, 2 * 2 * 7},
		{"llama-mha", []string{"1.mlp.up_proj", "q_proj", "q_proj"}, `"target_modules": ["1.mlp.up_proj","q_proj"]`, 2 * 3},
		{"phi3-plain", nil, `"target_modules": ["o_proj","qkv_proj"]`, 2 * 2 * 2},
		{"gpt2-hub", nil, `"target_modules": ["attn.c_proj","c_attn"]`, 2 * 2 * 2},
		{"gpt2-plain", []string{"all-linear"}, `"target_modules": ["c_attn","c_fc","c_proj"]`, 2 * 2 * 4},
		{"gpt2-hub", nil, `"fan_in_fan_out": true`, 2 * 2 * 2},
		{"gpt_neox-parallel", nil, `"target_modules": ["dense","query_key_value"]`, 2 * 2 * 2},
		{"gpt_neox-parallel", nil, `"fan_in_fan_out": false`, 2 * 2 * 2},
		// The vision tower has q_proj too, which peft would adapt, and the file has nothing for it.
		{"gemma3-hub", []string{"q_proj"}, `"target_modules": "model\\.language_model\\.(.*\\.)?(q_proj)"`, 0},
	} {
		out := filepath.Join(t.TempDir(), "adapter")
		if err := logprob.NewAdapter(t.Context(), "testdata/families/"+c.family, out, &logprob.AdapterOptions{R: 2, Targets: c.targets}); err != nil {
			t.Errorf("%s %q: %v", c.family, c.targets, err)
			continue
		}
		config, err := os.ReadFile(filepath.Join(out, "adapter_config.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(config), c.config) {
			t.Errorf("%s %q: %s, wanted %s in it", c.family, c.targets, config, c.config)
		}
		if n := len(params(t, filepath.Join(out, "adapter_model.safetensors"))); n != c.tensors && c.tensors > 0 {
			t.Errorf("%s %q: %d tensors, wanted %d", c.family, c.targets, n, c.tensors)
		}
	}
}

// TestNewAdapterConfig holds adapter_config.json to its text.
func TestNewAdapterConfig(t *testing.T) {
	out := filepath.Join(t.TempDir(), "adapter")
	o := &logprob.AdapterOptions{R: 4, Dropout: 0.1, RSLoRA: true, Classifier: true, Base: "tiny/llama"}
	if err := logprob.NewAdapter(t.Context(), "testdata/families/llama-mha", out, o); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(out, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "auto_mapping": null,
  "base_model_name_or_path": "tiny/llama",
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "layers_pattern": null,
  "layers_to_transform": null,
  "lora_alpha": 8,
  "lora_dropout": 0.1,
  "modules_to_save": ["classifier","score"],
  "peft_type": "LORA",
  "r": 4,
  "revision": null,
  "target_modules": ["k_proj","o_proj","q_proj","v_proj"],
  "task_type": "SEQ_CLS",
  "use_rslora": true
}
`
	if string(got) != want {
		t.Errorf("%s, wanted %s", got, want)
	}
}

// TestNewAdapterSeed: a tensor is drawn by the seed and its name, whatever else is adapted.
func TestNewAdapterSeed(t *testing.T) {
	draw := func(seed uint64, targets ...string) map[string][]float32 {
		out := filepath.Join(t.TempDir(), "adapter")
		o := &logprob.AdapterOptions{R: 2, Seed: seed, Targets: targets, Classifier: true}
		if err := logprob.NewAdapter(t.Context(), "testdata/families/llama-mha", out, o); err != nil {
			t.Fatal(err)
		}
		all := map[string][]float32{}
		for _, p := range params(t, filepath.Join(out, "adapter_model.safetensors")) {
			all[p.Name] = p.Value
		}
		return all
	}
	a, b, other := draw(1, "q_proj"), draw(1, "q_proj", "v_proj"), draw(2, "q_proj")
	const a0, a1, score = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight", "base_model.model.score.weight"
	for _, name := range []string{a0, a1, score} {
		if a[name] == nil || !reflect.DeepEqual(a[name], b[name]) || reflect.DeepEqual(a[name], other[name]) {
			t.Errorf("%s: %v, %v, %v by another seed", name, a[name], b[name], other[name])
		}
	}
	if reflect.DeepEqual(a[a0], a[a1]) {
		t.Error("two layers begin with the same numbers")
	}
	sum := 0.0
	for _, x := range a[score] {
		sum += float64(x) * float64(x)
	}
	// The mean square of 32 draws from N(0, 0.02), within six standard errors: sqrt(2/n).
	if n := float64(len(a[score])); math.Abs(sum/n/(0.02*0.02)-1) > 6*math.Sqrt(2/n) {
		t.Errorf("the score row has a deviation of %g, wanted 0.02", math.Sqrt(sum/n))
	}
}

// TestAdaptersRefused: what cannot be written is refused by name, and leaves nothing behind.
func TestAdaptersRefused(t *testing.T) {
	const base, from = "testdata/families/llama-mha", "testdata/adapters/llama-plain"
	ctx := t.Context()
	there, gone := t.TempDir(), filepath.Join(t.TempDir(), "out")
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	fresh := func(base string, o logprob.AdapterOptions) error { return logprob.NewAdapter(ctx, base, gone, &o) }
	of := func(p ...*logprob.Param) error { return logprob.WriteAdapter(ctx, from, gone, p) }
	p := params(t, from+"/adapter_model.safetensors")[0]
	changed := func(change func(p *logprob.Param)) *logprob.Param {
		c := &logprob.Param{Name: p.Name, Shape: slices.Clone(p.Shape), Value: slices.Clone(p.Value)}
		change(c)
		return c
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{logprob.NewAdapter(ctx, base, there, nil), "exists, wanted a new folder"},
		{logprob.NewAdapter(canceled, base, gone, &logprob.AdapterOptions{R: 1}), "context canceled"},
		{fresh(base, logprob.AdapterOptions{R: -1}), "rank -1, wanted at least 1"},
		{fresh(base, logprob.AdapterOptions{R: 1000}), "rank 1000 of model.layers.0.self_attn.k_proj, a matrix of"},
		{fresh(base, logprob.AdapterOptions{R: 1, Alpha: -1}), "alpha -1"},
		{fresh(base, logprob.AdapterOptions{R: 1, Alpha: math.NaN()}), "alpha NaN"},
		{fresh(base, logprob.AdapterOptions{R: 1, Alpha: math.Inf(1)}), "alpha +Inf"},
		{fresh(base, logprob.AdapterOptions{R: 1, Dropout: 1}), "dropout 1"},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{""}}), "a target without a name"},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{"q_proj", "c_attn"}}), `target "c_attn": the model has no linear layer of that name in its blocks, wanted all-linear or some of mlp.down_proj, mlp.gate_proj, mlp.up_proj, self_attn.k_proj`},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{"lm_head"}}), `target "lm_head"`},
		{fresh("testdata/families/falcon_h1-norm", logprob.AdapterOptions{R: 1, Targets: []string{"out_proj"}}), `target "out_proj"`},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{"score"}, Classifier: true}), `target "score"`},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{"embed_tokens"}}), `target "embed_tokens"`},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{"input_layernorm"}}), `target "input_layernorm"`},
		{fresh(base, logprob.AdapterOptions{R: 1, Targets: []string{"proj"}}), `target "proj"`},
		{fresh(from, logprob.AdapterOptions{R: 1}), "an adapter, wanted a base model"},
		{fresh(there, logprob.AdapterOptions{R: 1}), "no config.json"},
		{logprob.WriteAdapter(ctx, from, there, nil), "exists, wanted a new folder"},
		{logprob.WriteAdapter(canceled, from, gone, nil), "context canceled"},
		{logprob.WriteAdapter(ctx, base, gone, nil), "no adapter_config.json"},
		{of(p, p), "twice"},
		{of(changed(func(p *logprob.Param) { p.Name = "q" })), "tensor q, which"},
		{of(changed(func(p *logprob.Param) { slices.Reverse(p.Shape) })), "has shape"},
		{of(changed(func(p *logprob.Param) { p.Value = p.Value[1:] })), "numbers, wanted"},
		{of(changed(func(p *logprob.Param) { p.Value[3] = float32(math.NaN()) })), "has NaN at 3, wanted finite numbers"},
		{of(changed(func(p *logprob.Param) { p.Value[0] = float32(math.Inf(-1)) })), "has -Inf at 0"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, wanted one with %s", c.err, c.want)
		}
	}
	for _, path := range []string{gone, gone + ".part"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is there after errors", path)
		}
	}
}
