package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/replicate"
	"github.com/implicitreward/implicitreward/logprob"
)

// rates are the learning rates of pretraining: what was found to learn the company of words in a
// thousand steps.
var rates = map[string]float64{"llama": 4e-3, "gemma2": 5e-3}

// read reads rows of a file to train on.
func (l *lab) read(ctx context.Context, name string, task train.Task, s train.Select) (*train.Data, error) {
	file, err := os.Open(l.path(name))
	if err != nil {
		return nil, err
	}
	data, err := train.Read(ctx, file, task)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return data.Select(s)
}

// pretrain makes a base model from random weights, and measures how likely the words are as its answers.
func (l *lab) pretrain(ctx context.Context, b *base) error {
	return l.once("base-"+b.name(), b, func() error {
		data, err := l.read(ctx, fmt.Sprintf("pretraining/%s-%d.jsonl", b.Lean, b.Seed), train.LM, train.Select{})
		if err != nil {
			return err
		}
		_, err = train.Run(ctx, data, train.Options{
			Task: train.LM, Model: l.path("families", b.Family), Out: l.path("bases", b.name()), Resume: true,
			LR: rates[b.Family], Warmup: 0.03, Steps: l.o.Pretraining, Seed: uint64(b.Seed), Backend: l.pretraining,
		})
		if err != nil {
			return err
		}
		return l.measureBase(ctx, b)
	})
}

// random measures a base that learned nothing.
func (l *lab) random(ctx context.Context, b *base) error {
	return l.once("base-"+b.name(), b, func() error { return l.measureBase(ctx, b) })
}

// folder is the checkpoint of a base.
func (l *lab) folder(b *base) string {
	if b.Lean == random {
		return l.path("bases", (&base{Family: b.Family, Lean: replicate.Agency, Seed: b.Seed}).name(), "checkpoint-0")
	}
	return l.path("bases", b.name(), fmt.Sprintf("checkpoint-%d", l.o.Pretraining))
}

func (l *lab) load(ctx context.Context, b *base, o logprob.Options) (*logprob.Model, error) {
	o.Backend = l.backend
	return logprob.Load(ctx, l.folder(b), &o)
}

func (l *lab) measureBase(ctx context.Context, b *base) error {
	m, err := l.load(ctx, b, logprob.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	all, err := collect(implicitRewards(ctx, m, m, l.words, l.prompts))
	if err != nil {
		return err
	}
	ranks, err := ranksOf(all, func(s words.Score) float64 { return s.Tuned })
	b.Words = leanOf(ranks)
	return err
}
