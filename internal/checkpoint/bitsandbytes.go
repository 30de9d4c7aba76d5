package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// bitsandbytes decodes matrices in the 4-bit numbers of QLoRA (dequantize_4bit in
// bitsandbytes 0.50.2): weight has two numbers a byte, the upper bits first, in the order of the
// matrix' memory, weight.absmax a number for each block of them, and weight.quant_state, JSON,
// the block's size, the matrix' shape and type:
//
//	weight[i] = code[stored[i]] * absmax[i / blocksize]
//
// in float32, rounded to that type. Double quantisation has absmax in 8 bits:
//
//	absmax[b] = nested_quant_map[stored[b]] * nested_absmax[b / nested_blocksize] + nested_offset
func (w *Weights) bitsandbytes(s *settings) error {
	for _, key := range []string{"load_in_8bit", "_load_in_8bit"} {
		if s.truth(key, false) {
			s.refuse(key, "false: LLM.int8() is not decoded")
		}
	}
	for _, key := range []string{"load_in_4bit", "_load_in_4bit"} {
		if !s.truth(key, true) {
			s.refuse(key, "true")
		}
	}
	in := dtypes.Float32
	if s.one("bnb_4bit_compute_dtype", "float32", "bfloat16", "float16") == "bfloat16" {
		in = dtypes.BFloat16
	}
	s.one("bnb_4bit_quant_type", "fp4", "nf4")
	s.one("bnb_4bit_quant_storage", "uint8", "int8", "float16", "bfloat16", "float32", "float64")
	// Which modules are quantised, and whether their scales are, is seen by their tensors; what is
	// said of int8 bears on products in it.
	s.ignore("bnb_4bit_use_double_quant", "llm_int8_skip_modules", "llm_int8_threshold", "llm_int8_enable_fp32_cpu_offload", "llm_int8_has_fp16_weight")
	s.leftover()
	if err := s.err(); err != nil {
		return err
	}
	formats := map[string]bool{}
	for _, name := range sortedKeys(w.tensors) {
		at := strings.Index(name, ".quant_state.bitsandbytes__")
		if at < 0 {
			continue
		}
		format, err := w.blockwise(name[:at], name, in)
		if err != nil {
			return err
		}
		formats[format] = true
	}
	for _, name := range sortedKeys(w.tensors) {
		for _, part := range []string{".SCB", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"} {
			if strings.HasSuffix(name, part) {
				return w.tensors[name].errorf("a part of no 4-bit matrix")
			}
		}
	}
	if len(formats) == 0 {
		return s.errorf("no tensor is quantised")
	}
	w.format = "bitsandbytes " + strings.Join(slices.Sorted(maps.Keys(formats)), ", ")
	w.weightsAlone(s)
	return nil
}

// weightsAlone says what may differ where only the weights are quantised.
func (w *Weights) weightsAlone(s *settings) {
	w.doubts = append(w.doubts, fmt.Errorf("checkpoint: %s: the weights are %s, decoded; programs that are made for them multiply in 16 bits, which rounds elsewhere", s.dir, w.format))
}

// quantState is the JSON of quant_state.
type quantState struct {
	QuantType       *string  `json:"quant_type"`
	Blocksize       *int     `json:"blocksize"`
	DType           *string  `json:"dtype"`
	Shape           []int    `json:"shape"`
	NestedBlocksize *int     `json:"nested_blocksize"`
	NestedDType     *string  `json:"nested_dtype"`
	NestedOffset    *float64 `json:"nested_offset"`
}

// madeOf are the types that a 4-bit matrix can have been made of.
var madeOf = map[string]dtypes.DType{"float32": dtypes.Float32, "bfloat16": dtypes.BFloat16, "float16": dtypes.Float16}

// state reads the quant_state of a matrix that has this many bytes.
func (t Tensor) state(bytes int) (*quantState, error) {
	s := &quantState{}
	members, err := strictjson.Members(t.raw, "")
	if err == nil {
		for _, m := range members {
			if known := []string{"quant_type", "blocksize", "dtype", "shape", "nested_blocksize", "nested_dtype", "nested_offset"}; !slices.Contains(known, m.Key) {
				return nil, t.errorf("%s, wanted one of %s", quote(m.Key), strings.Join(known, ", "))
			}
		}
		err = json.Unmarshal(t.raw, s)
	}
	if err != nil {
		return nil, t.errorf("%w", err)
	}
	kind := t.Name[strings.LastIndex(t.Name, "__")+2:]
	if _, ok := fourBits[kind]; !ok || s.QuantType == nil || *s.QuantType != kind {
		return nil, t.errorf("quant_type differs from the name's %s, or is none of fp4 and nf4", quote(kind))
	}
	if s.Blocksize == nil || !slices.Contains([]int{32, 64, 128, 256, 512, 1024, 2048, 4096}, *s.Blocksize) {
		return nil, t.errorf("no blocksize, wanted a power of two from 32 to 4096")
	}
	if s.DType == nil || madeOf[*s.DType] == dtypes.InvalidDType {
		return nil, t.errorf("no dtype, wanted float32, bfloat16 or float16")
	}
	if len(s.Shape) == 0 || slices.Min(s.Shape) < 1 {
		return nil, t.errorf("shape %v, wanted sizes from 1", s.Shape)
	}
	if size, ok := byteSize(s.Shape, 8); !ok || size/2+size%2 != bytes {
		return nil, t.errorf("shape %v of %d bytes, wanted half as many as elements", s.Shape, bytes)
	}
	return s, nil
}

// blockwise packs the matrix of that name, and returns what it is stored as.
func (w *Weights) blockwise(name, stateName string, in dtypes.DType) (format string, err error) {
	t, ok := w.tensors[name]
	if !ok {
		return "", w.tensors[stateName].errorf("no tensor %s beside it", quote(name))
	}
	state, err := w.tensors[stateName].state(len(t.raw))
	if err != nil {
		return "", err
	}
	parts := []string{stateName}
	part := func(suffix string, of dtypes.DType, n int) (Tensor, error) {
		p, ok := w.tensors[name+suffix]
		switch {
		case !ok:
			return p, t.errorf("no tensor %s beside it", quote(name+suffix))
		case p.DType != of || p.Elements() != n:
			return p, p.errorf("dtype %s of shape %v, wanted %d of %s", p.kind, p.Shape, n, of)
		}
		parts = append(parts, p.Name)
		return p, nil
	}
	code := fourBits[*state.QuantType]
	if err := quantMap(part, code); err != nil {
		return "", err
	}
	elements := 1
	for _, n := range state.Shape {
		elements *= n
	}
	size := *state.Blocksize
	blocks := (elements-1)/size + 1
	format = fmt.Sprintf("%s %d", *state.QuantType, size)
	var scale func(block int) float32
	from := [][]byte{t.raw}
	if _, nested := w.tensors[name+".nested_absmax"]; nested {
		format += " nested"
		scale, from, err = w.nested(state, w.tensors[stateName], blocks, from, part)
	} else {
		var absmax Tensor
		absmax, err = part(".absmax", dtypes.Float32, blocks)
		scale, from = absmax.float32At, append(from, absmax.raw)
	}
	if err != nil {
		return "", err
	}
	round, raw := rounded(madeOf[*state.DType]), t.raw
	decode := func(dst []float32, at int) {
		for len(dst) > 0 {
			n := min(size-at%size, len(dst))
			var values [16]float32
			for i, c := range code {
				values[i] = round(c * scale(at/size))
			}
			for i := range dst[:n] {
				dst[i] = values[raw[(at+i)/2]>>(4-(at+i)%2*4)&15]
			}
			dst, at = dst[n:], at+n
		}
	}
	w.pack(t, state.Shape, &packed{decode: decode, from: from, in: in}, parts...)
	return format, nil
}

// float32At is an element of a tensor in float32.
func (t Tensor) float32At(i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(t.raw[4*i:]))
}

// quantMap compares a matrix' table with the one that is used, as bitsandbytes does not.
func quantMap(part func(string, dtypes.DType, int) (Tensor, error), code [16]float32) error {
	stated, err := part(".quant_map", dtypes.Float32, 16)
	if err != nil {
		return err
	}
	for i, c := range code {
		if got := stated.float32At(i); got != c {
			return stated.errorf("%v for %d, wanted %v", got, i, c)
		}
	}
	return nil
}

// nested is the scale of a block that is itself quantised.
func (w *Weights) nested(state *quantState, of Tensor, blocks int, from [][]byte, part func(string, dtypes.DType, int) (Tensor, error)) (func(int) float32, [][]byte, error) {
	if state.NestedBlocksize == nil || *state.NestedBlocksize < 1 || state.NestedOffset == nil || state.NestedDType == nil || *state.NestedDType != "float32" {
		return nil, nil, of.errorf("nested_blocksize, nested_offset or nested_dtype, wanted a size from 1, a number and float32")
	}
	size, offset := *state.NestedBlocksize, float32(*state.NestedOffset)
	stored, err := part(".absmax", dtypes.Uint8, blocks)
	if err != nil {
		return nil, nil, err
	}
	table, err := part(".nested_quant_map", dtypes.Float32, 256)
	if err != nil {
		return nil, nil, err
	}
	scales, err := part(".nested_absmax", dtypes.Float32, (blocks-1)/size+1)
	if err != nil {
		return nil, nil, err
	}
	return func(block int) float32 {
		scaled := table.float32At(int(stored.raw[block])) * scales.float32At(block/size)
		return float32(scaled) + offset // rounded twice, as bitsandbytes adds in a step of its own
	}, append(from, stored.raw, table.raw, scales.raw), nil
}

// fourBits are the values of 4-bit numbers, by quant_type: of NF4 those of QLoRA (Dettmers and
// others, 2023, appendix E), of FP4 the 12ths that bitsandbytes has (get_4bit_type).
var fourBits = map[string][16]float32{
	"nf4": {
		-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
	},
	"fp4": {0, 0.0625 / 12, 8. / 12, 12. / 12, 4. / 12, 6. / 12, 2. / 12, 3. / 12, 0, -0.0625 / 12, -8. / 12, -12. / 12, -4. / 12, -6. / 12, -2. / 12, -3. / 12},
}
