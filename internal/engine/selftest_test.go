package engine

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"golang.org/x/sys/cpu"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// TestSelfTest: the pure-Go backend passes (XLA's does in every test of package logprob).
func TestSelfTest(t *testing.T) {
	b, err := pureGo()
	if err != nil {
		t.Fatal(err)
	}
	for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
		if err := SelfTest(b, dtype); err != nil {
			t.Errorf("%s: %v", dtype, err)
		}
	}
}

// rounded is x with bits fewer than the 24 of a float32, as Dekker splits numbers.
func rounded(x *Node, bits int) *Node {
	big := MulScalar(x, float64(int(1)<<bits+1))
	return Sub(big, Sub(big, x))
}

// TestSelfTestFaults: what is known to go wrong with products is found.
func TestSelfTestFaults(t *testing.T) {
	b, err := pureGo()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		dtype   dtypes.DType
		product func(x, w *Node, axis int) *Node
		want    string
	}{
		{"TF32, whose operands have 11 bits", dtypes.Float32, func(x, w *Node, axis int) *Node {
			return arch.Product(rounded(x, 13), rounded(w, 13), axis)
		}, "product of [1 83] by a matrix of Float32 [in out]"},
		{"bfloat16 given for float32", dtypes.Float32, func(x, w *Node, axis int) *Node {
			return arch.Product(x, ConvertDType(w, dtypes.BFloat16), axis)
		}, "product of [1 83] by a matrix of Float32 [in out]"},
		{"results of large products rounded to bfloat16", dtypes.BFloat16, func(x, w *Node, axis int) *Node {
			y := arch.Product(x, w, axis)
			if y.Shape().Dimensions[1] > 100 {
				y = ConvertDType(ConvertDType(y, dtypes.BFloat16), dtypes.Float32)
			}
			return y
		}, "product of [9 521] by a matrix of BFloat16 [in out]"},
		{"8 of 16 terms dropped of [out in]", dtypes.BFloat16, func(x, w *Node, axis int) *Node {
			if axis == 1 {
				place := Iota(x.Graph(), x.Shape(), 1)
				lower := LessThan(Sub(place, MulScalar(Floor(DivScalar(place, 16)), 16)), Scalar(x.Graph(), dtypes.Float32, 8))
				x = Where(lower, x, ZerosLike(x))
			}
			return arch.Product(x, w, axis)
		}, "product of [1 83] by a matrix of BFloat16 [out in]"},
		{"the last column left out", dtypes.Float32, func(x, w *Node, axis int) *Node {
			y := arch.Product(x, w, axis)
			n := y.Shape().Dimensions[1]
			return Concatenate([]*Node{SliceAxis(y, 1, AxisRange(0, n-1)), ZerosLike(SliceAxis(y, 1, AxisRange(n-1, n)))}, 1)
		}, "product of [1 83] by a matrix of Float32 [in out]"},
	} {
		err := selfTest(b, test.dtype, test.product)
		var fault *Fault
		if !errors.As(err, &fault) || !strings.HasPrefix(fault.Error(), test.want) || fault.Got == fault.Want {
			t.Errorf("%s: %v, wanted a fault of %s", test.name, err, test.want)
		}
	}
}

// TestSelfTestUpstream: the terms that compute v0.1.6 drops on processors with AVX2 and
// without AVX-512 are found. Which code it takes is decided when a program starts.
func TestSelfTestUpstream(t *testing.T) {
	const inside = "ENGINE_TEST_AVX2"
	if os.Getenv(inside) == "" {
		if !strings.Contains(runtime.Version(), "simd") || !cpu.X86.HasAVX2 {
			t.Skip("needs a processor and a build with vectors of 256 bits")
		}
		c := exec.Command(os.Args[0], "-test.run=^TestSelfTestUpstream$")
		c.Env = append(os.Environ(), inside+"=1", "GOMLX_SIMD_AVX2=1", "GOMLX_SIMD_AVX512=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}
	b, err := pureGo()
	if err != nil {
		t.Fatal(err)
	}
	err = selfTest(b, dtypes.BFloat16, func(x, w *Node, axis int) *Node {
		return Dot(ConvertDType(x, w.DType()), w).WithOutputDType(dtypes.Float32).General([]int{-1}, nil, []int{axis}, nil)
	})
	var fault *Fault
	const want = "product of [1 83] by a matrix of BFloat16 [out in] = [37 83]"
	if !errors.As(err, &fault) || fault.What != want {
		t.Errorf("products of compute in bfloat16: %v, wanted a fault of the %s; if upstream has mended them, setup/upstream can go", err, want)
	}
	if err := selfTest(b, dtypes.BFloat16, arch.Product); err != nil {
		t.Errorf("our products: %v", err)
	}
}
