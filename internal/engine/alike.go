package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Batch invariance: that a row of a product, and a sum along a row, has the same bits whatever
// number of rows is computed, and wherever in the batch it lies. Matrix products choose their
// kernels by their sizes, differently on each processor, and some of these add up in another
// order: on one with AVX-512, products of 32 rows and more are alike; on one without, the last
// two rows of 32 and of 128 differ from those of 256; on a third one 64 rows do. XLA of 2026
// gives sums of 4,096 numbers and more, all rows together, to another library than fewer. So
// it is not assumed, but measured, for the sizes of this model's matrices and rows and for
// each number of rows when it is first needed, and a batch takes the next number of rows that
// is like the largest.

// rowSizes are the numbers of rows that invariant batches have, the largest that of a full
// batch, to which the others are compared. A processor on which even its rows differ by their
// place has no invariant batches.
var rowSizes = []int{16, 32, 48, 64, 96, 128, 192, defaultBatchTokens}

// product is the sizes of a linear layer.
type product struct {
	in, out int
	inOut   bool         // how its matrix lies on the device
	experts arch.Experts // it is one of E, which take their rows in tiles; zero if it is not
}

// rows is how many rows the product has in a batch of so many.
func (p product) rows(batch int) int {
	if p.experts.E > 0 {
		return p.experts.Tile(batch)
	}
	return batch
}

// alike are measured row sizes of an engine's products. Engines that share executables share
// it, and may run at the same time.
type alike struct {
	mu       sync.Mutex
	first    map[product][]float32 // a row of the largest number of rows
	sums     map[rowSum][]float32  // the same of sums
	verdicts map[string]bool       // by place in the model, number of rows, and Engine.sides
}

// products lists the different sizes of the linear layers of blocks, or of the head.
func (s *store) products(head bool) []product {
	var all []product
	for _, p := range s.shards {
		if (p.to > 0) != head {
			continue
		}
		for _, t := range p.layer.Tensors {
			if !t.Linear && !(t.Side && len(t.Shape) == 2) {
				continue
			}
			shape := p.shape(t)
			rows, cols := shape[len(shape)-2], shape[len(shape)-1]
			size := product{in: cols, out: rows, inOut: t.Linear && inputsFirst(s.backend, typeOf(t, s.dtype))}
			if t.InOut {
				size = product{in: rows, out: cols, inOut: true}
			}
			if len(shape) > 2 {
				size.experts = *p.layer.Experts
			}
			if !slices.Contains(all, size) {
				all = append(all, size)
			}
		}
	}
	return all
}

// rows is the number of rows of an invariant batch that has room for n: usual, which has, if
// it is alike the largest, or else the least of rowSizes that is. Above the largest nothing is
// known, and usual is taken.
func (e *Engine) rows(n, usual int, head bool) (int, error) {
	sizes := []int{max(usual, rowSizes[0])}
	for _, size := range rowSizes {
		if size >= n {
			sizes = append(sizes, size)
		}
	}
	for _, size := range sizes {
		if size > rowSizes[len(rowSizes)-1] {
			break
		}
		if ok, err := e.alikeRows(size, head); ok || err != nil {
			return size, err
		}
	}
	return usual, nil
}

// Invariant tells whether the numbers of short texts do not depend on what else is computed
// with them: measured, at the first call of it or of Run, on this processor.
func (e *Engine) Invariant() (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, errors.New("engine: closed")
	}
	err := e.measure()
	return e.invariant, err
}

// measure settles, before anything is computed, whether there are invariant batches: whether
// the largest number of rows is alike wherever a row lies.
func (e *Engine) measure() error {
	if !e.invariant || e.measured {
		return nil
	}
	for _, head := range []bool{false, true} {
		ok, err := e.alikeRows(rowSizes[len(rowSizes)-1], head)
		if err != nil {
			return err
		}
		e.invariant = e.invariant && ok
	}
	e.measured = true
	return nil
}

// alikeRows tells whether all products and sums of blocks, or of the head, give each of so many
// equal rows the bits that they give a row of the largest number of rows.
func (e *Engine) alikeRows(rows int, head bool) (bool, error) {
	a := &e.executables.alike
	a.mu.Lock()
	defer a.mu.Unlock()
	key := fmt.Sprint(head, " ", rows, e.sides)
	if ok, measured := a.verdicts[key]; measured {
		return ok, nil
	}
	if a.verdicts == nil {
		a.verdicts, a.first, a.sums = map[string]bool{}, map[product][]float32{}, map[rowSum][]float32{}
	}
	same, err := e.alikeSums(a, rows, head)
	if err != nil {
		return false, err
	}
	for _, p := range e.store.products(head) {
		if !same {
			break
		}
		if same, err = e.alikeProduct(a, p, rows); err != nil {
			return false, err
		}
	}
	a.verdicts[key] = same
	return same, nil
}

func (e *Engine) alikeProduct(a *alike, p product, rows int) (bool, error) {
	shape, axis := []int{p.out, p.in}, 1 // along which the inputs lie
	if p.inOut {
		shape, axis = []int{p.in, p.out}, 0
	}
	made, err := e.call(e.devices[0], fmt.Sprint("numbers ", shape), numbers(e.dtype, shape), []*tensors.Tensor{tensors.FromScalar(float32(0.7548777))})
	if err != nil {
		return false, err
	}
	defer releaseAll(made)
	sizes := []int{p.rows(rows)}
	if most := p.rows(rowSizes[len(rowSizes)-1]); a.first[p] == nil && sizes[0] != most {
		sizes = []int{most, sizes[0]}
	}
	for _, size := range sizes {
		x := make([]float32, 0, size*p.in)
		for range size {
			for j := range p.in {
				x = append(x, float32(j*j%127-63)/37)
			}
		}
		in := tensors.FromFlatDataAndDimensions(x, size, p.in)
		out, err := e.call(e.devices[0], fmt.Sprint("product along axis ", axis), func(in []*Node) []*Node {
			return []*Node{arch.Product(in[0], in[1], axis)}
		}, []*tensors.Tensor{in, made[0]})
		in.MustFinalizeAll()
		if err != nil {
			return false, err
		}
		same := true
		err = tensors.ConstFlatData(out[0], func(y []float32) {
			if a.first[p] == nil {
				a.first[p] = slices.Clone(y[:p.out])
			}
			for i := 0; i < len(y) && same; i += p.out {
				same = slices.Equal(y[i:i+p.out], a.first[p])
			}
		})
		releaseAll(out)
		if !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// numbers makes a matrix of numbers between -1 and 1 on the device: the fractions of
// multiples of a scalar, which is an input so that no compiler computes them.
func numbers(dtype dtypes.DType, shape []int) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		g := in[0].Graph()
		step := func(axis int) *Node { return Iota(g, shapes.Make(dtypes.Float32, shape...), axis) }
		x := Mul(in[0], Add(step(0), MulScalar(step(1), 1.6180339)))
		x = AddScalar(MulScalar(Sub(x, Floor(x)), 2), -1)
		return []*Node{ConvertDType(x, dtype)}
	}
}
