package arch

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Dense computes a model as its definition reads, as a reference for the engine's numbers:
// each text alone, all its positions at once, without prefix tree or KV cache, and rounding
// nothing to less than DType.
//
// In float64 the weights are those of the checkpoint, which float64 holds exactly, and
// everything is computed in float64: embeddings, norms, products, attention, activations,
// logits and log-softmax. Where transformers computes part of a model in float32 whatever
// type it runs in, that rounding is part of the model: the frequencies, angles, cosines and
// sines of rotary positions, and Gemma's factor of the embeddings. (transformers itself, in
// float64, rounds norms and the softmax of attention to float32; Dense does not.)
//
// Only one block's weights are on the device at a time, and of the head's matrix denseRows
// rows; attention needs 8*N*T*T bytes for a text of T tokens.
type Dense struct {
	Model   *Model
	Backend compute.Backend
	Device  compute.DeviceNum
	DType   dtypes.DType // Float64 or Float32
	// Rows returns rows from..to of a tensor's first axis as the checkpoint has them, and a
	// tensor without axes as row 0;
	// float32 holds every weight exactly. What it returns is not changed.
	Rows func(t Tensor, from, to int) ([]float32, error)
}

const (
	denseRows = 16_384 // of the vocabulary, at a time
	// densePad is what a text's length is rounded up to, so that texts of similar lengths
	// share executables. The padding comes last, where no token of the text attends to it.
	densePad = 64
)

// Logits computes each of the texts alone and hands their logits to use, those of rows
// from..to of the vocabulary at a time: logits[t*(to-from)+v-from] is that of v after
// ids[:t+1], for every t. Blocks go through memory once, in turn. ctx is checked between
// executions.
func (d *Dense) Logits(ctx context.Context, texts [][]int32, use func(text, from, to int, logits []float64)) error {
	if d.Model.Head.Layer == nil {
		return fmt.Errorf("arch: dense: %s: a trunk, wanted a model with a vocabulary head", d.Model.Type)
	}
	r := denseRun{Dense: d, execs: map[string]*Exec{}}
	defer r.release()
	if err := r.trunk(ctx, texts); err != nil {
		return err
	}
	for from := 0; from < d.Model.V; from += denseRows {
		if err := r.head(ctx, texts, from, min(from+denseRows, d.Model.V), use); err != nil {
			return fmt.Errorf("arch: dense: head: %w", err)
		}
	}
	return nil
}

// States computes each of the texts alone and returns their final states after the model's
// last norm: states[text][t*D:(t+1)*D] is that after ids[:t+1].
func (d *Dense) States(ctx context.Context, texts [][]int32) (states [][]float64, err error) {
	r := denseRun{Dense: d, execs: map[string]*Exec{}}
	defer r.release()
	if err := r.trunk(ctx, texts); err != nil {
		return nil, err
	}
	norm := d.Model.Head.Norm
	weights, err := r.weights(norm, 0, 0)
	defer func() { free(weights) }()
	for i := 0; i < len(texts) && err == nil; i++ {
		var out []*tensors.Tensor
		if out, err = r.call(ctx, norm, append([]*tensors.Tensor{r.x[i]}, weights...)); err == nil {
			states = append(states, tensors.MustCopyFlatData[float64](out[0])[:len(texts[i])*d.Model.D])
			free(out)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("arch: dense: final norm: %w", err)
	}
	return states, nil
}

func (d *Dense) check(texts [][]int32) error {
	if d.DType != dtypes.Float64 && d.DType != dtypes.Float32 {
		return fmt.Errorf("arch: dense: dtype %s, wanted float64 or float32", d.DType)
	}
	for i, ids := range texts {
		if len(ids) == 0 || len(ids) > d.Model.Context {
			return fmt.Errorf("arch: dense: text %d has %d tokens, wanted 1 to %d", i, len(ids), d.Model.Context)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= d.Model.V {
				return fmt.Errorf("arch: dense: text %d has a token with id %d, wanted 0 to %d", i, id, d.Model.V-1)
			}
			if err := d.Model.Embed.Check(id); err != nil {
				return fmt.Errorf("arch: dense: text %d: %w", i, err)
			}
		}
	}
	return nil
}

// denseRun is one call of Logits or States.
type denseRun struct {
	*Dense
	x     []*tensors.Tensor      // [T D], one a text
	rows  []*tensors.Tensor      // of PerLayer's table [T L*P], one a text; nil without
	given [][]*tensors.Tensor    // what each block is given [T P], by text
	lent  [][][]*tensors.Tensor  // keys and values [T G*K] of the blocks that lend them, by text
	ropes [][][2]*tensors.Tensor // cos and sin [T R/2] of each rope, one a text
	execs map[string]*Exec       // by the layers' keys
}

func (r *denseRun) release() {
	free(r.x)
	free(r.rows)
	for i := range r.x {
		if r.given != nil {
			free(r.given[i])
		}
		if r.lent != nil {
			free(slices.Concat(r.lent[i]...))
		}
	}
	for _, text := range r.ropes {
		for _, rope := range text {
			free(rope[:])
		}
	}
	for _, e := range r.execs {
		e.Finalize()
	}
}

// trunk checks the texts and takes them through all blocks.
func (r *denseRun) trunk(ctx context.Context, texts [][]int32) error {
	if err := r.check(texts); err != nil {
		return err
	}
	for _, ids := range texts {
		if err := r.embed(ids); err != nil {
			return fmt.Errorf("arch: dense: %w", err)
		}
	}
	if err := r.perLayer(ctx, len(texts)); err != nil {
		return fmt.Errorf("arch: dense: %w", err)
	}
	for range texts {
		r.lent = append(r.lent, make([][]*tensors.Tensor, len(r.Model.Blocks)))
	}
	for i := range r.Model.Blocks {
		if err := r.block(ctx, i); err != nil {
			return fmt.Errorf("arch: dense: block %d: %w", i, err)
		}
	}
	return nil
}

func free(all []*tensors.Tensor) {
	for _, t := range all {
		if t != nil {
			t.MustFinalizeAll()
		}
	}
}

// embed adds a text: x[t] = Scale*Table[id[t]] + Positions[First+t], and 0 for the padding.
func (r *denseRun) embed(ids []int32) error {
	m := r.Model
	size := (len(ids) + densePad - 1) / densePad * densePad
	width := m.Embed.Width()
	x := make([]float64, size*width)
	for t, id := range ids {
		at := m.Embed.Row(id)
		row, err := r.Rows(m.Embed.Table, at, at+1)
		if err != nil {
			return err
		}
		for i, v := range row {
			x[t*width+i] = float64(m.Embed.Scale) * float64(v)
		}
		if m.Embed.Positions == nil {
			continue
		}
		if row, err = r.Rows(*m.Embed.Positions, m.Embed.First+t, m.Embed.First+t+1); err != nil {
			return err
		}
		for i, v := range row {
			x[t*width+m.Embed.After()+i] += float64(v)
		}
	}
	r.x = append(r.x, tensors.FromFlatDataAndDimensions(x, size, width))
	if m.PerLayer != nil {
		width := m.PerLayer.Table.Shape[1]
		rows := make([]float32, size*width)
		for t, id := range ids {
			at := m.PerLayer.Row(m.Embed.Row(id))
			row, err := r.Rows(m.PerLayer.Table, at, at+1)
			if err != nil {
				return err
			}
			copy(rows[t*width:], row)
		}
		r.rows = append(r.rows, tensors.FromFlatDataAndDimensions(rows, size, width))
	}
	positions := make([]int32, size)
	for t := range positions {
		positions[t] = int32(t)
	}
	var ropes [][2]*tensors.Tensor
	for _, rope := range m.Ropes {
		cos, sin := rope.Table(positions)
		half := len(rope.InvFreq)
		ropes = append(ropes, [2]*tensors.Tensor{
			tensors.FromFlatDataAndDimensions(cos, size, half), tensors.FromFlatDataAndDimensions(sin, size, half),
		})
	}
	r.ropes = append(r.ropes, ropes)
	return nil
}

// perLayer makes what each block is given of each of so many texts.
func (r *denseRun) perLayer(ctx context.Context, texts int) error {
	e := r.Model.PerLayer
	if e == nil {
		return nil
	}
	weights, err := r.weights(e.Layer, 0, 0)
	defer func() { free(weights) }()
	if err != nil {
		return err
	}
	r.given = make([][]*tensors.Tensor, texts)
	for i := 0; i < texts && err == nil; i++ {
		r.given[i], err = r.call(ctx, e.Layer, append([]*tensors.Tensor{r.x[i], r.rows[i]}, weights...))
	}
	return err
}

// block takes all texts through one block.
func (r *denseRun) block(ctx context.Context, number int) error {
	layer := r.Model.Blocks[number]
	weights, err := r.weights(layer, 0, 0)
	defer func() { free(weights) }()
	if err != nil {
		return err
	}
	for i, x := range r.x {
		args := []*tensors.Tensor{x}
		if layer.Given {
			args = append(args, r.given[i][number])
		}
		if layer.Back > 0 {
			args = append(args, r.lent[i][number-layer.Back]...)
		}
		if layer.Rope >= 0 {
			args = append(args, r.ropes[i][layer.Rope][:]...)
		}
		out, err := r.call(ctx, layer, append(args, weights...))
		if err != nil {
			return err
		}
		x.MustFinalizeAll()
		r.x[i], r.lent[i][number] = out[0], out[1:]
	}
	return nil
}

// head computes the logits of all texts over rows from..to of the vocabulary.
func (r *denseRun) head(ctx context.Context, texts [][]int32, from, to int, use func(text, from, to int, logits []float64)) error {
	weights, err := r.weights(r.Model.Head.Layer, from, to)
	defer func() { free(weights) }()
	if err != nil {
		return err
	}
	for i, x := range r.x {
		logits, err := r.call(ctx, r.Model.Head.Layer, append([]*tensors.Tensor{x}, weights...))
		if err != nil {
			return err
		}
		err = tensors.ConstFlatData(logits[0], func(flat []float64) { use(i, from, to, flat[:len(texts[i])*(to-from)]) })
		free(logits)
		if err != nil {
			return err
		}
	}
	return nil
}

// weights puts a layer's tensors on the device, of the head (to > 0) rows from..to of its
// matrix.
func (r *denseRun) weights(layer *Layer, from, to int) (all []*tensors.Tensor, err error) {
	for _, t := range layer.Tensors {
		shape, values := slices.Clone(t.Shape), []float32(nil)
		for _, stored := range t.Stored() {
			first, last := 0, 1
			if len(stored.Shape) > 0 { // a single number is a row
				last = stored.Shape[0]
			}
			if to > 0 && (t.Linear || t.Rows) {
				first, last, shape[0] = from, to, to-from
			}
			rows, err := r.Rows(stored, first, last)
			if err != nil {
				return all, err
			}
			values = append(values, rows...)
		}
		all = append(all, tensors.FromFlatDataAndDimensions(values, shape...))
	}
	return all, nil
}

// call runs a layer on x, (what it is given,) (the keys and values of another,) (cos, sin,) weights.
// Beside its result it returns the keys and values that the layer lends.
func (r *denseRun) call(ctx context.Context, layer *Layer, in []*tensors.Tensor) ([]*tensors.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	exec := r.execs[layer.Key]
	if exec == nil {
		var err error
		if exec, err = NewExec(r.Backend, func(in []*Node) []*Node {
			out := layer.dense(r.DType, in)
			switch e := r.Model.PerLayer; {
			case e != nil && layer == e.Layer:
				return e.Parts(out[0])
			case layer == r.Model.Head.Layer || layer == r.Model.Head.Norm:
				out[0] = ConvertDType(out[0], dtypes.Float64) // it is read here
			}
			return out
		}); err != nil {
			return nil, err
		}
		exec.SetMaxCache(-1) // of shapes
		r.execs[layer.Key] = exec
	}
	args := make([]any, len(in))
	for i, t := range in {
		args[i] = t
	}
	out, _, err := exec.CallWithGraphOnDevice(r.Device, args...)
	return out, err
}

// dense builds the layer's graph over one whole text, in float32 or float64, from x [T D],
// (Scope.Given,) (Scope.Shared,) (cos, sin [T R/2],) and the layer's tensors. After its result come the
// keys and values that it lends, [T G*K] each.
func (l *Layer) dense(dtype dtypes.DType, in []*Node) []*Node {
	s := &Scope{DType: dtype, Attend: attendDense, Before: denseBefore, Recur: denseRecur}
	next := func() *Node {
		x := s.float(in[0])
		in = in[1:]
		return x
	}
	x := next()
	if l.Given {
		s.Given = next()
	}
	if l.Back > 0 {
		s.Shared = []*Node{next(), next()}
	}
	if l.Rope >= 0 {
		s.Cos, s.Sin = next(), next()
	}
	s.Weights = in
	var lent []*Node
	if l.Lends {
		s.Attend = func(q, k, v, sinks *Node, a Attention) *Node {
			t := k.Shape().Dimensions[0]
			lent = []*Node{Reshape(k, t, -1), Reshape(v, t, -1)}
			return attendDense(q, k, v, sinks, a)
		}
	}
	for _, t := range l.Tensors {
		s.InOut = append(s.InOut, t.InOut)
	}
	return append([]*Node{l.Apply(s, x)}, lent...)
}

// attendDense is Scope.Attend for one whole text: a position attends to itself and to those
// before it, as far as the window goes. q is [T N K], k and v are [T G K], sinks [N] or nil.
func attendDense(q, k, v, sinks *Node, a Attention) *Node {
	g, dims := q.Graph(), q.Shape().Dimensions
	t, n, width := dims[0], dims[1], dims[2]
	groups := k.Shape().Dimensions[1]
	q = Reshape(MulScalar(q, a.Scale), t, groups, n/groups, width)
	scores := softCap(Settled(Einsum("tgmk,sgk->gmts", q, k)), a.SoftCap) // [G M T T], M = N/G
	query, key := Iota(g, shapes.Make(dtypes.Int32, t, t), 0), Iota(g, shapes.Make(dtypes.Int32, t, t), 1)
	sees := LessOrEqual(key, query) // [T T]
	if a.Window > 0 {
		sees = LogicalAnd(sees, LessThan(Sub(query, key), Scalar(g, dtypes.Int32, min(a.Window, math.MaxInt32))))
	}
	if a.ALiBi != (ALiBi{}) {
		scores = Add(scores, Reshape(a.ALiBi.Bias(InsertAxes(query, 0), InsertAxes(key, 0), n, scores.DType()), groups, n/groups, t, t))
	}
	sees = BroadcastToDims(InsertAxes(sees, 0, 0), groups, n/groups, t, t)
	scores = Where(sees, scores, Infinity(g, q.DType(), -1))
	if sinks != nil { // one more key, whose value is 0
		sinks = BroadcastToDims(Reshape(sinks, groups, n/groups, 1, 1), groups, n/groups, t, 1)
		scores = Concatenate([]*Node{scores, sinks}, -1)
	}
	weights := Softmax(scores, -1)
	if sinks != nil {
		weights = SliceAxis(weights, -1, AxisRange(0, t))
	}
	return Reshape(Einsum("gmts,sgk->tgmk", weights, v), t, n*width)
}

// init gives Rsqrt, of the norms, and Expm1, of xIELU, the gradients that gomlx v0.28.8 lacks:
// y = x^-1/2 has dy/dx = -y^3/2, and y = e^x - 1 has dy/dx = y + 1.
func init() {
	if VJPRegistration[NodeTypeExpm1] == nil {
		VJPRegistration[NodeTypeExpm1] = func(y *Node, v []*Node, _ shapes.Shape) []*Node {
			return []*Node{Mul(v[0], OnePlus(y))}
		}
	}
	if VJPRegistration[NodeTypeRsqrt] == nil {
		VJPRegistration[NodeTypeRsqrt] = func(y *Node, v []*Node, _ shapes.Shape) []*Node {
			return []*Node{Mul(v[0], MulScalar(Mul(Square(y), y), -0.5))}
		}
	}
}
