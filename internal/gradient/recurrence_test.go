package gradient

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestSolved: systems of one and of several steps, whose last is cut or not, and inverses that are
// put together of halves, are solved as by one row after the other; what is on the diagonal and
// above does not count. So are derivatives, by central differences.
func TestSolved(t *testing.T) {
	backend := goBackend(t)
	for _, l := range []int{16, 64, 80, 256, 272, 528, 1040} {
		if testing.Short() && l > 272 {
			break // the race detector finds the same in few rows
		}
		t.Run(fmt.Sprint(l), func(t *testing.T) {
			const heads, width = 2, 3
			rng := rand.New(rand.NewPCG(uint64(l), 1))
			draw := func(n int) []float64 {
				all := make([]float64, n)
				for i := range all {
					all[i] = 2*rng.Float64() - 1
				}
				return all
			}
			x, b, weights := draw(heads*l*l), draw(heads*l*width), draw(heads*l*width)
			for i := range x {
				x[i] /= math.Sqrt(float64(l)) // so that u does not grow with l
			}
			exec, err := NewExec(backend, func(in []*Node) []*Node {
				u := solved(in[0], in[1])
				return append([]*Node{u}, Gradient(ReduceAllSum(Mul(u, in[2])), in[0], in[1])...)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer exec.Finalize()
			tensor := func(v []float64, w int) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, heads, l, w) }
			out, err := exec.Call(tensor(x, l), tensor(b, width), tensor(weights, width))
			if err != nil {
				t.Fatal(err)
			}
			u, dx, db := tensors.MustCopyFlatData[float64](out[0]), tensors.MustCopyFlatData[float64](out[1]), tensors.MustCopyFlatData[float64](out[2])
			want := solvedByRows(x, b, heads, l, width)
			for i := range want {
				if !(math.Abs(u[i]-want[i]) <= 1e-9*max(1, math.Abs(want[i]))) {
					t.Fatalf("u[%d] is %v, wanted %v", i, u[i], want[i])
				}
			}
			loss := func() (sum float64) {
				for i, v := range solvedByRows(x, b, heads, l, width) {
					sum += v * weights[i]
				}
				return sum
			}
			difference := func(at *float64) float64 {
				const step = 1e-6
				was := *at
				*at = was + step
				high := loss()
				*at = was - step
				low := loss()
				*at = was
				return (high - low) / (2 * step)
			}
			for range 12 {
				i, j := rng.IntN(len(x)), rng.IntN(len(b))
				for _, of := range [][2]float64{{dx[i], difference(&x[i])}, {db[j], difference(&b[j])}} {
					if !(math.Abs(of[0]-of[1]) <= 1e-5*max(1, math.Abs(of[1]))) {
						t.Errorf("derivative %v, central difference %v", of[0], of[1])
					}
				}
			}
		})
	}
}

// solvedByRows is solved, one row after the other.
func solvedByRows(x, b []float64, heads, l, width int) []float64 {
	u := make([]float64, len(b))
	for h := range heads {
		for i := range l {
			row := u[(h*l+i)*width:][:width]
			copy(row, b[(h*l+i)*width:])
			for j := range i {
				a := x[(h*l+i)*l+j]
				for k := range row {
					row[k] -= a * u[(h*l+j)*width+k]
				}
			}
		}
	}
	return u
}
