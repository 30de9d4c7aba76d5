package arch

import (
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"golang.org/x/sys/cpu"
)

// BackendName is how results name a backend: "go", "xla:cpu", "xla:cuda".
func BackendName(b compute.Backend) string {
	xla, ok := b.(interface{ PluginName() string })
	if !ok {
		return b.String()
	}
	for _, platform := range []string{"cuda", "rocm", "tpu", "cpu"} {
		if strings.Contains(strings.ToLower(filepath.Base(xla.PluginName())), platform) {
			return b.String() + ":" + platform
		}
	}
	return b.String() + ":" + xla.PluginName()
}

// BF16Products tells whether the processor has products of bfloat16. Tests change it.
var BF16Products = cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16

// Widens tells whether a backend multiplies by bfloat16 matrices in float32: because it is
// exact and no slower there. Otherwise it rounds the other operand to bfloat16, which costs
// 0.02 nats in the mean on a model of 135 million parameters.
func Widens(b compute.Backend) bool {
	name := BackendName(b)
	return name == "go" || name == "xla:cpu" && !BF16Products
}

// Bits tells whether the bfloat16 matrices of a mixture's experts lie on the device as integers of
// 16 bits. XLA's CPU plugin slices no bfloat16 but float32: of the slice that a loop takes of one
// expert it would make a copy in float32 of all experts' matrices before the loop, at every call.
func Bits(b compute.Backend) bool { return BackendName(b) == "xla:cpu" }

// Settled is y, what a product gave. On the pure-Go backend 512 bytes are copied before y is read: a copy of more
// than 256 and less than 2,048 leaves the vector registers as scalar code wants them, which the products of
// compute v0.1.6 do not. Without it math.Exp takes 1,300 ns in place of 9 on a Xeon with AVX-512 (setup/upstream).
func Settled(y *Node) *Node {
	if y.Graph().Backend().String() != "go" {
		return y
	}
	var first []SliceAxisSpec
	for range y.Rank() {
		first = append(first, AxisElem(0))
	}
	few := BroadcastToDims(Reshape(ConvertDType(StopGradient(Slice(y, first...)), dtypes.Float32)), 128)
	return SchedulingBarrier(y, Bitcast(few, dtypes.Uint32))
}

// Product multiplies x [.. in], float32, by the matrix w of a linear layer, whose inputs
// lie along the axis, and adds up and gives float32. Where products are not widened (Widens)
// it rounds x to w's type first. Where both are float64 (see Dense), so is everything.
//
// How backends are told to add bfloat16 products up in float32:
//
//   - The pure-Go backend is given float32: then it is exact, and on products of 4 Mi
//     multiplications and more 50 times as fast as in bfloat16 (0.2 Gflop/s on one Xeon).
//     With vectors of 256 bits (AVX2) its smaller products in bfloat16 by a matrix [out in]
//     drop half of the terms (compute v0.1.6; setup/upstream has the report and a patch).
//   - So is XLA's CPU plugin on a processor without bfloat16 products, where it would do so
//     itself, but with x rounded.
//   - Elsewhere it takes the output's type. Saying so as the accumulator's type makes
//     go-xla v0.4.5 copy the matrix at every call, adding 0*x[0] to it
//     (ops_dotgeneral.go, dotGeneralAddDependency).
//   - Other plugins are told float32, which is gomlx's default, since a bfloat16 product
//     with a bfloat16 accumulator may be added up in bfloat16.
//
// Of w and x of three axes the first counts pairs of matrices, each of which is multiplied alone.
func Product(x, w *Node, axis int) *Node { return productOf(x, w, axis, 1) }

// productOf is Product which, where it rounds x to w's type, multiplies by so many numbers of that
// type that add up to x: each is what rounding has left of the ones before, so that two of
// bfloat16 have 16 bits of the 24.
func productOf(x, w *Node, axis, parts int) *Node {
	backend := x.Graph().Backend()
	var pairs []int
	if w.Rank() > 2 {
		pairs = []int{0}
	}
	half := w.DType() != dtypes.Float32 && w.DType() != dtypes.Float64
	if half && Widens(backend) {
		w, half = ConvertDType(w, dtypes.Float32), false
	}
	if !half {
		return Settled(Dot(ConvertDType(x, w.DType()), w).General([]int{-1}, pairs, []int{axis}, pairs))
	}
	var sum *Node
	for range parts {
		part := ConvertDType(x, w.DType())
		dot := Dot(part, w).WithOutputDType(dtypes.Float32)
		if BackendName(backend) == "xla:cpu" {
			dot = dot.WithAccumulatorDType(w.DType())
		}
		y := dot.General([]int{-1}, pairs, []int{axis}, pairs)
		if sum == nil {
			sum = y
		} else {
			sum = Add(sum, y)
		}
		x = Sub(x, ConvertDType(part, x.DType()))
	}
	return sum
}
