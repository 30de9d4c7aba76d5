package logprob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/engine"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Load reads config.json, the safetensors files and the tokenizer of a folder and puts the
// weights on the backend's device. Close frees them. dir may also be a GGUF file or a folder
// with one. Without the tokenizer.json of the model that it was made of beside it, the tokenizer
// is made of the file's metadata if it is a BPE tokenizer that is known.
//
// A folder without tokenizer.json loads too and scores token ids; Tokenizer is then nil, as
// in builds with the tag nodaulet.
func Load(ctx context.Context, dir string, o *Options) (*Model, error) {
	if o == nil {
		o = &Options{}
	}
	if o.Adapter != "" {
		return loadAdapted(ctx, dir, o)
	}
	m := &Model{dir: dir, tokDir: tokenizerPlace(dir, o), hash: &weightsHash{}}
	if err := m.load(ctx, o); err != nil {
		m.Close()
		return nil, fmt.Errorf("logprob: %s: %w", dir, err)
	}
	return m, nil
}

// loadAdapted loads a base model for its adapter alone.
func loadAdapted(ctx context.Context, dir string, o *Options) (*Model, error) {
	base, err := Load(ctx, dir, &Options{
		Backend: o.Backend, Devices: o.Devices, Split: o.Split, DType: o.DType, MaxTokens: o.MaxTokens, MemoryLimit: o.MemoryLimit, Trunk: o.Trunk, Tokenizer: o.Tokenizer, Programs: o.Programs, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	m, err := base.WithAdapter(ctx, o.Adapter, o)
	if closed := base.Close(); closed != nil && err == nil {
		return nil, errors.Join(closed, m.Close())
	}
	return m, err
}

// check tells which options exclude each other, of a model of so many copies.
func (o *Options) check(copies int) error {
	if o.Store != nil && o.PromptCache > 0 {
		return errors.New("a Store and a PromptCache, wanted one of them: a run that goes on must group its texts as before")
	}
	if o.Store != nil && o.AnswerCache > 0 {
		return errors.New("a Store and an AnswerCache, wanted one of them: each is asked for what was computed before")
	}
	if copies > 1 && (o.PromptCache > 0 || o.AnswerCache > 0) {
		return fmt.Errorf("%d copies (Devices) and a PromptCache or an AnswerCache, wanted one: the numbers would depend on which is the first", copies)
	}
	return nil
}

// exists tells whether the checkpoint has a tensor.
func (m *Model) exists(name string) bool {
	_, ok := m.weights.Get(name)
	return ok
}

func (m *Model) load(ctx context.Context, o *Options) error {
	if err := o.check(len(o.Devices) / max(1, o.Split)); err != nil {
		return err
	}
	config, weights, err := checkpoint.Open(m.dir)
	if err != nil {
		return err
	}
	m.config, m.weights, m.doubts = config, weights, weights.Doubts()
	build := arch.New
	if o.Trunk {
		build = arch.Trunk
	}
	m.arch, err = build(config, m.exists)
	if u := (*arch.UnsupportedError)(nil); errors.As(err, &u) {
		return &UnsupportedError{u.ModelType, u.Keys, err}
	}
	if err != nil {
		return err
	}
	m.setLongest(o)
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
		tokenizer = m.loadTokenizer(m.tokDir)
	}()
	options := m.engineOptions(o)
	options.DType, options.Memory, options.Devices, options.Split = dtype, o.MemoryLimit, o.Devices, o.Split
	m.engine, err = engine.New(ctx, backend, m.arch, m.weights, options)
	fault := <-tested
	<-done
	if tokenizer == nil && o.Tokenizer != "" && m.tok == nil && tokenize.Available {
		tokenizer = m.NoTokenizer()
	}
	switch {
	case tokenizer != nil:
		return tokenizer
	case err != nil:
		return err
	case fault != nil:
		return fault
	}
	return o.Programs.keep(m.engine)
}

func (m *Model) setLongest(o *Options) {
	m.longest = m.arch.Context
	if o.MaxTokens > 0 {
		m.longest = min(m.longest, o.MaxTokens)
	}
}

// engineOptions are those of the engine that a model has to itself, whatever it shares.
func (m *Model) engineOptions(o *Options) engine.Options {
	options := engine.Options{
		Accelerated: o.accelerated, Unmeasured: o.unmeasured, Prompts: o.PromptCache, Progress: o.Progress, Window: o.Batch,
		MaxTokens: o.MaxTokens, TokenName: func(id int32) string { return m.beyond[id] },
	}
	switch {
	case o.Store != nil:
		options.Cache = &windows{m, o.Store}
	case o.AnswerCache > 0:
		options.Cache = engine.NewAnswers(o.AnswerCache)
	}
	return options
}

// tokenizerPlace is where the tokenizer of a checkpoint is: a folder, or, without a tokenizer.json
// in it, the GGUF file.
func tokenizerPlace(dir string, o *Options) string {
	if o.Tokenizer != "" {
		return o.Tokenizer
	}
	beside := checkpoint.Folder(dir)
	if _, err := os.Stat(filepath.Join(beside, "tokenizer.json")); err != nil {
		if file := checkpoint.GGUF(dir); file != "" {
			return file
		}
	}
	return beside
}

// LoadTokenizer returns the tokenizer that [Load] gives a checkpoint, without its weights: that of
// the files beside them, or a GGUF file's own; nil for none.
func LoadTokenizer(dir string) (*tokenize.Tokenizer, error) {
	t, _, err := openTokenizer(tokenizerPlace(dir, &Options{}))
	if err != nil {
		return nil, fmt.Errorf("logprob: %s: %w", dir, err)
	}
	return t, nil
}

// openTokenizer opens the tokenizer of a place; nil for none. doubt is what is not sure of a GGUF
// file's, or why there is none.
func openTokenizer(place string) (t *tokenize.Tokenizer, doubt, err error) {
	if !tokenize.Available {
		return nil, nil, nil
	}
	info, err := os.Stat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil // said of the model, or by NoTokenizer
	}
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(place, "tokenizer.json")); err != nil {
			return nil, nil, nil
		}
		t, err = tokenize.Load(place)
		return t, nil, err
	}
	files, err := checkpoint.Tokenizer(place)
	if err != nil {
		return nil, err, nil
	}
	t, err = tokenize.LoadFiles(place, files)
	return t, ofMetadata(place), err
}

// ofMetadata is the doubt about a tokenizer that is made of a GGUF file's metadata.
func ofMetadata(file string) error {
	return fmt.Errorf("logprob: %s: the tokenizer is made of the file's metadata, which do not say whether added tokens take the white space around them: taken not to", file)
}

func (m *Model) loadTokenizer(place string) error {
	tok, doubt, err := openTokenizer(place)
	if err != nil || tok == nil {
		m.tokErr = doubt
		return err // without one, token ids only
	}
	if m.tok = tok; doubt != nil {
		m.doubts = append(m.doubts, doubt)
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
