package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/serve"
)

// server loads the models and makes a server of them. The caller closes the loader.
func (o *flags) server(ctx context.Context, stderr io.Writer) (server *serve.Server, loader *cli.Loader, err error) {
	options := serve.Options{Beta: o.Beta, Limits: o.limits, LogTexts: o.logTexts}
	if o.tokenFile != "" {
		b, err := regular.Read(o.tokenFile, 1<<20)
		if err != nil {
			return nil, nil, err
		}
		if options.Token = strings.TrimSpace(string(b)); len(options.Token) < 16 || strings.ContainsAny(options.Token, " \t\r\n") {
			return nil, nil, fmt.Errorf("%s: wanted one token of at least 16 characters", o.tokenFile)
		}
	}
	options.Loopback = serve.Loopback(o.listen) && options.Token == ""
	switch o.log {
	case "text":
		options.Log = slog.New(slog.NewTextHandler(stderr, nil))
	case "json":
		options.Log = slog.New(slog.NewJSONHandler(stderr, nil))
	}
	if loader, err = o.Loader(stderr); err != nil {
		return nil, nil, err
	}
	loader.Remember(o.promptBytes, o.answerBytes)
	if err = o.load(ctx, loader, &options); err == nil {
		err = logInvariance(&options)
	}
	if err == nil {
		server, err = serve.New(options)
	}
	if err != nil {
		loader.Close()
	}
	return server, loader, err
}

// logInvariance says of each model whether the numbers of short texts depend on what other
// clients ask (logprob.Model.BatchInvariant). It measures that, which would otherwise wait for
// the first request.
func logInvariance(o *serve.Options) error {
	say := func(name string, model any) error {
		m, ok := model.(interface{ BatchInvariant() (bool, error) })
		if !ok {
			return nil
		}
		invariant, err := m.BatchInvariant()
		if err == nil && o.Log != nil {
			o.Log.Info("numbers of short texts", "model", name, "batch-invariant", invariant)
		}
		return err
	}
	for _, m := range []*serve.Model{o.Tuned, o.Base} {
		if m == nil {
			continue
		}
		if err := say(m.Name, m.LM); err != nil {
			return err
		}
	}
	if o.RM == nil {
		return nil
	}
	return say(o.RM.Name, o.RM.RM)
}

// load loads the model or the pair, and the reward model.
func (o *flags) load(ctx context.Context, loader *cli.Loader, to *serve.Options) error {
	if o.rm.RM != "" {
		rm, err := loader.RM(ctx, &o.rm)
		if err != nil {
			return err
		}
		to.RM = serve.NewRM(rm.Model, rm.Name)
		if o.model == "" && o.Tuned == "" {
			return nil
		}
	}
	if o.model != "" {
		m, err := loader.Load(ctx, o.model)
		if err != nil {
			return err
		}
		chat, err := loader.Chat(m, "model")
		to.Tuned = &serve.Model{LM: m, Name: o.model, As: "raw", Chat: chat}
		return err
	}
	pair, err := o.Load(ctx, loader)
	if err != nil {
		return err
	}
	to.Tuned, to.Base = served(pair.Tuned), served(pair.Base)
	return nil
}

func served(m *cli.Model) *serve.Model {
	return &serve.Model{LM: m.Model, Name: m.Name, As: m.As, Chat: m.Chat}
}
