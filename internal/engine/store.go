package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
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
	device  compute.DeviceNum
	w       *checkpoint.Weights
	dtype   dtypes.DType
	tables  []string // of embeddings, by name
	shards  []*shard
	params  int64 // elements of all blocks
	memory  *memory
	staying int64 // bytes of it that the shards that stay take
	ahead   bool  // there is room to read the next shard while one is used
	checked bool  // all shards have been found finite
}

// beforeBlocks is the number of what comes before the blocks.
const beforeBlocks = -1

// shard is a block, what comes before the blocks, the final norm, or the head with a slice of the vocabulary.
type shard struct {
	layer    *arch.Layer
	block    int      // its number, of a block
	from, to int      // rows of the vocabulary, of a shard of the head
	size     int64    // bytes on the device, beside what is held
	stays    bool     // on the device
	held     []weight // those of the layer's tensors that another store has on the device; nil for none
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
	releaseWeights(p.weights)
	p.weights = nil
}

// newStore decides what stays on the device and loads it. work is what computing needs beside
// the weights. What base has on the device is shared with it; base may be nil.
func newStore(ctx context.Context, backend compute.Backend, device compute.DeviceNum, m *arch.Model, w *checkpoint.Weights, dtype dtypes.DType, work int64, base *store, o Options) (*store, error) {
	s := &store{backend: backend, device: device, w: w, dtype: dtype, tables: []string{m.Embed.Table.Name}}
	if m.PerLayer != nil {
		s.tables = append(s.tables, m.PerLayer.Table.Name)
		s.shards = append(s.shards, &shard{layer: m.PerLayer.Layer, block: beforeBlocks})
	}
	for i, layer := range m.Blocks {
		p := &shard{layer: layer, block: i}
		for _, t := range layer.Tensors {
			s.params += elements(t.Shape)
		}
		s.shards = append(s.shards, p)
	}
	s.shards = append(s.shards, &shard{layer: m.Head.Norm, block: len(m.Blocks)})
	if m.Head.Layer != nil {
		n := (m.V + o.sliceRows - 1) / o.sliceRows
		step := (m.V + n - 1) / n
		step = (step + 15) / 16 * 16
		for from := 0; from < m.V; from += step {
			s.shards = append(s.shards, &shard{layer: m.Head.Layer, block: len(m.Blocks), from: from, to: min(from+step, m.V)})
		}
	}
	if base == nil {
		limit := o.Memory
		if limit == 0 && backend.HasSharedBuffers() { // its memory is the machine's
			limit = usable()
		}
		s.memory = &memory{limit: limit}
	} else {
		s.memory = base.memory
		s.share(base)
	}
	if err := s.decide(work); err != nil {
		s.release()
		return nil, err
	}
	return s, s.load(ctx, o.Progress)
}

// share takes what another store has on the device: the tensors of the same names and rows.
func (s *store) share(base *store) {
	for _, p := range s.shards {
		i := slices.IndexFunc(base.shards, func(b *shard) bool { return b.block == p.block && b.from == p.from && b.to == p.to })
		if i < 0 || !base.shards[i].stays {
			continue
		}
		p.held = make([]weight, len(p.layer.Tensors))
		for j, t := range p.layer.Tensors {
			if k := slices.IndexFunc(base.shards[i].layer.Tensors, func(b arch.Tensor) bool { return b.Name == t.Name }); k >= 0 {
				p.held[j] = base.shards[i].weights[k].again()
			}
		}
	}
}

// memory is what stores that share weights may take together.
type memory struct {
	limit int64 // bytes; 0 for as many as there are
	mu    sync.Mutex
	used  int64 // by what stays on the device
}

// decide says which shards stay on the device.
func (s *store) decide(work int64) error {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	var total, largest int64
	for _, p := range s.shards {
		p.size = s.sizeOf(p)
		total += p.size
		largest = max(largest, p.size)
	}
	limit := s.memory.limit - s.memory.used
	all := s.memory.limit == 0 || total+work <= limit
	if least := work + largest; !all && least > limit {
		return fmt.Errorf("engine: memory of %s, wanted at least %s: %s for the largest block and %s to compute in",
			mebibytes(s.memory.limit), mebibytes(s.memory.used+least), mebibytes(s.memory.used+largest), mebibytes(work))
	}
	room := limit - work - largest
	if s.ahead = !all && room >= largest; s.ahead {
		room -= largest
	}
	for _, p := range s.shards {
		if p.stays = all || p.size <= room; !p.stays {
			break
		}
		room -= p.size
		s.staying += p.size
	}
	s.memory.used += s.staying
	return nil
}

// roomFor tells whether all shards stay on the device and leave so many bytes.
func (s *store) roomFor(work int64) bool {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return !slices.ContainsFunc(s.shards, func(p *shard) bool { return !p.stays }) && (s.memory.limit == 0 || s.memory.used+work <= s.memory.limit)
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
	for i, t := range p.layer.Tensors {
		if p.holds(i) {
			continue
		}
		size += int64(typeOf(t, s.dtype).Size()) * elements(p.shape(t))
	}
	return size
}

// holds tells whether another store has tensor i of the layer on the device.
func (p *shard) holds(i int) bool { return p.held != nil && p.held[i].tensor != nil }

// shape is that of a tensor within the shard.
func (p *shard) shape(t arch.Tensor) []int {
	if p.to > 0 && (t.Linear || t.Rows) {
		return append([]int{p.to - p.from}, t.Shape[1:]...)
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
	for i, t := range p.layer.Tensors {
		if p.holds(i) {
			weights = append(weights, p.held[i].again())
			continue
		}
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
		if p.to > 0 && (t.Linear || t.Rows) {
			f = f.Rows(p.from, p.to)
		}
		from = append(from, f)
	}
	t.Shape = p.shape(t)
	loaded, err := loadWeight(s.backend, s.device, t, from, s.dtype)
	for _, f := range from {
		f.Forget() // what is on the device need not be in memory twice
	}
	return loaded, err
}

// each calls use with every shard in turn, or backward, on the device while it is used.
func (s *store) each(ctx context.Context, backward bool, use func(*shard) error) (err error) {
	shards := s.shards
	if backward {
		shards = slices.Clone(shards)
		slices.Reverse(shards)
	}
	var coming []*shard
	for _, p := range shards {
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
	for _, p := range shards {
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
		releaseWeights(p.held)
		p.held = nil
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.used -= s.staying
	s.staying = 0
}
