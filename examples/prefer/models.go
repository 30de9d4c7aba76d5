package main

import (
	"context"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
)

// load loads the models.
func (o *flags) load(ctx context.Context, loader *cli.Loader, to *meta) (pair implicit.Pair, err error) {
	t, err := loader.Load(ctx, o.tuned)
	if err != nil {
		return
	}
	chat, err := loader.Reads(t, o.tuned, "tuned-as", o.tunedAs)
	if err != nil {
		return
	}
	if o.tunedAs == "raw" {
		pair.Tuned = implicit.RawBOS(t, chat.BOS)
	} else {
		pair.Tuned = implicit.Chat(t, chat)
	}
	if to.Tuned, err = describe(ctx, loader, t, o.tuned, "tuned-as", o.tunedAs); err != nil || o.base == "" {
		return
	}
	b, err := loader.Load(ctx, o.base)
	if err != nil {
		return
	}
	as, template := o.baseAs, ""
	if as == "same" {
		if as = o.tunedAs; as == "chat" {
			if template = chat.Template; template == "" {
				template = t.Tokenizer().Template()
			}
		}
	}
	if chat, err = loader.ReadsAs(b, o.base, "base-as", as, template); err != nil {
		return
	}
	pair.Base = implicit.Chat(b, chat)
	if as == "raw" {
		pair.Base = implicit.RawBOS(b, chat.BOS)
	}
	described, err := describe(ctx, loader, b, o.base, "base-as", as)
	if template != "" {
		described.Rendering = "chat, by the tuned model's template"
	}
	to.Base = &described
	return pair, err
}

func describe(ctx context.Context, loader *cli.Loader, m *logprob.Model, name, flag, as string) (logprob.Meta, error) {
	d, err := m.Meta(ctx)
	d.Model = name
	loader.Describe(&d, m, flag, as)
	return d, err
}
