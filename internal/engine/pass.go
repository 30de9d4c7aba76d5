package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// inputs are a batch's tensors on the device.
type inputs struct {
	batch
	shape
	x     *tensors.Tensor     // [T D], the residual stream before the next block
	where []*tensors.Tensor   // depth, seen, exit [T]; base [T] if Pool; path [S P] if S > 1 and P > 0; next [N] if N > 0
	ropes [][]*tensors.Tensor // cos and sin [T R/2] of each of the model's ropes
}

func (in *inputs) release() {
	for _, t := range slices.Concat(slices.Concat(in.ropes...), in.where, []*tensors.Tensor{in.x}) {
		if t != nil {
			t.MustFinalizeAll()
		}
	}
}

// pass computes one pass and puts its numbers in their places.
func (e *Engine) pass(ctx context.Context, t *tree, p pass, results []Result) error {
	var batches []batch
	var shapes []shape
	var rows func(n, usual int) (int, error)
	if t.invariant {
		rows = func(n, usual int) (int, error) { return e.rows(n, usual, false) }
	}
	if t.pooled != nil {
		b, s, err := t.pooledBatch(p, rows)
		if err != nil {
			return err
		}
		batches, shapes = []batch{b}, []shape{s}
	} else {
		batches = t.batches(p, e.batchNodes)
		var err error
		if shapes, err = shapesOf(batches, e.store.params, rows); err != nil {
			return err
		}
	}
	all := make([]*inputs, len(batches))
	defer func() {
		for _, in := range all {
			if in != nil {
				in.release()
			}
		}
	}()
	for i, b := range batches {
		var err error
		if all[i], err = e.inputs(t, p, b, shapes[i]); err != nil {
			return err
		}
	}
	var head *head // once the blocks are done
	defer func() { head.release() }()
	err := e.store.each(ctx, func(piece *piece) error {
		if piece.layer != e.model.Head.Layer {
			return e.block(ctx, piece, all, p)
		}
		if head == nil {
			var err error
			if head, err = e.head(t, p, all, results); err != nil {
				return err
			}
		}
		return head.slice(ctx, piece)
	})
	if err != nil {
		return err
	}
	return head.finish()
}

// inputs puts a batch on the device.
func (e *Engine) inputs(t *tree, p pass, b batch, s shape) (*inputs, error) {
	ids := make([]int32, s.T)
	for i := range b.n {
		ids[i] = t.id[p.nodes[b.from+i]]
	}
	seen, exit := b.mask(s.C)
	depth, seen, exit := padded(b.depth, s.T), padded(seen, s.T), padded(exit, s.T)
	for i := b.n; i < s.T; i++ {
		exit[i] = int32(i%s.C + 1) // padding sees itself only
	}
	x, err := e.embed(ids, depth)
	if err != nil {
		return nil, err
	}
	in := &inputs{batch: b, shape: s, x: x}
	add := func(v []int32, dims ...int) {
		in.where = append(in.where, tensors.FromFlatDataAndDimensions(v, dims...))
	}
	add(depth, s.T)
	add(seen, s.T)
	add(exit, s.T)
	if s.Pool {
		add(padded(b.base, s.T), s.T)
	}
	// A node of an earlier batch lies on the path to this one's first, where its place is
	// its depth.
	place := func(path []int32, n int) []int32 {
		at := make([]int32, n)
		for i, node := range path {
			switch {
			case node < 0:
				at[i] = before(int(node))
			case int(node) < b.from:
				at[i] = int32(i)
			default:
				at[i] = int32(s.Q) + node - int32(b.from)
			}
		}
		return at
	}
	if s.gathers() {
		var path []int32
		for _, chunk := range b.paths {
			path = append(path, place(chunk, s.P)...)
		}
		add(padded(path, s.T/s.C*s.P), s.T/s.C, s.P)
	}
	if s.N > 0 {
		add(place(b.next, s.N), s.N)
	}
	for _, r := range e.model.Ropes {
		cos, sin := r.Table(depth)
		in.ropes = append(in.ropes, []*tensors.Tensor{
			tensors.FromFlatDataAndDimensions(cos, s.T, len(r.InvFreq)),
			tensors.FromFlatDataAndDimensions(sin, s.T, len(r.InvFreq)),
		})
	}
	return in, nil
}

// padded lengthens a vector to n with zeros.
func padded(v []int32, n int) []int32 {
	out := make([]int32, n)
	copy(out, v)
	return out
}

// embed looks the tokens up in the mapped table: x = Scale*Table[id] + Positions[depth].
func (e *Engine) embed(ids, depth []int32) (*tensors.Tensor, error) {
	d := e.model.D
	x := make([]float32, len(ids)*d)
	itemSize := len(e.table.Data) / (e.model.V * d)
	row := e.table
	row.Shape = []int{d}
	for i, id := range ids {
		row.Data = e.table.Data[int(id)*d*itemSize : (int(id)+1)*d*itemSize]
		to := x[i*d : (i+1)*d]
		if err := row.Float32sInto(to); err != nil {
			return nil, err
		}
		for j := range to {
			to[j] *= e.model.Embed.Scale
		}
		if e.places != nil {
			for j, v := range e.places[int(depth[i])*d : (int(depth[i])+1)*d] {
				to[j] += v
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(x, len(ids), d), nil
}

// block takes all batches through one block. The keys and values of the path to a
// batch's first node come from the batch before it.
func (e *Engine) block(ctx context.Context, piece *piece, all []*inputs, p pass) error {
	layer := piece.layer
	var past []*tensors.Tensor // keys and values [Q G K]
	defer func() { releaseAll(past) }()
	for i, in := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i == 0 && in.P > 0 {
			past = e.before(p.pool, piece, in.Q)
		}
		args := slices.Concat([]*tensors.Tensor{in.x}, in.where, past)
		if layer.Rope >= 0 {
			args = append(args, in.ropes[layer.Rope]...)
		}
		out, err := e.call(fmt.Sprintf("%s %+v %d", layer.Key, in.shape, e.scoreBytes), blockGraph(layer, piece.inOut(), in.shape, e.scoreBytes), append(args, piece.tensors()...))
		if err != nil {
			return err
		}
		in.x.MustFinalizeAll()
		releaseAll(past)
		in.x, past = out[0], out[1:]
	}
	return keep(p.keeps, past, e.model.G*e.model.K)
}

// before returns the keys and values of a block that stand before a pass, those of one
// prompt after the other, each [Q G K].
func (e *Engine) before(pool []given, piece *piece, size int) []*tensors.Tensor {
	width := e.model.G * e.model.K
	k, v := make([]float32, size*width), make([]float32, size*width)
	at := 0
	for _, g := range pool {
		copy(k[at:], g.k[piece.block][:g.n*width])
		copy(v[at:], g.v[piece.block][:g.n*width])
		at += g.n * width
	}
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(k, size, e.model.G, e.model.K),
		tensors.FromFlatDataAndDimensions(v, size, e.model.G, e.model.K),
	}
}

func releaseAll(all []*tensors.Tensor) {
	for _, t := range all {
		t.MustFinalizeAll()
	}
}

// head gathers the final states after which something is asked for.
func (e *Engine) head(t *tree, p pass, all []*inputs, results []Result) (*head, error) {
	h := &head{e: e, results: results}
	d := e.model.D
	for _, in := range all {
		err := tensors.ConstFlatData(in.x, func(x []float32) {
			for i := range in.n {
				if o := t.outputs[p.nodes[in.from+i]]; o != nil && in.from+i >= p.own {
					h.add(o, x[i*d:(i+1)*d])
				}
			}
		})
		if err != nil {
			return nil, err
		}
		in.x.MustFinalizeAll()
		in.x = nil
	}
	return h, nil
}
