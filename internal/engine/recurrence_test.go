package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// recurSizes are those of the tests: two heads of values a head of keys, and three taps.
const recurG, recurH, recurK, recurV, recurReach = 2, 4, 5, 3, 2

// recurInput is what one token brings.
type recurInput struct {
	q, k        []float64 // [G K]
	v           []float64 // [H V]
	decay, beta []float64 // [H]; beta is nil of Mamba 2
}

// recurInputs are those of a kind of text, of whichever token comes.
func recurInputs(r *rand.Rand, kind string) func() recurInput {
	numbers := func(n int, number func() float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(float32(number()))
		}
		return x
	}
	unit := func() []float64 { // of each head
		x := numbers(recurG*recurK, r.NormFloat64)
		for g := range recurG {
			sum := 0.0
			for _, y := range x[g*recurK : (g+1)*recurK] {
				sum += y * y
			}
			for i := range recurK {
				x[g*recurK+i] = float64(float32(x[g*recurK+i] / math.Sqrt(sum)))
			}
		}
		return x
	}
	same := unit()
	return func() recurInput {
		in := recurInput{q: unit(), k: unit(), v: numbers(recurH*recurV, r.NormFloat64)}
		in.beta = numbers(recurH, r.Float64)
		in.decay = numbers(recurH, func() float64 { return -r.ExpFloat64() / 4 })
		switch kind {
		case "one key again and again": // each token replaces what the last one wrote
			in.k = same
			in.beta = numbers(recurH, func() float64 { return 1 })
			in.decay = numbers(recurH, func() float64 { return 0 })
		case "strong decays": // most of what came before is gone, and of some tokens all
			in.decay = numbers(recurH, func() float64 { return -math.Pow(10, 5*r.Float64()-2) })
		case "Mamba 2":
			in.beta = nil
		case "Mamba 2, strong decays": // to -1000, and of some heads none
			in.beta, in.decay = nil, numbers(recurH, func() float64 { return -math.Pow(10, 5*r.Float64()-2) * float64(r.IntN(2)) })
		case "Mamba 2, no decays":
			in.beta, in.decay = nil, make([]float64, recurH)
		}
		return in
	}
}

// recur is the recurrence of arch.Recurrence in float64: the state [H K V] after a token, and o.
func recur(state []float64, in recurInput) (after, o []float64) {
	after, o = make([]float64, len(state)), make([]float64, recurH*recurV)
	for h := range recurH {
		g := h / (recurH / recurG)
		at := func(k, v int) int { return (h*recurK+k)*recurV + v }
		for v := range recurV {
			read := 0.0
			for k := range recurK {
				after[at(k, v)] = math.Exp(in.decay[h]) * state[at(k, v)]
				read += after[at(k, v)] * in.k[g*recurK+k]
			}
			u := in.v[h*recurV+v]
			if in.beta != nil {
				u = in.beta[h] * (u - read)
			}
			for k := range recurK {
				after[at(k, v)] += in.k[g*recurK+k] * u
				o[h*recurV+v] += after[at(k, v)] * in.q[g*recurK+k]
			}
		}
	}
	return after, o
}

// TestRecur compares delta nets and Mamba 2 over random trees, cut into batches, with the recurrence along
// each token's path in float64, and the rows that a convolution takes in with the path.
func TestRecur(t *testing.T) {
	for _, kind := range []string{"mixed", "one key again and again", "strong decays", "Mamba 2", "Mamba 2, strong decays", "Mamba 2, no decays"} {
		for _, size := range []int{7, 40, 100, 256} {
			r := rand.New(rand.NewPCG(21, uint64(size)))
			next, known := recurInputs(r, kind), map[string]recurInput{}
			tree := recurTree{kind: kind, input: func(path []int32) recurInput {
				key := fmt.Sprint(path)
				if _, ok := known[key]; !ok {
					known[key] = next()
				}
				return known[key]
			}}
			requests := randomTexts(r, 60, 150, 7)
			for _, s := range planOf(requests).steps(300, 200) {
				batches := s.batches(size)
				if err := s.shape(batches, 1, cpuSizes, nil); err != nil {
					t.Fatal(err)
				}
				var past []*tensors.Tensor
				for n := range batches {
					var following []location
					if n+1 < len(batches) {
						following = batches[n+1].past
					}
					past = tree.batch(t, s, &batches[n], following, past)
				}
			}
		}
	}
}

// recurTree is a tree of texts and what each token brings, by the tokens that lead to it.
type recurTree struct {
	kind  string
	input func(path []int32) recurInput
}

// batch takes one batch of a step through a delta net, and returns what the next one needs.
func (d recurTree) batch(t *testing.T, s *step, b *batch, following []location, past []*tensors.Tensor) []*tensors.Tensor {
	t.Helper()
	backend, err := pureGo()
	if err != nil {
		t.Fatal(err)
	}
	paths := make([][]int32, b.n)
	row := func(path []int32) float32 { return float32(d.input(path).v[0]) }
	var rows []float32
	var all [5][]float32
	widths := [5]int{recurG * recurK, recurG * recurK, recurH * recurV, recurH, recurH}
	for i := range b.n {
		for x := s.tokens[b.from+i]; ; x = x.before() {
			paths[i] = append(paths[i], x.id())
			if x.depth() == 0 {
				break
			}
		}
		slices.Reverse(paths[i])
		one := d.input(paths[i])
		rows = append(rows, row(paths[i]))
		for n, values := range [5][]float64{one.q, one.k, one.v, one.decay, one.beta} {
			if values == nil {
				values = make([]float64, widths[n])
			}
			for _, x := range values {
				all[n] = append(all[n], float32(x))
			}
		}
	}
	key := b.places()
	args := []any{tensors.FromFlatDataAndDimensions(append(rows, make([]float32, b.T-b.n)...), b.T, 1)}
	for n, dims := range [5][]int{{b.T, recurG, recurK}, {b.T, recurG, recurK}, {b.T, recurH, recurV}, {b.T, recurH}, {b.T, recurH}} {
		args = append(args, tensors.FromFlatDataAndDimensions(append(all[n], make([]float32, (b.T-b.n)*widths[n])...), dims...))
	}
	for _, x := range s.along(b, recurReach, key) {
		args = append(args, x)
	}
	if b.N > 0 {
		at := make([]int32, b.N)
		for i, l := range following {
			at[i] = key(l)
		}
		args = append(args, tensors.FromFlatDataAndDimensions(at, b.N))
	}
	if past == nil && b.Q > 0 { // room that nothing fills
		for _, width := range []int{1, 2 * recurH, recurG * recurK, recurH * recurV} {
			past = append(past, tensors.FromFlatDataAndDimensions(make([]float32, b.Q*width), b.Q, width))
		}
	}
	for _, x := range past {
		args = append(args, x)
	}
	out := MustExecOnceN(backend, func(in []*Node) []*Node {
		k := &keys{shape: b.shape, scoreBytes: 1 << 18, sees: in[6], before: in[7]}
		if strings.HasPrefix(d.kind, "Mamba 2") {
			in[5] = nil
		}
		rest := in[8:]
		if b.N > 0 {
			k.next, rest = rest[0], rest[1:]
		}
		k.past = rest
		all := append(k.rowsBefore(in[0], recurReach), k.recur(in[1], in[2], in[3], in[4], in[5]))
		return append(all, k.nextKept...)
	}, args...)
	d.compare(t, paths, out)
	return out[recurReach+1:]
}

// compare holds the rows before each token and its o to the path.
func (d recurTree) compare(t *testing.T, paths [][]int32, out []*tensors.Tensor) {
	t.Helper()
	got := tensors.MustCopyFlatData[float32](out[recurReach])
	for i, path := range paths {
		for back := range recurReach {
			want := float32(0)
			if n := len(path) - back - 1; n > 0 {
				want = float32(d.input(path[:n]).v[0])
			}
			if x := tensors.MustCopyFlatData[float32](out[back])[i]; x != want {
				t.Fatalf("%s: token %v has %v as the row %d before, wanted %v", d.kind, path, x, back+1, want)
			}
		}
		state := make([]float64, recurH*recurK*recurV)
		var want []float64
		for n := range path {
			state, want = recur(state, d.input(path[:n+1]))
		}
		for j, y := range want {
			if x := float64(got[i*len(want)+j]); !(math.Abs(x-y) <= 1e-5) {
				t.Fatalf("%s: token %v: value %d is %v, wanted %v", d.kind, path, j, x, y)
			}
		}
	}
}
