package gradient

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// given is what the blocks of a part are given beside the stream, and what is known of the derivatives by it.
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
func (a *part) give(l *layer) error {
	m := a.p.m
	rows, err := m.perLayer(a.ids())
	if err != nil {
		return err
	}
	a.given.rows = m.tensor(rows, a.t(), m.arch.PerLayer.Table.Shape[1])
	a.given.inputs, err = a.call("give", l, m.giveGraph(l, a.p.drops()), a.x[0])
	return err
}

// ids are a part's tokens.
func (a *part) ids() []int32 { return a.p.ids[a.from : a.from+a.t()] }

// take adds the derivatives by what the blocks were given to those by the stream before the first
// block, and returns those by the rows of arch.PerLayer's table and the gradients of the trained tensors.
func (a *part) take(l *layer) ([]*tensors.Tensor, error) {
	m, t := a.p.m, a.t()
	width, own := m.arch.PerLayer.Table.Shape[1], m.arch.PerLayer.P
	dy := make([]float64, t*width)
	for block, d := range a.given.dGiven {
		for i := range t {
			copy(dy[i*width+block*own:], d[i*own:(i+1)*own])
		}
	}
	first := m.tensor(dy, t, width)
	defer first.MustFinalizeAll()
	out, err := a.call("take", l, m.takeGraph(l, a.p.drops()), first, a.x[0])
	if err != nil {
		return nil, err
	}
	dx := floats(a.dx)
	for i, v := range floats(out[0]) {
		dx[i] += v
	}
	release([]*tensors.Tensor{out[0], a.dx})
	a.dx = m.tensor(dx, t, m.arch.Embed.Width())
	return out[1:], nil
}

// tableGrad adds to the gradients of arch.PerLayer's table those by a part's rows of it.
func (a *part) tableGrad(rows *tensors.Tensor) {
	m := a.p.m
	table := m.byName[m.arch.PerLayer.Table.Name]
	if table == nil {
		return
	}
	width := m.arch.PerLayer.Table.Shape[1]
	d := floats(rows)
	for i, id := range a.ids() {
		if !a.p.used[a.from+i] {
			continue
		}
		to := table.Grad[m.arch.PerLayer.Row(m.arch.Embed.Row(id))*width:]
		for j, v := range d[i*width : (i+1)*width] {
			to[j] += float32(v)
		}
	}
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
func (a *part) own(l *layer) (all []*tensors.Tensor) {
	switch {
	case a.p.m.gives(l):
		return []*tensors.Tensor{a.given.rows}
	case l.Given:
		all = append(all, a.given.inputs[l.Block])
	}
	if l.Back > 0 {
		all = append(all, a.given.lent[l.Block-l.Back]...)
	}
	return all
}

// adjoints are the derivatives by what a block lends, [T G*K] each.
func (a *part) adjoints(l *layer) (all []*tensors.Tensor) {
	if l.Lends {
		for _, d := range a.given.dLent[l.Block] {
			all = append(all, a.p.m.tensor(d, a.t(), l.G*l.K))
		}
	}
	return all
}

// receive takes in the derivatives by a block's inputs beside the stream, and returns the rest of out.
func (a *part) receive(l *layer, out []*tensors.Tensor) []*tensors.Tensor {
	if l.Given {
		a.given.dGiven[l.Block] = floats(out[0])
		release(out[:1])
		out = out[1:]
	}
	if l.Back > 0 {
		sums := &a.given.dLent[l.Block-l.Back]
		for i := range sums {
			d := floats(out[i])
			for j, v := range sums[i] {
				d[j] += v
			}
			sums[i] = d
		}
		release(out[:2])
		out = out[2:]
	}
	return out
}
