package arch

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestSlopes: slopes of numbers of heads that are powers of 2 and are none, as torch 2.11 has them.
func TestSlopes(t *testing.T) {
	for _, test := range []struct {
		a    ALiBi
		n    int
		want []float32
	}{
		{ALiBi{Max: 8, Power: true}, 8, []float32{0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625}},
		{ALiBi{Max: 8}, 2, []float32{0.0625, 0.00390625}},
		{ALiBi{Max: 8, Power: true}, 3, []float32{0.0625, 0.00390625, 0.25}},
		{ALiBi{Max: 8}, 6, []float32{0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125}},
		{ALiBi{Max: 8}, 1, []float32{0.00390625}},
	} {
		if got := test.a.slopes(test.n); !slices.Equal(got, test.want) {
			t.Errorf("%+v of %d heads: %v, wanted %v", test.a, test.n, got, test.want)
		}
	}
}

// TestRoundedToBFloat16 holds the rounding by bits to that of package bfloat16, ties among them.
func TestRoundedToBFloat16(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	var x []float32
	for i := range 4096 { // products of an odd number of 8 bits: from 257 on every second is a tie
		x = append(x, float32(i), float32(i)*0.8413086, float32(i)*0.0131)
	}
	out, err := MustNewExec(backend, func(x *Node) *Node { return roundedToBFloat16(x) }).Call(tensors.FromFlatDataAndDimensions(x, len(x)))
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range tensors.MustCopyFlatData[float32](out[0]) {
		if want := bfloat16.FromFloat32(x[i]).Float32(); got != want {
			t.Fatalf("%g: %g, wanted %g", x[i], got, want)
		}
	}
}

// TestBias: a bias is the slope times the distance, and Falcon's that of the two rounded products.
func TestBias(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	query, key := []int32{301, 301}, []int32{299, 3}
	for _, test := range []struct {
		a    ALiBi
		want []float64 // of two heads, whose slopes are 2^-4 and 2^-8
	}{
		{ALiBi{Max: 8}, []float64{-2. / 16, -298. / 16, -2. / 256, -298. / 256}},
		// Of depths from 256 to 512 bfloat16 has the even ones: 299 and 301 are ties, and become 300.
		{ALiBi{Max: 8, Half: true, Factor: 0.5}, []float64{0, -297. / 32, 0, -297. / 512}},
	} {
		out, err := MustNewExec(backend, func(in []*Node) *Node { return test.a.Bias(in[0], in[1], 2, dtypes.Float64) }).
			Call(tensors.FromFlatDataAndDimensions(query, 1, 1, 2), tensors.FromFlatDataAndDimensions(key, 1, 1, 2))
		if err != nil {
			t.Fatal(err)
		}
		if got := tensors.MustCopyFlatData[float64](out[0]); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, wanted %v", test.a, got, test.want)
		}
	}
}
