package engine

import (
	"context"
	"errors"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Shard is a layer with its weights on the device: a block, what comes before the blocks, the final norm, or the head with
// rows From to To of the vocabulary.
type Shard struct {
	*arch.Layer
	Block    int // its number; of what comes before the blocks -1, of the norm and the head the number of blocks
	From, To int // of the head; else 0
	Weights  []*tensors.Tensor
	InOut    []bool // see arch.Scope
}

// Walk calls use with every shard in the order of a forward pass, or backward. Weights that do
// not stay on the device are there while use runs. Nothing else is computed meanwhile.
func (e *Engine) Walk(ctx context.Context, backward bool, use func(Shard) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errors.New("engine: closed")
	}
	return e.store.each(ctx, backward, func(p *shard) error {
		return use(Shard{Layer: p.layer, Block: p.block, From: p.from, To: p.to, Weights: p.tensors(), InOut: p.inOut()})
	})
}

// Embed looks tokens up at their positions: Scale*Table[id] + Positions[position], [len(ids) D].
func (e *Engine) Embed(ids, positions []int32) ([]float32, error) { return e.embedded(ids, positions) }

// PerLayer looks tokens up in arch.PerLayer's table, [len(ids) L*P].
func (e *Engine) PerLayer(ids []int32) ([]float32, error) {
	width := e.perLayer.Shape[1]
	flat := make([]float32, len(ids)*width)
	for i, id := range ids {
		row := e.model.PerLayer.Row(e.model.Embed.Row(id))
		if err := e.perLayer.Rows(row, row+1).Float32sInto(flat[i*width : (i+1)*width]); err != nil {
			return nil, err
		}
	}
	return flat, nil
}
