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
		var out *tensors.Tensor
		if out, err = r.call(ctx, norm, append([]*tensors.Tensor{r.x[i]}, weights...)); err == nil {
			states = append(states, tensors.MustCopyFlatData[float64](out)[:len(texts[i])*d.Model.D])
			out.MustFinalizeAll()
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
		}
	}
	return nil
}

// denseRun is one call of Logits or States.
type denseRun struct {
	*Dense
	x     []*tensors.Tensor      // [T D], one a text
	ropes [][][2]*tensors.Tensor // cos and sin [T R/2] of each rope, one a text
	execs map[string]*Exec       // by the layers' keys
}

func (r *denseRun) release() {
	free(r.x)
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
	for i, layer := range r.Model.Blocks {
		if err := r.block(ctx, layer); err != nil {
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
	x := make([]float64, size*m.D)
	for t, id := range ids {
		at := m.Embed.Row(id)
		row, err := r.Rows(m.Embed.Table, at, at+1)
		if err != nil {
			return err
		}
		for i, v := range row {
			x[t*m.D+i] = float64(m.Embed.Scale) * float64(v)
		}
		if m.Embed.Positions == nil {
			continue
		}
		if row, err = r.Rows(*m.Embed.Positions, m.Embed.First+t, m.Embed.First+t+1); err != nil {
			return err
		}
		for i, v := range row {
			x[t*m.D+i] += float64(v)
		}
	}
	r.x = append(r.x, tensors.FromFlatDataAndDimensions(x, size, m.D))
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

// block takes all texts through one block.
func (r *denseRun) block(ctx context.Context, layer *Layer) error {
	weights, err := r.weights(layer, 0, 0)
	defer func() { free(weights) }()
	if err != nil {
		return err
	}
	for i, x := range r.x {
		args := []*tensors.Tensor{x}
		if layer.Rope >= 0 {
			args = append(args, r.ropes[i][layer.Rope][:]...)
		}
		out, err := r.call(ctx, layer, append(args, weights...))
		if err != nil {
			return err
		}
		x.MustFinalizeAll()
		r.x[i] = out
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
		err = tensors.ConstFlatData(logits, func(flat []float64) { use(i, from, to, flat[:len(texts[i])*(to-from)]) })
		logits.MustFinalizeAll()
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

// call runs a layer on x, (cos, sin,) weights.
func (r *denseRun) call(ctx context.Context, layer *Layer, in []*tensors.Tensor) (*tensors.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	exec := r.execs[layer.Key]
	if exec == nil {
		var err error
		if exec, err = NewExec(r.Backend, func(in []*Node) *Node {
			y := layer.dense(r.DType, in)
			if layer == r.Model.Head.Layer || layer == r.Model.Head.Norm {
				y = ConvertDType(y, dtypes.Float64)
			}
			return y
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
	out, err := exec.Call(args...)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// dense builds the layer's graph over one whole text, in float32 or float64, from x [T D],
// (cos, sin [T R/2],) and the layer's tensors.
func (l *Layer) dense(dtype dtypes.DType, in []*Node) *Node {
	s := &Scope{DType: dtype, Attend: attendDense, Before: denseBefore, Delta: denseDelta}
	x, in := s.float(in[0]), in[1:]
	if l.Rope >= 0 {
		s.Cos, s.Sin, in = s.float(in[0]), s.float(in[1]), in[2:]
	}
	s.Weights = in
	for _, t := range l.Tensors {
		s.InOut = append(s.InOut, t.InOut)
	}
	return l.Apply(s, x)
}

// attendDense is Scope.Attend for one whole text: a position attends to itself and to those
// before it, as far as the window goes. q is [T N K], k and v are [T G K], sinks [N] or nil.
func attendDense(q, k, v, sinks *Node, a Attention) *Node {
	g, dims := q.Graph(), q.Shape().Dimensions
	t, n, width := dims[0], dims[1], dims[2]
	groups := k.Shape().Dimensions[1]
	q = Reshape(MulScalar(q, a.Scale), t, groups, n/groups, width)
	scores := softCap(Einsum("tgmk,sgk->gmts", q, k), a.SoftCap) // [G M T T], M = N/G
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

// LogProbs are a text's log-probabilities.
type LogProbs struct {
	Tokens []float64 // ln p(ids[i+1] | ids[:i+1])
	Next   []float64 // ln p of every row of the vocabulary after the text
}

// LogProbs computes each of the texts alone, of one token or more each.
func (d *Dense) LogProbs(ctx context.Context, texts [][]int32) ([]LogProbs, error) {
	all := make([]LogProbs, len(texts))
	sums := make([][]logSumExp, len(texts)) // of the logits after each token
	for i, ids := range texts {
		all[i] = LogProbs{Tokens: make([]float64, max(len(ids)-1, 0)), Next: make([]float64, d.Model.V)}
		sums[i] = make([]logSumExp, len(ids))
	}
	err := d.Logits(ctx, texts, func(text, from, to int, logits []float64) {
		ids, width := texts[text], to-from
		for t := range ids {
			row := logits[t*width : (t+1)*width]
			sums[text][t].add(row)
			switch {
			case t == len(ids)-1:
				copy(all[text].Next[from:to], row)
			case from <= int(ids[t+1]) && int(ids[t+1]) < to:
				all[text].Tokens[t] = row[int(ids[t+1])-from]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for i, ids := range texts {
		for t := range ids {
			lse := sums[i][t].value()
			if math.IsNaN(lse) || math.IsInf(lse, 0) {
				return nil, fmt.Errorf("arch: %s: text %d: the logits after token %d are not finite", d.Model.Type, i, t)
			}
			if t < len(ids)-1 {
				all[i].Tokens[t] -= lse
				continue
			}
			for v := range all[i].Next {
				all[i].Next[v] -= lse
			}
		}
	}
	return all, nil
}

// logSumExp is ln sum exp(x) over the numbers that were added: sum is that of exp(x - top).
// Its zero value has none.
type logSumExp struct{ top, sum float64 }

func (l *logSumExp) add(numbers []float64) {
	before := l.top
	if l.sum == 0 {
		before = math.Inf(-1)
	}
	l.top = max(before, slices.Max(numbers))
	l.sum *= math.Exp(before - l.top)
	for _, x := range numbers {
		l.sum += math.Exp(x - l.top)
	}
}

func (l *logSumExp) value() float64 { return l.top + math.Log(l.sum) }

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
