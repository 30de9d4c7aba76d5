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
	parts []*part
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
	for _, a := range p.parts {
		a.release()
	}
	p.parts = nil
}

func release(all []*tensors.Tensor) {
	for _, t := range all {
		t.MustFinalizeAll()
	}
}

func (p *Pass) forward(ctx context.Context) error {
	m := p.m
	p.ask()
	if err := p.divide(); err != nil {
		return err
	}
	err := m.walk(ctx, false, func(l *layer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case m.gives(l):
			return p.each(func(a *part) error { return a.give(l) })
		case m.isBlock(l):
			return p.each(func(a *part) error { return a.block(l) })
		}
		if p.final == nil {
			for _, a := range p.parts {
				p.final = append(p.final, floats(a.x[len(a.x)-1])...)
			}
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

// drops tells whether the pass has dropout.
func (p *Pass) drops() bool { return p.m.o.Dropout > 0 && !p.plain }

// call runs a layer's executable on in, masks for t rows, and the layer's weights.
func (p *Pass) call(what string, l *layer, build graph, in []*tensors.Tensor, t int) ([]*tensors.Tensor, error) {
	return p.masked(what, l, build, in, p.masks(l, 0, t))
}

func (p *Pass) masked(what string, l *layer, build graph, in, masks []*tensors.Tensor) ([]*tensors.Tensor, error) {
	defer release(masks)
	return p.m.call(p.m.name(what, l, p.drops()), build, slices.Concat(in, masks, l.Weights))
}

// Backward adds to the parameters' gradients those of a loss whose derivatives with respect to
// the Outputs are adjoints; LogProbs or States that it does not depend on may be nil.
func (p *Pass) Backward(ctx context.Context, adjoints [][]Outputs) error {
	m := p.m
	if p.plain || p.parts == nil {
		return errors.New("gradient: backward of an evaluation, or of a closed pass")
	}
	dx := make([]float64, len(p.final)) // of the stream after the last block
	if err := p.adjoin(adjoints); err != nil {
		return err
	}
	begun := false
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
			return p.back(l, (*part).take)
		}
		if !begun {
			begun = true
			for _, a := range p.parts {
				a.begin(dx)
			}
		}
		return p.back(l, (*part).back)
	})
	if err != nil {
		return err
	}
	if m.byName[m.arch.Embed.Table.Name] != nil {
		for _, a := range p.parts {
			from, to := a.from, a.from+a.t()
			m.embedGrad(p.ids[from:to], p.depth[from:to], p.used[from:to], floats(a.dx))
		}
	}
	return nil
}

// back takes the derivatives of all parts back through a layer. Gradients are added up in the order
// of the parts, whichever is the first to have its own.
func (p *Pass) back(l *layer, through func(*part, *layer) ([]*tensors.Tensor, error)) error {
	grads := make([][]*tensors.Tensor, len(p.parts))
	defer func() {
		for _, of := range grads {
			release(of)
		}
	}()
	err := p.each(func(a *part) (err error) {
		grads[a.number], err = through(a, l)
		return err
	})
	if err != nil {
		return err
	}
	for i, a := range p.parts {
		of := grads[i]
		if p.m.gives(l) {
			a.tableGrad(of[0])
			of = of[1:]
		}
		if err := l.accumulate(of); err != nil {
			return err
		}
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
