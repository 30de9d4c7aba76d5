// Package engine computes log-probabilities of token sequences.
//
// The idea: all texts of a call go into one prefix tree (tree.go), whose nodes are
// tokens. A node's hidden state depends on its ancestors alone, so it is computed
// once however many texts share it: one prompt followed by a thousand words costs
// the prompt plus what the words add.
//
// The tree is cut into passes of some thousands of nodes, and a pass into batches
// (batch.go), runs of its depth-first order without padding but at the end. A pass goes
// through the model block by block (pass.go): each block takes all batches of the pass,
// one after the other, and hands the keys and values of the path on from batch to
// batch, so that those of a prompt are computed once for all its replies and only one
// block's are held. A block's nodes see their ancestors and nothing else
// (attention.go).
//
// Blocks of one kind share an executable for each shape of batch; weights are its
// inputs. A model of 80 layers compiles as one block, and a model larger than memory
// streams through it, each block read once a pass (store.go). The head runs only
// where a log-probability is wanted, over a slice of the vocabulary at a time
// (head.go); whole rows leave the device only where they are asked for.
//
// An engine may keep prompts' keys and values from one call to the next (prompts.go). A
// long prompt's stand before a tree of its own; short prompts' stand side by side before
// batches of replies to them all (pool.go).
package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// Engine holds a model's weights on a device and the executables over them. Its
// methods may be called from several goroutines; they run one after the other.
type Engine struct {
	model   *arch.Model
	backend compute.Backend
	dtype   dtypes.DType
	store   *store
	table   checkpoint.Tensor // of embeddings, read row by row from the mapped file
	places  []float32         // learned positions [Context D], nil without

	mu       sync.Mutex
	programs *programs
	prompts  *prompts // nil if none are kept
	computed int      // nodes so far, for tests
	closed   bool

	// What is computed at a time. They decide how texts are grouped, which can show
	// in a number's last bits, so they do not depend on the machine.
	passNodes, batchNodes int
	// invariant: the numbers of short texts do not depend on what else is computed with them;
	// see shape. In bfloat16 they do, by rounding, on the pure-Go backend, whose small and
	// large products round differently, and where measure finds that they would. Of
	// accelerators it is not known.
	invariant, measured bool
}

const (
	// A pass holds the residual stream of its nodes, 4*D bytes each. Where weights are
	// streamed, a larger one reads them less often.
	defaultPassNodes = 4096
	// A batch is large enough that reading the weights counts little beside the
	// products (256, measured), and small enough for the cache.
	defaultBatchNodes = 256
)

// Options change how a model is loaded.
type Options struct {
	// DType is dtypes.Float32, dtypes.BFloat16, or zero for AutoDType's choice.
	DType dtypes.DType
	// Like may be an engine whose executables serve this one too if their models
	// are alike.
	Like *Engine
	// Memory bounds the bytes of weights and buffers; 0: what the machine has, if
	// the device shares its memory. A model that needs more streams its blocks. The
	// numbers do not depend on it.
	Memory int64
	// Prompts bounds the bytes of prompts' keys and values that are kept for later
	// calls; 0 keeps none.
	Prompts int64
	// Progress, if not nil, is told the bytes of weights that have been loaded.
	Progress func(done, total int64)
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
	e := &Engine{model: m, backend: backend, dtype: dtype, passNodes: defaultPassNodes, batchNodes: defaultBatchNodes}
	e.invariant = dtype == dtypes.Float32 && arch.BackendName(backend) == "xla:cpu"
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
	if e.store, err = newStore(ctx, backend, m, w, dtype, e.workBytes(), o); err != nil {
		return nil, err
	}
	e.programs = share(o.Like, e)
	if o.Prompts > 0 {
		e.prompts = newPrompts(o.Prompts)
	}
	return e, nil
}

// workBytes is about what a pass needs beside the weights.
func (e *Engine) workBytes() int64 {
	m := e.model
	widest, largest := m.D, int64(0)
	for _, p := range m.Blocks[:1] {
		for _, t := range p.Tensors {
			widest = max(widest, slices.Max(t.Shape))
			largest = max(largest, elements(t.Shape))
		}
	}
	converted := int64(0) // see arch.Product
	if e.dtype == dtypes.BFloat16 && arch.Widens(e.backend) {
		converted = 4 * max(largest, int64(m.D)*int64(min(m.V, sliceRows)))
	}
	stream := 2 * e.passNodes * m.D * 4                // residual stream, and what the head wants of it
	block := e.batchNodes * (4*widest + 4*m.N*m.K) * 4 // one block's values
	logits := 3 * headRows * min(m.V, sliceRows) * 4
	return int64(stream+block+logits+3*scoreBytes) + converted
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
	e.store.release()
	e.programs.release()
}

// Result is what was wanted of one text.
type Result struct {
	LogProb []float32 // of IDs[From:]
	Greedy  bool      // each of them was a most likely token
	Row     []float32 // of the whole vocabulary after the text; nil if not asked for
	Ends    float32   // ln of the sum over the ends after the text; 0 if not asked for
	// Top has the likeliest tokens in place of each of IDs[From:] and after the last, the
	// likeliest first, of equals the one with the lower id; nil if not asked for.
	Top [][]Likely
}

// Likely is a token and its log-probability.
type Likely struct {
	ID      int32
	LogProb float32
}

// Run computes what is wanted of the texts, in their order. ends tells which ids a text
// with Ends sums over; it may be nil where none has. Run checks ctx between executions.
// A number that is not finite (but for a log-probability of -Inf) is an error.
func (e *Engine) Run(ctx context.Context, texts []Text, ends []bool) ([]Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("engine: closed")
	}
	if err := e.measure(); err != nil {
		return nil, err
	}
	results := make([]Result, len(texts))
	for n, text := range texts {
		if err := e.Check(text); err != nil {
			return nil, fmt.Errorf("engine: text %d: %w", n, err)
		}
		if text.Ends && len(ends) != e.model.V {
			return nil, fmt.Errorf("engine: text %d: %d ends, wanted one for each of the %d rows of the vocabulary", n, len(ends), e.model.V)
		}
		results[n] = Result{LogProb: make([]float32, len(text.IDs)-text.From), Greedy: true}
		if text.Top > 0 {
			results[n].Top = make([][]Likely, len(text.IDs)-text.From+1)
			for i := range results[n].Top {
				results[n].Top[i] = make([]Likely, min(text.Top, e.model.V))
			}
		}
	}
	r := &call{e: e, ctx: ctx, texts: texts, ends: ends, results: results}
	if e.prompts == nil {
		all := make([]int, len(texts))
		for n := range all {
			all[n] = n
		}
		some, rest := r.split(all)
		if err := r.tree(some); err != nil {
			return nil, err
		}
		if err := r.tree(rest); err != nil {
			return nil, err
		}
		return results, nil
	}
	for _, group := range groups(texts) {
		run := r.short
		if texts[group[0]].From >= shortPrompt {
			run = r.long
		}
		if err := run(group); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// call is what a call of Run asks for.
type call struct {
	e       *Engine
	ctx     context.Context
	texts   []Text
	ends    []bool
	results []Result
}

func (r *call) treeOf(numbers []int) *tree {
	t := newTree()
	for _, n := range numbers {
		t.add(n, r.texts[n])
	}
	return t
}

// split makes the tree of those of the texts, by number, that are poolable, and that of the
// rest. Where the first is not invariant they need not be told apart, and all are in it.
func (r *call) split(numbers []int) (some, rest *tree) {
	some, rest = newTree(), newTree()
	some.invariant = r.e.invariant
	for _, n := range numbers {
		if some.invariant && !poolable(r.texts[n]) {
			rest.add(n, r.texts[n])
		} else {
			some.add(n, r.texts[n])
		}
	}
	return some, rest
}

func (r *call) tree(t *tree) error { return r.passes(t, t.passes(r.e.passNodes)) }

func (r *call) passes(t *tree, passes []pass) error {
	for _, p := range passes {
		r.e.computed += len(p.nodes)
		if err := r.e.run(r.ctx, t, p, r.ends, r.results); err != nil {
			return err
		}
	}
	return nil
}

// long computes texts, by number, that have a long prompt in common.
func (r *call) long(group []int) error {
	t := r.treeOf(group)
	if len(t.id) > 0 {
		first := r.texts[group[0]]
		ids := first.IDs[:first.From]
		// The last token's state is wanted, so it is computed in any case.
		t.given, t.from = r.e.prompts.longest(ids[:len(ids)-1])
		if t.from < len(ids)-1 {
			t.keep = &prompt{ids: slices.Clone(ids)}
		}
	}
	if err := r.tree(t); err != nil {
		return err
	}
	if t.keep != nil {
		r.e.prompts.add(t.keep)
	}
	return nil
}

// short computes texts, by number, whose prompts are short.
func (r *call) short(group []int) error {
	var some, rest []int
	for _, n := range group {
		if poolable(r.texts[n]) {
			some = append(some, n)
		} else {
			rest = append(rest, n)
		}
	}
	t, keeps, worth := r.e.pool(r.texts, some, len(r.treeOf(some).id))
	if !worth {
		some, rest := r.split(group)
		if err := r.tree(some); err != nil {
			return err
		}
		return r.tree(rest)
	}
	passes := t.pooledPasses(r.e.batchNodes, keeps)
	if err := r.passes(t, passes); err != nil {
		return err
	}
	for _, p := range passes {
		for _, k := range p.keeps {
			r.e.prompts.add(k.prompt)
		}
	}
	return r.tree(r.treeOf(rest))
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
	if text.From == 0 && len(text.IDs) > 0 || text.After() && len(text.IDs) == 0 {
		return errors.New("nothing stands before the first token that is asked for, wanted a prompt or a BOS token")
	}
	return nil
}

func int32s(dims ...int) shapes.Shape { return shapes.Make(dtypes.Int32, dims...) }
