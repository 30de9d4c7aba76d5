package logprob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/engine"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Version is the version of this library, as recorded with results.
const Version = "0.1.0"

// UnsupportedError lists the settings of a config.json that are not computed, and would make
// the numbers wrong.
type UnsupportedError struct {
	ModelType string   // model_type of config.json; "" if missing
	Keys      []string // "key=value" of each such setting, sorted; empty if the family is unknown
	err       error
}

// Error names the family and the settings.
func (e *UnsupportedError) Error() string { return e.err.Error() }

// Options change how a model is loaded. The zero value is a good default.
type Options struct {
	// Backend executes the model. The default (nil) is shared by the process: the one that
	// compute.New() chooses among those that the program imports (see
	// github.com/gomlx/compute), or, if XLA has no plugin, the pure-Go backend if it is
	// imported; Meta names it. A Model does not finalize it. A given backend must compute
	// float32 as float32: the pure-Go backend made by
	// compute.NewWithConfig("go:ops_sequential") (see backend.go), CUDA with tf32=false.
	// CheckBackend tests either.
	Backend compute.Backend
	// DType is the type of the operands of matrix products: dtypes.Float32 or
	// dtypes.BFloat16. The default is the checkpoint's: bfloat16 if all its matrices are,
	// else float32.
	DType dtypes.DType
	// MaxTokens bounds the length of a text; 0 means the model's own context.
	MaxTokens int
	// MemoryLimit bounds the bytes of weights and buffers on the device. 0 means what the
	// machine has left (within its control group's limit) if the device shares its memory. A
	// model whose weights do not fit streams its blocks from their files, reading each block
	// once for some thousands of tokens; the numbers have the same bits. If the limit is too
	// small for the largest block, the error says what would suffice.
	MemoryLimit int64
	// PromptCache bounds the bytes, in main memory, of the KV cache of prompts that is kept
	// between calls, for services that are asked for several replies to the same prompts or
	// to prompts with a common prefix (of 128 tokens when first seen, shorter when seen
	// again). 0 keeps none. Numbers may then depend in their last bits on earlier requests,
	// so it cannot be combined with a Store.
	PromptCache int64
	// AnswerCache bounds the bytes, approximately, of memoised log-probabilities and
	// likeliest tokens, prefix by prefix, so that prefixes of requests are not recomputed. 0
	// keeps none. It cannot be combined with a Store.
	AnswerCache int64
	// Store, if not nil, saves results and returns them to a later run of the same texts:
	// see Store. All weights are then read once to be hashed.
	Store Store
	// Progress, if not nil, is called with the bytes of weights loaded, from several
	// goroutines.
	Progress func(done, total int64)
	// Batch, if not nil, is called after every batch with its number of texts, and whether
	// they were in the Store.
	Batch func(texts int, stored bool)
}

// Model is a language model on a device. Its methods may be called from several goroutines;
// computations run one after the other. Models of one backend and dtype with the same
// configuration, such as a base model and one tuned from it, share executables, so that the
// pair compiles once.
type Model struct {
	dir     string
	arch    *arch.Model
	weights *checkpoint.Weights
	engine  *engine.Engine
	tok     *tokenize.Tokenizer
	backend compute.Backend
	longest int

	beyond map[int32]string // tokens without a row of logits
	doubts []error

	hashing     sync.Mutex
	hash        string       // of the weights, once Meta has been called
	certificate *Certificate // nil until Certify is called
}

// Load reads config.json, the safetensors files and the tokenizer of a folder and puts the
// weights on the backend's device. Close frees them.
//
// A folder without tokenizer.json loads too and scores token ids; Tokenizer is then nil, as
// in builds with the tag nodaulet.
func Load(ctx context.Context, dir string, o *Options) (*Model, error) {
	if o == nil {
		o = &Options{}
	}
	m := &Model{dir: dir}
	if err := m.load(ctx, o); err != nil {
		m.Close()
		return nil, fmt.Errorf("logprob: %s: %w", dir, err)
	}
	return m, nil
}

func (m *Model) load(ctx context.Context, o *Options) error {
	if o.Store != nil && o.PromptCache > 0 {
		return errors.New("a Store and a PromptCache, wanted one of them: a run that goes on must group its texts as before")
	}
	if o.Store != nil && o.AnswerCache > 0 {
		return errors.New("a Store and an AnswerCache, wanted one of them: each is asked for what was computed before")
	}
	config, err := checkpoint.ReadConfig(m.dir)
	if err != nil {
		return err
	}
	if m.weights, err = checkpoint.OpenWeights(m.dir); err != nil {
		return err
	}
	m.arch, err = arch.New(config, func(name string) bool {
		_, ok := m.weights.Get(name)
		return ok
	})
	if u := (*arch.UnsupportedError)(nil); errors.As(err, &u) {
		return &UnsupportedError{u.ModelType, u.Keys, err}
	}
	if err != nil {
		return err
	}
	m.longest = m.arch.Context
	if o.MaxTokens > 0 {
		m.longest = min(m.longest, o.MaxTokens)
	}
	backend, err := chooseBackend(o.Backend)
	if err != nil {
		return err
	}
	m.backend = backend
	dtype := o.DType
	if dtype == dtypes.InvalidDType {
		dtype = engine.AutoDType(m.arch, m.weights)
	}
	tested := make(chan error, 1) // while the weights are loaded
	go func() { tested <- CheckBackend(backend, dtype) }()

	// The tokenizer takes as long as the weights of a small model, so both load at once.
	var tokenizer error
	done := make(chan struct{})
	go func() {
		defer close(done)
		tokenizer = m.loadTokenizer()
	}()
	options := engine.Options{
		DType: dtype, Memory: o.MemoryLimit, Prompts: o.PromptCache, Progress: o.Progress, Window: o.Batch,
		MaxTokens: o.MaxTokens, TokenName: func(id int32) string { return m.beyond[id] },
	}
	switch {
	case o.Store != nil:
		options.Cache = &windows{m, o.Store}
	case o.AnswerCache > 0:
		options.Cache = engine.NewAnswers(o.AnswerCache)
	}
	m.engine, err = engine.New(ctx, backend, m.arch, m.weights, options)
	fault := <-tested
	<-done
	switch {
	case tokenizer != nil:
		return tokenizer
	case err != nil:
		return err
	}
	return fault
}

func (m *Model) loadTokenizer() error {
	if _, err := os.Stat(filepath.Join(m.dir, "tokenizer.json")); err != nil || !tokenize.Available {
		return nil // token ids only
	}
	var err error
	if m.tok, err = tokenize.Load(m.dir); err != nil {
		return err
	}
	beyond, own := m.tok.Beyond(m.arch.V)
	if own > m.arch.V {
		return fmt.Errorf("tokenizer.json has %d tokens of its own, without the added ones, config.json a vocab_size of %d: they belong to different models", own, m.arch.V)
	}
	if len(beyond) > 0 {
		m.beyond = map[int32]string{}
		for _, token := range beyond {
			m.beyond[token.ID] = token.Name
		}
		m.doubts = append(m.doubts, fmt.Errorf("logprob: the model has %d rows, and none for %d tokens of tokenizer.json, the first %q with id %d: a text that holds one is refused, and they are no rows of a table",
			m.arch.V, len(beyond), beyond[0].Name, beyond[0].ID))
	}
	return nil
}

// Warnings are doubts about the checkpoint's files that do not prevent its use: about
// config.json, about tokenizer.json compared with it, and the tokenizer's own.
func (m *Model) Warnings() []error {
	var all []error
	if m.arch != nil { // nil before Load
		all = slices.Concat(m.arch.Warnings, m.doubts)
	}
	if m.tok != nil {
		all = append(all, m.tok.Warnings()...)
	}
	return all
}

// Close frees the weights. The model must not be in use.
func (m *Model) Close() error {
	var errs []error
	if m.engine != nil {
		m.engine.Close()
	}
	if m.tok != nil {
		errs = append(errs, m.tok.Close())
	}
	if m.weights != nil {
		errs = append(errs, m.weights.Close())
	}
	return errors.Join(errs...)
}

// Tokenizer returns the checkpoint's tokenizer; nil if the folder has none.
func (m *Model) Tokenizer() *tokenize.Tokenizer { return m.tok }

// NoTokenizer says why Tokenizer is nil, and what to do about it.
func (m *Model) NoTokenizer() error {
	if !tokenize.Available {
		return fmt.Errorf("logprob: %s: no tokenizer in builds with the tag nodaulet, wanted token ids", m.dir)
	}
	return tokenize.Missing(m.dir)
}

// MaxTokens returns the length of the longest text, in tokens.
func (m *Model) MaxTokens() int { return m.longest }

// VocabSize returns the number of logits, which can exceed the tokenizer's vocabulary.
func (m *Model) VocabSize() int { return m.arch.V }

// BatchInvariant reports whether, in float32 on this processor, a text of at most 192 tokens
// with a prompt of fewer than 128 gets the same bits whatever else is computed with it or
// before it. It measures, at its first call or that of a method that computes, that matrix
// products give a row the same bits at any position and for any number of rows. (A float64
// sum rounded to float32 differs in about one value of 1e8 if its terms are summed in
// another order; this has not been observed in a log-probability.) It is false in bfloat16,
// on the pure-Go backend, and on devices other than CPUs.
func (m *Model) BatchInvariant() (bool, error) {
	invariant, err := m.engine.Invariant()
	if err != nil {
		return false, fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	return invariant, nil
}

// Meta says how this model's numbers are made. The first call reads all weights, and the
// first in a process XLA's plugin, to hash them.
func (m *Model) Meta(ctx context.Context) (Meta, error) {
	meta, err := m.meta(ctx)
	if err != nil {
		err = fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	return meta, err
}

func (m *Model) meta(ctx context.Context) (Meta, error) {
	m.hashing.Lock()
	defer m.hashing.Unlock()
	if m.hash == "" {
		hash, err := m.weights.Hash(ctx)
		if err != nil {
			return Meta{}, err
		}
		m.hash = hash
	}
	meta := Meta{
		Model:       m.dir,
		ModelType:   m.arch.Type,
		WeightsHash: m.hash,
		DType:       DTypeName(m.engine.DType()),
		Backend:     BackendName(m.backend),
		Description: describe(m.backend),
		Processor:   Processor(),
		Version:     Version,
		VocabRows:   m.arch.V,
		Certificate: m.certificate,
	}
	if path := pluginPath(m.backend); path != "" {
		meta.Plugin = filepath.Base(path)
		var err error
		if meta.PluginHash, err = pluginHash(ctx, path); err != nil {
			return Meta{}, err
		}
	}
	if m.tok != nil {
		meta.TokenizerHash = m.tok.Hash()
	}
	return meta, nil
}

// DTypeName names a type as in results: "f32", "bf16".
func DTypeName(t dtypes.DType) string {
	switch t {
	case dtypes.Float32:
		return "f32"
	case dtypes.BFloat16:
		return "bf16"
	}
	return strings.ToLower(t.String())
}

// Run computes some thousands of hidden states at a time, and common prefixes once. A
// request longer than MaxTokens, an id outside the vocabulary, and a reply that begins at
// the first token are errors. ctx is checked between executions. See LM.
func (m *Model) Run(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		asked := func(yield func(engine.Request) bool) {
			for r := range requests {
				r.TopK, r.Within = max(r.TopK, 0), m.withRows(r.Within)
				if !yield(engine.Request(r)) {
					return
				}
			}
		}
		for r, err := range m.engine.Run(ctx, asked) {
			if err != nil {
				err = fmt.Errorf("logprob: %s: %w", m.dir, err)
			}
			if !yield(resultOf(r), err) {
				return
			}
		}
	}
}

// withRows returns a set without trailing tokens that the model has no row of logits for;
// they are never generated.
func (m *Model) withRows(set []bool) []bool {
	for id := len(set) - 1; id >= m.arch.V && m.beyond[int32(id)] != ""; id-- {
		set = set[:id]
	}
	return set
}

func resultOf(r engine.Result) Result {
	out := Result{LogProbs: r.LogProbs, Greedy: r.Greedy, Distribution: r.Distribution, Within: r.Within}
	if r.Top != nil {
		out.Top = make([][]TokenLogProb, len(r.Top))
	}
	for i, top := range r.Top {
		out.Top[i] = make([]TokenLogProb, len(top))
		for j, t := range top {
			out.Top[i][j] = TokenLogProb(t)
		}
	}
	return out
}

// Table computes ln p of every token after each prompt. Rows of logits that are no token of
// the tokenizer take part in the softmax, as in transformers, but are not in the table; nor
// are tokens that the model has no row for (see Warnings).
func (m *Model) Table(ctx context.Context, prompts []Prompt) (*Table, error) {
	if m.tok == nil {
		return nil, fmt.Errorf("logprob: table: %w", m.NoTokenizer())
	}
	seen := map[string]bool{}
	for i, p := range prompts { // before the work, not after it
		if err := checkPrompt(p.Name, seen); err != nil {
			return nil, fmt.Errorf("logprob: table: prompt %d: %w", i, err)
		}
	}
	meta, err := m.Meta(ctx)
	if err != nil {
		return nil, err
	}
	meta.Rendered = map[string]string{}
	t := &Table{Meta: meta}
	for token := range m.tok.Vocab() {
		if int(token.ID) >= m.arch.V {
			continue
		}
		t.Tokens = append(t.Tokens, token)
	}
	texts := func(yield func(tokenize.Encoded) bool) {
		for _, p := range prompts {
			if !yield(p.Text) {
				return
			}
		}
	}
	for row, err := range Next(ctx, m, texts) {
		if err != nil {
			return nil, err
		}
		p := prompts[len(t.Prompts)]
		t.Prompts = append(t.Prompts, p.Name)
		meta.Rendered[p.Name] = p.Text.Rendered
		column := make([]float32, len(t.Tokens))
		for i, token := range t.Tokens {
			column[i] = row[token.ID]
		}
		t.LogProb = append(t.LogProb, column)
	}
	return t, t.Check()
}
