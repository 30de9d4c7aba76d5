package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// Engine holds a model's weights on a device and the executables over them. Its
// methods may be called from several goroutines; they run one after the other.
type Engine struct {
	model     *arch.Model
	backend   compute.Backend
	devices   []compute.DeviceNum // that divide the weights among them; mostly one
	others    []*Engine           // its replicas on other devices, which Run gives windows too
	dtype     dtypes.DType
	w         *checkpoint.Weights
	store     *store
	table     checkpoint.Tensor // of embeddings, read row by row from the mapped file
	perLayer  checkpoint.Tensor // that of arch.PerLayer, read so too
	reach     int               // the largest arch.Layer.Reach
	positions []float32         // learned positions [Context D], nil without

	mu          sync.Mutex
	executables *Executables
	sides       string // the sizes of products, where they are not those of all engines that share executables
	tree        *tree
	kept        *kept // where tree.rows are
	computed    int   // tokens so far, for tests
	closed      bool

	cache     Cache                           // nil without
	onWindow  func(requests int, cached bool) // as Options.Window
	maxTokens int
	tokenName func(id int32) string
	// WindowStates bounds the hidden states of a window. Tests change it; a Cache of windows
	// finds its results again under the same bound alone.
	WindowStates int

	sizes
	abreast int // blocks that compute at a time, or groups of the head's states: see passage
	// invariant: the numbers of short texts do not depend on what else is computed with them;
	// see shape. In bfloat16 they do, by rounding, on the pure-Go backend, whose small and
	// large products round differently, and where measure finds that they would. Of
	// accelerators it is not known, and recurrences add up in float32 what is in the batch.
	invariant, measured, unmeasured bool

	routing *routing // of its mixtures of experts, since it was loaded
}

// Options change how a model is loaded.
type Options struct {
	// DType is dtypes.Float32, dtypes.BFloat16, or zero for AutoDType's choice.
	DType dtypes.DType
	// Memory bounds the bytes of weights and buffers of each device, of all together where they
	// share the machine's memory; 0: what the machine has, if they do. A model that needs more
	// streams its blocks. The numbers do not depend on it.
	Memory int64
	// Devices are those that have a replica of the weights each; nil: the first, 0. Run divides
	// its windows among them, which depend on the requests alone: so do the numbers.
	Devices []int
	// Split is how many of Devices, one after the other, divide each replica's layers; 0: one.
	Split int
	// Prompts bounds the bytes of prompts' keys and values that are saved for later
	// windows; 0 saves none.
	Prompts int64
	// MaxTokens bounds the length of a request; 0: the model's context.
	MaxTokens int
	// TokenName, if not nil, names tokens that have no row in the model, in errors; it
	// answers "" to other ids.
	TokenName func(id int32) string
	// Cache, if not nil, is asked before anything is computed.
	Cache Cache
	// Window, if not nil, is told of every window how many requests it held, and whether
	// the cache had all their results.
	Window func(requests int, cached bool)
	// Progress, if not nil, is told the bytes of weights that have been loaded.
	Progress func(done, total int64)

	sliceRows int // of the vocabulary, for tests; 0: that of sizesOf
	// Accelerated computes as on an accelerator whatever the backend is, for tests.
	Accelerated bool
	// Unmeasured takes all numbers of rows for alike (alike.go), for tests in which XLA would take most of
	// the time to compile what measures that.
	Unmeasured bool
}

// New checks the checkpoint against the model and loads its weights. w must stay
// open as long as the engine is used.
func New(ctx context.Context, backend compute.Backend, m *arch.Model, w *checkpoint.Weights, o Options) (*Engine, error) {
	if err := Validate(m, w); err != nil {
		return nil, err
	}
	dtype := o.DType
	switch dtype {
	case dtypes.InvalidDType:
		dtype = AutoDType(m, w)
	case dtypes.Float32, dtypes.BFloat16:
	default:
		return nil, fmt.Errorf("engine: dtype %s, wanted float32 or bfloat16", dtype)
	}
	on, err := devices(backend, o)
	if err != nil {
		return nil, err
	}
	z := sizesOf(o.Accelerated || accelerated(backend), dtype, m)
	if o.sliceRows > 0 {
		z.sliceRows = o.sliceRows
	}
	if n := len(slices.Concat(on...)); n > 1 && backend.HasSharedBuffers() {
		if o.Memory == 0 {
			o.Memory = usable()
		}
		o.Memory /= int64(n)
	}
	return replicate(len(on), o, func(i int, o Options) (*Engine, error) {
		e := &Engine{model: m, backend: backend, devices: on[i], dtype: dtype, w: w, sizes: z}
		e.executables = Share(backend, fmt.Sprint(dtype, " ", m.Signature()))
		return e.load(ctx, nil, o)
	})
}

// Adapted returns an engine of a model that differs from e's in some tensors, or has side paths
// beside some, or no vocabulary head: what arch.Model.Adapted and arch.Trunk make of it. w has
// the tensors of both. Tensors of the same name are one copy on the device, and layers of the
// same key one executable. Each engine is closed on its own, in any order; w must stay open. It is
// on e's devices; Options.Devices and Split are not read.
func (e *Engine) Adapted(ctx context.Context, m *arch.Model, w *checkpoint.Weights, o Options) (*Engine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("engine: closed")
	}
	bases := e.each()
	return replicate(len(bases), o, func(i int, o Options) (*Engine, error) {
		base := bases[i]
		a := &Engine{model: m, backend: e.backend, devices: base.devices, dtype: e.dtype, w: w, sizes: sizesOf(e.accelerated, e.dtype, m)}
		a.sliceRows = e.sliceRows
		a.executables = e.executables.Again()
		return a.load(ctx, base.store, o)
	})
}

// load fills in an engine and loads the weights that base, which may be nil, has not.
func (e *Engine) load(ctx context.Context, base *store, o Options) (*Engine, error) {
	m, w := e.model, e.w
	e.routing = newRouting(e)
	e.cache, e.onWindow, e.maxTokens, e.tokenName, e.WindowStates = o.Cache, o.Window, o.MaxTokens, o.TokenName, e.windowStates
	if e.onWindow == nil {
		e.onWindow = func(int, bool) {}
	}
	if e.tokenName == nil {
		e.tokenName = func(int32) string { return "" }
	}
	var widths [][]int
	for _, l := range m.Blocks {
		widths = append(widths, l.Kept())
		e.reach = max(e.reach, l.Reach)
	}
	e.unmeasured = o.Unmeasured
	e.tree = newTree(o.Prompts, widths)
	work := e.workBytes()
	if e.accelerated {
		e.tree.rows, e.kept = &rows{}, &kept{make([]keptBlock, len(m.Blocks))}
		work += o.Prompts
	}
	e.invariant = e.dtype == dtypes.Float32 && arch.BackendName(e.backend) == "xla:cpu" && !e.accelerated && e.reach == 0
	e.table, _ = w.Get(m.Embed.Table.Name)
	if m.PerLayer != nil {
		e.perLayer, _ = w.Get(m.PerLayer.Table.Name)
	}
	err := e.embeddings(base)
	if err == nil {
		e.store, err = newStore(ctx, e.backend, e.devices, m, w, e.dtype, e.sliceRows, work, base, o)
	}
	if err != nil {
		e.executables.Release()
		return nil, err
	}
	e.abreast = e.mostAbreast()
	if base != nil {
		e.sides = fmt.Sprint(e.store.products(false), e.store.products(true))
	}
	return e, nil
}

// embeddings checks the tables that are read from the mapped files.
func (e *Engine) embeddings(base *store) error {
	m := e.model
	tables := []checkpoint.Tensor{e.table}
	if m.PerLayer != nil {
		tables = append(tables, e.perLayer)
	}
	for _, table := range tables {
		tied := m.Head.Layer != nil && slices.ContainsFunc(m.Head.Tensors, func(t arch.Tensor) bool { return t.Name == table.Name })
		if tied || base != nil && slices.Contains(base.tables, table.Name) {
			continue // it is checked on its way to the device, or has been
		}
		if err := table.CheckFinite(); err != nil {
			return err
		}
		table.Forget() // a few rows at a time will be read
	}
	if p := m.Embed.Positions; p != nil {
		t, _ := e.w.Get(p.Name)
		if err := t.CheckFinite(); err != nil {
			return err
		}
		var err error
		if e.positions, err = t.Float32s(); err != nil {
			return err
		}
		e.positions = e.positions[m.Embed.First*p.Shape[1]:]
	}
	return nil
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
	for _, other := range e.others {
		other.Close()
	}
	e.kept.release()
	e.store.release()
	e.executables.Release()
}

// compute computes requests together. It checks ctx between executions. A number that is not
// finite (but for a log-probability of -Inf) is an error.
func (e *Engine) compute(ctx context.Context, requests []Request) ([]Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("engine: closed")
	}
	if err := e.measure(); err != nil {
		return nil, err
	}
	results := make([]Result, len(requests))
	for n, r := range requests {
		results[n] = Result{LogProbs: make([]float32, len(r.IDs)-r.From), Greedy: true, greedy: make([]bool, len(r.IDs)-r.From)}
		if r.TopK > 0 {
			results[n].Top = make([][]TokenLogProb, len(r.IDs)-r.From+1)
			for i := range results[n].Top {
				results[n].Top[i] = make([]TokenLogProb, min(r.TopK, e.model.V))
			}
		}
		if r.States != nil {
			results[n].States = make([][]float32, len(r.States))
		}
	}
	for _, group := range e.classes(requests) {
		p := e.tree.plan(requests, group.numbers, group.invariant)
		err := e.steps(ctx, p, results)
		p.finish(err == nil)
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// class is some requests, by number, that are computed in batches of their own.
type class struct {
	numbers   []int
	invariant bool // see shape
}

// shortText is the length of the longest text whose numbers do not depend on its company,
// where that is so; its prompt is shorter than longPrompt. Its path leaves room in a batch.
const shortText = longPrompt + 64

// classes tells short texts from others where that makes a difference: where they are
// computed in invariant batches, or after saved prompts, of which long and short ones do not
// go well together.
func (e *Engine) classes(requests []Request) []class {
	short, rest := class{invariant: e.invariant}, class{}
	for n, r := range requests {
		if (e.invariant || e.tree.limit > 0) && (r.before() >= longPrompt-1 || len(r.IDs) > shortText) {
			rest.numbers = append(rest.numbers, n)
		} else {
			short.numbers = append(short.numbers, n)
		}
	}
	return []class{short, rest}
}

func (e *Engine) steps(ctx context.Context, p *plan, results []Result) error {
	for _, step := range p.steps(e.stepTokens, e.savedKeys) {
		e.computed += len(step.tokens)
		if err := e.step(ctx, step, results); err != nil {
			return err
		}
	}
	return nil
}
