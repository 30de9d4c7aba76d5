package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// fp8 decodes weights in 8-bit floats with a scale for each block of a matrix, or for all of it
// (quantizer_finegrained_fp8.py and Fp8Dequantize in finegrained_fp8.py of transformers 5.23):
//
//	weight[i, j] = float32(stored[i, j]) * weight_scale_inv[i / 128, j / 128]
//
// in float32, rounded to the model's type by whoever computes in it. A matrix whose sides are no
// multiples of the block ends in smaller blocks, as in DeepSeek's own weight_dequant; transformers
// refuses these, or, where the number of blocks happens to divide the side, makes the blocks
// smaller than they were.
func (w *Weights) fp8(s *settings) error {
	scheme := s.one("activation_scheme", "dynamic", "static")
	s.one("fmt", "e4m3", "float8_e4m3fn")
	s.one("scale_fmt", "float", "ue8m0")
	s.one("expert_dtype", "fp8")
	// Which modules are quantised is seen by their tensors.
	s.ignore("modules_to_not_convert", "ignored_layers", "modules_to_convert", "dequantize")
	block := [2]int{128, 128} // where the key is absent
	if raw, ok := s.keys["weight_block_size"]; ok {
		s.read = append(s.read, "weight_block_size")
		var sizes []int
		switch err := json.Unmarshal(raw, &sizes); {
		case string(raw) == "null":
			block = [2]int{}
		case err != nil || len(sizes) != 2 || sizes[0] < 1 || sizes[1] < 1:
			s.refuse("weight_block_size", "two sizes")
		default:
			block = [2]int(sizes)
		}
	}
	s.leftover()
	if err := s.err(); err != nil {
		return err
	}
	for _, name := range sortedKeys(w.tensors) {
		of, ok := strings.CutSuffix(name, "_scale_inv")
		if !ok {
			continue
		}
		others := []string{name}
		activation := strings.TrimSuffix(of, "weight") + "activation_scale"
		if of != strings.TrimSuffix(of, "weight")+"weight" {
			activation = of + "_activation_scale"
		}
		if _, ok := w.tensors[activation]; ok {
			others = append(others, activation)
		}
		if err := w.scaled(of, name, block, s.dtype, dtypes.Float32, others); err != nil {
			return err
		}
	}
	w.format = "fp8"
	if block != [2]int{} {
		w.format = fmt.Sprintf("fp8 %dx%d", block[0], block[1])
	}
	return w.fp8Done(s, scheme)
}

// fp8Done refuses 8-bit floats without a scale, and says what serving such a model does to
// activations.
func (w *Weights) fp8Done(s *settings, scheme string) error {
	found := false
	for _, name := range sortedKeys(w.tensors) {
		t := w.tensors[name]
		if t.DType == dtypes.F8E4M3FN || t.DType == dtypes.F8E5M2 {
			return t.errorf("dtype %s without a scale beside it, which quant_method %s has", t.kind, s.method)
		}
		found = found || t.Quantised()
	}
	if !found {
		return s.errorf("no tensor is quantised")
	}
	if scheme != "" {
		w.doubts = append(w.doubts, fmt.Errorf("checkpoint: %s: the weights are %s, decoded; a server with 8-bit products rounds activations as well (%s), which is not computed here", s.dir, w.format, scheme))
	}
	return nil
}

// scaled packs a matrix, or several stacked ones, of 8-bit floats with its scales, one for each
// block. A block without a height or a width has all of the matrix'. Products are rounded to a
// type.
func (w *Weights) scaled(name, scales string, block [2]int, in, round dtypes.DType, others []string) error {
	t, ok := w.tensors[name]
	if !ok {
		return w.tensors[scales].errorf("the scale of a tensor %s, which is missing", quote(name))
	}
	s := w.tensors[scales]
	if t.DType != dtypes.F8E4M3FN || len(t.Shape) < 2 {
		return t.errorf("dtype %s of shape %v beside a scale, wanted a matrix of F8_E4M3", t.kind, t.Shape)
	}
	values, err := s.scaleValues()
	if err != nil {
		return err
	}
	lead, rows, width := t.Shape[:len(t.Shape)-2], t.Shape[len(t.Shape)-2], t.Shape[len(t.Shape)-1]
	if t.Elements() == 0 {
		return t.errorf("shape %v, wanted elements", t.Shape)
	}
	if block == [2]int{} && len(values) == 1 { // of all matrices that are stacked, too
		lead, rows = nil, t.Elements()/width
	}
	if block[0] == 0 {
		block[0] = rows
	}
	if block[1] == 0 {
		block[1] = width
	}
	down, across := (rows-1)/block[0]+1, (width-1)/block[1]+1
	want := append(slices.Clone(lead), down, across)
	if len(values) != 1 || len(lead) > 0 || down*across != 1 {
		if !slices.Equal(s.Shape, want) {
			return s.errorf("shape %v, wanted %v: one for each block of %d x %d of %s, whose shape is %v", s.Shape, want, block[0], block[1], quote(name), t.Shape)
		}
	}
	raw, rounding := t.raw, rounded(round)
	decode := func(dst []float32, at int) {
		src := raw[at : at+len(dst)]
		for row := at / width; len(dst) > 0; row++ {
			first := (row/rows*down + row%rows/block[0]) * across
			for j := 0; j < width; j += block[1] {
				scale := values[first+j/block[1]]
				end := min(j+block[1], width)
				to, from := dst[j:end], src[j:end]
				if round == dtypes.Float32 {
					for i, b := range from {
						to[i] = e4m3[b] * scale
					}
					continue
				}
				for i, b := range from {
					to[i] = rounding(e4m3[b] * scale)
				}
			}
			dst, src = dst[width:], src[width:]
		}
	}
	w.pack(t, t.Shape, &packed{decode: decode, from: [][]byte{raw}, in: in}, others...)
	return nil
}

// scaleValues are the scales of a tensor that is itself in floats, or in 8-bit exponents.
func (t Tensor) scaleValues() ([]float32, error) {
	if t.DType == dtypes.F8E8M0FNU {
		values := make([]float32, len(t.raw))
		for i, b := range t.raw {
			values[i] = float32(math.Ldexp(1, int(b)-127))
			if b == 0xff {
				values[i] = float32(math.NaN())
			}
		}
		return values, nil
	}
	values, err := t.Float32s()
	if err == nil {
		values = slices.Clone(values) // small, and looked up at random
	}
	return values, err
}

// e4m3 are the values of 8-bit floats with 4 bits of exponent, whose bias is 7, and 3 of
// fraction: no infinity, and NaN where all bits but the sign are set ("FP8 Formats for Deep
// Learning", Micikevicius and others, 2022).
var e4m3 = func() (table [256]float32) {
	for b := range table {
		exponent, fraction := b>>3&15, float64(b&7)
		x := math.Ldexp(8+fraction, exponent-7-3)
		if exponent == 0 {
			x = math.Ldexp(fraction, 1-7-3)
		}
		if b&0x7f == 0x7f {
			x = math.NaN()
		}
		if b&0x80 != 0 {
			x = math.Copysign(x, -1)
		}
		table[b] = float32(x)
	}
	return table
}()
