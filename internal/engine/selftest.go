package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Fault is a number that a backend computes wrong.
type Fault struct {
	What              string  // is computed
	At                int     // the number's place in the result
	Got, Want, Within float64 // Within is the rounding that would have been accepted
}

// Error says what is wrong, and by how much.
func (f *Fault) Error() string {
	return fmt.Sprintf("%s: value %d is %.6g, wanted %.6g within %.2g", f.What, f.At, f.Got, f.Want, f.Within)
}

// tested has the outcome for each kind of backend and dtype that this process has tried.
var tested sync.Map // string -> func() error

// SelfTest computes on the backend what models are made of, as the engine computes it in
// dtype, and compares it with float64 in Go: products by matrices in both layouts and on
// both sides of the size from which the pure-Go backend takes other code, and attention,
// with its gathered keys, batched products, tanh, mask and softmax; on the pure-Go backend
// also the functions of activations and norms, which XLA takes too long to compile. What
// differs by more than rounding is a *Fault. A process tries a kind of backend once for
// each dtype: in Go it takes some 10 ms, with XLA 0.3 s of a core.
func SelfTest(backend compute.Backend, dtype dtypes.DType) error {
	kind := fmt.Sprintf("%T %s %v %s", backend, backend.Description(), UsesTF32(backend), dtype)
	once, _ := tested.LoadOrStore(kind, sync.OnceValue(func() error { return selfTest(backend, dtype, arch.Product) }))
	return once.(func() error)()
}

// UsesTF32 reads go-xla's setting, which is on by default on CUDA, and which tells backends
// with one description apart.
func UsesTF32(backend compute.Backend) bool {
	v := reflect.Indirect(reflect.ValueOf(backend))
	if v.Kind() != reflect.Struct {
		return false
	}
	f := v.FieldByName("DotGeneralUseTF32")
	return f.Kind() == reflect.Bool && f.Bool()
}

// trials are the computations of a self-test, in one graph.
type trials struct {
	random *rand.Rand
	in     []*tensors.Tensor
	all    []trial
}

type trial struct {
	what  string
	in    int // number of inputs
	graph func(in []*Node) *Node
	check func(got []float32) *Fault
}

func (t *trials) add(what string, graph func(in []*Node) *Node, check func(got []float32) *Fault, in ...*tensors.Tensor) {
	t.in = append(t.in, in...)
	t.all = append(t.all, trial{what, len(in), graph, check})
}

// uniform are n numbers in (-1, 1) that take all the bits of a float32: a product in TF32,
// of 10 bits, is off by far more than rounding.
func (t *trials) uniform(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(2*t.random.Float64() - 1)
	}
	return x
}

func selfTest(backend compute.Backend, dtype dtypes.DType, product func(x, w *Node, axis int) *Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	t := &trials{random: rand.New(rand.NewPCG(13, 1))}
	// 4 Mi multiplications is where compute v0.1.6 goes from its small products to its large
	// ones (noSIMDSmallMatMulSizeThreshold); the odd sizes leave a remainder in every loop.
	for _, size := range [][3]int{{1, 83, 37}, {5, 83, 37}, {9, 521, 901}} {
		t.products(dtype, product, size[0], size[1], size[2])
	}
	invariant := dtype == dtypes.Float32 && arch.BackendName(backend) == "xla:cpu"
	t.attention(invariant, 2, 2, 3, 4, 19, 20)
	if arch.BackendName(backend) == "go" {
		t.attention(invariant, 1, 1, 2, 130, 250, 65)
		t.functions()
	}
	defer releaseAll(t.in)

	exec, err := NewExec(backend, func(in []*Node) []*Node {
		var out []*Node
		for _, trial := range t.all {
			out = append(out, ConvertDType(trial.graph(in[:trial.in]), dtypes.Float32))
			in = in[trial.in:]
		}
		return out
	})
	if err != nil {
		return err
	}
	defer exec.Finalize()
	args := make([]any, len(t.in))
	for i, x := range t.in {
		args[i] = x
	}
	out, err := exec.Call(args...)
	if err != nil {
		return err
	}
	defer releaseAll(out)
	for i, trial := range t.all {
		got, err := tensors.CopyFlatData[float32](out[i])
		if err != nil {
			return err
		}
		if fault := trial.check(got); fault != nil {
			fault.What = trial.what
			return fault
		}
	}
	return nil
}

// within is the Fault of one number, nil if it is right.
func within(at int, got float32, want, bound float64) *Fault {
	if math.Abs(float64(got)-want) <= bound { // not of a NaN
		return nil
	}
	return &Fault{At: at, Got: float64(got), Want: want, Within: bound}
}

// products are x [rows in] by a matrix in both layouts. Of large results some columns are
// compared, of every row.
func (t *trials) products(dtype dtypes.DType, product func(x, w *Node, axis int) *Node, rows, in, out int) {
	x, w := t.uniform(rows*in), t.uniform(out*in) // w is [out in]
	if dtype == dtypes.BFloat16 {                 // whether x is rounded to it then does not matter: see arch.Widens
		for _, values := range [][]float32{x, w} {
			for i, v := range values {
				values[i] = bfloat16.FromFloat32(v).Float32()
			}
		}
	}
	turned := make([]float32, len(w))
	transpose(turned, w, out, in, out, func(x float32) float32 { return x })
	onDevice := func(flat []float32, dims ...int) *tensors.Tensor {
		if dtype != dtypes.BFloat16 {
			return tensors.FromFlatDataAndDimensions(flat, dims...)
		}
		half := make([]bfloat16.BFloat16, len(flat))
		for i, v := range flat {
			half[i] = bfloat16.FromFloat32(v)
		}
		return tensors.FromFlatDataAndDimensions(half, dims...)
	}
	step := 1
	if out > 100 {
		step = 13
	}
	check := func(got []float32) *Fault {
		for r := range rows {
			for c := 0; c < out; c++ {
				if c%step != 0 && c < out-40 {
					continue
				}
				sum, size := 0.0, 0.0
				for i := range in {
					term := float64(x[r*in+i]) * float64(w[c*in+i])
					sum, size = sum+term, size+math.Abs(term)
				}
				// Sums of a few hundred terms in float32 err by some 1e-8 of their terms, in TF32
				// by 1e-5 and more.
				if fault := within(r*out+c, got[r*out+c], sum, size/(1<<20)); fault != nil {
					return fault
				}
			}
		}
		return nil
	}
	what := fmt.Sprintf("product of [%d %d] by a matrix of %s ", rows, in, dtype)
	for axis, layout := range []string{"[in out]", "[out in]"} {
		flat, dims := turned, []int{in, out}
		if axis == 1 {
			flat, dims = w, []int{out, in}
		}
		t.add(fmt.Sprintf("%s%s = %v", what, layout, dims), func(in []*Node) *Node { return product(in[0], in[1], axis) },
			check, tensors.FromFlatDataAndDimensions(x, rows, in), onDevice(flat, dims...))
	}
}

// attention is softmaxOf, of random masks, with scores capped as Gemma 2's are; its keys
// and values are gathered from twice as many.
func (t *trials) attention(invariant bool, s, g, m, c, j, k int) {
	const soft = 3                                                                // the cap
	q, key, v := t.uniform(s*g*m*c*k), t.uniform(2*j*s*g*k), t.uniform(2*j*s*g*k) // [S G M C K], [2J S G K]
	place, sees := make([]int32, j), make([]bool, s*c*j)
	for i := range place {
		place[i] = int32(t.random.IntN(2 * j))
	}
	for i := range sees {
		sees[i] = i%j == 0 || t.random.IntN(3) > 0
	}
	check := func(got []float32) *Fault {
		for at := 0; at < len(got); at += k * max(1, m*c/20) { // of some queries all values
			i, mi := at/k, 0 // the result is [S C G M K]
			i, mi = i/m, i%m
			i, gi := i/g, i%g
			si, ci := i/c, i%c
			query := q[(((si*g+gi)*m+mi)*c+ci)*k:][:k]
			sum, of := 0.0, make([]float64, k)
			for ji := range j {
				if !sees[(si*c+ci)*j+ji] {
					continue
				}
				from := ((int(place[ji])*s+si)*g + gi) * k
				score := 0.0
				for ki := range k {
					score += float64(query[ki]) * float64(key[from+ki])
				}
				weight := math.Exp(soft * math.Tanh(score/soft))
				sum += weight
				for ki := range k {
					of[ki] += weight * float64(v[from+ki])
				}
			}
			for ki := range k {
				if fault := within(at+ki, got[at+ki], of[ki]/sum, 1e-5); fault != nil {
					return fault
				}
			}
		}
		return nil
	}
	t.add(fmt.Sprintf("attention of %d queries to %d keys", m*c, j), func(in []*Node) *Node {
		at := InsertAxes(in[3], -1)
		gathered := func(x *Node) *Node { return TransposeAllAxes(Gather(x, at), 1, 2, 0, 3) } // [J S G K] -> [S G J K]
		return softmaxOf(in[0], gathered(in[1]), gathered(in[2]), in[4], nil, nil, soft, invariant, accelerated(in[0].Graph().Backend()))
	}, check, tensors.FromFlatDataAndDimensions(q, s, g, m, c, k), tensors.FromFlatDataAndDimensions(key, 2*j, s, g, k),
		tensors.FromFlatDataAndDimensions(v, 2*j, s, g, k), tensors.FromFlatDataAndDimensions(place, j), tensors.FromFlatDataAndDimensions(sees, s, c, j))
}

// functions are those of activations, norms and softmax.
func (t *trials) functions() {
	for _, f := range []struct {
		what     string
		from, to float64
		graph    func(*Node) *Node
		want     func(float64) float64
	}{
		{"exp", -80, 1, Exp, math.Exp},
		{"tanh", -12, 12, Tanh, math.Tanh},
		{"erf", -5, 5, Erf, math.Erf},
		{"sigmoid", -30, 30, Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
		{"1/sqrt", 1e-6, 100, Rsqrt, func(x float64) float64 { return 1 / math.Sqrt(x) }},
	} {
		const n = 333
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(f.from + (f.to-f.from)*float64(i)/(n-1))
		}
		t.add(f.what, func(in []*Node) *Node { return f.graph(in[0]) }, func(got []float32) *Fault {
			for i, v := range x {
				want := f.want(float64(v))
				if fault := within(i, got[i], want, 1e-5*math.Abs(want)+1e-30); fault != nil {
					return fault
				}
			}
			return nil
		}, tensors.FromFlatDataAndDimensions(x, n))
	}
	const rows, width = 3, 1003 // of the head
	logits := t.uniform(rows * width)
	t.add("sum of exp(x - max x)", func(in []*Node) *Node {
		top := ReduceMax(in[0], -1)
		return Add(top, ReduceSum(Exp(Sub(in[0], InsertAxes(top, -1))), -1))
	}, func(got []float32) *Fault {
		for r := range rows {
			top, sum := math.Inf(-1), 0.0
			for _, x := range logits[r*width:][:width] {
				top = max(top, float64(x))
			}
			for _, x := range logits[r*width:][:width] {
				sum += math.Exp(float64(x) - top)
			}
			if fault := within(r, got[r], top+sum, 1e-5*sum); fault != nil {
				return fault
			}
		}
		return nil
	}, tensors.FromFlatDataAndDimensions(logits, rows, width))
}
