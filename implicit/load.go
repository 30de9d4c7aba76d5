package implicit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/logprob"
)

// LoadOptions say how the models of a pair are loaded and how they render an item; nil is
// the zero value.
type LoadOptions struct {
	Model logprob.Options     // for both models
	Hub   *logprob.HubOptions // for models named by a hub id
	// Tuned and Base make the policies of the models. The defaults are the paper's
	// renderings: Chat(m, nil) for the tuned and Raw(m) for the base model.
	Tuned, Base func(m logprob.LM) *Policy
	Beta        float64 // of the pair; 0 means 1
}

// Load loads a pair of models, each named by a folder or a hub id ("org/name",
// "org/name@revision"; see logprob.Find), or by BASE+ADAPTER, each named so, with an adapter that
// peft has saved: then the base model is loaded once for both. If base is "", the reward is reference-free.
// Models of the same architecture share their executables, and a model named twice is loaded
// once. It is an error if a model has no tokenizer; a missing chat template is an error of
// the rewards. Close frees the models; logprob.Model.Warnings lists doubts about their
// files.
func Load(ctx context.Context, tuned, base string, o *LoadOptions) (Pair, error) {
	if o == nil {
		o = &LoadOptions{}
	}
	pair := Pair{Beta: o.Beta}
	loaded := map[string]*logprob.Model{} // by folder
	used := map[*logprob.Model]bool{}
	for _, m := range []struct {
		role, name string
		policy     func(logprob.LM) *Policy
		usual      func(logprob.LM) *Policy
		to         **Policy
	}{
		{"tuned", tuned, o.Tuned, func(m logprob.LM) *Policy { return Chat(m, nil) }, &pair.Tuned},
		{"base", base, o.Base, Raw, &pair.Base},
	} {
		if m.name == "" && m.role == "base" {
			continue
		}
		model, err := load(ctx, m.name, o, loaded)
		if err != nil {
			for _, m := range loaded {
				err = errors.Join(err, m.Close())
			}
			return Pair{}, fmt.Errorf("implicit: %s model: %w", m.role, err)
		}
		if m.policy == nil {
			m.policy = m.usual
		}
		used[model] = true
		*m.to = m.policy(model)
	}
	for _, m := range loaded { // what an adapter shares with its base model stays
		if !used[m] {
			if err := m.Close(); err != nil {
				return Pair{}, errors.Join(err, pair.Close())
			}
		}
	}
	return pair, nil
}

func load(ctx context.Context, name string, o *LoadOptions, loaded map[string]*logprob.Model) (*logprob.Model, error) {
	base, adapter := logprob.SplitAdapter(name)
	dir, err := logprob.Find(ctx, base, o.Hub)
	if err != nil || adapter == "" {
		if err != nil {
			return nil, err
		}
		return once(dir, loaded, func() (*logprob.Model, error) { return logprob.Load(ctx, dir, &o.Model) })
	}
	of, err := logprob.FindAdapter(ctx, adapter, o.Hub)
	if err != nil {
		return nil, err
	}
	on := loaded[dir]
	if on == nil { // kept: the other model may be it, or have it under another adapter
		if on, err = logprob.Load(ctx, dir, &o.Model); err != nil {
			return nil, err
		}
		loaded[dir] = on
	}
	return once(dir+"+"+of, loaded, func() (*logprob.Model, error) { return on.WithAdapter(ctx, of, &o.Model) })
}

// once loads the model of a key, unless it is loaded.
func once(key string, loaded map[string]*logprob.Model, load func() (*logprob.Model, error)) (*logprob.Model, error) {
	if loaded[key] != nil {
		return loaded[key], nil
	}
	m, err := load()
	if err != nil {
		return nil, err
	}
	if m.Tokenizer() == nil {
		return nil, errors.Join(m.NoTokenizer(), m.Close())
	}
	loaded[key] = m
	return m, nil
}

// Close frees the models of the pair that can be closed.
func (p Pair) Close() error {
	var errs []error
	var closed logprob.LM
	for _, policy := range []*Policy{p.Tuned, p.Base} {
		if policy == nil || policy.LM == closed {
			continue
		}
		closed = policy.LM
		if m, ok := policy.LM.(io.Closer); ok {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}
