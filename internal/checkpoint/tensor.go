package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/gomlx/compute/dtypes"
)

// Tensor is one tensor of a checkpoint. [Write] needs only the exported fields.
type Tensor struct {
	Name  string
	DType dtypes.DType // InvalidDType for the few safetensors types that package dtypes lacks (F6_E2M3, F6_E3M2)
	Shape []int        // row-major; empty for a scalar
	// Data is the elements, little endian. From [Weights.Get] it is read-only memory (a
	// write ends the program), valid until [Weights.Close], and nil unless DType is Float32,
	// Float16 or BFloat16 (see [Tensor.Usable]), and of a quantised tensor, which is decoded
	// when it is read and whose DType is Float32.
	Data []byte

	raw  []byte // the data, whatever its type
	kind string // the file's name of the type
	file string // source file

	packed *packed // how it is decoded; nil for a tensor whose elements are Data
	at     int     // of a packed tensor's elements the first
}

// storage is a safetensors element type.
type storage struct {
	kind  string
	bits  int
	dtype dtypes.DType
}

// storages lists the safetensors element types in the order in which its writer arranges
// tensors: larger alignment first (safetensors 0.8, safetensors/src/tensor.rs, enum Dtype,
// from its end).
var storages = [...]storage{
	{"U64", 64, dtypes.Uint64},
	{"I64", 64, dtypes.Int64},
	{"F64", 64, dtypes.Float64},
	{"C64", 64, dtypes.Complex64},
	{"F32", 32, dtypes.Float32},
	{"U32", 32, dtypes.Uint32},
	{"I32", 32, dtypes.Int32},
	{"BF16", 16, dtypes.BFloat16},
	{"F16", 16, dtypes.Float16},
	{"U16", 16, dtypes.Uint16},
	{"I16", 16, dtypes.Int16},
	{"F8_E5M2FNUZ", 8, dtypes.F8E5M2FNUZ},
	{"F8_E4M3FNUZ", 8, dtypes.F8E4M3FNUZ},
	{"F8_E8M0", 8, dtypes.F8E8M0FNU},
	{"F8_E4M3", 8, dtypes.F8E4M3FN},
	{"F8_E5M2", 8, dtypes.F8E5M2},
	{"I8", 8, dtypes.Int8},
	{"U8", 8, dtypes.Uint8},
	{"F6_E3M2", 6, dtypes.InvalidDType},
	{"F6_E2M3", 6, dtypes.InvalidDType},
	{"F4", 4, dtypes.F4E2M1FN},
	{"BOOL", 8, dtypes.Bool},
}

// usable reports whether tensors of a type have Data.
func usable(d dtypes.DType) bool {
	return d == dtypes.Float32 || d == dtypes.Float16 || d == dtypes.BFloat16
}

// Usable returns nil if the tensor is F32, F16 or BF16, and otherwise an error that names
// the tensor and its type.
func (t Tensor) Usable() error {
	if usable(t.DType) {
		return nil
	}
	kind := t.kind
	if kind == "" {
		kind = t.DType.String()
	}
	return t.errorf("dtype %s, wanted F32, F16 or BF16 (save the model in one of these)", kind)
}

func (t Tensor) errorf(format string, args ...any) error {
	err := fmt.Errorf("tensor %s: "+format, append([]any{quote(t.Name)}, args...)...)
	if t.file == "" {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return fmt.Errorf("checkpoint: %s: %w", t.file, err)
}

// Elements returns the number of elements.
func (t Tensor) Elements() int {
	n := 1
	for _, size := range t.Shape {
		n *= size
	}
	return n
}

// Rows returns the slices from to to (not included) along the first axis, as a tensor of
// their shape: the same memory. A tensor without axes, one number, is its own row 0.
func (t Tensor) Rows(from, to int) Tensor {
	if len(t.Shape) == 0 {
		return t
	}
	width := t.Elements() / t.Shape[0] // no row of a tensor without any is asked for
	if t.packed != nil {
		t.at += from * width
	} else {
		size := width * t.DType.Size()
		t.Data = t.Data[from*size : to*size : to*size]
		if t.raw != nil {
			t.raw = t.Data
		}
	}
	t.Shape = append([]int{to - from}, t.Shape[1:]...)
	return t
}

// Equal tells whether two tensors have one type and shape and the same elements, bit by bit.
func (t Tensor) Equal(u Tensor) bool {
	if t.DType != u.DType || !slices.Equal(t.Shape, u.Shape) {
		return false
	}
	if t.packed == nil && u.packed == nil {
		return bytes.Equal(t.Raw(), u.Raw())
	}
	a, err := t.Float32s()
	b, other := u.Float32s()
	return err == nil && other == nil && slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// Float32s returns the elements as float32, exactly, since every F16 and BF16 number
// (infinities and NaN too) is one; of a quantised tensor they are what the format's
// reference decodes, in float32. F32 data is returned as a view of Data if the machine is
// little-endian and the data aligned, else as a copy: treat the result as read-only and
// valid as long as Data. Other dtypes are an error.
func (t Tensor) Float32s() ([]float32, error) {
	if err := t.Usable(); err != nil {
		return nil, err
	}
	if view := float32View(t); view != nil {
		return view, nil
	}
	dst := make([]float32, t.Elements())
	return dst, t.Float32sInto(dst)
}

// Float32sInto is [Tensor.Float32s] into dst, whose length must be the number of elements;
// it avoids an allocation, which costs more than the conversion.
func (t Tensor) Float32sInto(dst []float32) error {
	if err := t.Usable(); err != nil {
		return err
	}
	if n := t.Elements(); n != len(dst) {
		return t.errorf("room for %d elements, wanted %d", len(dst), n)
	}
	if t.packed != nil {
		t.packed.decode(dst, t.at)
		return nil
	}
	switch t.DType {
	case dtypes.Float32:
		if view := float32View(t); view != nil {
			copy(dst, view)
			return nil
		}
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	case dtypes.BFloat16:
		bfloat16s(dst, t.Data)
	case dtypes.Float16:
		float16s(dst, t.Data)
	}
	return nil
}

// float32View returns F32 data without copying, or nil if that is impossible.
func float32View(t Tensor) []float32 {
	one := uint16(1)
	little := *(*byte)(unsafe.Pointer(&one)) == 1
	p := unsafe.Pointer(unsafe.SliceData(t.Data))
	if t.DType != dtypes.Float32 || !little || len(t.Data) == 0 || uintptr(p)%4 != 0 {
		return nil
	}
	return unsafe.Slice((*float32)(p), len(t.Data)/4)
}

// bfloat16s converts at 90 % of memory bandwidth: a bfloat16 is the upper half of a float32.
func bfloat16s(dst []float32, src []byte) {
	four := func(d *[4]float32, x uint64) {
		d[0] = math.Float32frombits(uint32(x) << 16)
		d[1] = math.Float32frombits(uint32(x) & 0xffff0000)
		d[2] = math.Float32frombits(uint32(x>>32) << 16)
		d[3] = math.Float32frombits(uint32(x>>32) & 0xffff0000)
	}
	for len(dst) >= 16 && len(src) >= 32 {
		d, s := (*[16]float32)(dst), (*[32]byte)(src)
		four((*[4]float32)(d[0:]), binary.LittleEndian.Uint64(s[0:]))
		four((*[4]float32)(d[4:]), binary.LittleEndian.Uint64(s[8:]))
		four((*[4]float32)(d[8:]), binary.LittleEndian.Uint64(s[16:]))
		four((*[4]float32)(d[12:]), binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[16:], src[32:]
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

func float16s(dst []float32, src []byte) {
	for len(dst) >= 4 && len(src) >= 8 {
		d, x := (*[4]float32)(dst), binary.LittleEndian.Uint64(src)
		d[0] = fromFloat16(uint16(x))
		d[1] = fromFloat16(uint16(x >> 16))
		d[2] = fromFloat16(uint16(x >> 32))
		d[3] = fromFloat16(uint16(x >> 48))
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = fromFloat16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// fromFloat16 converts an IEEE 754 binary16: exponent and fraction move to their float32
// positions, and the exponent's bias grows from 15 to 127.
func fromFloat16(h uint16) float32 {
	const one = 1 << 23 // one unit of a float32's exponent
	sign := uint32(h&0x8000) << 16
	x := uint32(h&0x7fff)<<13 + 112*one
	switch {
	case h&0x7c00 == 0x7c00: // infinities and NaN
		x += 112 * one
	case h&0x7c00 == 0: // subnormals and 0: computed with 2^-14 added, then subtracted
		x = math.Float32bits(math.Float32frombits(x+one) - 0x1p-14)
	}
	return math.Float32frombits(sign | x)
}

// CheckFinite returns an error that names the tensor and the index of the first NaN or
// infinite element, or nil. It reads the data once, at about memory bandwidth. Dtypes other
// than F32, F16 and BF16 are an error.
func (t Tensor) CheckFinite() error {
	if err := t.Usable(); err != nil {
		return err
	}
	if t.packed != nil {
		return t.checkPacked()
	}
	// exponent has the exponent bits of each element in a word, low the lowest of these:
	// adding low carries into the sign bit only if all exponent bits are set.
	var exponent, low uint64
	switch t.DType {
	case dtypes.Float32:
		exponent, low = 0x7f800000_7f800000, 0x00800000_00800000
	case dtypes.BFloat16:
		exponent, low = 0x7f807f80_7f807f80, 0x00800080_00800080
	case dtypes.Float16:
		exponent, low = 0x7c007c00_7c007c00, 0x04000400_04000400
	}
	sign := exponent + low
	const block = 4096
	data := t.Data
	for len(data) >= block {
		var found uint64
		for b := data[:block]; len(b) >= 32; b = b[32:] {
			found |= (binary.LittleEndian.Uint64(b)&exponent + low) |
				(binary.LittleEndian.Uint64(b[8:])&exponent + low) |
				(binary.LittleEndian.Uint64(b[16:])&exponent + low) |
				(binary.LittleEndian.Uint64(b[24:])&exponent + low)
		}
		if found&sign != 0 {
			break
		}
		data = data[block:]
	}
	// The remaining elements, or the block with the fault, one by one.
	size := t.DType.Size()
	for i := 0; i+size <= len(data); i += size {
		var v float32
		switch t.DType {
		case dtypes.Float32:
			v = math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))
		case dtypes.BFloat16:
			v = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[i:])) << 16)
		case dtypes.Float16:
			v = fromFloat16(binary.LittleEndian.Uint16(data[i:]))
		}
		if v-v != 0 {
			return t.errorf("%v at %v, wanted finite weights", v, t.place((len(t.Data)-len(data)+i)/size))
		}
	}
	return nil
}

// place returns the index of element i along each axis.
func (t Tensor) place(i int) []int {
	place := make([]int, len(t.Shape))
	for axis := len(t.Shape) - 1; axis >= 0; axis-- {
		place[axis] = i % t.Shape[axis]
		i /= t.Shape[axis]
	}
	return place
}

// Forget marks the data as not needed soon: its mapped pages leave memory, and are read
// again from the file if used. It does nothing to a tensor that is not from a file.
func (t Tensor) Forget() {
	if t.packed != nil {
		for _, data := range t.packed.from {
			forget(data)
		}
	}
	if t.Data != nil && t.raw != nil {
		forget(t.Data)
	}
}

// Raw returns the data of a tensor of any type, as the file has it; nil for a quantised one.
func (t Tensor) Raw() []byte {
	if t.raw != nil {
		return t.raw
	}
	return t.Data
}
