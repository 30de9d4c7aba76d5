package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

// eight makes a tensor of 8-bit floats, all 1 (0x38) unless data says otherwise.
func eight(name string, shape ...int) Tensor {
	n := 1
	for _, size := range shape {
		n *= size
	}
	return Tensor{Name: name, DType: dtypes.F8E4M3FN, Shape: shape, Data: []byte(strings.Repeat("\x38", n))}
}

// TestE4M3 holds the table to the format's definition at its corners (Micikevicius and others,
// 2022, table 1): largest, smallest normal and subnormal numbers, zeros and NaN.
func TestE4M3(t *testing.T) {
	for b, want := range map[byte]float64{
		0x00: 0, 0x80: math.Copysign(0, -1), 0x01: 0x1p-9, 0x07: 0x1.cp-7, 0x08: 0x1p-6, 0x38: 1, 0xb8: -1, 0x7e: 448, 0xfe: -448,
	} {
		if got := float64(e4m3[b]); got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("%#02x is %g, wanted %g", b, got, want)
		}
	}
	for _, b := range []byte{0x7f, 0xff} {
		if got := e4m3[b]; got == got {
			t.Errorf("%#02x is %g, wanted NaN", b, got)
		}
	}
}

// TestFP8Ragged: a matrix that ends within a block takes the scales of the blocks by their
// size, as DeepSeek's weight_dequant does, also where a stack of matrices has them.
func TestFP8Ragged(t *testing.T) {
	const rows, width = 5, 7
	scales := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9} // of blocks of 2 x 3
	for _, test := range []struct{ weight, scale []int }{{[]int{rows, width}, []int{3, 3}}, {[]int{2, rows, width}, []int{2, 3, 3}}} {
		all := scales
		if len(test.weight) == 3 {
			all = append(append([]float32{}, scales...), 10, 20, 30, 40, 50, 60, 70, 80, 90)
		}
		w := eight("a.weight", test.weight...)
		dir := folder(t, map[string]string{
			"config.json":       `{"dtype":"bfloat16","quantization_config":{"quant_method":"fp8","weight_block_size":[2,3]}}`,
			"model.safetensors": encode(t, w, Float32("a.weight_scale_inv", all, test.scale...)),
		})
		config, opened, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		if _, ok := config[QuantisationKey]; ok {
			t.Error("the config still says how the weights were quantised")
		}
		got, _ := opened.Get("a.weight")
		values, err := got.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			row, col := i/width, i%width
			if want := all[row/rows*9+row%rows/2*3+col/3]; v != want {
				t.Fatalf("element %d of %v is %g, wanted %g", i, test.weight, v, want)
			}
		}
		if err := got.CheckFinite(); err != nil {
			t.Error(err)
		}
	}
}

// four makes a tensor of bytes.
func four(name string, data []byte, shape ...int) Tensor {
	return Tensor{Name: name, DType: dtypes.Uint8, Shape: shape, Data: data}
}

// decoded opens a checkpoint with a quantization_config, and reads one of its tensors.
func decoded(t *testing.T, quantization, name string, stored ...Tensor) (*Weights, Tensor, []float32) {
	t.Helper()
	_, w, err := Open(folder(t, map[string]string{"config.json": `{"quantization_config":` + quantization + `}`, "model.safetensors": encode(t, stored...)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	tensor, _ := w.Get(name)
	values, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return w, tensor, values
}

// TestMXFP4Bits: with every exponent but the last, and every byte, the numbers are those of
// transformers 5.23 (convert_moe_packed_tensors, dtype bfloat16 or float32, torch 2.11, of
// blocks[e, r, 0, j] = (17j + 5r + 128e) % 256 and scales[e, r, 0] = r).
func TestMXFP4Bits(t *testing.T) {
	const want = "d32c81a16de5bf5cf78318249a1a25b989b7c5c64a867130b1571baa64e1937b" // of float32, little endian
	var blocks, scales []byte
	for e := range 2 {
		for r := range 255 {
			for j := range 16 {
				blocks = append(blocks, byte(17*j+5*r+128*e))
			}
			scales = append(scales, byte(r))
		}
	}
	_, a, values := decoded(t, `{"quant_method":"mxfp4"}`, "a", four("a_blocks", blocks, 2, 255, 1, 16), four("a_scales", scales, 2, 255, 1))
	sum := sha256.Sum256(Float32("a", values, a.Shape...).Data)
	if got := hex.EncodeToString(sum[:]); got != want || !slices.Equal(a.Shape, []int{2, 32, 255}) {
		t.Errorf("other bits than transformers', shape %v", a.Shape)
	}
	if err := a.CheckFinite(); err == nil || !strings.Contains(err.Error(), "Inf at [0 ") {
		t.Errorf("%v, wanted an infinite number, 2^127 times 2 or more", err)
	}
}

// TestQuantisedHash: the hash is of what the files have.
func TestQuantisedHash(t *testing.T) {
	dir := folder(t, map[string]string{
		"config.json":       `{"quantization_config":{"quant_method":"fp8"}}`,
		"model.safetensors": encode(t, eight("a.weight", 2, 2), Float32("a.weight_scale_inv", []float32{1}, 1, 1)),
	})
	_, w, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	got, err := w.Hash(t.Context())
	want, other := open(t, dir).Hash(t.Context())
	if err != nil || other != nil || got != want {
		t.Errorf("hash %s, %v; wanted %s, %v", got, err, want, other)
	}
}

// TestQuantisedRefused: what does not fit together is one line that names it.
func TestQuantisedRefused(t *testing.T) {
	scale := Float32("a.weight_scale_inv", []float32{1}, 1, 1)
	compressed := `{"quant_method":"compressed-tensors","config_groups":{"g":{"weights":{"num_bits":8,"type":"float","strategy":"channel"}}}}`
	mxfp4, some := `{"quant_method":"mxfp4"}`, make([]byte, 32)
	for name, test := range map[string]struct {
		config  string
		tensors []Tensor
		want    string
	}{
		"fours: setting":  {`{"quant_method":"mxfp4","block":16}`, []Tensor{four("a_blocks", some, 1, 2, 1, 16), four("a_scales", some[:2], 1, 2, 1)}, `quant_method "mxfp4": not supported: block=16`},
		"fours: none":     {mxfp4, []Tensor{bf16("a", 2)}, `no tensor is quantised`},
		"fours: no scale": {mxfp4, []Tensor{four("a_blocks", some, 1, 2, 1, 16)}, `tensor "a_blocks": no tensor "a_scales" beside it`},
		"fours: both":     {mxfp4, []Tensor{bf16("a", 2), four("a_blocks", some, 1, 2, 1, 16), four("a_scales", some[:2], 1, 2, 1)}, `tensor "a_blocks": beside a tensor "a", wanted one of them`},
		"fours: rank":     {mxfp4, []Tensor{four("a_blocks", some, 2, 16), four("a_scales", some[:2], 2)}, `tensor "a_blocks": dtype U8 of shape [2 16], wanted U8 [E R G 16]`},
		"fours: block":    {mxfp4, []Tensor{four("a_blocks", some, 1, 2, 2, 8), four("a_scales", some[:4], 1, 2, 2)}, `tensor "a_blocks": dtype U8 of shape [1 2 2 8], wanted U8 [E R G 16]`},
		"fours: empty":    {mxfp4, []Tensor{four("a_blocks", nil, 1, 0, 1, 16), four("a_scales", nil, 1, 0, 1)}, `tensor "a_blocks": dtype U8 of shape [1 0 1 16], wanted U8 [E R G 16]`},
		"fours: dtype":    {mxfp4, []Tensor{eight("a_blocks", 1, 2, 1, 16), four("a_scales", some[:2], 1, 2, 1)}, `tensor "a_blocks": dtype F8_E4M3 of shape [1 2 1 16], wanted U8 [E R G 16]`},
		"fours: scales":   {mxfp4, []Tensor{four("a_blocks", some, 1, 2, 1, 16), four("a_scales", some[:1], 1, 1, 1)}, `tensor "a_scales": dtype U8 of shape [1 1 1], wanted U8 [1 2 1]: one for each block of "a_blocks"`},
		"fours: kind":     {mxfp4, []Tensor{four("a_blocks", some, 1, 2, 1, 16), eight("a_scales", 1, 2, 1)}, `tensor "a_scales": dtype F8_E4M3 of shape [1 2 1], wanted U8 [1 2 1]: one for each block of "a_blocks"`},
		"setting":         {`{"quant_method":"fp8","colour":"red"}`, []Tensor{eight("a.weight", 2, 2), scale}, `quant_method "fp8": not supported: colour="red"`},
		"several":         {`{"quant_method":"fp8","expert_dtype":"fp4","fmt":"e5m2"}`, []Tensor{eight("a.weight", 2, 2), scale}, `fmt="e5m2", wanted e4m3 or float8_e4m3fn; expert_dtype="fp4", wanted fp8`},
		"block":           {`{"quant_method":"fp8","weight_block_size":[0,128]}`, []Tensor{eight("a.weight", 2, 2), scale}, `weight_block_size=[0,128], wanted two sizes`},
		"scale alone":     {`{"quant_method":"fp8"}`, []Tensor{scale}, `tensor "a.weight_scale_inv": the scale of a tensor "a.weight", which is missing`},
		"weight alone":    {`{"quant_method":"fp8"}`, []Tensor{eight("a.weight", 2, 2), scale, eight("b.weight", 2, 2)}, `tensor "b.weight": dtype F8_E4M3 without a scale beside it`},
		"none":            {`{"quant_method":"fp8"}`, []Tensor{bf16("a.weight", 2)}, `no tensor is quantised`},
		"scale's shape":   {`{"quant_method":"fp8"}`, []Tensor{eight("a.weight", 2, 200), scale}, `tensor "a.weight_scale_inv": shape [1 1], wanted [1 2]: one for each block of 128 x 128 of "a.weight", whose shape is [2 200]`},
		"not eight bits":  {`{"quant_method":"fp8"}`, []Tensor{bf16("a.weight", 2), scale}, `tensor "a.weight": dtype BF16 of shape [2] beside a scale, wanted a matrix of F8_E4M3`},
		"empty":           {`{"quant_method":"fp8"}`, []Tensor{eight("a.weight", 0, 2), scale}, `tensor "a.weight": shape [0 2], wanted elements`},
		"scale's dtype":   {`{"quant_method":"fp8"}`, []Tensor{eight("a.weight", 2, 2), eight("a.weight_scale_inv", 1, 1)}, `tensor "a.weight_scale_inv": dtype F8_E4M3, wanted F32, F16 or BF16`},
		"integers":        {strings.Replace(compressed, `"float"`, `"int"`, 1), []Tensor{eight("a.weight", 2, 2)}, `quant_method "compressed-tensors": not supported: config_groups.g.weights.type="int", wanted float`},
		"four bits":       {strings.Replace(compressed, `:8,`, `:4,`, 1), []Tensor{eight("a.weight", 2, 2)}, `config_groups.g.weights.num_bits=4, wanted 8`},
		"no groups":       {`{"quant_method":"compressed-tensors"}`, []Tensor{eight("a.weight", 2, 2)}, `no config_groups`},
		"two ways": {strings.Replace(compressed, `"g":`, `"f":{"weights":{"strategy":"tensor"}},"g":`, 1), []Tensor{eight("a.weight", 2, 2)},
			`not supported: config_groups.g.weights.strategy="channel", wanted that of the other groups`},
		"no weights": {`{"quant_method":"compressed-tensors","config_groups":{"g":{}}}`, []Tensor{eight("a.weight", 2, 2)}, `config_groups.g.weights=, wanted an object`},
		"packed":     {strings.Replace(compressed, `{`, `{"format":"pack-quantized",`, 1), []Tensor{eight("a.weight", 2, 2)}, `format="pack-quantized", wanted float-quantized or naive-quantized`},
		"one scale":  {compressed, []Tensor{eight("a.weight", 2, 2), Float32("a.weight_scale", []float32{1}, 1, 1)}, `tensor "a.weight_scale": shape [1 1], wanted [2 1]`},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, test.config, test.tensors, test.want)
		})
	}
}

// refused: a checkpoint of tensors that are quantised so is not opened, for the reason.
func refused(t *testing.T, config string, tensors []Tensor, want string) {
	t.Helper()
	dir := folder(t, map[string]string{"config.json": `{"quantization_config":` + config + `}`, "model.safetensors": encode(t, tensors...)})
	_, w, err := Open(dir)
	if err == nil {
		w.Close()
		t.Fatal("accepted")
	}
	if text := err.Error(); !strings.HasPrefix(text, "checkpoint: ") || strings.Contains(text, "\n") || !strings.Contains(text, want) {
		t.Errorf("%v\nwanted %s", err, want)
	}
}

// TestQuantisedNotFinite: a number that is not one is found where it is.
func TestQuantisedNotFinite(t *testing.T) {
	w := eight("a.weight", 3, 2)
	w.Data = []byte("\x38\x38\x38\x38\x38\x7f")
	dir := folder(t, map[string]string{
		"config.json":       `{"quantization_config":{"quant_method":"fp8"}}`,
		"model.safetensors": encode(t, w, Float32("a.weight_scale_inv", []float32{1}, 1, 1)),
	})
	_, opened, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	got, _ := opened.Get("a.weight")
	if err := got.CheckFinite(); err == nil || !strings.Contains(err.Error(), "NaN at [2 1], wanted finite weights") {
		t.Errorf("%v, wanted NaN at [2 1]", err)
	}
}

// FuzzQuantised opens any config beside any weights: no panic, and what is accepted can be read
// as it says.
func FuzzQuantised(f *testing.F) {
	seed := func(config string, tensors ...Tensor) { f.Add([]byte(config), []byte(encode(f, tensors...))) }
	seed(`{"quantization_config":{"quant_method":"fp8","weight_block_size":[1,2]}}`, eight("a.weight", 2, 3), Float32("a.weight_scale_inv", []float32{1, 2, 3, 4}, 2, 2))
	seed(`{"quantization_config":{"quant_method":"fp8","weight_block_size":null}}`, eight("a.weight", 2, 3), Float32("a.weight_scale_inv", []float32{1}))
	seed(`{"quantization_config":{"quant_method":"compressed-tensors","config_groups":{"g":{"weights":{"num_bits":8,"type":"float","strategy":"channel"}}}}}`,
		eight("a.weight", 2, 3), Float32("a.weight_scale", []float32{1, 2}, 2, 1))
	seed(`{"quantization_config":{"quant_method":"mxfp4"}}`, four("a_blocks", []byte(strings.Repeat("\x2f", 64)), 1, 2, 2, 16), four("a_scales", []byte{127, 255, 0, 128}, 1, 2, 2))
	seed(`{"quantization_config":`+nf4Config+`}`, nf4Tensors(nil)...)
	seed(`{"quantization_config":`+nf4Config+`}`, nf4Tensors(func(name string, t *Tensor) bool { return !strings.Contains(name, "nested") })...)
	seed(`{"quantization_config":{"quant_method":"awq","group_size":2}}`, integerTensors(true, 4)...)
	for _, bits := range []int{2, 3, 4, 8} {
		seed(fmt.Sprintf(`{"quantization_config":{"quant_method":"gptq","group_size":-1,"bits":%d}}`, bits), integerTensors(false, bits)...)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, config, shard []byte) {
		for name, data := range map[string][]byte{"config.json": config, "model.safetensors": shard} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, w, err := Open(dir)
		if err != nil {
			holdError(t, err)
			return
		}
		defer w.Close()
		for _, name := range w.Names() {
			tensor, _ := w.Get(name)
			if tensor.Usable() != nil || tensor.Elements() > 1<<20 {
				continue
			}
			holdTensor(t, name, tensor)
		}
	})
}

// holdError: what is refused is so in one line of the package's.
func holdError(t *testing.T, err error) {
	t.Helper()
	if !strings.HasPrefix(err.Error(), "checkpoint: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, wanted one line that begins with the package", err)
	}
}

// holdTensor: a tensor has all of its values, and CheckFinite says of them what is so.
func holdTensor(t *testing.T, name string, tensor Tensor) {
	t.Helper()
	values, err := tensor.Float32s()
	if err != nil || len(values) != tensor.Elements() {
		t.Errorf("%q: %d values of shape %v, %v", name, len(values), tensor.Shape, err)
	}
	if err := tensor.CheckFinite(); (err == nil) != finite(values) {
		t.Errorf("%q: CheckFinite: %v", name, err)
	}
}

func finite(values []float32) bool {
	for _, v := range values {
		if v-v != 0 {
			return false
		}
	}
	return true
}
