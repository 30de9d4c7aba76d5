package gradient

import (
	"runtime"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sync/errgroup"
)

// part is some rows of a pass. The parts of a pass go through a block at a time, beside each other:
// where one leaves processors idle, or waits for memory, the others do not.
type part struct {
	p      *Pass
	number int
	from   int // its first place in the pass
	rows   int

	where []*tensors.Tensor   // depth, exit [R L]
	ropes [][]*tensors.Tensor // cos and sin [T R/2] of each of the model's ropes
	x     []*tensors.Tensor   // the residual stream before each block, and after the last [T D]; of an evaluation the latest alone
	// kept is what keeper kept of each block, in the order of its graph.
	kept  [][]*tensors.Tensor
	given given
	dx    *tensors.Tensor // backward, the derivatives by the stream [T D]
}

// partTokens is how many tokens a part has at least on XLA's CPU client, if the pass has as many:
// fewer would not fill the products. Elsewhere a pass is one part.
const partTokens = 512

// divide makes the parts of a pass, with the stream before the first block. They depend on the
// layout and the backend alone, as sums of gradients do on them.
func (p *Pass) divide() error {
	m := p.m
	rows := min((m.partTokens-1)/p.L+1, p.R)
	for row := 0; row < p.R; row += rows {
		a := &part{p: p, number: len(p.parts), from: row * p.L, rows: min(rows, p.R-row)}
		p.parts = append(p.parts, a)
		from, to := a.from, a.from+a.t()
		embedded, err := m.embed(p.ids[from:to], p.depth[from:to])
		if err != nil {
			return err
		}
		a.x = []*tensors.Tensor{m.tensor(embedded, a.t(), m.arch.Embed.Width())}
		for _, w := range [][]int32{p.depth, p.exit} {
			a.where = append(a.where, tensors.FromFlatDataAndDimensions(slices.Clone(w[from:to]), a.rows, p.L))
		}
		for _, r := range m.arch.Ropes {
			cos, sin := r.Table(p.depth[from:to])
			half := len(r.InvFreq)
			a.ropes = append(a.ropes, []*tensors.Tensor{tensors.FromFlatDataAndDimensions(cos, a.t(), half), tensors.FromFlatDataAndDimensions(sin, a.t(), half)})
		}
		a.given.lent = make([][]*tensors.Tensor, len(m.arch.Blocks))
	}
	return nil
}

// t is the number of places of a part.
func (a *part) t() int { return a.rows * a.p.L }

// release frees what the part holds on the device.
func (a *part) release() {
	release(slices.Concat(a.x, a.where))
	for _, of := range slices.Concat(a.ropes, a.kept) {
		release(of)
	}
	a.given.release()
	if a.dx != nil {
		a.dx.MustFinalizeAll()
	}
}

// each calls use with every part, with several at a time.
func (p *Pass) each(use func(*part) error) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0) + 1)
	for _, a := range p.parts {
		group.Go(func() error { return use(a) })
	}
	return group.Wait()
}

// call runs a layer's executable on first, the part's own inputs, masks and the layer's weights.
func (a *part) call(what string, l *layer, build graph, first ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	in := append(first, a.own(l)...)
	if a.p.m.isBlock(l) {
		in = append(in, a.where...)
		if l.Rope >= 0 {
			in = append(in, a.ropes[l.Rope]...)
		}
	}
	return a.p.masked(what, l, build, in, a.p.masks(l, a.number, a.t()))
}

// block takes the stream through a block.
func (a *part) block(l *layer) error {
	p := a.p
	out, err := a.call("forward", l, p.m.forward(l, p.drops()), a.x[len(a.x)-1])
	if err != nil {
		return err
	}
	y, kept := out[0], out[1:]
	if l.Lends {
		a.given.lent[l.Block], kept = kept[:2], kept[2:]
	}
	if p.plain {
		release(append(a.x, kept...))
		a.x = []*tensors.Tensor{y}
		return nil
	}
	a.x, a.kept = append(a.x, y), append(a.kept, kept)
	return nil
}

// begin sets the derivatives by the stream after the last block to the part's of dx, the pass's,
// and forgets those of an earlier way back.
func (a *part) begin(dx []float64) {
	d, blocks := a.p.m.arch.D, len(a.p.m.arch.Blocks)
	if a.dx != nil {
		a.dx.MustFinalizeAll()
	}
	a.dx = a.p.m.tensor(dx[a.from*d:(a.from+a.t())*d], a.t(), d)
	a.given.dLent, a.given.dGiven = make([][2][]float64, blocks), make([][]float64, blocks)
}

// back takes the derivatives by the stream back through a block, and returns the gradients of its
// trained tensors.
func (a *part) back(l *layer) ([]*tensors.Tensor, error) {
	m, kept := a.p.m, a.kept[l.Block]
	lent := a.adjoints(l)
	defer release(lent)
	out, err := a.call("backward", l, m.backward(l, a.p.drops(), len(kept)), slices.Concat([]*tensors.Tensor{a.dx}, lent, a.x[l.Block:l.Block+1], kept)...)
	if err != nil {
		return nil, err
	}
	a.dx.MustFinalizeAll()
	a.dx = out[0]
	return a.receive(l, out[1:]), nil
}
