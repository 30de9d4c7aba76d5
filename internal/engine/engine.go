// Package engine computes log-probabilities of token sequences.
//
// The idea: all texts of a call go into one prefix tree (tree.go), whose nodes are
// tokens. A node's hidden state depends on its ancestors alone, so it is computed
// once however many texts share it: one prompt followed by a thousand words costs
// the prompt plus what the words add. The tree is cut into batches, each a run of
// its depth-first order together with the path that leads to it. In that order a
// node's descendants follow it without a gap, so that attention to ancestors only
// is two comparisons of positions (attention.go), and a batch is a flat list of
// tokens without padding but at its end.
//
// A batch runs block by block. Blocks of one kind share an executable for each
// size of batch, weights are its inputs and stay on the device (weights.go): a
// model of 80 layers compiles as one block. The head runs only where a log-probability
// is wanted, a few rows at a time, in float32.
package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// Engine holds a model's weights on a device and the executables over them. Its
// methods may be called from several goroutines; they run one after the other.
type Engine struct {
	model   *arch.Model
	backend compute.Backend
	dtype   dtypes.DType
	weights map[string]weight
	table   checkpoint.Tensor // of embeddings, read row by row from the mapped file
	places  []float32         // learned positions [Context D], nil without

	mu       sync.Mutex
	programs *programs
	closed   bool

	// BatchTokens is the number of nodes that are computed at a time.
	BatchTokens int
}

// defaultBatchTokens is a compromise measured on two cores: larger batches spend more
// in attention and in compiling, smaller ones compute more prefixes anew.
const defaultBatchTokens = 256

// New checks the checkpoint against the model and loads its weights. w must stay
// open as long as the engine is used: embeddings are read from it. dtype is
// dtypes.Float32, dtypes.BFloat16, or InvalidDType for AutoDType's choice. like may be
// nil, or an engine whose executables serve this one too if their models are alike.
func New(ctx context.Context, backend compute.Backend, m *arch.Model, w *checkpoint.Weights, dtype dtypes.DType, like *Engine, progress func(done, total int64)) (*Engine, error) {
	if err := Validate(m, w); err != nil {
		return nil, err
	}
	switch dtype {
	case dtypes.InvalidDType:
		dtype = AutoDType(m, w)
	case dtypes.Float32, dtypes.BFloat16:
	default:
		return nil, fmt.Errorf("engine: dtype %s, wanted float32 or bfloat16", dtype)
	}
	e := &Engine{model: m, backend: backend, dtype: dtype, BatchTokens: defaultBatchTokens}
	e.table, _ = w.Get(m.Embed.Table.Name)
	tied := slices.ContainsFunc(m.Head.Tensors, func(t arch.Tensor) bool { return t.Name == e.table.Name })
	if !tied { // otherwise it is checked on its way to the device
		if err := e.table.CheckFinite(); err != nil {
			return nil, err
		}
		e.table.Forget() // a few rows at a time will be read
	}
	if p := m.Embed.Positions; p != nil {
		t, _ := w.Get(p.Name)
		if err := t.CheckFinite(); err != nil {
			return nil, err
		}
		var err error
		if e.places, err = t.Float32s(); err != nil {
			return nil, err
		}
	}
	var err error
	if e.weights, err = loadWeights(ctx, backend, m, w, dtype, progress); err != nil {
		return nil, err
	}
	e.programs = share(like, e)
	return e, nil
}

// DType is the type of the matrix products' operands.
func (e *Engine) DType() dtypes.DType { return e.dtype }

// Close frees the weights and executables.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	release(e.weights)
	e.programs.release()
}

// Result is what was wanted of one text.
type Result struct {
	LogProb []float32 // of IDs[From:]
	Greedy  bool      // each of them was a most likely token
	Row     []float32 // of the whole vocabulary after the text; nil if not asked for
}

// Run computes what is wanted of the texts, in their order. It checks ctx between
// executions. A number that is not finite (but for a log-probability of -Inf) is an
// error.
func (e *Engine) Run(ctx context.Context, texts []Text) ([]Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("engine: closed")
	}
	t := newTree()
	results := make([]Result, len(texts))
	for n, text := range texts {
		if err := e.Check(text); err != nil {
			return nil, fmt.Errorf("engine: text %d: %w", n, err)
		}
		t.add(n, text)
		results[n] = Result{LogProb: make([]float32, len(text.IDs)-text.From), Greedy: true}
	}
	for _, b := range t.batches(e.BatchTokens) {
		if err := e.run(ctx, t, b, results); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// Check tells why a text cannot be computed, nil if it can.
func (e *Engine) Check(text Text) error {
	if len(text.IDs) > e.model.Context {
		return fmt.Errorf("%d tokens, wanted at most %d, the model's context", len(text.IDs), e.model.Context)
	}
	for i, id := range text.IDs {
		if id < 0 || int(id) >= e.model.V {
			return fmt.Errorf("token %d has id %d, wanted 0 to %d", i, id, e.model.V-1)
		}
	}
	if text.From < 0 || text.From > len(text.IDs) {
		return fmt.Errorf("reply begins at token %d of %d", text.From, len(text.IDs))
	}
	if text.From == 0 && len(text.IDs) > 0 || text.Row && len(text.IDs) == 0 {
		return errors.New("nothing stands before the first token that is asked for, wanted a prompt or a BOS token")
	}
	return nil
}

// run computes one batch and puts its numbers in their places.
func (e *Engine) run(ctx context.Context, t *tree, b batch, results []Result) error {
	var at []int32 // indices in the batch at which something is wanted
	for i := b.own; i < len(b.nodes); i++ {
		if t.wants[b.nodes[i]] != nil {
			at = append(at, int32(i))
		}
	}
	if len(at) == 0 {
		return nil // inner nodes whose wanted descendants are in a later batch
	}
	x, err := e.blocks(ctx, t, b)
	if err != nil {
		return err
	}
	defer x.MustFinalizeAll()
	for _, rows := range slices.Collect(slices.Chunk(at, e.headRows())) {
		if err := ctx.Err(); err != nil {
			return err
		}
		wants := make([]*want, len(rows))
		for i, r := range rows {
			wants[i] = t.wants[b.nodes[r]]
		}
		if err := e.head(x, rows, wants, results); err != nil {
			return err
		}
	}
	return nil
}

// blocks returns the residual stream after the last block, [size D].
func (e *Engine) blocks(ctx context.Context, t *tree, b batch) (*tensors.Tensor, error) {
	size := bucket(len(b.nodes))
	ids, depth, exit := make([]int32, size), make([]int32, size), make([]int32, size)
	for i := range size {
		if i < len(b.nodes) {
			ids[i], depth[i], exit[i] = t.id[b.nodes[i]], t.depth[b.nodes[i]], b.exit[i]
		} else {
			exit[i] = int32(i + 1) // padding sees itself only
		}
	}
	x, err := e.embed(ids, depth)
	if err != nil {
		return nil, err
	}
	shared := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(depth, size),
		tensors.FromFlatDataAndDimensions(exit, size),
	}
	ropes := make([][]*tensors.Tensor, len(e.model.Ropes))
	for i, r := range e.model.Ropes {
		cos, sin := r.Table(depth)
		ropes[i] = []*tensors.Tensor{
			tensors.FromFlatDataAndDimensions(cos, size, len(r.InvFreq)),
			tensors.FromFlatDataAndDimensions(sin, size, len(r.InvFreq)),
		}
	}
	defer func() {
		for _, t := range append(slices.Concat(ropes...), shared...) {
			t.MustFinalizeAll()
		}
	}()
	for _, part := range e.model.Blocks {
		if err := ctx.Err(); err != nil {
			x.MustFinalizeAll()
			return nil, err
		}
		in := append([]*tensors.Tensor{x}, shared...)
		if part.Rope >= 0 {
			in = append(in, ropes[part.Rope]...)
		}
		out, err := e.call(part.Kind, blockGraph(part, e.inOut(part)), append(in, e.tensors(part)...))
		x.MustFinalizeAll()
		if err != nil {
			return nil, err
		}
		x = out[0]
	}
	return x, nil
}

// embed looks the tokens up in the mapped table: x = Scale*Table[id] + Positions[depth].
func (e *Engine) embed(ids, depth []int32) (*tensors.Tensor, error) {
	d := e.model.D
	x := make([]float32, len(ids)*d)
	itemSize := len(e.table.Data) / (e.model.V * d)
	for i, id := range ids {
		row := e.table
		row.Shape = []int{d}
		row.Data = e.table.Data[int(id)*d*itemSize : (int(id)+1)*d*itemSize]
		values, err := row.Float32s()
		if err != nil {
			return nil, err
		}
		to := x[i*d : (i+1)*d]
		for j, v := range values {
			to[j] = v * e.model.Embed.Scale
		}
		if e.places != nil {
			for j, v := range e.places[int(depth[i])*d : (int(depth[i])+1)*d] {
				to[j] += v
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(x, len(ids), d), nil
}

// head fills in what is wanted after the given rows of x.
func (e *Engine) head(x *tensors.Tensor, rows []int32, wants []*want, results []Result) error {
	size := bucket(len(rows))
	index := make([]int32, size)
	copy(index, rows)
	// Gathering is an executable of its own, so that the head compiles for each
	// number of rows, not for each pair of that and a batch's size.
	wanted, err := e.call("gather", gatherGraph, []*tensors.Tensor{x, tensors.FromFlatDataAndDimensions(index, size, 1)})
	if err != nil {
		return err
	}
	part := e.model.Head
	out, err := e.call("head", headGraph(part, e.inOut(part)), append(wanted, e.tensors(part)...))
	wanted[0].MustFinalizeAll()
	if err != nil {
		return err
	}
	logits, sums, tops := out[0], tensors.MustCopyFlatData[float32](out[1]), tensors.MustCopyFlatData[float32](out[2])
	defer func() {
		for _, t := range out {
			t.MustFinalizeAll()
		}
	}()
	for i := range rows {
		if s := float64(sums[i]); math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("engine: logits after a text are not finite (log-sum-exp %g): the checkpoint computes no distribution in %s", s, e.dtype)
		}
	}

	// Single ids are picked on the device; a whole row is copied as it is needed.
	var pick []int32
	for i, w := range wants {
		for _, id := range w.ids {
			pick = append(pick, int32(i), id)
		}
	}
	if len(pick) > 0 {
		n := len(pick) / 2
		padded := make([]int32, 2*bucket(n))
		copy(padded, pick)
		picked, err := e.call("gather", gatherGraph, []*tensors.Tensor{logits, tensors.FromFlatDataAndDimensions(padded, len(padded)/2, 2)})
		if err != nil {
			return err
		}
		values := tensors.MustCopyFlatData[float32](picked[0])
		picked[0].MustFinalizeAll()
		j := 0
		for i, w := range wants {
			for k := range w.ids {
				for _, to := range w.slot[k] {
					results[to.text].LogProb[to.i] = logProb(values[j], sums[i])
					results[to.text].Greedy = results[to.text].Greedy && values[j] >= tops[i]
				}
				j++
			}
		}
	}
	if !slices.ContainsFunc(wants, func(w *want) bool { return len(w.rows) > 0 }) {
		return nil
	}
	return tensors.ConstFlatData(logits, func(flat []float32) {
		v := e.model.V
		for i, w := range wants {
			for _, text := range w.rows {
				row := make([]float32, v)
				for j, x := range flat[i*v : (i+1)*v] {
					row[j] = logProb(x, sums[i])
				}
				results[text].Row = row
			}
		}
	})
}

// logProb is logit - lse, at most 0: rounding can leave a sure thing above.
func logProb(logit, lse float32) float32 { return min(logit-lse, 0) }

// headRows bounds the logits that are held at a time to 64 MiB.
func (e *Engine) headRows() int {
	rows := 256
	for rows > 1 && rows*e.model.V*4 > 64<<20 {
		rows /= 2
	}
	return rows
}

// bucket is the smallest of 1, 2, 4, 8, 12, 16, 24, 32, 48, ... that holds n: few
// shapes to compile, and at most a third of a batch is padding.
func bucket(n int) int {
	size := 1
	for size < n {
		if size >= 8 && size+size/2 >= n {
			return size + size/2
		}
		size *= 2
	}
	return size
}

// tensors are the weights of a part, inOut their layouts.
func (e *Engine) tensors(p *arch.Part) []*tensors.Tensor {
	all := make([]*tensors.Tensor, len(p.Tensors))
	for i, t := range p.Tensors {
		all[i] = e.weights[t.Name].tensor
	}
	return all
}

func (e *Engine) inOut(p *arch.Part) []bool {
	all := make([]bool, len(p.Tensors))
	for i, t := range p.Tensors {
		all[i] = e.weights[t.Name].inOut
	}
	return all
}

func int32s(dims ...int) shapes.Shape { return shapes.Make(dtypes.Int32, dims...) }
