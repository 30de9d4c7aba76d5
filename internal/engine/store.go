package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sync/errgroup"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// store holds a model's weights, shard by shard in the order in which a step needs
// them: those that fit in memory on the device, the others in the mapped files.
type store struct {
	backend compute.Backend
	w       *checkpoint.Weights
	dtype   dtypes.DType
	shards  []*shard
	params  int64 // elements of all blocks
	ahead   bool  // there is room to read the next shard while one is used
	checked bool  // all shards have been found finite
}

// shard is a block, the final norm, or the head with a slice of the vocabulary.
type shard struct {
	layer    *arch.Layer
	block    int   // its number, of a block
	from, to int   // rows of the vocabulary, of a shard of the head
	size     int64 // bytes on the device
	stays    bool  // on the device
	weights  []weight
}

func (p *shard) tensors() []*tensors.Tensor {
	all := make([]*tensors.Tensor, len(p.weights))
	for i, w := range p.weights {
		all[i] = w.tensor
	}
	return all
}

func (p *shard) inOut() []bool {
	all := make([]bool, len(p.weights))
	for i, w := range p.weights {
		all[i] = w.inOut
	}
	return all
}

func (p *shard) release() {
	for _, w := range p.weights {
		if w.tensor != nil {
			w.tensor.MustFinalizeAll()
		}
	}
	p.weights = nil
}

// newStore decides what stays on the device and loads it. work is what computing
// needs beside the weights.
func newStore(ctx context.Context, backend compute.Backend, m *arch.Model, w *checkpoint.Weights, dtype dtypes.DType, work int64, o Options) (*store, error) {
	s := &store{backend: backend, w: w, dtype: dtype}
	for i, layer := range m.Blocks {
		p := &shard{layer: layer, block: i}
		for _, t := range layer.Tensors {
			s.params += elements(t.Shape)
		}
		s.shards = append(s.shards, p)
	}
	s.shards = append(s.shards, &shard{layer: m.Head.Norm})
	if m.Head.Layer != nil {
		n := (m.V + o.sliceRows - 1) / o.sliceRows
		step := (m.V + n - 1) / n
		step = (step + 15) / 16 * 16
		for from := 0; from < m.V; from += step {
			s.shards = append(s.shards, &shard{layer: m.Head.Layer, from: from, to: min(from+step, m.V)})
		}
	}
	var total, largest int64
	for _, p := range s.shards {
		p.size = s.sizeOf(p)
		total += p.size
		largest = max(largest, p.size)
	}
	limit := o.Memory
	if limit == 0 && backend.HasSharedBuffers() { // its memory is the machine's
		limit = available() / 8 * 7
	}
	if limit == 0 || total+work <= limit {
		for _, p := range s.shards {
			p.stays = true
		}
		return s, s.load(ctx, o.Progress)
	}
	if least := work + largest; least > limit {
		return nil, fmt.Errorf("engine: memory of %s, wanted at least %s: %s for the largest block and %s to compute in",
			mebibytes(limit), mebibytes(least), mebibytes(largest), mebibytes(work))
	}
	room := limit - work - largest
	if s.ahead = room >= largest; s.ahead {
		room -= largest
	}
	for _, p := range s.shards {
		if p.stays = p.size <= room; !p.stays {
			break
		}
		room -= p.size
	}
	return s, s.load(ctx, o.Progress)
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

func elements(shape []int) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= int64(d)
	}
	return n
}

// sizeOf is the number of bytes that a shard takes on the device.
func (s *store) sizeOf(p *shard) int64 {
	var size int64
	for _, t := range p.layer.Tensors {
		bytes := int64(4)
		if t.Linear && s.dtype == dtypes.BFloat16 {
			bytes = 2
		}
		size += bytes * elements(p.shape(t))
	}
	return size
}

// shape is that of a tensor within the shard.
func (p *shard) shape(t arch.Tensor) []int {
	if p.to > 0 && t.Linear {
		return []int{p.to - p.from, t.Shape[1]}
	}
	return t.Shape
}

// load puts the shards that stay on the device, several tensors at a time.
func (s *store) load(ctx context.Context, progress func(done, total int64)) error {
	var total int64
	for _, p := range s.shards {
		if p.stays {
			total += p.size
		}
	}
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for _, p := range s.shards {
		if !p.stays {
			continue
		}
		group.Go(func() error {
			if err := s.read(ctx, p); err != nil {
				return err
			}
			n := done.Add(p.size)
			if progress != nil {
				progress(n, total)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		s.release()
		return err
	}
	return nil
}

// read puts a shard on the device. A value that is not finite is an error that names
// its tensor.
func (s *store) read(ctx context.Context, p *shard) error {
	weights := make([]weight, 0, len(p.layer.Tensors))
	for _, t := range p.layer.Tensors {
		err := ctx.Err()
		var loaded weight
		if err == nil {
			loaded, err = s.readTensor(p, t)
		}
		if err != nil {
			(&shard{weights: weights}).release()
			return err
		}
		weights = append(weights, loaded)
	}
	p.weights = weights
	return nil
}

// readTensor puts a tensor on the device, of the head's matrix the shard's rows.
func (s *store) readTensor(p *shard, t arch.Tensor) (weight, error) {
	var from []checkpoint.Tensor
	for _, stored := range t.Stored() {
		f, _ := s.w.Get(stored.Name)
		if !s.checked && p.from == 0 {
			if err := f.CheckFinite(); err != nil { // of all slices of the head's matrix at once
				return weight{}, err
			}
		}
		if p.to > 0 && t.Linear {
			row := len(f.Data) / t.Shape[0]
			f.Data = f.Data[p.from*row : p.to*row]
		}
		from = append(from, f)
	}
	t.Shape = p.shape(t)
	loaded, err := loadWeight(s.backend, t, from, s.dtype)
	for _, f := range from {
		f.Forget() // what is on the device need not be in memory twice
	}
	return loaded, err
}

// each calls use with every shard in turn, on the device while it is used.
func (s *store) each(ctx context.Context, use func(*shard) error) (err error) {
	var coming []*shard
	for _, p := range s.shards {
		if !p.stays {
			coming = append(coming, p)
		}
	}
	var reading chan error // of coming[0]
	start := func() {
		if len(coming) > 0 && reading == nil {
			reading = make(chan error, 1)
			go func(p *shard, done chan<- error) { done <- s.read(ctx, p) }(coming[0], reading)
		}
	}
	defer func() {
		if reading != nil {
			<-reading
			coming[0].release()
		}
	}()
	for _, p := range s.shards {
		if s.ahead {
			start()
		}
		if !p.stays {
			start()
			err := <-reading
			reading, coming = nil, coming[1:]
			if err != nil {
				return err
			}
			if s.ahead {
				start()
			}
		}
		err := use(p)
		if !p.stays {
			p.release()
		}
		if err != nil {
			return err
		}
	}
	s.checked = true
	return nil
}

// release frees what is on the device.
func (s *store) release() {
	for _, p := range s.shards {
		p.release()
	}
}
