package rewardmodel

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// altered writes a golden checkpoint with other tensors and keys of config.json.
func altered(t *testing.T, from string, config []string, change func([]checkpoint.Tensor) []checkpoint.Tensor) string {
	t.Helper()
	w, err := checkpoint.OpenWeights(from)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all []checkpoint.Tensor
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		tensor.Data = slices.Clone(tensor.Data)
		all = append(all, tensor)
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := checkpoint.Write(f, change(all), nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), []byte(strings.NewReplacer(config...).Replace(string(b))), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestHostile: a checkpoint that cannot be is an error that names what is wrong, and its
// config.json is read as strictly as a language model's.
func TestHostile(t *testing.T) {
	same := func(all []checkpoint.Tensor) []checkpoint.Tensor { return all }
	head := func(change func(*checkpoint.Tensor)) func([]checkpoint.Tensor) []checkpoint.Tensor {
		return func(all []checkpoint.Tensor) []checkpoint.Tensor {
			for i := range all {
				if all[i].Name == "score.weight" {
					change(&all[i])
				}
			}
			return all
		}
	}
	first := func(v float64) func(*checkpoint.Tensor) {
		return func(t *checkpoint.Tensor) { binary.LittleEndian.PutUint32(t.Data, math.Float32bits(float32(v))) }
	}
	const quote = `"architectures"`
	for name, c := range map[string]struct {
		config []string
		change func([]checkpoint.Tensor) []checkpoint.Tensor
		want   string
	}{
		"as it is":       {nil, same, ""},
		"NaN":            {nil, head(first(math.NaN())), "score.weight"},
		"infinity":       {nil, head(first(math.Inf(1))), "score.weight"},
		"integers":       {nil, head(func(t *checkpoint.Tensor) { t.DType = dtypes.Int32 }), "score.weight"},
		"another width":  {nil, head(func(t *checkpoint.Tensor) { t.Shape = []int{2, t.Shape[1] / 2} }), "tensor score.weight is [2 12], wanted [n 24]"},
		"a head of none": {nil, head(func(t *checkpoint.Tensor) { t.Name = "model.score.weight" }), "no head that is known"},
		"no embeddings": {nil, func(all []checkpoint.Tensor) []checkpoint.Tensor {
			return slices.DeleteFunc(all, func(t checkpoint.Tensor) bool { return strings.HasSuffix(t.Name, "embed_tokens.weight") })
		}, "embed_tokens.weight"},
		"another setting": {[]string{quote, `"no_such_setting": 1, ` + quote}, same, "no_such_setting=1"},
		"a key twice":     {[]string{quote, `"model_type": "llama", ` + quote}, same, "comes twice"},
		"quantised":       {[]string{quote, `"quantization_config": {"quant_method": "gptq"}, ` + quote}, same, "quant"},
		"a huge width":    {[]string{`"hidden_size": 24`, `"hidden_size": 1000000000`}, same, "hidden_size"},
		"a mean alone":    {[]string{quote, `"mean": 1.5, ` + quote}, same, "one of mean and std"},
	} {
		_, err := load(t, altered(t, "testdata/heads/linear-score", c.config, c.change), nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, wanted %q", name, err, c.want)
		}
	}
}
