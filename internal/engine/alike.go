package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute"
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
	verdicts map[string]bool // by place in the model, number of rows, and Engine.sides
}

// measurement is what a verdict depends on beside the number of rows. The model is no part of it: those
// of different families have products and sums of the same sizes, and XLA takes longer to compile these
// than to compute them.
type measurement struct {
	backend  compute.Backend
	dtype    dtypes.DType
	products bool   // arch.BF16Products
	of       string // a product, or sums
	most     int    // the largest number of rows
}

// measurements are those of a process: measurement -> *verdicts.
var measurements sync.Map

// verdicts are those of a measurement.
type verdicts struct {
	mu    sync.Mutex
	first []float32    // the rows to which others are compared, of the largest number
	alike map[int]bool // by number of rows
}

// once tells whether so many rows are alike the largest number of them, measured once in a process. What
// compute gives is the first row, or of different rows the first of each, and whether all others are the same.
func (e *Engine) once(of string, rows, most int, compute func(rows int) (first []float32, same bool, err error)) (bool, error) {
	found, _ := measurements.LoadOrStore(measurement{e.backend, e.dtype, arch.BF16Products, of, most}, &verdicts{alike: map[int]bool{}})
	t := found.(*verdicts)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, size := range []int{most, rows} {
		ok, measured := t.alike[size]
		if !measured {
			first, same, err := compute(size)
			if err != nil {
				return false, err
			}
			if t.first == nil {
				t.first = first
			}
			ok = same && slices.Equal(first, t.first)
			t.alike[size] = ok
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
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
	if e.unmeasured {
		return true, nil
	}
	a := &e.executables.alike
	a.mu.Lock()
	defer a.mu.Unlock()
	key := fmt.Sprint(head, " ", rows, e.sides)
	if ok, measured := a.verdicts[key]; measured {
		return ok, nil
	}
	if a.verdicts == nil {
		a.verdicts = map[string]bool{}
	}
	same, err := e.alikeSums(rows, head)
	if err != nil {
		return false, err
	}
	for _, p := range e.store.products(head) {
		if !same {
			break
		}
		if same, err = e.alikeProduct(p, rows); err != nil {
			return false, err
		}
	}
	a.verdicts[key] = same
	return same, nil
}

// alikeProduct is alikeRows of one product.
func (e *Engine) alikeProduct(p product, rows int) (bool, error) {
	of := fmt.Sprintf("product %d to %d, inputs first %v", p.in, p.out, p.inOut)
	return e.once(of, p.rows(rows), p.rows(rowSizes[len(rowSizes)-1]), func(rows int) ([]float32, bool, error) {
		return e.productAlike(p, rows)
	})
}

// productAlike computes equal rows, and tells whether their products are equal.
func (e *Engine) productAlike(p product, rows int) (first []float32, same bool, err error) {
	shape, axis := []int{p.out, p.in}, 1 // along which the inputs lie
	if p.inOut {
		shape, axis = []int{p.in, p.out}, 0
	}
	made, err := e.call(e.devices[0], fmt.Sprint("numbers ", shape), numbers(e.dtype, shape), []*tensors.Tensor{tensors.FromScalar(float32(0.7548777))})
	if err != nil {
		return nil, false, err
	}
	defer releaseAll(made)
	x := make([]float32, 0, rows*p.in)
	for range rows {
		for j := range p.in {
			x = append(x, float32(j*j%127-63)/37)
		}
	}
	in := tensors.FromFlatDataAndDimensions(x, rows, p.in)
	defer in.MustFinalizeAll()
	out, err := e.call(e.devices[0], fmt.Sprint("product along axis ", axis), func(in []*Node) []*Node {
		return []*Node{arch.Product(in[0], in[1], axis)}
	}, []*tensors.Tensor{in, made[0]})
	if err != nil {
		return nil, false, err
	}
	defer releaseAll(out)
	err = tensors.ConstFlatData(out[0], func(y []float32) {
		first, same = slices.Clone(y[:p.out]), true
		for row := range slices.Chunk(y, p.out) {
			same = same && slices.Equal(row, first)
		}
	})
	return first, same, err
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
