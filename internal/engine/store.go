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
// them: those that fit in memory on their device, the others in the mapped files.
type store struct {
	backend compute.Backend
	places  []*place // in the order in which a step comes through them
	w       *checkpoint.Weights
	dtype   dtypes.DType
	tables  []string // of embeddings, by name
	shards  []*shard
	params  int64 // elements of all blocks
	checked bool  // all shards have been found finite
}

// place is a device on which shards lie, those of a store's that follow each other.
type place struct {
	device  compute.DeviceNum
	memory  *memory
	staying int64 // bytes of it that the shards that stay take
	ahead   bool  // there is room to read the next shard while one is used
}

// beforeBlocks is the number of what comes before the blocks.
const beforeBlocks = -1

// shard is a block, what comes before the blocks, the final norm, or the head with a slice of the vocabulary.
type shard struct {
	layer    *arch.Layer
	block    int // its number, of a block
	from, to int // rows of the vocabulary, of a shard of the head
	on       *place
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
func newStore(ctx context.Context, backend compute.Backend, devices []compute.DeviceNum, m *arch.Model, w *checkpoint.Weights, dtype dtypes.DType, sliceRows int, work int64, base *store, o Options) (*store, error) {
	s := &store{backend: backend, w: w, dtype: dtype, tables: []string{m.Embed.Table.Name}}
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
		n := (m.V + sliceRows - 1) / sliceRows
		step := (m.V + n - 1) / n
		step = (step + 15) / 16 * 16
		for from := 0; from < m.V; from += step {
			s.shards = append(s.shards, &shard{layer: m.Head.Layer, block: len(m.Blocks), from: from, to: min(from+step, m.V)})
		}
	}
	for i, device := range devices {
		p := &place{device: device}
		if base == nil {
			p.memory = &memory{limit: o.Memory}
			if o.Memory == 0 && backend.HasSharedBuffers() { // its memory is the machine's
				p.memory.limit = usable()
			}
		} else {
			p.memory = base.places[i].memory
		}
		s.places = append(s.places, p)
	}
	s.divide(base)
	if base != nil {
		s.share(base)
	}
	if err := s.decide(work); err != nil {
		s.release()
		return nil, err
	}
	return s, s.load(ctx, o.Progress)
}

// find returns the shard of the same block and rows, nil if there is none.
func (s *store) find(p *shard) *shard {
	i := slices.IndexFunc(s.shards, func(b *shard) bool { return b.block == p.block && b.from == p.from && b.to == p.to })
	if i < 0 {
		return nil
	}
	return s.shards[i]
}

// share takes what another store has on the device: the tensors of the same names and rows.
func (s *store) share(base *store) {
	for _, p := range s.shards {
		b := base.find(p)
		if b == nil || !b.stays {
			continue
		}
		p.held = make([]weight, len(p.layer.Tensors))
		for j, t := range p.layer.Tensors {
			if k := slices.IndexFunc(b.layer.Tensors, func(b arch.Tensor) bool { return b.Name == t.Name }); k >= 0 {
				p.held[j] = b.weights[k].again()
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

// decide says which shards stay on their devices.
func (s *store) decide(work int64) error {
	for _, place := range s.places {
		var shards []*shard
		for _, p := range s.shards {
			if p.on == place {
				p.size = s.sizeOf(p)
				shards = append(shards, p)
			}
		}
		if err := place.decide(shards, work); err != nil {
			return err
		}
	}
	return nil
}

// decide says which of the place's shards stay.
func (on *place) decide(shards []*shard, work int64) error {
	on.memory.mu.Lock()
	defer on.memory.mu.Unlock()
	var total, largest int64
	for _, p := range shards {
		total += p.size
		largest = max(largest, p.size)
	}
	limit := on.memory.limit - on.memory.used
	all := on.memory.limit == 0 || total+work <= limit
	if least := work + largest; !all && least > limit {
		return fmt.Errorf("engine: memory of %s, wanted at least %s: %s for the largest block and %s to compute in",
			mebibytes(on.memory.limit), mebibytes(on.memory.used+least), mebibytes(on.memory.used+largest), mebibytes(work))
	}
	room := limit - work - largest
	if on.ahead = !all && room >= largest; on.ahead {
		room -= largest
	}
	for _, p := range shards {
		if p.stays = all || p.size <= room; !p.stays {
			break
		}
		room -= p.size
		on.staying += p.size
	}
	on.memory.used += on.staying
	return nil
}

// roomFor tells whether all shards stay on their devices and leave so many bytes on each.
func (s *store) roomFor(work int64) bool {
	if slices.ContainsFunc(s.shards, func(p *shard) bool { return !p.stays }) {
		return false
	}
	return !slices.ContainsFunc(s.places, func(on *place) bool {
		on.memory.mu.Lock()
		defer on.memory.mu.Unlock()
		return on.memory.limit > 0 && on.memory.used+work > on.memory.limit
	})
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
	loaded, err := loadWeight(s.backend, p.on.device, t, from, s.dtype)
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
	ahead := func() {
		if len(coming) > 0 && coming[0].on.ahead {
			start()
		}
	}
	defer func() {
		if reading != nil {
			<-reading
			coming[0].release()
		}
	}()
	for _, p := range shards {
		ahead()
		if !p.stays {
			start()
			err := <-reading
			reading, coming = nil, coming[1:]
			if err != nil {
				return err
			}
			ahead()
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
	for _, on := range s.places {
		on.memory.mu.Lock()
		on.memory.used -= on.staying
		on.staying = 0
		on.memory.mu.Unlock()
	}
}
