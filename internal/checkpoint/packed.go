package checkpoint

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// packed are the elements of a quantised tensor.
type packed struct {
	// decode writes the elements from at on, which begin a row and are whole rows: the last
	// axis is never cut, unless it is the only one.
	decode func(dst []float32, at int)
	from   [][]byte     // the mapped data that decode reads
	in     dtypes.DType // the type that the format's reference computes in by default
}

// Computes is the type of products that a tensor is made for: its own, or of a quantised one
// that which its config names.
func (t Tensor) Computes() dtypes.DType {
	if t.packed != nil {
		return t.packed.in
	}
	return t.DType
}

// Quantised tells whether the elements are decoded when they are read.
func (t Tensor) Quantised() bool { return t.packed != nil }

// checkPacked is CheckFinite of a packed tensor, some rows at a time.
func (t Tensor) checkPacked() error {
	width := 1
	if len(t.Shape) > 1 {
		width = t.Shape[len(t.Shape)-1]
	}
	n := t.Elements()
	if n == 0 {
		return nil
	}
	buffer := make([]float32, min(n, max(1, (1<<16)/width)*width))
	for at := 0; at < n; at += len(buffer) {
		part := buffer[:min(len(buffer), n-at)]
		t.packed.decode(part, t.at+at)
		for i, v := range part {
			if v-v != 0 {
				return t.errorf("%v at %v, wanted finite weights", v, t.place(at+i))
			}
		}
	}
	return nil
}

// pack puts a quantised tensor in the place of its stored parts: weight, which gives it its
// name unless another is given, and others, which are no tensors of the model.
func (w *Weights) pack(weight Tensor, shape []int, p *packed, others ...string) {
	if w.stored == nil {
		w.stored = make(map[string]Tensor, len(w.tensors))
		for name, t := range w.tensors {
			w.stored[name] = t
		}
	}
	for _, name := range others {
		delete(w.tensors, name)
	}
	w.tensors[weight.Name] = Tensor{Name: weight.Name, DType: dtypes.Float32, Shape: shape, kind: weight.kind, file: weight.file, packed: p}
}

// Format says how the weights are quantised, such as "fp8 128x128"; "" for weights that are not.
func (w *Weights) Format() string { return w.format }

// Idle tells of a bias that is all 0 and that a quantiser adds to a linear layer of any model:
// without it a model computes the same.
func (w *Weights) Idle(name string) bool { return w.idle[name] }

// Doubts are what is known to differ from the computation that the format was made for.
func (w *Weights) Doubts() []error { return slices.Clone(w.doubts) }

// Open reads config.json and maps the weights, as [ReadConfig] and [OpenWeights] do, and
// decodes what the config's quantization_config says is quantised: the tensors are then those
// of the model before it was quantised, with the values that the format's reference gives
// them, and the key is gone. They are decoded when they are read, a few rows at a time; the
// files stay mapped as they are. A method that is not known is left to the reader of the
// config, which refuses the key.
//
// dir may be a file in llama.cpp's format, or a folder whose only weights are one: config is
// then made of its metadata, and the tensors have transformers' names.
func Open(dir string) (config map[string]json.RawMessage, w *Weights, err error) {
	if path, err := ggufFile(dir); path != "" || err != nil {
		if err != nil {
			return nil, nil, err
		}
		return ggufModel(path)
	}
	if config, err = ReadConfig(dir); err != nil {
		return nil, nil, err
	}
	if w, err = OpenWeights(dir); err != nil {
		return nil, nil, err
	}
	if err := w.unpack(dir, config); err != nil {
		w.Close()
		return nil, nil, err
	}
	w.names = sortedKeys(w.tensors)
	return config, w, nil
}

// QuantisationKey is the key of config.json that says how weights are quantised.
const QuantisationKey = "quantization_config"

// unpack decodes by the method that the config names.
func (w *Weights) unpack(dir string, config map[string]json.RawMessage) error {
	raw := config[QuantisationKey]
	if strictjson.Null(raw) {
		return nil
	}
	q := &settings{dir: dir}
	if err := json.Unmarshal(raw, &q.keys); err != nil {
		return nil // refused by the reader of the config
	}
	q.method, _ = q.text("quant_method")
	if _, four := q.keys["load_in_4bit"]; four && q.method == "" { // as transformers reads it
		q.method = "bitsandbytes"
	}
	m, ok := methods[q.method]
	if !ok {
		return nil
	}
	q.dtype = dtypeOf(config)
	if err := m.unpack(w, q); err != nil {
		return err
	}
	delete(config, QuantisationKey)
	return nil
}

// dtypeOf is the type that a config, or that of its text model, says its weights compute in;
// float32 where it names none or another.
func dtypeOf(config map[string]json.RawMessage) dtypes.DType {
	for _, key := range []string{"dtype", "torch_dtype"} {
		var name string
		if json.Unmarshal(config[key], &name) == nil && strings.TrimPrefix(name, "torch.") == "bfloat16" {
			return dtypes.BFloat16
		}
	}
	var text map[string]json.RawMessage
	if json.Unmarshal(config["text_config"], &text) == nil && text != nil {
		return dtypeOf(text)
	}
	return dtypes.Float32
}

// rounded returns the rounding of float32 numbers to a type.
func rounded(t dtypes.DType) func(float32) float32 {
	switch t {
	case dtypes.BFloat16:
		return func(x float32) float32 { return bfloat16.FromFloat32(x).Float32() }
	case dtypes.Float16:
		return func(x float32) float32 { return float16.FromFloat32(x).Float32() }
	}
	return func(x float32) float32 { return x }
}
