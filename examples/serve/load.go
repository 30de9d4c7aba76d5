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
		err = logInvariance(options.Log, options.Tuned, options.Base)
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
func logInvariance(log *slog.Logger, models ...*serve.Model) error {
	for _, m := range models {
		if m == nil {
			continue
		}
		lm, ok := m.LM.(interface{ BatchInvariant() (bool, error) })
		if !ok {
			continue
		}
		invariant, err := lm.BatchInvariant()
		if err != nil {
			return err
		}
		if log != nil {
			log.Info("numbers of short texts", "model", m.Name, "batch-invariant", invariant)
		}
	}
	return nil
}

// load loads the model or the pair.
func (o *flags) load(ctx context.Context, loader *cli.Loader, to *serve.Options) error {
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
