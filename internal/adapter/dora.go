package adapter

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/sync/errgroup"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// product adds s B A to the rows of a linear layer's matrix, in float64.
type product struct {
	a, b  []float32 // [r in], [out r]; nil for none
	r, in int
	scale float64
}

// addRow adds row i of s B A to a row.
func (p product) addRow(row []float64, i int) {
	for k := range p.r {
		f := p.scale * float64(p.b[i*p.r+k])
		if f == 0 {
			continue
		}
		for j, x := range p.a[k*p.in : (k+1)*p.in] {
			row[j] += f * float64(x)
		}
	}
}

// product reads the numbers of a side.
func (p *application) product(side arch.Side, in int) (product, error) {
	out := product{r: side.R, in: in, scale: side.Scale}
	a, _ := p.w.Get(side.A)
	b, _ := p.w.Get(side.B)
	var err error
	if out.a, err = a.Float32s(); err == nil {
		out.b, err = b.Float32s()
	}
	return out, err
}

// ratios makes the tensors of DoRA's ratios: the magnitude of each row over the norm of that
// row of W + s B A, as peft's dora.py has it, computed in float64 and rounded once.
func (p *application) ratios(ctx context.Context, paths []string) error {
	p.ratio = map[string][]float64{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, path := range paths {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			t, ratios, err := p.ratioOf(path)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			p.made = append(p.made, t)
			p.ratio[path] = ratios
			return nil
		})
	}
	return group.Wait()
}

// ratioOf makes the ratios of a module, unrounded and as a tensor.
func (p *application) ratioOf(path string) (t checkpoint.Tensor, ratios []float64, err error) {
	to := p.params[path+".weight"]
	side := p.out.Sides[to.key]
	magnitude, _ := p.w.Get(p.found[path].magnitude)
	m, err := magnitude.Float32s()
	if err != nil {
		return t, nil, err
	}
	w, err := p.weight(to)
	if err != nil {
		return t, nil, err
	}
	norms, err := p.norms(w, to, side)
	if err != nil {
		return t, nil, err
	}
	data := make([]byte, 0, 4*len(m))
	for i, norm := range norms {
		ratio := float64(m[i]) / norm
		if x := float32(ratio); x-x != 0 {
			return t, nil, fmt.Errorf("tensor %q: magnitude %g of row %d, whose norm is %g", brief(magnitude.Name), m[i], i, norm)
		}
		ratios = append(ratios, ratio)
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(ratio)))
	}
	return checkpoint.Tensor{Name: side.Ratio, DType: dtypes.Float32, Shape: []int{len(m)}, Data: data}, ratios, nil
}

// weight is the matrix that a side stands beside: the checkpoint's or the file's.
func (p *application) weight(to tensor) (checkpoint.Tensor, error) {
	w, _ := p.base.Get(to.Name)
	if name := p.out.Replaced[to.key]; name != "" {
		w, _ = p.w.Get(name)
	}
	return w, w.CheckFinite()
}

// norms are those of the rows of W + s B A, of its columns where W is stored [in out].
func (p *application) norms(w checkpoint.Tensor, to tensor, side arch.Side) ([]float64, error) {
	values, err := w.Float32s()
	if err != nil {
		return nil, err
	}
	out, in := to.Shape[0], to.Shape[1]
	if to.InOut {
		out, in = in, out
	}
	delta, err := p.product(side, in)
	if err != nil {
		return nil, err
	}
	norms, row := make([]float64, out), make([]float64, in)
	for i := range norms {
		for j := range row {
			if to.InOut {
				row[j] = float64(values[j*out+i])
			} else {
				row[j] = float64(values[i*in+j])
			}
		}
		delta.addRow(row, i)
		sum := 0.0
		for _, x := range row {
			sum += x * x
		}
		norms[i] = math.Sqrt(sum)
	}
	return norms, nil
}
