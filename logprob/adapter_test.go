package logprob_test

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// adapterCase is a folder of testdata/adapters, made by adapters.py.
type adapterCase struct {
	dir, base string
	refused   string // what the error contains; "" for an adapter that is computed
}

func adapterCases(t *testing.T) []adapterCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapters/*/golden.json")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d adapters (%v), wanted more than 50", len(paths), err)
	}
	var all []adapterCase
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var g struct{ Base, Refused string }
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatal(path, err)
		}
		all = append(all, adapterCase{filepath.Dir(path), filepath.Join("testdata", g.Base), g.Refused})
	}
	return all
}

// TestAdapters holds adapters of every kind to peft in float32, and the base model beside them
// to the bits it has alone. What is not computed is refused by name.
func TestAdapters(t *testing.T) {
	backend := pureGo(t)
	for i, c := range adapterCases(t) {
		if testing.Short() && i%4 != 0 {
			continue
		}
		t.Run(filepath.Base(c.dir), func(t *testing.T) {
			t.Parallel()
			base := load(t, c.base, backend, dtypes.Float32)
			alone := allBits(t, base, readGolden(t, c.base))
			m, err := base.WithAdapter(t.Context(), c.dir, nil)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, wanted one that names %s", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if largest, _ := worst(t, m, readGolden(t, c.dir)); !(largest <= 2e-5) {
				t.Errorf("differs by up to %.2g nats from peft, wanted at most 2e-5", largest)
			}
			if beside := allBits(t, base, readGolden(t, c.base)); beside != alone {
				t.Error("the base model's bits differ beside its adapter")
			}
			if err := base.Close(); err != nil { // either first
				t.Fatal(err)
			}
			if largest, _ := worst(t, m, readGolden(t, c.dir)); !(largest <= 2e-5) {
				t.Errorf("differs by up to %.2g nats from peft once the base model is closed", largest)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestAdaptersElsewhere holds what the other backends compute to peft too, one adapter of each
// kind of side path, two of them on one base model at a time, whose bits stay its own; and in
// bfloat16 within what that costs the base models.
func TestAdaptersElsewhere(t *testing.T) {
	for _, backend := range backends(t)[1:] {
		for _, names := range [][2]string{{"llama-lora-head", "llama-embed"}, {"llama-lorabias", "llama-dora-bias"}, {"gpt2-conv1d", "gpt2-dora"},
			{"phi3-fused", ""}, {"llama-bf16", ""}} {
			t.Run(logprob.BackendName(backend)+"/"+names[0], func(t *testing.T) {
				t.Parallel() // most of it is XLA compiling
				var models []*logprob.Model
				var dirs []string
				var bits string // of the base
				var alone golden
				for i, name := range names {
					if name == "" {
						continue
					}
					dir := filepath.Join("testdata/adapters", name)
					var g struct{ Base string }
					b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
					if err == nil {
						err = json.Unmarshal(b, &g)
					}
					if err != nil {
						t.Fatal(err)
					}
					if i == 0 {
						base := filepath.Join("testdata", g.Base)
						models, alone = append(models, load(t, base, backend, dtypes.Float32)), readGolden(t, base)
						bits = allBits(t, models[0], alone)
					}
					m, err := models[0].WithAdapter(t.Context(), dir, nil)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { m.Close() })
					models, dirs = append(models, m), append(dirs, dir)
				}
				for i, dir := range dirs {
					if largest, _ := worst(t, models[i+1], readGolden(t, dir)); !(largest <= 2e-5) {
						t.Errorf("%s differs by up to %.2g nats from peft, wanted at most 2e-5", dir, largest)
					}
				}
				if allBits(t, models[0], alone) != bits {
					t.Error("the base model's bits differ beside its adapters")
				}
				if names[0] != "llama-bf16" {
					return
				}
				half := load(t, "testdata/families/llama-bf16", backend, dtypes.BFloat16)
				m, err := half.WithAdapter(t.Context(), dirs[0], nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { m.Close() })
				if largest, mean := worst(t, m, readGolden(t, dirs[0])); !(largest <= 0.1 && mean <= 0.01) { // as TestFamilies
					t.Errorf("bf16 differs by up to %.2g nats, %.2g in the mean; wanted at most 0.1 and 0.01", largest, mean)
				}
			})
		}
	}
}

// allBits are a model's log-probabilities of golden texts, exactly.
func allBits(t *testing.T, m *logprob.Model, g golden) string {
	t.Helper()
	var all []float32
	for _, text := range g.Texts {
		for r, err := range m.Run(t.Context(), func(yield func(logprob.Request) bool) {
			yield(logprob.Request{IDs: text.IDs, From: 1, Distribution: true})
		}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(append(all, r.LogProbs...), r.Distribution...)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAdapterStreams: a model larger than its memory gives the bits it has in memory with an
// adapter too, and so does one that shares nothing.
func TestAdapterStreams(t *testing.T) {
	const base, dir = "testdata/families/llama-sharded", "testdata/adapters/llama-layers"
	g := readGolden(t, dir)
	o := &logprob.Options{Backend: pureGo(t), DType: dtypes.Float32, Adapter: dir}
	whole, err := logprob.Load(t.Context(), base, o)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	want := allBits(t, whole, g)
	for least := int64(1); ; {
		o.MemoryLimit = least
		m, err := logprob.Load(t.Context(), base, o)
		if err != nil {
			if least *= 2; least > 1<<40 {
				t.Fatal(err)
			}
			continue
		}
		defer m.Close()
		if allBits(t, m, g) != want {
			t.Errorf("other bits in a memory of %d bytes", least)
		}
		break
	}
}

// TestAdapterSeries: several adapters on one base model each have their own numbers, whichever
// computes, and are closed in any order; what is stored of one is not taken for another's.
func TestAdapterSeries(t *testing.T) {
	const base = "testdata/families/llama-mha"
	names := []string{"llama-plain", "llama-step-2", "llama-dora"}
	on := load(t, base, pureGo(t), dtypes.Float32)
	store := &shelf{values: map[[sha256.Size]byte][]byte{}}
	hashes := map[string]bool{}
	var models []*logprob.Model
	for _, name := range append(names, names[0]) {
		m, err := on.WithAdapter(t.Context(), "testdata/adapters/"+name, &logprob.Options{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models = append(models, m)
		meta, err := m.Meta(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plain, err := on.Meta(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if meta.Adapter != "testdata/adapters/"+name || meta.Model != base+"+"+meta.Adapter || meta.BaseHash != plain.WeightsHash || meta.WeightsHash == plain.WeightsHash || meta.AdapterHash == "" {
			t.Errorf("%s: %+v", name, meta)
		}
		hashes[meta.WeightsHash] = true
	}
	if len(hashes) != len(names) {
		t.Errorf("%d hashes of %d adapters, one of them twice", len(hashes), len(names))
	}
	for range 2 { // the second time from the store
		for i, m := range models {
			if largest, _ := worst(t, m, readGolden(t, "testdata/adapters/"+append(names, names[0])[i])); !(largest <= 2e-5) {
				t.Errorf("%s differs by up to %.2g nats", names[i%len(names)], largest)
			}
		}
	}
	if _, err := models[0].WithAdapter(t.Context(), "testdata/adapters/llama-dora", nil); err == nil {
		t.Error("an adapter on an adapter: no error")
	}
	for _, i := range []int{1, 3, 0} {
		if err := models[i].Close(); err != nil {
			t.Error(err)
		}
	}
	on.Close()
	if largest, _ := worst(t, models[2], readGolden(t, "testdata/adapters/llama-dora")); !(largest <= 2e-5) {
		t.Errorf("the last of them differs by up to %.2g nats", largest)
	}
}

// TestSplitAdapter: which plus sign of a name divides it.
func TestSplitAdapter(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"base", "a+b", "base+a", "c++", "x"} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][2]string{
		"base":            {"base", ""},
		"base+x":          {"base", "x"},
		"base+a":          {"base+a", ""}, // a folder of that name
		"base+a+x":        {"base+a", "x"},
		"base+a+b":        {"base", "a+b"},
		"c+++x":           {"c++", "x"},
		"org/m+org/a":     {"org/m", "org/a"},
		"org/m@v1+org/a":  {"org/m@v1", "org/a"},
		"org/m@v1+2+x":    {"org/m@v1+2", "x"},
		"./base+./x":      {"./base", "./x"},
		"none+":           {"none+", ""},
		"+none":           {"+none", ""},
		"org/a+org/b@v+1": {"org/a", "org/b@v+1"},
	} {
		if base, adapter := logprob.SplitAdapter(name); base != want[0] || adapter != want[1] {
			t.Errorf("%s: %q and %q, wanted %q", name, base, adapter, want)
		}
	}
}

// TestAdapterBF16: on a base model in bfloat16 the side path is computed in float32, and what
// differs from peft's float32 is what the base's rounding costs.
func TestAdapterBF16(t *testing.T) {
	const base, dir = "testdata/families/llama-bf16", "testdata/adapters/llama-bf16"
	m := load(t, base, pureGo(t), 0)
	a, err := m.WithAdapter(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if largest, mean := worst(t, a, readGolden(t, dir)); !(largest <= 2e-5) { // pure Go multiplies by bfloat16 in float32
		t.Errorf("differs by up to %.2g nats, %.2g in the mean", largest, mean)
	}
	if _, err := m.WithAdapter(t.Context(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "no adapter_config.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestAdapterCertified: the definition of a model with an adapter in float64 agrees with what the
// engine computes.
func TestAdapterCertified(t *testing.T) {
	for _, name := range []string{"llama-dora-bias", "gpt2-dora", "llama-lora-head"} {
		for _, c := range adapterCases(t) {
			if filepath.Base(c.dir) != name {
				continue
			}
			m, err := logprob.Load(t.Context(), c.base, &logprob.Options{Backend: pureGo(t), DType: dtypes.Float32, Adapter: c.dir})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if got, err := m.Certify(t.Context(), nil); err != nil || !got.Holds || got.Found.Largest > 2e-5 {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}

// TestAdapterTokenizer: the adapter's tokenizer and chat template are used if they are of the
// base model's tokens; another tokenizer is an error, and an adapter without one reads by the
// base model's.
func TestAdapterTokenizer(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	base, dir := t.TempDir(), t.TempDir()
	link := func(from, to string, names ...string) {
		for _, name := range names {
			b, err := os.ReadFile(filepath.Join(from, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(to, name), b, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	demoBase, _, err := demo.Pairs()[0].Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link(demoBase, base, "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
	m := load(t, base, pureGo(t), dtypes.Float32)
	writeAdapter(t, m, dir)
	with := func() (*logprob.Model, error) {
		a, err := m.WithAdapter(t.Context(), dir, nil)
		if err == nil {
			t.Cleanup(func() { a.Close() })
		}
		return a, err
	}
	a, err := with()
	if err != nil {
		t.Fatal(err)
	}
	if a.Tokenizer().Template() != m.Tokenizer().Template() {
		t.Error("without a tokenizer of its own the adapter has another template")
	}
	link(base, dir, "tokenizer.json", "tokenizer_config.json")
	const template = "{{ messages[0].content }}"
	if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(template), 0o666); err != nil {
		t.Fatal(err)
	}
	if a, err = with(); err != nil {
		t.Fatal(err)
	}
	plain, err := m.Meta(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	meta, err := a.Meta(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a.Tokenizer().Template() != template || meta.Template == "" || meta.TokenizerHash != plain.TokenizerHash || len(a.Warnings()) <= len(m.Warnings()) {
		t.Errorf("template %q, %+v, %v, wanted the adapter's template, told and recorded", a.Tokenizer().Template(), meta, a.Warnings())
	}
	b, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(strings.Replace(string(b), `"pre_tokenizer"`, `"pre_tokenizer":null,"x"`, 1)), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := with(); err == nil || !strings.Contains(err.Error(), "the adapter's tokenizer is not the base model's") {
		t.Errorf("another tokenizer: %v", err)
	}
}

// writeAdapter writes an adapter of rank 1 for q_proj of a model's first block.
func writeAdapter(t *testing.T, m *logprob.Model, dir string) {
	t.Helper()
	shape, _, err := m.Tensor("model.layers.0.self_attn.q_proj.weight")
	if err != nil {
		t.Fatal(err)
	}
	const name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
	f, err := os.Create(filepath.Join(dir, "adapter_model.safetensors"))
	if err == nil {
		err = checkpoint.Write(f, []checkpoint.Tensor{
			{Name: name + "A.weight", DType: dtypes.Float32, Shape: []int{1, shape[1]}, Data: make([]byte, 4*shape[1])},
			{Name: name + "B.weight", DType: dtypes.Float32, Shape: []int{shape[0], 1}, Data: make([]byte, 4*shape[0])},
		}, nil)
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["layers.0.self_attn.q_proj"]}`), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
