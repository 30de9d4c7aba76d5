package gradient

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// Pass is some groups that have been through the model forward.
type Pass struct {
	// Outputs are the numbers of each text of each group.
	Outputs [][]Outputs

	m      *Model
	groups [][]Text
	number uint64
	plain  bool // without dropout
	*layout
	where []*tensors.Tensor   // depth, exit [R L]
	ropes [][]*tensors.Tensor // cos and sin [T R/2] of each of the model's ropes
	x     []*tensors.Tensor   // the residual stream before each block, and after the last [T D]; of an evaluation the latest alone
	// kept is what keeper kept of each block, in the order of its graph.
	kept  [][]*tensors.Tensor
	given given
	final []float64 // the stream after the last block
	head  head
	norm  norm
}

// Forward computes groups together. The pass is to be closed.
func (m *Model) Forward(ctx context.Context, groups [][]Text) (*Pass, error) {
	l, err := m.lay(groups)
	if err != nil {
		return nil, err
	}
	p := &Pass{m: m, groups: groups, number: m.passes, layout: l}
	m.passes++
	return p.computed(ctx)
}

// Evaluate is Forward without dropout, and no pass that counts: nothing is kept for Backward.
func (m *Model) Evaluate(ctx context.Context, groups [][]Text) (*Pass, error) {
	l, err := m.lay(groups)
	if err != nil {
		return nil, err
	}
	p := &Pass{m: m, groups: groups, plain: true, layout: l}
	return p.computed(ctx)
}

func (p *Pass) computed(ctx context.Context) (*Pass, error) {
	if err := p.forward(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close frees what the pass holds on the device.
func (p *Pass) Close() {
	release(p.x)
	release(p.where)
	for _, r := range p.ropes {
		release(r)
	}
	for _, all := range p.kept {
		release(all)
	}
	p.given.release()
	p.x, p.where, p.ropes, p.kept = nil, nil, nil, nil
}

func release(all []*tensors.Tensor) {
	for _, t := range all {
		t.MustFinalizeAll()
	}
}

func (p *Pass) forward(ctx context.Context) error {
	m := p.m
	embedded, err := m.embed(p.ids, p.depth)
	if err != nil {
		return err
	}
	p.ask()
	x := m.tensor(embedded, p.R*p.L, m.arch.Embed.Width())
	p.x = append(p.x, x)
	p.where = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(p.depth, p.R, p.L), tensors.FromFlatDataAndDimensions(p.exit, p.R, p.L)}
	for _, r := range m.arch.Ropes {
		cos, sin := r.Table(p.depth)
		half := len(r.InvFreq)
		p.ropes = append(p.ropes, []*tensors.Tensor{
			tensors.FromFlatDataAndDimensions(cos, p.R*p.L, half), tensors.FromFlatDataAndDimensions(sin, p.R*p.L, half),
		})
	}
	p.given.lent = make([][]*tensors.Tensor, len(m.arch.Blocks))
	err = m.walk(ctx, false, func(l *layer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case m.gives(l):
			return p.give(l)
		case m.isBlock(l):
			return p.block(l)
		}
		if p.final == nil {
			p.final = floats(p.x[len(p.x)-1])
		}
		if m.isNorm(l) {
			return p.norm.forward(p, l)
		}
		return p.head.forward(p, l)
	})
	if err != nil {
		return err
	}
	return p.finish()
}

// block takes the stream through a block.
func (p *Pass) block(l *layer) error {
	out, err := p.call("forward", l, p.m.forward(l, p.drops()), p.x[len(p.x)-1:], p.R*p.L)
	if err != nil {
		return err
	}
	y, kept := out[0], out[1:]
	if l.Lends {
		p.given.lent[l.Block], kept = kept[:2], kept[2:]
	}
	if p.plain {
		release(append(p.x, kept...))
		p.x = []*tensors.Tensor{y}
		return nil
	}
	p.x, p.kept = append(p.x, y), append(p.kept, kept)
	return nil
}

// drops tells whether the pass has dropout.
func (p *Pass) drops() bool { return p.m.o.Dropout > 0 && !p.plain }

// call runs a layer's executable on first, the layer's own inputs, and its weights, for t rows.
func (p *Pass) call(what string, l *layer, build graph, first []*tensors.Tensor, t int) ([]*tensors.Tensor, error) {
	in := append(slices.Clone(first), p.own(l)...)
	if p.m.isBlock(l) {
		in = append(in, p.where...)
		if l.Rope >= 0 {
			in = append(in, p.ropes[l.Rope]...)
		}
	}
	masks := p.masks(l, t)
	defer release(masks)
	in = append(append(in, masks...), l.Weights...)
	return p.m.call(p.m.name(what, l, p.drops()), build, in)
}

// Backward adds to the parameters' gradients those of a loss whose derivatives with respect to
// the Outputs are adjoints; LogProbs or States that it does not depend on may be nil.
func (p *Pass) Backward(ctx context.Context, adjoints [][]Outputs) error {
	m := p.m
	if p.plain || p.x == nil {
		return errors.New("gradient: backward of an evaluation, or of a closed pass")
	}
	dx := make([]float64, len(p.final)) // of the stream after the last block
	if err := p.adjoin(adjoints); err != nil {
		return err
	}
	var stream *tensors.Tensor
	defer func() {
		if stream != nil {
			stream.MustFinalizeAll()
		}
	}()
	p.given.dLent, p.given.dGiven = make([][2][]float64, len(m.arch.Blocks)), make([][]float64, len(m.arch.Blocks))
	var first []float64 // derivatives by the stream before the first block
	err := m.walk(ctx, true, func(l *layer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case m.isHead(l):
			return p.head.backward(p, l, dx)
		case m.isNorm(l):
			return p.norm.backward(p, l, dx)
		case m.gives(l):
			first = floats(stream)
			return p.take(l, first)
		}
		if stream == nil {
			stream = m.tensor(dx, p.R*p.L, m.arch.D)
		}
		kept := p.kept[l.Block]
		lent := p.adjoints(l)
		defer release(lent)
		out, err := p.call("backward", l, m.backward(l, p.drops(), len(kept)), slices.Concat([]*tensors.Tensor{stream}, lent, p.x[l.Block:l.Block+1], kept), p.R*p.L)
		if err != nil {
			return err
		}
		stream.MustFinalizeAll()
		stream = out[0]
		defer release(out[1:])
		return l.accumulate(p.receive(l, out[1:]))
	})
	if err != nil {
		return err
	}
	if m.byName[m.arch.Embed.Table.Name] != nil {
		if first == nil {
			first = floats(stream)
		}
		m.embedGrad(p.ids, p.depth, p.used, first)
	}
	return nil
}

// accumulate adds gradients to those of the layer's trained tensors.
func (l *layer) accumulate(grads []*tensors.Tensor) error {
	for k, i := range l.trained() {
		from, to := l.rows(i)
		dst := l.params[i].Grad[from:to]
		err := tensors.ConstFlatData(grads[k], func(flat []float32) {
			for j, v := range flat {
				dst[j] += v
			}
		})
		if err != nil {
			return fmt.Errorf("gradient: %s: %w", l.Tensors[i].Name, err)
		}
	}
	return nil
}

// tensor puts numbers on the device in the type that graphs compute in.
func (m *Model) tensor(x []float64, dims ...int) *tensors.Tensor {
	if m.wide {
		return tensors.FromFlatDataAndDimensions(append([]float64(nil), x...), dims...)
	}
	narrow := make([]float32, len(x))
	for i, v := range x {
		narrow[i] = float32(v)
	}
	return tensors.FromFlatDataAndDimensions(narrow, dims...)
}

func float64s(x []float32) []float64 {
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	return wide
}

// floats copies a tensor's numbers from the device.
func floats(t *tensors.Tensor) []float64 {
	if t.DType().Size() == 8 {
		return tensors.MustCopyFlatData[float64](t)
	}
	return float64s(tensors.MustCopyFlatData[float32](t))
}
