package gradient

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/engine"
)

// Param is a tensor that is trained.
type Param struct {
	Name  string
	Shape []int
	Value []float32
	Grad  []float32 // of the loss, the sum over passes

	frozen bool // a buffer, which only stands in for a weight
}

// layer is a shard with the parameters that stand in for some of its weights.
type layer struct {
	engine.Shard
	params []*Param // of each of the layer's Tensors; nil for what is frozen
}

// trained are the indices of the tensors that are.
func (l *layer) trained() []int {
	var all []int
	for i, p := range l.params {
		if p != nil {
			all = append(all, i)
		}
	}
	return all
}

// rows tells which elements of a parameter a shard has: all, or of the head its slice.
func (l *layer) rows(i int) (from, to int) {
	p, t := l.params[i], l.Tensors[i]
	if l.To > 0 && (t.Linear || t.Rows) {
		row := len(p.Value) / p.Shape[0]
		return l.From * row, l.To * row
	}
	return 0, len(p.Value)
}

// isBlock tells of a block.
func (m *Model) isBlock(l *layer) bool { return l.Block >= 0 && l.Block < len(m.arch.Blocks) }

// gives tells of what comes before the blocks: arch.PerLayer.
func (m *Model) gives(l *layer) bool { return l.Block < 0 }

// isHead tells of a slice of the vocabulary head.
func (m *Model) isHead(l *layer) bool { return l.Layer == m.arch.Head.Layer }

// isNorm tells of the final norm by itself.
func (m *Model) isNorm(l *layer) bool { return l.Layer == m.arch.Head.Norm }

// sides makes parameters of an adapted model's side paths.
func (m *Model) sides(w *checkpoint.Weights) error {
	for _, l := range m.arch.Layers() {
		for _, t := range l.Tensors {
			if !t.Side {
				continue
			}
			if err := m.param(w, t); err != nil {
				return err
			}
		}
	}
	if len(m.params) == 0 {
		return fmt.Errorf("gradient: %s: no side path, wanted a model with an adapter", m.arch.Type)
	}
	return nil
}

// param reads a parameter's first value.
func (m *Model) param(w *checkpoint.Weights, t arch.Tensor) error {
	if m.byName[t.Name] != nil {
		return nil
	}
	stored, ok := w.Get(t.Name)
	if !ok || t.Stack != nil {
		return fmt.Errorf("gradient: %s: tensor %s cannot be trained", m.arch.Type, t.Name)
	}
	values, err := stored.Float32s()
	if err != nil {
		return fmt.Errorf("gradient: %w", err)
	}
	p := &Param{Name: t.Name, Shape: slices.Clone(t.Shape), Value: slices.Clone(values), frozen: t.Buffer}
	m.byName[t.Name] = p
	if !p.frozen {
		p.Grad = make([]float32, len(values))
		m.params = append(m.params, p)
	}
	return nil
}

// walk calls use with every layer in the order of a forward pass, or backward.
func (m *Model) walk(ctx context.Context, backward bool, use func(*layer) error) error {
	if m.executables == nil {
		m.executables = engine.Share(m.backend, fmt.Sprint("gradient ", m.float()))
	}
	if m.engine != nil {
		return m.engine.Walk(ctx, backward, func(s engine.Shard) error { return m.with(s, use) })
	}
	shards := m.shards()
	if backward {
		slices.Reverse(shards)
	}
	for _, s := range shards {
		if err := m.with(s, use); err != nil {
			return err
		}
	}
	return nil
}

// shards are those of a model all of whose weights are trained.
func (m *Model) shards() []engine.Shard {
	var all []engine.Shard
	number := 0 // of the first block
	if m.arch.PerLayer != nil {
		number = -1
	}
	for _, l := range m.arch.Layers() {
		s := engine.Shard{Layer: l, Block: min(number, len(m.arch.Blocks))}
		number++
		for _, t := range l.Tensors {
			s.InOut = append(s.InOut, t.InOut)
		}
		s.Weights = make([]*tensors.Tensor, len(l.Tensors))
		if l != m.arch.Head.Layer {
			all = append(all, s)
			continue
		}
		for from := 0; from < m.arch.V; from += sliceRows {
			s.From, s.To = from, min(from+sliceRows, m.arch.V)
			all = append(all, s)
		}
	}
	return all
}

// sliceRows of the vocabulary are taken at a time where all weights are trained.
const sliceRows = 8192

// with puts the parameters in the place of a shard's weights while use runs.
func (m *Model) with(s engine.Shard, use func(*layer) error) error {
	l := &layer{Shard: s, params: make([]*Param, len(s.Tensors))}
	l.Weights, l.InOut = slices.Clone(s.Weights), slices.Clone(s.InOut)
	for i, t := range s.Tensors {
		p := m.byName[t.Name]
		if p == nil {
			continue
		}
		l.params[i], l.InOut[i] = p, t.InOut
		from, to := l.rows(i)
		key := place{p, from}
		if m.device[key] == nil {
			shape := slices.Clone(t.Shape)
			if to-from < len(p.Value) {
				shape[0] = l.To - l.From
			}
			value := tensors.FromFlatDataAndDimensions(slices.Clone(p.Value[from:to]), shape...)
			if err := value.ToDevice(m.backend, m.o.Device); err != nil { // here, since several parts of a pass use it at a time
				return fmt.Errorf("gradient: %s: %w", t.Name, err)
			}
			m.device[key] = value
		}
		l.Weights[i] = m.device[key]
		if p.frozen {
			l.params[i] = nil
		}
	}
	return use(l)
}

// place is a part of a parameter on the device.
type place struct {
	*Param
	from int
}

// Update puts the parameters' values in the place of those on the device.
func (m *Model) Update() {
	for key, t := range m.device {
		t.MustFinalizeAll()
		delete(m.device, key)
	}
}

// embed is the residual stream before the first block, [len(ids) D].
func (m *Model) embed(ids, positions []int32) ([]float64, error) {
	table := m.byName[m.arch.Embed.Table.Name]
	if table == nil {
		x, err := m.engine.Embed(ids, positions)
		return float64s(x), err
	}
	embed, d := m.arch.Embed, table.Shape[1]
	x := make([]float64, len(ids)*embed.Width())
	for i, id := range ids {
		to := x[i*embed.Width() : (i+1)*embed.Width()]
		row := embed.Row(id) * d
		for j, v := range table.Value[row : row+d] {
			to[j] = float64(embed.Scale) * float64(v)
		}
		if embed.Positions != nil {
			p, width := m.byName[embed.Positions.Name], embed.Positions.Shape[1]
			at := (embed.First + int(positions[i])) * width
			for j, v := range p.Value[at : at+width] {
				to[embed.After()+j] += float64(v)
			}
		}
	}
	return x, nil
}

// embedGrad adds to the gradients of the embeddings that of the residual stream.
func (m *Model) embedGrad(ids, positions []int32, used []bool, dx []float64) {
	table := m.byName[m.arch.Embed.Table.Name]
	if table == nil {
		return
	}
	embed, d := m.arch.Embed, table.Shape[1]
	for i, id := range ids {
		if !used[i] {
			continue
		}
		of := dx[i*embed.Width() : (i+1)*embed.Width()]
		row := embed.Row(id) * d
		to := table.Grad[row : row+d]
		for j, v := range of[:d] {
			to[j] += float32(float64(embed.Scale) * v)
		}
		if embed.Positions != nil {
			width := embed.Positions.Shape[1]
			at := (embed.First + int(positions[i])) * width
			to = m.byName[embed.Positions.Name].Grad[at : at+width]
			for j, v := range of[embed.After():] {
				to[j] += float32(v)
			}
		}
	}
}

// float is the type that graphs compute in.
func (m *Model) float() dtypes.DType {
	if m.wide {
		return dtypes.Float64
	}
	return dtypes.Float32
}
