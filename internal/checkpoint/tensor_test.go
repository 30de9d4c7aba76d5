package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
)

// All 65,536 numbers of both half types, against GoMLX's own conversion, from
// every alignment.
func TestFloat32sExact(t *testing.T) {
	for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
		for offset := range 3 {
			data := make([]byte, offset, offset+2*65536)
			for i := range 65536 {
				data = binary.LittleEndian.AppendUint16(data, uint16(i))
			}
			got, err := Tensor{DType: dtype, Shape: []int{65536}, Data: data[offset:]}.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				want := float16.FromBits(uint16(i)).Float32()
				if dtype == dtypes.BFloat16 {
					want = bfloat16.FromBits(uint16(i)).Float32()
				}
				if math.Float32bits(v) != math.Float32bits(want) && !(v != v && want != want) {
					t.Fatalf("%v %#04x: %v, want %v", dtype, i, v, want)
				}
			}
		}
	}
}

// F32 comes as a view where it can, and right in any case; lengths that no
// word divides are converted to the end.
func TestFloat32sLengths(t *testing.T) {
	for n := range 40 {
		for offset := range 4 {
			for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.Float16, dtypes.BFloat16} {
				data := make([]byte, offset, 256)
				for i := range n {
					v := float32(i) - 7
					switch dtype {
					case dtypes.Float32:
						data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
					case dtypes.Float16:
						data = binary.LittleEndian.AppendUint16(data, float16.FromFloat32(v).Bits())
					case dtypes.BFloat16:
						data = binary.LittleEndian.AppendUint16(data, bfloat16.FromFloat32(v).Bits())
					}
				}
				tensor := Tensor{DType: dtype, Shape: []int{n}, Data: data[offset:]}
				got, err := tensor.Float32s()
				if err != nil || len(got) != n {
					t.Fatalf("%v, %d of them: %v, %v", dtype, n, got, err)
				}
				into := make([]float32, n)
				if err := tensor.Float32sInto(into); err != nil {
					t.Fatal(err)
				}
				for i := range n {
					if got[i] != float32(i)-7 || into[i] != got[i] {
						t.Fatalf("%v, %d of them from %d: %v, %v", dtype, n, offset, got, into)
					}
				}
				if view := dtype == dtypes.Float32 && n > 0 && offset == 0; view != (float32View(tensor) != nil) {
					t.Errorf("%v, %d of them from %d: view %v", dtype, n, offset, !view)
				}
			}
		}
	}
}

func TestFloat32sRefused(t *testing.T) {
	tensor := Tensor{Name: "x", DType: dtypes.Int8, Shape: []int{1}, Data: []byte{1}}
	want := `checkpoint: tensor "x": dtype Int8, wanted F32, F16 or BF16 (save the model in one of these)`
	_, err := tensor.Float32s()
	wantError(t, err, "", want)
	wantError(t, tensor.Float32sInto(make([]float32, 1)), "", want)
	wantError(t, tensor.CheckFinite(), "", want)
	wantError(t, bf16("x", 2).Float32sInto(make([]float32, 3)), "", `checkpoint: tensor "x": room for 3 elements, wanted 2`)
}

// A culprit is found wherever it lies, and the largest finite numbers are none.
func TestCheckFinite(t *testing.T) {
	half := func(x uint16) []byte { return binary.LittleEndian.AppendUint16(nil, x) }
	full := func(x float32) []byte { return binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)) }
	inf := float32(math.Inf(1))
	for _, test := range []struct {
		dtype    dtypes.DType
		bad      []byte
		text     string
		harmless [][]byte
	}{
		{dtypes.Float32, full(float32(math.NaN())), "NaN", [][]byte{full(math.MaxFloat32), full(-math.MaxFloat32), full(0), full(1e-45)}},
		{dtypes.Float32, full(-inf), "-Inf", [][]byte{full(1)}},
		{dtypes.BFloat16, half(0x7f81), "NaN", [][]byte{half(0x7f7f), half(0xff7f), half(0x8000)}},
		{dtypes.BFloat16, half(0xff80), "-Inf", [][]byte{half(0)}},
		{dtypes.Float16, half(0xfc01), "NaN", [][]byte{half(0x7bff), half(0xfbff), half(0x8001)}},
		{dtypes.Float16, half(0x7c00), "+Inf", [][]byte{half(0x3c00)}},
	} {
		const rows, columns = 3, 2500 // beyond one block of each type
		size := test.dtype.Size()
		for _, good := range test.harmless {
			data := bytes.Repeat(good, rows*columns)
			tensor := Tensor{Name: "x", DType: test.dtype, Shape: []int{rows, columns}, Data: data, file: "f"}
			if err := tensor.CheckFinite(); err != nil {
				t.Errorf("all %x: %v", good, err)
			}
			for _, i := range []int{0, 1, 7, 1023, 1024, 2047, 2048, 4096, 7498, 7499} {
				copy(data[i*size:], test.bad)
				err := tensor.CheckFinite()
				wantError(t, err, "", fmt.Sprintf(`checkpoint: f: tensor "x": %s at [%d %d], wanted finite weights`, test.text, i/columns, i%columns))
				copy(data[i*size:], good)
			}
		}
	}
	scalar := Tensor{Name: "x", DType: dtypes.BFloat16, Data: half(0x7f80)}
	wantError(t, scalar.CheckFinite(), "", `checkpoint: tensor "x": +Inf at [], wanted finite weights`)
}

func TestWriteRefused(t *testing.T) {
	for _, test := range []struct {
		tensors []Tensor
		want    string
	}{
		{[]Tensor{bf16("a", 1), bf16("a", 2)}, `checkpoint: tensor "a": a reserved name, or one that comes twice`},
		{[]Tensor{bf16("__metadata__", 1)}, `checkpoint: tensor "__metadata__": a reserved name, or one that comes twice`},
		{[]Tensor{{Name: "a", DType: dtypes.Float32, Shape: []int{2}, Data: make([]byte, 4)}},
			`checkpoint: tensor "a": 4 bytes of data, wanted 8 for shape [2] of F32`},
		{[]Tensor{{Name: "a", DType: dtypes.Complex128, Shape: []int{1}, Data: make([]byte, 16)}},
			`checkpoint: tensor "a": dtype Complex128, wanted one that safetensors has`},
		{[]Tensor{{Name: "a"}}, `checkpoint: tensor "a": dtype InvalidDType, wanted one that safetensors has`},
	} {
		var b bytes.Buffer
		wantError(t, Write(&b, test.tensors, nil), "", test.want)
		if b.Len() > 0 {
			t.Errorf("%d bytes written", b.Len())
		}
	}
	wantError(t, Write(failing{}, []Tensor{bf16("a", 1)}, nil), "", "checkpoint: write: no room")
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no room") }
