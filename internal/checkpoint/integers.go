package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// integers are a matrix [N K] of whole numbers of a few bits, of which each output n has a scale
// and a zero point for each group of inputs k:
//
//	weight[n, k] = (stored[k, n] - zeros[group(k), n]) * scales[group(k), n]
//
// rounded to the scales' type (dequantize_gemm of AutoAWQ 0.2 and of GPTQModel; dequantize_weight
// and convert_gptq_file of GPTQModel).
type integers struct {
	bits   int
	n, k   int
	awq    bool
	v1     bool    // zero points are stored less 1
	groups []int32 // the group of each input
	count  int     // of groups

	weight, zeros []byte // 32-bit words, little endian
	scales        Tensor
	round         func(float32) float32
}

// awqShift is where AWQ has the number of an output, of eight in a word.
var awqShift = [8]int{0, 16, 4, 20, 8, 24, 12, 28}

// zero is a zero point.
func (m *integers) zero(group, n int) int {
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(m.zeros[4*i:])) }
	row := group * (m.n * m.bits / 32)
	if m.awq {
		return int(word(row+n/8) >> awqShift[n%8] & 15)
	}
	bit := n * m.bits
	x := word(row+bit/32) >> (bit % 32)
	if bit%32+m.bits > 32 {
		x |= word(row+bit/32+1) << (32 - bit%32)
	}
	if m.v1 {
		x++
	}
	return int(x & (1<<m.bits - 1))
}

// decode writes whole rows, some at a time: a word of the file has numbers of one row (GPTQ) or of
// eight (AWQ), and the next word is that of the next rows.
func (m *integers) decode(dst []float32, at int) {
	levels := 1 << m.bits
	most := min(len(dst)/m.k, max(1, (1<<16)/(m.count*levels)))
	values := make([]float32, 0, most*m.count*levels)
	for row := at / m.k; len(dst) > 0; {
		rows := min(most, len(dst)/m.k)
		values = values[:0]
		for g := range m.count {
			for n := row; n < row+rows; n++ {
				scale, zero := m.scale(g*m.n+n), m.zero(g, n)
				for q := range levels {
					values = append(values, m.round(float32(q-zero)*scale))
				}
			}
		}
		if m.awq {
			m.awqRows(dst[:rows*m.k], values, row, rows)
		} else {
			m.gptqRows(dst[:rows*m.k], values, row, rows)
		}
		dst, row = dst[rows*m.k:], row+rows
	}
}

// inputs are those that are decoded of one row before the next: their words are near each other in
// the cache, and so are their places in the row.
const inputs = 32

// awqRows looks the numbers of rows up in their values.
func (m *integers) awqRows(dst, values []float32, row, rows int) {
	wide := 4 * (m.n / 8)
	for from := 0; from < m.k; from += inputs {
		to := min(from+inputs, m.k)
		for r := range rows {
			n := row + r
			words, shift := m.weight[from*wide+n/8*4:], awqShift[n%8]
			out := dst[r*m.k+from : r*m.k+to]
			for i, g := range m.groups[from:to] {
				q := binary.LittleEndian.Uint32(words[i*wide:]) >> shift & 15
				out[i] = values[(int(g)*rows+r)*16+int(q)]
			}
		}
	}
}

// gptqRows does the same. The numbers of the inputs are a whole number of words, of which one may
// lie in two.
func (m *integers) gptqRows(dst, values []float32, row, rows int) {
	wide, levels := 4*m.n, 1<<m.bits
	for from := 0; from < m.k; from += inputs {
		to := min(from+inputs, m.k)
		for r := range rows {
			words := m.weight[from*m.bits/32*wide+4*(row+r):]
			out := dst[r*m.k+from : r*m.k+to]
			var stream uint64
			have, at := 0, 0
			for i, g := range m.groups[from:to] {
				if have < m.bits {
					stream |= uint64(binary.LittleEndian.Uint32(words[at:])) << have
					have, at = have+32, at+wide
				}
				out[i] = values[(int(g)*rows+r)*levels+int(stream)&(levels-1)]
				stream >>= m.bits
				have -= m.bits
			}
		}
	}
}

// scale is a scale.
func (m *integers) scale(i int) float32 {
	if m.scales.DType == dtypes.Float32 {
		return m.scales.float32At(i)
	}
	bits := binary.LittleEndian.Uint16(m.scales.raw[2*i:])
	if m.scales.DType == dtypes.Float16 {
		return fromFloat16(bits)
	}
	var one [1]float32
	bfloat16s(one[:], m.scales.raw[2*i:2*i+2])
	return one[0]
}

// awq reads a checkpoint that AutoAWQ has written in its version gemm: qweight [K N/8], qzeros
// [G N/8] and scales [G N] of 4-bit numbers.
func (w *Weights) awq(s *settings) error {
	if s.number("bits", 4) != 4 {
		s.refuse("bits", "4")
	}
	if !s.truth("zero_point", true) {
		s.refuse("zero_point", "true")
	}
	for _, key := range []string{"version", "format", "checkpoint_format"} {
		if text, ok := s.text(key); ok && !strings.EqualFold(text, "gemm") {
			s.refuse(key, "gemm")
		}
	}
	if text, ok := s.text("backend"); ok && text == "llm-awq" {
		s.refuse("backend", "another")
	}
	size := s.groupSize()
	// Which modules are quantised is seen by their tensors; modules are fused to be faster.
	s.ignore("modules_to_not_convert", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "fusing_config", "exllama_config", "sym", "desc_act")
	s.common()
	s.leftover()
	if err := s.err(); err != nil {
		return err
	}
	return w.allIntegers(s, integers{bits: 4, awq: true}, size)
}

// gptq reads a checkpoint of GPTQModel, AutoGPTQ or optimum: qweight [K*bits/32 N], qzeros
// [G N*bits/32], scales [G N] and the group of each input, g_idx [K].
func (w *Weights) gptq(s *settings) error {
	m := integers{bits: s.number("bits", 4), v1: true}
	if !slices.Contains([]int{2, 3, 4, 8}, m.bits) {
		s.refuse("bits", "2, 3, 4 or 8")
	}
	for _, key := range []string{"format", "checkpoint_format"} { // the second counts
		if s.raw(key) != nil {
			m.v1 = s.one(key, "gptq", "gptq_v2") == "gptq"
		}
	}
	if s.truth("is_marlin_format", false) {
		s.refuse("is_marlin_format", "false")
	}
	size := s.groupSize()
	symmetric := s.truth("sym", true)
	// In which order inputs were quantised is seen by their groups.
	s.ignore("desc_act", "static_groups", "modules_to_not_convert", "use_cuda_fp16", "use_exllama", "disable_exllama", "exllama_config", "backend")
	s.common()
	s.leftover()
	if err := s.err(); err != nil {
		return err
	}
	if err := w.allIntegers(s, m, size); err != nil {
		return err
	}
	if m.v1 && !symmetric {
		w.doubts = append(w.doubts, fmt.Errorf("checkpoint: %s: asymmetric GPTQ in its first format, of which readers take zero points of 0 differently: read as GPTQModel decodes files", s.dir))
	}
	return nil
}

// common reads what GPTQModel and transformers write of both. Most say how a checkpoint was made;
// modules that the keys of dynamic exclude are seen by their tensors.
func (s *settings) common() {
	s.one("method", s.method)
	s.one("pack_dtype", "int32")
	for _, key := range []string{"rotation", "adapter"} {
		if v := s.raw(key); v != nil && string(v) != "{}" && string(v) != `""` {
			s.refuse(key, "none")
		}
	}
	if rules := s.object("dynamic"); rules != nil {
		for _, rule := range sortedKeys(rules.keys) {
			if !strings.HasPrefix(rule, "-:") {
				s.refuse("dynamic", "none but modules that are excluded (-:)")
			}
		}
	}
	s.ignore("meta", "lm_head", "hyb_act", "damp_percent", "damp_auto_increment", "true_sequential", "act_group_aware", "mse", "model_name_or_path", "model_file_base_name", "tokenizer", "dataset",
		"model_seqlen", "block_name_to_quantize", "module_name_preceding_first_block", "batch_size", "pad_token_id", "cache_block_outputs", "modules_in_block_to_quantize",
		"quantizer", "max_input_length", "offload_to_disk", "offload_to_disk_path")
}

// groupSize is the number of inputs of a group; 0 for all.
func (s *settings) groupSize() int {
	size := s.number("group_size", 128)
	if size == -1 {
		return 0
	}
	if size < 1 {
		s.refuse("group_size", "a size from 1, or -1")
	}
	return size
}

// allIntegers packs all matrices of a kind.
func (w *Weights) allIntegers(s *settings, like integers, size int) error {
	found := false
	for _, name := range sortedKeys(w.tensors) {
		if module, ok := strings.CutSuffix(name, ".qweight"); ok {
			if err := w.integers(module, like, size, s.dtype); err != nil {
				return err
			}
			found = true
		}
	}
	for _, name := range sortedKeys(w.tensors) {
		for _, part := range []string{".qzeros", ".scales", ".g_idx"} {
			if strings.HasSuffix(name, part) {
				return w.tensors[name].errorf("no tensor %s beside it", quote(strings.TrimSuffix(name, part)+".qweight"))
			}
		}
	}
	if !found {
		return s.errorf("no tensor is quantised")
	}
	w.format = fmt.Sprintf("%s %d-bit", s.method, like.bits)
	if size > 0 {
		w.format += fmt.Sprintf(" %d", size)
	}
	w.weightsAlone(s)
	return nil
}

// integers packs the matrix of a module.
func (w *Weights) integers(module string, m integers, size int, in dtypes.DType) error {
	t := w.tensors[module+".qweight"]
	if _, ok := w.tensors[module+".weight"]; ok {
		return t.errorf("beside a tensor %s, wanted one of them", quote(module+".weight"))
	}
	if t.DType != dtypes.Int32 || len(t.Shape) != 2 || t.Elements() == 0 || !m.awq && t.Shape[0]*32%m.bits != 0 {
		return t.errorf("dtype %s of shape %v, wanted I32 with two axes, of whole numbers of %d bits", t.kind, t.Shape, m.bits)
	}
	m.k, m.n = t.Shape[0]*32/m.bits, t.Shape[1]
	if m.awq {
		m.k, m.n = t.Shape[0], t.Shape[1]*8
	}
	if size == 0 {
		size = m.k
	}
	m.count = (m.k-1)/size + 1
	if m.n*m.bits%32 != 0 {
		return t.errorf("%d outputs, wanted a multiple of what words of 32 bits hold", m.n)
	}
	parts := []string{t.Name}
	part := func(suffix string, shape ...int) (Tensor, error) {
		p, ok := w.tensors[module+suffix]
		switch {
		case !ok:
			return p, t.errorf("no tensor %s beside it", quote(module+suffix))
		case !slices.Equal(p.Shape, shape):
			return p, p.errorf("shape %v, wanted %v: %d groups of %d inputs", p.Shape, shape, m.count, size)
		}
		parts = append(parts, p.Name)
		return p, nil
	}
	zeros, err := part(".qzeros", m.count, m.n*m.bits/32)
	if err != nil {
		return err
	}
	if zeros.DType != dtypes.Int32 {
		return zeros.errorf("dtype %s, wanted I32", zeros.kind)
	}
	if m.scales, err = part(".scales", m.count, m.n); err != nil {
		return err
	}
	if err := m.scales.Usable(); err != nil {
		return err
	}
	if err := m.group(w, module, size, part); err != nil {
		return err
	}
	m.weight, m.zeros, m.round = t.raw, zeros.raw, rounded(m.scales.DType)
	w.idles(module + ".bias")
	t.Name = module + ".weight"
	w.pack(t, []int{m.n, m.k}, &packed{decode: m.decode, from: [][]byte{m.weight, m.zeros, m.scales.raw}, in: in}, parts...)
	return nil
}

// idles notes a bias of 0, if there is one: see Idle.
func (w *Weights) idles(name string) {
	bias, ok := w.tensors[name]
	if !ok || bias.Usable() != nil || len(bytes.Trim(bias.raw, "\x00")) > 0 {
		return
	}
	if w.idle == nil {
		w.idle = map[string]bool{}
	}
	w.idle[name] = true
}

// group reads the group of each input; without g_idx they are in order.
func (m *integers) group(w *Weights, module string, size int, part func(string, ...int) (Tensor, error)) error {
	m.groups = make([]int32, m.k)
	_, ok := w.tensors[module+".g_idx"]
	if !ok || m.awq {
		for k := range m.groups {
			m.groups[k] = int32(k / size)
		}
		return nil
	}
	index, err := part(".g_idx", m.k)
	if err != nil {
		return err
	}
	if index.DType != dtypes.Int32 {
		return index.errorf("dtype %s, wanted I32", index.kind)
	}
	for k := range m.groups {
		g := int32(binary.LittleEndian.Uint32(index.raw[4*k:]))
		if g < 0 || int(g) >= m.count {
			return index.errorf("group %d of input %d, wanted one of %d", g, k, m.count)
		}
		m.groups[k] = g
	}
	return nil
}
