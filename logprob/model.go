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

// Version is the version of this library, as it is recorded with results.
const Version = "0.1.0"

// UnsupportedError says which settings of a config.json are not computed. The
// alternative to it would be a wrong number.
type UnsupportedError struct {
	ModelType string   // model_type of config.json; "" where it is missing
	Keys      []string // "key=value" of every setting that is not computed, sorted; empty if the family is unknown
	err       error
}

// Error names the family and the settings.
func (e *UnsupportedError) Error() string { return e.err.Error() }

// Options change how a model is loaded. The zero value is a good one.
type Options struct {
	// Backend executes the model; nil for one that the whole process has in common, as
	// compute.New() chooses it among those that the program has imported (see
	// github.com/gomlx/compute), and where XLA is without its plugin, for the pure-Go
	// backend if it is imported; Meta says which. A Model does not finalize it. One that
	// is given must compute float32 as float32: the pure-Go backend made by
	// compute.NewWithConfig("go:ops_sequential") (see backend.go), CUDA with tf32=false.
	// Either is put to CheckBackend's test.
	Backend compute.Backend
	// DType is what matrix products compute in: dtypes.Float32 or
	// dtypes.BFloat16. Zero: the checkpoint's, that is bfloat16 if all its
	// matrices are, float32 otherwise.
	DType dtypes.DType
	// MaxTokens bounds the length of a text; 0 for the model's own context.
	MaxTokens int
	// MemoryLimit bounds the bytes of weights and buffers on the device; 0 for what the
	// machine has left (its control group's limit respected), where the device shares
	// its memory. A model whose weights do not fit streams its blocks from their files,
	// each block read once for some thousands of tokens; the numbers are the same to
	// the last bit. A limit too small for the largest block is an error that says what
	// would do.
	MemoryLimit int64
	// PromptCache bounds the bytes, in main memory, of the keys and values of prompts
	// (those of 128 tokens when they first come, shorter ones when they come again) that
	// are kept from one call to the next, for services that are asked for other replies to
	// the same prompts, or for prompts that begin alike: what is kept is not computed
	// again. 0 keeps none. Numbers may then differ in their last bits with what was asked
	// before, so it goes with no Store.
	PromptCache int64
	// AnswerCache bounds the bytes, about, of the log-probabilities and likeliest tokens that
	// are remembered, prefix by prefix, so that what requests begin with is not computed
	// again. 0 remembers none. It goes with no Store either.
	AnswerCache int64
	// Store, if not nil, keeps what is computed and gives it back to a later run of the
	// same texts: see there. The weights are then hashed, which reads all of them once.
	Store Store
	// Progress, if not nil, is told how many bytes of weights have been loaded,
	// from several goroutines.
	Progress func(done, total int64)
	// Batch, if not nil, is told after every batch how many texts it held, and whether
	// they were in the Store, so that nothing had to be computed.
	Batch func(texts int, stored bool)
}

// Model is a language model on a device, ready to score. Its methods may be called
// from several goroutines; computations run one after the other. Models of one backend and
// dtype whose configurations are the same, as those of a base model and its tuned one mostly
// are, share executables: the pair compiles once.
type Model struct {
	dir     string
	arch    *arch.Model
	weights *checkpoint.Weights
	engine  *engine.Engine
	tok     *tokenize.Tokenizer
	backend compute.Backend
	longest int

	beyond map[int32]string // tokens that have no row
	doubts []error

	hashing     sync.Mutex
	hash        string       // of the weights, once Meta has been asked for
	certificate *Certificate // nil until Certify is called
}

// Load reads config.json, the safetensors files and the tokenizer of a folder and
// puts the weights on the backend's device. Close frees them.
//
// A folder without tokenizer.json loads too and scores token ids; Tokenizer is then
// nil. So it is in builds with the tag nodaulet.
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

	// The tokenizer takes as long as the weights of a small model: both at once.
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

// Warnings are doubts about the checkpoint's files that do not stop the work: those about
// config.json, about tokenizer.json beside it, and the tokenizer's own.
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

// Tokenizer is the checkpoint's own; nil where the folder has none.
func (m *Model) Tokenizer() *tokenize.Tokenizer { return m.tok }

// NoTokenizer says why Tokenizer is nil, and what to do about it.
func (m *Model) NoTokenizer() error {
	if !tokenize.Available {
		return fmt.Errorf("logprob: %s: no tokenizer in builds with the tag nodaulet, wanted token ids", m.dir)
	}
	return tokenize.Missing(m.dir)
}

// MaxTokens is the longest text in tokens that the model scores.
func (m *Model) MaxTokens() int { return m.longest }

// VocabSize is the number of logits, which can exceed the tokenizer's vocabulary.
func (m *Model) VocabSize() int { return m.arch.V }

// BatchInvariant tells whether, in float32 on this processor, a text of at most 192 tokens
// with a prompt of fewer than 128 gets the same numbers, to the bit, whatever else is computed
// with it or was before. It is measured, at the first call of it or of a method that computes:
// that products give a row the same bits wherever it lies and whatever the number of rows. (A
// sum in float64 that is rounded to float32 comes out otherwise in one value of some 1e8 when
// its terms come in another order; that has not been seen in a log-probability.) It is false
// in bfloat16, on the pure-Go backend, and beyond CPUs.
func (m *Model) BatchInvariant() (bool, error) {
	invariant, err := m.engine.Invariant()
	if err != nil {
		return false, fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	return invariant, nil
}

// Meta says how this model's numbers are made. Its first call reads all weights once, and
// the first of a process XLA's plugin, to hash them.
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

// DTypeName is how results name a type: "f32", "bf16".
func DTypeName(t dtypes.DType) string {
	switch t {
	case dtypes.Float32:
		return "f32"
	case dtypes.BFloat16:
		return "bf16"
	}
	return strings.ToLower(t.String())
}

// Run computes some thousands of hidden states at a time; what requests have in common is
// computed once. A request longer than MaxTokens, an id outside the vocabulary, a reply
// that begins at the first token, are errors. ctx is checked between executions. See LM.
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

// withRows is a set without the tokens at its end that the model has no row for: they are
// never written.
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

// Table computes ln p of every token after each prompt. Rows that no token of the
// tokenizer names take part in the softmax, as they do in transformers, but are no
// rows of the table; nor are tokens that the model has no row for (see Warnings).
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
