package checkpoint

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// gguf is a file of llama.cpp's format, version 2 or 3, little endian (docs/gguf.md of
// github.com/ggml-org/ggml): a header, metadata by key, the tensors' names, shapes, types and
// offsets, and their data.
type gguf struct {
	path     string
	metadata map[string]any // float64, string, bool, or a count of elements for what is not kept
	tensors  []Tensor       // as the file has them; kind is the name of the type
	arrays   map[string]array
}

// array is the data of an array of metadata, in the mapped file.
type array struct {
	of   uint32 // type of the elements
	data []byte
}

// block is a GGUF type: the number of elements that are stored together, and of their bytes.
type block struct {
	kind            string
	elements, bytes int
	dtype           dtypes.DType // of those that are plain floats
	decode          func(dst []float32, src []byte)
}

// blocks are the types that are decoded, by the number that the format has for them.
var blocks = map[uint32]block{
	0:  {"F32", 1, 4, dtypes.Float32, nil},
	1:  {"F16", 1, 2, dtypes.Float16, nil},
	2:  {"Q4_0", 32, 18, 0, q4_0},
	3:  {"Q4_1", 32, 20, 0, q4_1},
	6:  {"Q5_0", 32, 22, 0, q5_0},
	7:  {"Q5_1", 32, 24, 0, q5_1},
	8:  {"Q8_0", 32, 34, 0, q8_0},
	10: {"Q2_K", 256, 84, 0, q2K},
	11: {"Q3_K", 256, 110, 0, q3K},
	12: {"Q4_K", 256, 144, 0, q4K},
	13: {"Q5_K", 256, 176, 0, q5K},
	14: {"Q6_K", 256, 210, 0, q6K},
	20: {"IQ4_NL", 32, 18, 0, iq4NL},
	23: {"IQ4_XS", 256, 136, 0, iq4XS},
	30: {"BF16", 1, 2, dtypes.BFloat16, nil},
	39: {"MXFP4", 32, 17, 0, mxfp4Block},
}

// undecoded are the names of further types, for messages.
var undecoded = map[uint32]string{
	9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
	21: "IQ3_S", 22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
	34: "TQ1_0", 35: "TQ2_0", 40: "NVFP4", 41: "Q1_0",
}

// ggufReader reads a header; the first fault ends it.
type ggufReader struct {
	data []byte
	at   int
	err  error
	last array // that value has read last
}

// take returns the next n bytes.
func (r *ggufReader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.data)-r.at) {
		r.err = fmt.Errorf("%d bytes wanted at %d of %d: the file is cut short, or no GGUF", n, r.at, len(r.data))
	}
	if r.err != nil {
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *ggufReader) uint(bytes int) uint64 {
	var padded [8]byte
	copy(padded[:], r.take(uint64(bytes)))
	return binary.LittleEndian.Uint64(padded[:])
}

func (r *ggufReader) string() string { return string(r.take(r.uint(8))) }

// The numbers of GGUF's types of metadata.
const (
	ggufFloat32 = 6
	ggufBool    = 7
	ggufString  = 8
	ggufArray   = 9
	ggufFloat64 = 12
)

// ggufSizes are the bytes of a value, by type.
var ggufSizes = map[uint32]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, ggufFloat32: 4, ggufBool: 1, 10: 8, 11: 8, ggufFloat64: 8}

// list is an array of metadata, of which the number of elements is kept.
type list int

// value reads a value. Of an array the elements are passed over, and stay in last.
func (r *ggufReader) value(kind uint32) any {
	size := ggufSizes[kind]
	switch {
	case kind == ggufString:
		return r.string()
	case kind == ggufArray:
		of, n := uint32(r.uint(4)), r.uint(8)
		from := r.at
		switch size := ggufSizes[of]; {
		case size > 0 && n <= uint64(len(r.data)):
			r.take(n * uint64(size))
		case of == ggufString:
			for i := uint64(0); i < n && r.err == nil; i++ {
				r.string()
			}
		case r.err == nil:
			r.err = fmt.Errorf("an array of %d values of type %d", n, of)
		}
		r.last = array{of, r.data[from:r.at]}
		return list(min(n, math.MaxInt32))
	case size == 0:
		if r.err == nil {
			r.err = fmt.Errorf("a value of type %d at %d", kind, r.at)
		}
		return nil
	}
	bits := r.uint(size)
	switch kind {
	case ggufBool:
		return bits != 0
	case ggufFloat32:
		x := math.Float32frombits(uint32(bits))
		meant, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64) // 1e-05, not 9.999999747378752e-06
		return meant
	case ggufFloat64:
		return math.Float64frombits(bits)
	case 1, 3, 5, 11: // signed
		return float64(int64(bits<<(64-8*size)) >> (64 - 8*size))
	}
	return float64(bits)
}

// parseGGUF reads a header and places the tensors in the data, which is not read.
func parseGGUF(path string, file []byte) (*gguf, error) {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("checkpoint: %s: "+format, append([]any{path}, args...)...)
	}
	r := &ggufReader{data: file}
	if magic := r.take(4); r.err == nil && string(magic) != "GGUF" {
		return nil, fail("does not begin with GGUF")
	}
	if version := r.uint(4); r.err == nil && version != 2 && version != 3 {
		return nil, fail("GGUF version %d, wanted 2 or 3, little endian", version)
	}
	count, keys := r.uint(8), r.uint(8)
	g := &gguf{path: path, metadata: map[string]any{}, arrays: map[string]array{}}
	for i := uint64(0); i < keys && r.err == nil; i++ {
		key := r.string()
		if _, ok := g.metadata[key]; ok {
			return nil, fail("metadata %s twice", quote(key))
		}
		v := r.value(uint32(r.uint(4)))
		if _, ok := v.(list); ok {
			g.arrays[key] = r.last
		}
		g.metadata[key] = v
	}
	var offsets []uint64
	for i := uint64(0); i < count && r.err == nil; i++ {
		t, offset, err := g.tensor(r)
		if err != nil {
			return nil, fail("tensor %s: %w", quote(t.Name), err)
		}
		g.tensors, offsets = append(g.tensors, t), append(offsets, offset)
	}
	if r.err != nil {
		return nil, fail("%w", r.err)
	}
	alignment, err := g.alignment()
	if err == nil {
		err = g.place(file[min(len(file), (r.at+alignment-1)/alignment*alignment):], offsets, uint64(alignment))
	}
	if err != nil {
		return nil, fail("%w", err)
	}
	return g, nil
}

// alignment is what the offsets of tensors' data are multiples of.
func (g *gguf) alignment() (int, error) {
	a, ok := g.metadata["general.alignment"]
	if !ok {
		return 32, nil
	}
	n, _ := a.(float64)
	if n < 1 || n > 1<<20 || n != math.Trunc(n) || int(n)&(int(n)-1) != 0 {
		return 0, fmt.Errorf("general.alignment is %s, wanted a power of two", briefly(a))
	}
	return int(n), nil
}

// place gives the tensors their data, which neither overlaps nor is missing.
func (g *gguf) place(data []byte, offsets []uint64, alignment uint64) error {
	order := make([]int, len(offsets))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(offsets[a], offsets[b]) })
	end, seen := uint64(0), map[string]bool{}
	for _, i := range order {
		t, from := &g.tensors[i], offsets[i]
		size := uint64(len(t.raw)) // set by tensor
		switch {
		case seen[t.Name]:
			return fmt.Errorf("tensor %s twice", quote(t.Name))
		case from < end || from%alignment != 0:
			return fmt.Errorf("tensor %s: data from %d, wanted from %d on at a multiple of %d", quote(t.Name), from, end, alignment)
		case from > uint64(len(data)) || size > uint64(len(data))-from:
			return fmt.Errorf("tensor %s: %d bytes from %d in %d of data: the file is cut short", quote(t.Name), size, from, len(data))
		}
		end, seen[t.Name] = from+size, true
		t.raw = data[from:end:end]
		if usable(t.DType) {
			t.Data = t.raw
		}
	}
	return nil
}

// tensor reads a tensor's entry. Its raw data has the right length, and lies elsewhere.
func (g *gguf) tensor(r *ggufReader) (t Tensor, offset uint64, err error) {
	t = Tensor{Name: r.string(), file: g.path}
	axes := r.uint(4)
	if r.err == nil && (axes < 1 || axes > 4) {
		return t, 0, fmt.Errorf("%d axes, wanted 1 to 4", axes)
	}
	for i := uint64(0); i < axes && r.err == nil; i++ {
		n := r.uint(8)
		if n < 1 || n > math.MaxInt32 {
			return t, 0, fmt.Errorf("an axis of %d, wanted 1 to %d", n, math.MaxInt32)
		}
		t.Shape = append([]int{int(n)}, t.Shape...) // the last axis comes first
	}
	number := uint32(r.uint(4))
	offset = r.uint(8)
	if r.err != nil {
		return t, 0, nil
	}
	b, ok := blocks[number]
	if !ok {
		return t, 0, fmt.Errorf("of type %s, wanted one of %s", cmp.Or(undecoded[number], fmt.Sprint(number)), strings.Join(blockKinds(), ", "))
	}
	t.kind, t.DType = b.kind, b.dtype
	width := t.Shape[len(t.Shape)-1]
	if width%b.elements != 0 {
		return t, 0, fmt.Errorf("shape %v of %s, wanted a multiple of %d as the last", t.Shape, b.kind, b.elements)
	}
	size, ok := byteSize(t.Shape, 8*b.bytes)
	if !ok || size/b.elements > len(r.data) {
		return t, 0, fmt.Errorf("shape %v, more than the file holds", t.Shape)
	}
	t.raw = r.data[:size/b.elements]
	return t, offset, nil
}

// blockOf is the type of a tensor.
func blockOf(t Tensor) block {
	for _, b := range blocks {
		if b.kind == t.kind {
			return b
		}
	}
	return block{}
}
