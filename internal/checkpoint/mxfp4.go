package checkpoint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// mxfp4 decodes matrices in 4-bit floats with a power of two for each 32 of a row, as GPT-OSS has
// those of its experts (convert_moe_packed_tensors in mxfp4.py of transformers 5.23):
// name_blocks [E R G 16] are rows of R outputs, two numbers a byte, the lower bits first, and
// name_scales [E R G] exponents, from which the tensor name [E 32G R] is made:
//
//	name[e, 32g+i, r] = stored[e, r, 32g+i] * 2^(scales[e, r, g] - 127)
//
// which bfloat16 holds as it is.
func (w *Weights) mxfp4(s *settings) error {
	// Which modules are quantised is seen by their tensors.
	s.ignore("modules_to_not_convert", "dequantize")
	s.leftover()
	if err := s.err(); err != nil {
		return err
	}
	found := false
	for _, of := range sortedKeys(w.tensors) {
		name, ok := strings.CutSuffix(of, "_blocks")
		if !ok {
			continue
		}
		if err := w.fours(name); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return s.errorf("no tensor is quantised")
	}
	w.format = "mxfp4"
	w.doubts = append(w.doubts, fmt.Errorf("checkpoint: %s: the weights are %s, decoded; a server with 4-bit products may round activations as well, which is not computed here", s.dir, w.format))
	return nil
}

// fours packs the tensor of that name.
func (w *Weights) fours(name string) error {
	t := w.tensors[name+"_blocks"]
	scales, ok := w.tensors[name+"_scales"]
	switch _, beside := w.tensors[name]; {
	case !ok:
		return t.errorf("no tensor %s beside it", quote(name+"_scales"))
	case beside:
		return t.errorf("beside a tensor %s, wanted one of them", quote(name))
	case t.DType != dtypes.Uint8 || len(t.Shape) != 4 || t.Shape[3] != 16 || t.Elements() == 0:
		return t.errorf("dtype %s of shape %v, wanted U8 [E R G 16]", t.kind, t.Shape)
	case scales.DType != dtypes.Uint8 || !slices.Equal(scales.Shape, t.Shape[:3]):
		return scales.errorf("dtype %s of shape %v, wanted U8 %v: one for each block of %s", scales.kind, scales.Shape, t.Shape[:3], quote(t.Name))
	}
	width, groups := t.Shape[1], t.Shape[2] // a row of the tensor has a number of each output
	blocks, exponents := t.raw, scales.raw
	decode := func(dst []float32, at int) {
		for row := at / width; len(dst) > 0; {
			matrix, in := row/(32*groups), row%(32*groups)
			group, first := in/32, in%32
			n := min(32-first, len(dst)/width)
			for out := range width {
				i := (matrix*width+out)*groups + group
				scale, block := powers[exponents[i]], blocks[16*i:16*i+16]
				for j := range n {
					at := first + j
					dst[j*width+out] = e2m1[block[at/2]>>(at%2*4)&15] * scale
				}
			}
			dst, row = dst[n*width:], row+n
		}
	}
	parts := []string{t.Name, scales.Name}
	t.Name = name
	w.pack(t, []int{t.Shape[0], 32 * groups, width}, &packed{decode: decode, from: [][]byte{blocks, exponents}, in: dtypes.BFloat16}, parts...)
	return nil
}

// e2m1 are the values of 4-bit floats with 2 bits of exponent, whose bias is 1, and one of fraction
// ("OCP Microscaling Formats (MX) Specification", 2023).
var e2m1 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, float32(math.Copysign(0, -1)), -0.5, -1, -1.5, -2, -3, -4, -6}

// powers are 2^(exponent - 127), of which the last is none.
var powers = func() (table [256]float32) {
	for e := range table {
		table[e] = float32(math.Ldexp(1, e-127))
	}
	table[255] = float32(math.Inf(1))
	return table
}()
