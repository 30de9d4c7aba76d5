package adapter

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

const testdata = "../../logprob/testdata/"

// model reads a reference checkpoint: llama-mha has two blocks of width 32.
func model(t testing.TB, name string) (*arch.Model, *checkpoint.Weights) {
	t.Helper()
	dir := testdata + "families/" + name
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	keys, err := checkpoint.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := arch.New(keys, func(name string) bool { _, ok := w.Get(name); return ok })
	if err != nil {
		t.Fatal(err)
	}
	return m, w
}

// parts of an adapter: what a test changes of one.
type contents struct {
	config  map[string]json.RawMessage
	tensors map[string]checkpoint.Tensor
}

// read reads an adapter of the testdata.
func read(t testing.TB, name string) *contents {
	t.Helper()
	dir := testdata + "adapters/" + name
	b, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatal(err)
	}
	c := &contents{tensors: map[string]checkpoint.Tensor{}}
	if err := json.Unmarshal(b, &c.config); err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.OpenFile(filepath.Join(dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		tensor.Data = slices.Clone(tensor.Data)
		c.tensors[name] = tensor
	}
	return c
}

func (c *contents) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(c.config)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, configFile), b, 0o666)
	}
	var f *os.File
	if err == nil {
		f, err = os.Create(filepath.Join(dir, weightsFile))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []checkpoint.Tensor
	for name, tensor := range c.tensors {
		tensor.Name = name
		all = append(all, tensor)
	}
	if err := checkpoint.Write(f, all, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// apply opens a folder and applies it to a model.
func apply(t testing.TB, dir string, m *arch.Model, w *checkpoint.Weights) (*Applied, error) {
	a, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	out, err := a.Apply(t.Context(), m, w)
	if err == nil {
		t.Cleanup(func() { out.Weights.Close() })
	}
	return out, err
}

// TestHostile: an adapter whose tensors are not what its config says, or that name something
// else, is refused, and the error names what is wrong.
func TestHostile(t *testing.T) {
	const q0 = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
	floats := func(n int, x float32) []byte {
		var b []byte
		for range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	tensor := func(x float32, shape ...int) checkpoint.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return checkpoint.Tensor{DType: dtypes.Float32, Shape: shape, Data: floats(n, x)}
	}
	for _, c := range []struct {
		name, want string
		change     func(c *contents)
	}{
		{"NaN", "NaN", func(c *contents) { c.tensors[q0+"A.weight"] = tensor(float32(math.NaN()), 3, 32) }},
		{"infinity", "Inf", func(c *contents) { c.tensors[q0+"B.weight"] = tensor(float32(math.Inf(1)), 32, 3) }},
		{"transposed", "has shape [32 3], wanted [3 32]", func(c *contents) { c.tensors[q0+"A.weight"] = tensor(1, 32, 3) }},
		{"another rank", "has shape [4 32], wanted [3 32]", func(c *contents) { c.tensors[q0+"A.weight"] = tensor(1, 4, 32) }},
		{"no B", "has no " + q0 + "B.weight", func(c *contents) { delete(c.tensors, q0+"B.weight") }},
		{"no A", "has no " + q0 + "A.weight", func(c *contents) { delete(c.tensors, q0+"A.weight") }},
		{"a module without tensors", "says that model.layers.0.self_attn.q_proj is adapted", func(c *contents) {
			delete(c.tensors, q0+"A.weight")
			delete(c.tensors, q0+"B.weight")
		}},
		{"a module that is not said", "does not say that model.layers.0.self_attn.q_proj is adapted", func(c *contents) { c.config["target_modules"] = json.RawMessage(`["v_proj"]`) }},
		{"a module that the model lacks", "no linear layer model.layers.2.self_attn.q_proj", func(c *contents) {
			c.tensors["base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight"] = tensor(1, 3, 32)
		}},
		{"an integer type", "I32", func(c *contents) {
			c.tensors[q0+"A.weight"] = checkpoint.Tensor{DType: dtypes.Int32, Shape: []int{3, 32}, Data: floats(96, 0)}
		}},
		{"a huge rank", "rank 1000000", func(c *contents) { c.config["r"] = json.RawMessage("1000000") }},
		{"an infinite scale", "float64 can hold", func(c *contents) { c.config["lora_alpha"] = json.RawMessage("1e309") }},
		{"a name of nothing", "wanted names that begin with base_model.model.", func(c *contents) { c.tensors["../../etc/passwd"] = tensor(1, 1) }},
		{"an escaping path", "is not used", func(c *contents) { c.tensors["base_model.model.../../x"] = tensor(1, 1) }},
		{"the prefix alone", "wanted names", func(c *contents) { c.tensors["base_model.model."] = tensor(1, 1) }},
		{"a bare side", "is not used", func(c *contents) { c.tensors["base_model.model..lora_A.weight"] = tensor(1, 3, 32) }},
		{"a side of a norm", "which is no linear layer", func(c *contents) { c.tensors["base_model.model.model.norm.lora_A.weight"] = tensor(1, 3, 32) }},
		{"a norm that is not listed", "does not list", func(c *contents) { c.tensors["base_model.model.model.norm.weight"] = tensor(2, 32) }},
		{"a weight that is not listed", "does not list", func(c *contents) {
			c.tensors["base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight"] = tensor(2, 32, 32)
		}},
		{"a grown vocabulary", "the vocabulary was grown", func(c *contents) { c.tensors["base_model.model.model.embed_tokens.weight"] = tensor(2, 102, 32) }},
		{"LoRA on the embedding", "LoRA on an embedding", func(c *contents) {
			c.tensors["base_model.model.model.embed_tokens.lora_embedding_A"] = tensor(2, 3, 101)
		}},
		{"a magnitude", "use_dora=false", func(c *contents) { c.tensors[q0+"magnitude_vector"] = tensor(1, 32) }},
		{"no magnitude", "lora_magnitude_vector", func(c *contents) { c.config["use_dora"] = json.RawMessage("true") }},
		{"a bias", "lora_bias=false", func(c *contents) { c.tensors[q0+"B.bias"] = tensor(1, 32) }},
		{"a copy that is promised", "has no base_model.model.model.norm.weight", func(c *contents) { c.config["modules_to_save"] = json.RawMessage(`["model.norm"]`) }},
		{"a copy of another shape", "has shape [31], wanted [32]", func(c *contents) {
			c.config["modules_to_save"] = json.RawMessage(`["model.norm"]`)
			c.tensors["base_model.model.model.norm.weight"] = tensor(1, 31)
		}},
		{"a classifier's head", "a classifier's head", func(c *contents) { c.tensors["base_model.model.score.weight"] = tensor(1, 1, 32) }},
	} {
		m, w := model(t, "llama-mha")
		adapter := read(t, "llama-plain")
		c.change(adapter)
		if _, err := apply(t, adapter.write(t), m, w); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, wanted one with %q", c.name, err, c.want)
		}
	}
}

// TestZeroNorm: a row of W + s B A that is zero has no ratio.
func TestZeroNorm(t *testing.T) {
	m, w := model(t, "llama-mha")
	c := read(t, "llama-dora")
	const name = "model.layers.0.self_attn.q_proj"
	zero := checkpoint.Tensor{Name: name + ".weight", DType: dtypes.Float32, Shape: []int{32, 32}, Data: make([]byte, 4*32*32)}
	b := c.tensors[prefix+name+".lora_B.weight"]
	clear(b.Data)
	v := w.With([]checkpoint.Tensor{zero})
	defer v.Close()
	if _, err := apply(t, c.write(t), m, v); err == nil || !strings.Contains(err.Error(), "whose norm is 0") {
		t.Errorf("%v", err)
	}
}

// TestHash: an adapter's hash changes with a number of a tensor and with its scale, and not with
// where it was trained.
func TestHash(t *testing.T) {
	m, w := model(t, "llama-mha")
	hash := func(change func(c *contents)) string {
		c := read(t, "llama-plain")
		change(c)
		a, err := apply(t, c.write(t), m, w)
		if err != nil {
			t.Fatal(err)
		}
		return a.Hash
	}
	plain := hash(func(*contents) {})
	if same := hash(func(c *contents) {
		c.config["base_model_name_or_path"], c.config["lora_dropout"] = json.RawMessage(`"elsewhere"`), json.RawMessage("0.5")
		c.config["target_modules"] = json.RawMessage(`".*\\.(q|v)_proj"`)
	}); same != plain {
		t.Error("the hash depends on where the adapter is from")
	}
	for name, change := range map[string]func(c *contents){
		"alpha": func(c *contents) { c.config["lora_alpha"] = json.RawMessage("8") },
		"B": func(c *contents) {
			c.tensors[prefix+"model.layers.1.self_attn.v_proj.lora_B.weight"].Data[0]++
		},
	} {
		if hash(change) == plain {
			t.Errorf("%s is not in the hash", name)
		}
	}
}

// FuzzNames: no name of a tensor makes Apply panic, and none that is added to a good adapter is
// taken for nothing.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "base_model.model.lm_head.weight", "base_model.model.model.norm.bias",
		"base_model.model.x.original_module.weight", "base_model.model..bias", "base_model.model..", ".lora_A.weight", "base_model.model.model.embed_tokens.base_layer.weight",
	} {
		f.Add(name, 32)
	}
	m, w := model(f, "llama-mha")
	f.Fuzz(func(t *testing.T, name string, n int) {
		c := read(t, "llama-plain")
		if _, ok := c.tensors[name]; ok || n < 0 || n > 1000 || name == "__metadata__" || !json.Valid([]byte(`"`+strings.NewReplacer("\\", "", `"`, "").Replace(name)+`"`)) {
			return
		}
		c.tensors[name] = checkpoint.Tensor{DType: dtypes.Float32, Shape: []int{n}, Data: make([]byte, 4*n)}
		if _, err := apply(t, c.write(t), m, w); err == nil && !strings.Contains(name, ".original_module.") {
			t.Errorf("%q is taken for nothing", name)
		}
	})
}

// TestEncode: a number is rounded once, to the nearest, ties to even, also where rounding to
// float32 first would make a tie of it.
func TestEncode(t *testing.T) {
	for _, c := range []struct {
		x     float64
		dtype dtypes.DType
		want  uint16
		ok    bool
	}{
		{1, dtypes.BFloat16, 0x3f80, true},
		{1 + 0x1p-8, dtypes.BFloat16, 0x3f80, true},            // a tie, to even
		{1 + 0x1p-8 + 0x1p-40, dtypes.BFloat16, 0x3f81, true},  // above it: float32 alone would see a tie
		{1 + 0x3p-8 - 0x1p-40, dtypes.BFloat16, 0x3f81, true},  // below the next
		{-1 - 0x1p-8 - 0x1p-40, dtypes.BFloat16, 0xbf81, true}, // and so below zero
		{1e39, dtypes.BFloat16, 0, false},
		{3.4e38, dtypes.BFloat16, 0, false}, // above the largest bfloat16 by half a step
		{1, dtypes.Float16, 0x3c00, true},
		{1 + 0x1p-11, dtypes.Float16, 0x3c00, true},
		{1 + 0x1p-11 + 0x1p-40, dtypes.Float16, 0x3c01, true},
		{0x1p-24, dtypes.Float16, 1, true}, // the smallest
		{0x1p-25, dtypes.Float16, 0, true}, // a tie with zero
		{0x1p-25 + 0x1p-60, dtypes.Float16, 1, true},
		{0x3p-25, dtypes.Float16, 2, true},
		{1023.5 * 0x1p-24, dtypes.Float16, 0x400, true}, // from the subnormals to the least normal
		{65519.99, dtypes.Float16, 0x7bff, true},
		{65520, dtypes.Float16, 0, false},
		{-1e-300, dtypes.Float16, 0x8000, true},
	} {
		var b [4]byte
		ok := encode(b[:], c.x, c.dtype)
		if got := binary.LittleEndian.Uint16(b[:]); ok != c.ok || ok && got != c.want {
			t.Errorf("%g as %v: %#x, %v, wanted %#x, %v", c.x, c.dtype, got, ok, c.want, c.ok)
		}
	}
}
