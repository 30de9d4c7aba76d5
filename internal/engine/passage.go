package engine

import (
	"context"
	"runtime"

	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sync/errgroup"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// passage is the way of a step's batches through the blocks, several of which compute at a
// time: while one has a batch, the block after it has the batch before. Each has the batches
// one after the other, since keys and values that stand before a batch come from the one before
// it. Where devices divide the blocks, all of a device are one stage of the way, which has a batch
// at a time. A number does not depend on how many compute at a time.
type passage struct {
	e      *Engine
	ctx    context.Context // done too when a block has failed
	group  *errgroup.Group
	all    []*inputs
	p      *step
	stage  []*shard      // whose last block is to come
	passed chan struct{} // a batch, one for each, through the last stage that has begun; nil before the first
}

// mostAbreast is how many stages compute at a time: on XLA's CPU client, where all weights stay on the
// device and there is room, one more than there are processors, up to 4. One alone leaves them idle an
// eighth of the time, and that XLA divides each product and loop between them costs time too, less
// where they are busy with other blocks (on two processors, 3 abreast did the corpus job in
// 1/1.35 of the time of 1, and more were no better). Of accelerators each has a stage.
func (e *Engine) mostAbreast() int {
	n := len(e.devices)
	if arch.BackendName(e.backend) == "xla:cpu" {
		n = max(n, min(runtime.GOMAXPROCS(0)+1, 4))
	}
	for step, each := e.workParts(); n > 1 && !e.store.roomFor(step+int64(n)*each); {
		n--
	}
	return n
}

func (e *Engine) passage(ctx context.Context, all []*inputs, p *step) *passage {
	w := &passage{e: e, all: all, p: p}
	w.group, w.ctx = errgroup.WithContext(ctx)
	w.group.SetLimit(e.abreast)
	return w
}

// add lets the batches into the next block, once the last of its stage is there: it waits until one
// more may compute or, where one does at a time, whose weights may go after it, until they are through.
func (w *passage) add(shard *shard) error {
	w.stage = append(w.stage, shard)
	if w.e.abreast > 1 && w.e.leads(shard) {
		return nil
	}
	stage, before, passed := w.stage, w.passed, make(chan struct{}, len(w.all))
	w.stage, w.passed = nil, passed
	if w.e.abreast == 1 {
		return w.blocks(stage, before, passed)
	}
	w.group.Go(func() error { return w.blocks(stage, before, passed) })
	return nil
}

// wait waits for all blocks, and returns the error of one that failed.
func (w *passage) wait() error { return w.group.Wait() }

// blocks takes all batches through those of a stage. What stands before the first comes from the tree.
func (w *passage) blocks(stage []*shard, before, passed chan struct{}) error {
	past := make([][]*tensors.Tensor, len(stage))
	defer func() {
		for _, p := range past {
			releaseAll(p)
		}
	}()
	for i, in := range w.all {
		if before != nil {
			select {
			case <-before:
			case <-w.ctx.Done():
			}
		}
		if err := w.e.moveInputs(stage[0].on.device, in); err != nil {
			return err
		}
		for j, shard := range stage {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if i == 0 && in.Q > 0 {
				var err error
				if past[j], err = w.e.saved(w.p, shard.on.device, shard.block-shard.layer.Back, in.Q); err != nil {
					return err
				}
			}
			next, err := w.e.block(shard, in, w.p, past[j])
			releaseAll(past[j])
			past[j] = next
			if err != nil {
				return err
			}
		}
		passed <- struct{}{}
	}
	return nil
}
