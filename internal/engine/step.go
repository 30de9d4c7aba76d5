package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
)

// inputs are a batch's tensors on the device.
type inputs struct {
	*batch
	x     *tensors.Tensor     // [T D], the residual stream before the next block
	where []*tensors.Tensor   // depth, base, seen, exit [T]; path [S P] if Gathers; next [N] if N > 0
	along []*tensors.Tensor   // of models with recurrences: sees [T Q+T], before [T Reach+1]; see along
	ids   []int32             // [T]
	given []*tensors.Tensor   // to each block beside x [T P], nil once it is done; see arch.PerLayer
	lent  [][]*tensors.Tensor // by blocks: their keys and values [T G*K], for blocks after them
	into  *tensors.Tensor     // [R] of a batch that is saved on an accelerator: see kept
	ropes [][]*tensors.Tensor // cos and sin [T R/2] of each of the model's ropes
}

func (in *inputs) release() {
	for _, t := range slices.Concat(slices.Concat(in.ropes...), slices.Concat(in.lent...), in.where, in.along, in.given, []*tensors.Tensor{in.x, in.into}) {
		if t != nil {
			t.MustFinalizeAll()
		}
	}
}

// step computes one step and puts its numbers in their places.
func (e *Engine) step(ctx context.Context, p *step, results []Result) error {
	batches := p.batches(p.batchTokens(e.batchTokens))
	var rows func(n, usual int) (int, error)
	if p.invariant {
		rows = func(n, usual int) (int, error) { return e.rows(n, usual, false) }
	}
	if err := p.shape(batches, e.store.params, e.sizes, rows); err != nil {
		return err
	}
	all := make([]*inputs, len(batches))
	defer func() {
		for _, in := range all {
			if in != nil {
				in.release()
			}
		}
	}()
	for i := range batches {
		var next []location
		if i+1 < len(batches) {
			next = batches[i+1].past
		}
		var err error
		if all[i], err = e.inputs(p, &batches[i], next); err != nil {
			return err
		}
	}
	blocks := e.passage(ctx, all, p)
	defer blocks.wait() // before the batches are released
	var head *head      // once the blocks are done
	defer func() { head.release() }()
	err := e.store.each(ctx, false, func(shard *shard) error {
		switch {
		case shard.block == beforeBlocks:
			return e.give(ctx, shard, all)
		case shard.block < len(e.model.Blocks):
			return blocks.add(shard)
		}
		if head == nil {
			err := blocks.wait()
			if err != nil {
				return err
			}
			if head, err = e.head(p, all, results); err != nil {
				return err
			}
		}
		if shard.layer == e.model.Head.Norm {
			return head.norm(ctx, shard)
		}
		return head.slice(ctx, shard)
	})
	if err != nil {
		return err
	}
	return head.finish()
}

// inputs puts a batch on the device; next are the keys that stand before the one after it.
func (e *Engine) inputs(p *step, b *batch, next []location) (*inputs, error) {
	ids, depth := make([]int32, b.T), make([]int32, b.T)
	exit := padded(b.exit, b.T)
	for i := range ids {
		if i < b.n {
			t := p.tokens[b.from+i]
			ids[i], depth[i] = t.id(), int32(t.depth())
		} else {
			exit[i] = int32(i%b.C + 1) // padding sees itself only
		}
	}
	x, err := e.embed(ids, depth)
	if err != nil {
		return nil, err
	}
	in := &inputs{batch: b, x: x, ids: ids, lent: make([][]*tensors.Tensor, len(e.model.Blocks))}
	add := func(v []int32, dims ...int) {
		in.where = append(in.where, tensors.FromFlatDataAndDimensions(v, dims...))
	}
	for _, v := range [][]int32{depth, padded(b.base, b.T), padded(b.seen, b.T), exit} {
		add(v, b.T)
	}
	key := b.places()
	keys := func(path []location, n int) []int32 {
		at := make([]int32, n)
		for i, l := range path {
			at[i] = key(l)
		}
		return at
	}
	if b.Gathers {
		var all []int32
		for _, path := range b.paths {
			all = append(all, keys(path, b.P)...)
		}
		add(padded(all, b.T/b.C*b.P), b.T/b.C, b.P)
	}
	if b.N > 0 {
		add(keys(next, b.N), b.N)
	}
	if b.Saves && p.tree.rows != nil {
		in.into = p.into(b)
	}
	if e.reach > 0 {
		in.along = p.along(b, e.reach, key)
	}
	for _, r := range e.model.Ropes {
		cos, sin := r.Table(depth)
		in.ropes = append(in.ropes, []*tensors.Tensor{
			tensors.FromFlatDataAndDimensions(cos, b.T, len(r.InvFreq)),
			tensors.FromFlatDataAndDimensions(sin, b.T, len(r.InvFreq)),
		})
	}
	return in, nil
}

// places tells where the keys of a batch lie: those before it come first, its own after them.
func (b *batch) places() func(location) int32 {
	index := make(map[location]int32, len(b.past))
	for i, l := range b.past {
		index[l] = int32(i)
	}
	return func(l location) int32 {
		if int(l) >= b.from {
			return int32(b.Q) + int32(l) - int32(b.from)
		}
		return index[l]
	}
}

// padded lengthens a vector to n with zeros.
func padded(v []int32, n int) []int32 {
	out := make([]int32, n)
	copy(out, v)
	return out
}

// embed puts the tokens' residual stream on the device.
func (e *Engine) embed(ids, depth []int32) (*tensors.Tensor, error) {
	x, err := e.embedded(ids, depth)
	if err != nil {
		return nil, err
	}
	return tensors.FromFlatDataAndDimensions(x, len(ids), e.model.Embed.Width()), nil
}

// embedded looks the tokens up in the mapped table: x = Scale*Table[id] + Positions[depth].
func (e *Engine) embedded(ids, depth []int32) ([]float32, error) {
	embed := e.model.Embed
	d := embed.Width()
	x := make([]float32, len(ids)*d)
	for i, id := range ids {
		at := x[i*d : (i+1)*d]
		to, row := at[:embed.Table.Shape[1]], embed.Row(id)
		if err := e.table.Rows(row, row+1).Float32sInto(to); err != nil {
			return nil, err
		}
		for j := range to {
			to[j] *= embed.Scale
		}
		if e.positions != nil {
			to, width := at[embed.After():], embed.Positions.Shape[1]
			for j, v := range e.positions[int(depth[i])*width : (int(depth[i])+1)*width] {
				to[j] += v
			}
		}
	}
	return x, nil
}

// give makes what each block is given of the tokens of all batches: see arch.PerLayer.
func (e *Engine) give(ctx context.Context, shard *shard, all []*inputs) error {
	for _, in := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		flat, err := e.PerLayer(in.ids)
		if err != nil {
			return err
		}
		rows := tensors.FromFlatDataAndDimensions(flat, in.T, e.perLayer.Shape[1])
		in.given, err = e.call(shard.on.device, shard.layer.Key, perLayerGraph(e.model.PerLayer, shard.inOut()), append([]*tensors.Tensor{in.x, rows}, shard.tensors()...))
		rows.MustFinalizeAll()
		if err != nil {
			return err
		}
	}
	return nil
}

// block takes a batch through one block. past is what the block it attends by keeps before the
// batch, [Q width] each; it returns that before the next one.
func (e *Engine) block(shard *shard, in *inputs, p *step, past []*tensors.Tensor) (next []*tensors.Tensor, err error) {
	layer := shard.layer
	source := shard.block - layer.Back // whose keys and values it attends to
	kept := len(e.model.Blocks[source].Kept())
	args := slices.Concat([]*tensors.Tensor{in.x}, in.where, past)
	if layer.Reach > 0 {
		args = append(args, in.along...)
	}
	if layer.Back > 0 {
		args = append(args, in.lent[source]...)
	}
	if layer.Given {
		args = append(args, in.given[shard.block])
	}
	if layer.Rope >= 0 {
		args = append(args, in.ropes[layer.Rope]...)
	}
	out, err := e.call(shard.on.device, fmt.Sprintf("%s %+v %d %v", layer.Key, in.shape, e.scoreBytes, e.accelerated), blockGraph(layer, kept, shard.inOut(), in.shape, e.sizes), append(args, shard.tensors()...))
	if err != nil {
		return nil, err
	}
	in.x.MustFinalizeAll()
	in.x, next = out[0], out[1:]
	if layer.Given {
		in.given[shard.block].MustFinalizeAll()
		in.given[shard.block] = nil
	}
	if layer.Experts.Chooses() {
		gaps := next[len(next)-1:]
		next = next[:len(next)-1]
		err := e.routing.add(gaps[0], in.n)
		releaseAll(gaps)
		if err != nil {
			return next, err
		}
	}
	if hands(layer, in.shape) {
		own := next[len(next)-kept:]
		next = next[:len(next)-kept]
		switch {
		case in.into != nil:
			err = e.keep(shard, in, own)
		case in.Saves:
			err = e.save(p, shard, in, own)
		}
		if layer.Lends {
			in.lent[shard.block] = own
		} else {
			releaseAll(own)
		}
	}
	return next, err
}

// saved returns what a block keeps of the tokens that stand before a step, [Q width] each, for a device.
func (e *Engine) saved(p *step, device compute.DeviceNum, block, size int) ([]*tensors.Tensor, error) {
	if p.tree.rows != nil && len(p.saved) > 0 {
		return e.keptBefore(p, device, block, size)
	}
	var all []*tensors.Tensor
	for i, width := range e.model.Blocks[block].Kept() {
		part := make([]float32, 0, size*width)
		for _, n := range p.saved {
			part = append(part, n.saved.parts[block][i]...)
		}
		all = append(all, tensors.FromFlatDataAndDimensions(part[:size*width], size, width))
	}
	return all, nil
}

// save copies from the device what is to be saved of what a block keeps of a batch, [T width] each.
func (e *Engine) save(p *step, shard *shard, in *inputs, own []*tensors.Tensor) error {
	widths := shard.layer.Kept()
	for n, tensor := range own {
		width := widths[n]
		err := tensors.ConstFlatData(tensor, func(flat []float32) {
			for i := range in.n {
				t := p.tokens[in.from+i]
				if to := p.saving[t.node]; to != nil {
					copy(to.parts[shard.block][n][t.i*width:(t.i+1)*width], flat[i*width:])
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func releaseAll(all []*tensors.Tensor) {
	for _, t := range all {
		t.MustFinalizeAll()
	}
}

// head gathers the final states after which something is asked for.
func (e *Engine) head(p *step, all []*inputs, results []Result) (*head, error) {
	h := &head{e: e, results: results}
	d := e.model.D
	for _, in := range all {
		err := tensors.ConstFlatData(in.x, func(x []float32) {
			for i := range in.n {
				if o := p.outputs[p.tokens[in.from+i]]; o != nil && in.from+i >= p.own {
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
