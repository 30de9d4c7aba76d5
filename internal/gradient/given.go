package gradient

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// given is what the blocks of a pass are given beside the stream, and what is known of the derivatives by it.
type given struct {
	rows   *tensors.Tensor   // of arch.PerLayer's table [T L*P]
	inputs []*tensors.Tensor // of each block [T P]; nil without
	// lent are the keys and values [T G*K] of the blocks that lend them, by block, and dLent the
	// derivatives by them of the blocks so far, nil for none.
	lent   [][]*tensors.Tensor
	dLent  [][2][]float64
	dGiven [][]float64 // of each block by its input
}

func (g *given) release() {
	if g.rows != nil {
		release([]*tensors.Tensor{g.rows})
	}
	release(g.inputs)
	for _, kv := range g.lent {
		release(kv)
	}
	*g = given{}
}

// giveGraph is x, scope's inputs -> what each block is given [T P].
func (m *Model) giveGraph(l *layer, drop bool) graph {
	return func(nodes []*Node) []*Node {
		in := inputs(nodes)
		x := in.next()
		s, _ := m.scope(l, in, drop, nil)
		return m.arch.PerLayer.Parts(l.Apply(s, x))
	}
}

// takeGraph is dy [T L*P], x, scope's inputs -> dx, the derivatives by the rows, the gradients of the trained tensors.
func (m *Model) takeGraph(l *layer, drop bool) graph {
	return func(nodes []*Node) []*Node {
		in := inputs(nodes)
		dy, x := in.next(), in.next()
		s, _ := m.scope(l, in, drop, nil)
		return Gradient(ReduceAllSum(Mul(StopGradient(dy), l.Apply(s, x))), l.with(x, s)...)
	}
}

// give makes what the blocks are given.
func (p *Pass) give(l *layer) error {
	m := p.m
	rows, err := m.perLayer(p.ids)
	if err != nil {
		return err
	}
	p.given.rows = m.tensor(rows, p.R*p.L, m.arch.PerLayer.Table.Shape[1])
	p.given.inputs, err = p.call("give", l, m.giveGraph(l, p.drops()), []*tensors.Tensor{p.x[0]}, p.R*p.L)
	return err
}

// take adds the derivatives by what the blocks were given to those by the stream before the first
// block, dx, and to the gradients.
func (p *Pass) take(l *layer, dx []float64) error {
	m, t := p.m, p.R*p.L
	width, own := m.arch.PerLayer.Table.Shape[1], m.arch.PerLayer.P
	dy := make([]float64, t*width)
	for block, d := range p.given.dGiven {
		for i := range t {
			copy(dy[i*width+block*own:], d[i*own:(i+1)*own])
		}
	}
	first := []*tensors.Tensor{m.tensor(dy, t, width), p.x[0]}
	defer release(first[:1])
	out, err := p.call("take", l, m.takeGraph(l, p.drops()), first, t)
	if err != nil {
		return err
	}
	defer release(out)
	for i, v := range floats(out[0]) {
		dx[i] += v
	}
	if table := m.byName[m.arch.PerLayer.Table.Name]; table != nil {
		d := floats(out[1])
		for i, id := range p.ids {
			if !p.used[i] {
				continue
			}
			to := table.Grad[m.arch.PerLayer.Row(m.arch.Embed.Row(id))*width:]
			for j, v := range d[i*width : (i+1)*width] {
				to[j] += float32(v)
			}
		}
	}
	return l.accumulate(out[2:])
}

// perLayer are the rows of arch.PerLayer's table, [len(ids) L*P].
func (m *Model) perLayer(ids []int32) ([]float64, error) {
	table := m.byName[m.arch.PerLayer.Table.Name]
	if table == nil {
		x, err := m.engine.PerLayer(ids)
		return float64s(x), err
	}
	width := table.Shape[1]
	x := make([]float64, 0, len(ids)*width)
	for _, id := range ids {
		row := m.arch.PerLayer.Row(m.arch.Embed.Row(id)) * width
		x = append(x, float64s(table.Value[row:row+width])...)
	}
	return x, nil
}

// own are a block's inputs beside the stream.
func (p *Pass) own(l *layer) (all []*tensors.Tensor) {
	switch {
	case p.m.gives(l):
		return []*tensors.Tensor{p.given.rows}
	case l.Given:
		all = append(all, p.given.inputs[l.Block])
	}
	if l.Back > 0 {
		all = append(all, p.given.lent[l.Block-l.Back]...)
	}
	return all
}

// adjoints are the derivatives by what a block lends, [T G*K] each.
func (p *Pass) adjoints(l *layer) (all []*tensors.Tensor) {
	if l.Lends {
		for _, d := range p.given.dLent[l.Block] {
			all = append(all, p.m.tensor(d, p.R*p.L, l.G*l.K))
		}
	}
	return all
}

// receive takes in the derivatives by a block's inputs beside the stream, and returns the rest of out.
func (p *Pass) receive(l *layer, out []*tensors.Tensor) []*tensors.Tensor {
	if l.Given {
		p.given.dGiven[l.Block] = floats(out[0])
		out = out[1:]
	}
	if l.Back > 0 {
		sums := &p.given.dLent[l.Block-l.Back]
		for i := range sums {
			d := floats(out[i])
			for j, v := range sums[i] {
				d[j] += v
			}
			sums[i] = d
		}
		out = out[2:]
	}
	return out
}
