package engine

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// kept is what blocks keep of saved prompts on an accelerator, beside their weights, so that it need not come from
// the host, through memory and a bus, for every step. The tree hands out the rows: see keysValues.
type kept struct {
	blocks []keptBlock
}

// keptBlock is what one block keeps. A block that attends by another's reads it while that one may be saving a
// later batch.
type keptBlock struct {
	mu     sync.Mutex
	device compute.DeviceNum
	parts  []*tensors.Tensor // [R width] each, on that device; none before the first
}

// rows hands out those of the tensors of kept.
type rows struct {
	next int32   // that was never handed out
	free []int32 // that were given back
}

// take hands out n rows.
func (r *rows) take(n int) []int32 {
	all := make([]int32, 0, n)
	for range n {
		if last := len(r.free) - 1; last >= 0 {
			all, r.free = append(all, r.free[last]), r.free[:last]
			continue
		}
		all = append(all, r.next)
		r.next++
	}
	return all
}

// rowsRoom is the number of rows that tensors have for those that were handed out: few different ones,
// and no more than the tree can hold.
func (t *tree) rowsRoom() int {
	most := int(t.limit/(t.tokenBytes()+4)) + 1
	return max(int(t.rows.next), min(doubled(1024, int(t.rows.next)), most))
}

// into says which token of a batch goes into each row, -1 for none: [R].
func (p *step) into(b *batch) *tensors.Tensor {
	from := make([]int32, p.tree.rowsRoom())
	for i := range from {
		from[i] = -1
	}
	for i := range b.n {
		t := p.tokens[b.from+i]
		if to := p.saving[t.node]; to != nil {
			from[to.rows[t.i]] = int32(i)
		}
	}
	return tensors.FromFlatDataAndDimensions(from, len(from))
}

// keep puts what a block keeps of a batch, [T width] each, into its rows.
func (e *Engine) keep(shard *shard, in *inputs, own []*tensors.Tensor) error {
	k := &e.kept.blocks[shard.block]
	k.mu.Lock()
	defer k.mu.Unlock()
	args := append([]*tensors.Tensor{in.into}, own...)
	out, err := e.call(shard.on.device, fmt.Sprint("keep ", len(own)), keepGraph(len(own)), append(args, k.parts...))
	if err != nil {
		return err
	}
	releaseAll(k.parts)
	k.device, k.parts = shard.on.device, out
	return nil
}

// keepGraph is from [R], own parts [T width], (rows so far [at most R width]) -> rows [R width].
func keepGraph(parts int) func([]*Node) []*Node {
	return func(in []*Node) (out []*Node) {
		from, own, old := in[0], in[1:1+parts], in[1+parts:]
		room := from.Shape().Dimensions[0]
		for i, x := range own {
			width := x.Shape().Dimensions[1]
			was := Zeros(x.Graph(), x.Shape().Clone())
			if len(old) > 0 {
				was = old[i]
			}
			if more := room - was.Shape().Dimensions[0]; more > 0 {
				shape := x.Shape().Clone()
				shape.Dimensions[0] = more
				was = Concatenate([]*Node{was, Zeros(x.Graph(), shape)}, 0)
			}
			was = SliceAxis(was, 0, AxisRange(0, room))
			new := GreaterOrEqual(from, ZerosLike(from))
			rows := Gather(x, InsertAxes(Max(from, ZerosLike(from)), -1))
			out = append(out, Where(BroadcastToDims(InsertAxes(new, -1), room, width), rows, was))
		}
		return out
	}
}

// keptBefore returns what a block keeps of the tokens that stand before a step, [Q width] each, on a device.
func (e *Engine) keptBefore(p *step, device compute.DeviceNum, block, size int) ([]*tensors.Tensor, error) {
	var all []int32
	for _, n := range p.saved {
		all = append(all, n.saved.rows...)
	}
	at := tensors.FromFlatDataAndDimensions(padded(all, size), size)
	defer at.MustFinalizeAll()
	k := &e.kept.blocks[block]
	k.mu.Lock()
	defer k.mu.Unlock()
	out, err := e.call(k.device, "kept", keptGraph, append([]*tensors.Tensor{at}, k.parts...))
	if err != nil {
		return nil, err
	}
	if err := e.move(device, out...); err != nil {
		releaseAll(out)
		return nil, err
	}
	return out, nil
}

// keptGraph is numbers of rows [Q], rows [R width] -> [Q width].
func keptGraph(in []*Node) (out []*Node) {
	for _, rows := range in[1:] {
		out = append(out, Gather(rows, InsertAxes(in[0], -1)))
	}
	return out
}

// release frees what is on devices; k may be nil.
func (k *kept) release() {
	if k == nil {
		return
	}
	for i := range k.blocks {
		releaseAll(k.blocks[i].parts)
		k.blocks[i].parts = nil
	}
}
