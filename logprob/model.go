package logprob

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	// Devices are the numbers of the backend's devices that hold the model, a copy each; nil
	// means the first, 0. Run and what is made of it (Score, Next, Table) compute on all of
	// them; everything else (Certify, Tune) on the first named. What is computed together
	// depends on the texts alone, so on devices of one kind the numbers have the same bits
	// whichever and however many they are, and neither Meta nor the keys of a Store have them.
	// CheckBackend tests device 0. Several cannot be combined with a PromptCache or an
	// AnswerCache, which would hold what happened to be computed first.
	Devices []int
	// Split is how many of Devices, one after the other, divide the layers of each copy, for models
	// that are larger than a device's memory; 0 means one. While a device has some tokens in its
	// layers, the one before it has the next. The numbers have the same bits as on one device. Such
	// a model is not trained (Tune).
	Split int
	// MemoryLimit bounds the bytes of weights and buffers on each device, or on all together if
	// they share the machine's memory. 0 then means what the machine has left (within its
	// control group's limit); on a device with memory of its own it means no limit. A
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
	// Trunk loads the model without its vocabulary head, from a checkpoint of any head: only
	// Request.States can then be requested. Model.Beside lists the tensors left to the caller.
	Trunk bool
	// Adapter is the folder of a LoRA adapter for the model, as peft saves it; "" for none. See
	// Model.WithAdapter, by which several adapters share one base model.
	Adapter string
	// Tokenizer is a folder whose tokenizer, with its chat template, is taken in place of the
	// checkpoint's and the adapter's, such as of the model that a GGUF file was made of; "" for
	// none.
	Tokenizer string
	// Programs, if not nil, keeps the executables of the model when it is closed, for models
	// that are loaded later. Models that are open at once share theirs without it.
	Programs *Programs
	// Progress, if not nil, is called with the bytes of weights loaded, from several
	// goroutines.
	Progress func(done, total int64)
	// Batch, if not nil, is called after every batch with its number of texts, and whether
	// they were in the Store.
	Batch func(texts int, stored bool)

	accelerated, unmeasured bool // as in engine.Options, for tests
}

// Model is a language model on a device, or a copy on each of several. Its methods may be called
// from several goroutines; computations on a device run one after the other. Models of one backend and dtype with the same
// configuration, such as a base model and one tuned from it, share executables, so that the
// pair compiles once.
type Model struct {
	dir     string
	config  map[string]json.RawMessage
	arch    *arch.Model
	weights *checkpoint.Weights
	engine  *engine.Engine
	tok     *tokenize.Tokenizer
	tokDir  string // its folder, or the GGUF file that it is made of
	tokErr  error  // why there is none, where a GGUF file's own is not read
	backend compute.Backend
	longest int

	beyond map[int32]string // tokens without a row of logits
	doubts []error

	hash    *weightsHash // of the checkpoint's weights
	adapted *adapted     // nil without an adapter

	certifying  sync.Mutex
	certificate *Certificate // nil until Certify is called
}

// Warnings are doubts that do not prevent the model's use: about the checkpoint's files,
// config.json, tokenizer.json compared with it, and the tokenizer's own; and about the choices of
// experts so far, see Routing.
func (m *Model) Warnings() []error {
	var all []error
	if m.arch != nil { // nil before Load
		all = slices.Concat(m.arch.Warnings, m.doubts)
	}
	if m.adapted != nil {
		all = append(all, m.adapted.doubts...)
	}
	if m.tok != nil {
		all = append(all, m.tok.Warnings()...)
	}
	if err := m.Routing().Doubt(); err != nil {
		all = append(all, err)
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
	if m.adapted != nil && m.adapted.base != nil {
		errs = append(errs, m.adapted.base.Close())
	}
	return errors.Join(errs...)
}

// Tokenizer returns the checkpoint's tokenizer, or that of [Options]; nil if there is none.
func (m *Model) Tokenizer() *tokenize.Tokenizer { return m.tok }

// NoTokenizer says why Tokenizer is nil, and what to do about it.
func (m *Model) NoTokenizer() error {
	if !tokenize.Available {
		return fmt.Errorf("logprob: %s: no tokenizer in builds with the tag nodaulet, wanted token ids", m.dir)
	}
	missing := tokenize.Missing(checkpoint.Folder(m.tokDir))
	if m.tokErr != nil {
		return fmt.Errorf("%w (%w)", missing, m.tokErr)
	}
	return missing
}

// Config returns the values of the checkpoint's config.json by key.
func (m *Model) Config() map[string]json.RawMessage { return maps.Clone(m.config) }

// Quantised says how the weights are stored, from which they are decoded, such as "fp8 128x128";
// "" for weights that are stored as floats.
func (m *Model) Quantised() string { return m.weights.Format() }

// Width returns the number of values of a hidden state.
func (m *Model) Width() int { return m.arch.D }

// Beside returns the names of the checkpoint's tensors that the model's forward pass does not
// use, in the order of names: of a model loaded with Options.Trunk its head, else none.
func (m *Model) Beside() []string {
	if m.arch.Head.Layer != nil {
		return nil
	}
	used := map[string]bool{}
	for _, t := range m.arch.Tensors() {
		used[t.Name] = true
	}
	names := slices.DeleteFunc(slices.Sorted(slices.Values(m.weights.Names())), func(name string) bool { return used[name] || m.arch.Ignored(name) })
	if m.adapted != nil {
		return m.adapted.beside(names)
	}
	return names
}

// Tensor returns a tensor of the checkpoint, in float32, which holds float16 and bfloat16
// exactly. It is an error if there is none of that name, if it has another type, or a value
// that is not finite.
func (m *Model) Tensor(name string) (shape []int, values []float32, err error) {
	t, ok := m.weights.Get(name)
	if !ok {
		return nil, nil, fmt.Errorf("logprob: %s: no tensor %s", m.dir, name)
	}
	if err = t.CheckFinite(); err == nil {
		values, err = t.Float32s()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	return slices.Clone(t.Shape), slices.Clone(values), nil // of memory that Close unmaps
}

// TensorRow returns one row of a matrix of the checkpoint, as Tensor returns all of it.
func (m *Model) TensorRow(name string, row int) ([]float32, error) {
	t, ok := m.weights.Get(name)
	if !ok || len(t.Shape) != 2 || row < 0 || row >= t.Shape[0] {
		return nil, fmt.Errorf("logprob: %s: no row %d of a matrix %s", m.dir, row, name)
	}
	t = t.Rows(row, row+1)
	if err := t.CheckFinite(); err != nil {
		return nil, fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	values, err := t.Float32s()
	return slices.Clone(values), err
}

// EmbeddingTable returns the name of the tensor that token ids are looked up in.
func (m *Model) EmbeddingTable() string { return m.arch.Embed.Table.Name }

// TiedEmbeddings reports whether that table is the matrix of the vocabulary head too: what
// tie_word_embeddings of config.json says, by default as the family's config class in transformers 5.
func (m *Model) TiedEmbeddings() bool { return m.arch.Tied }

// Logit makes a token's logit of what its row of the vocabulary head's matrix gives, the product
// with a state (Result.States): where the family has them, times Cohere's, Falcon-H1's or 1 over
// Granite's factor, and soft-capped as Gemma's. A bias of the head is not in it.
func (m *Model) Logit(product float64) float64 { return m.arch.Head.Logit(product) }

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
// on the pure-Go backend, on devices other than CPUs, and of models with gated delta nets or Mamba 2.
func (m *Model) BatchInvariant() (bool, error) {
	invariant, err := m.engine.Invariant()
	if err != nil {
		return false, fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	return invariant, nil
}
