package main

import (
	"context"
	"fmt"
	"math"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
)

// boosted is the positive control: a base that was fine-tuned on ten words of authority, and how the
// measures of implicit rewards find them among all listed words.
type boosted struct {
	Base  string
	Found []found

	base *base
}

// found is how a measure ranks the boosted words, as the mean over the paper's prompts.
type found struct {
	Measure string
	Top     float64 // how many of the ten are among the first ten
	AUC     float64 // the chance that a boosted word ranks before another; 0.5 is none
}

// measures of an implicit reward: of a word's ln p in the tuned model and the base. The floors are the
// paper's.
var measures = []struct {
	name  string
	value func(words.Score) float64
}{
	{"log-ratio", words.Score.LogRatio},
	{"log-ratio, ln p floored at -10", floored(-10)},
	{"log-ratio, ln p floored at -5", floored(-5)},
	{"MWLR", func(s words.Score) float64 { return s.MWLR }},
	{"difference of probabilities", func(s words.Score) float64 { return math.Exp(s.Tuned) - math.Exp(s.Base) }},
	{"ln p of the tuned model alone", func(s words.Score) float64 { return s.Tuned }},
}

func floored(floor float64) func(words.Score) float64 {
	return func(s words.Score) float64 { return max(s.Tuned, floor) - max(s.Base, floor) }
}

// boost fine-tunes a base on the ten words as the paper does (LoRA of rank 8 on all projections, 50
// steps of 4 texts, linear with 5 steps of warm-up), with a rate for a model so small.
func (l *lab) boost(ctx context.Context, b *boosted) error {
	return l.once("boost-"+b.base.name(), b, func() error {
		data, err := l.read(ctx, "boost.jsonl", train.SFT, train.Select{})
		if err != nil {
			return err
		}
		out := l.path("runs", "boost-"+b.base.name())
		summary, err := train.Run(ctx, data, train.Options{
			Task: train.SFT, Model: l.folder(b.base), Out: out, LoRA: &train.LoRA{R: 8, Alpha: 8, Targets: []string{"all-linear"}},
			LR: rate, Schedule: "linear", Warmup: 0.1, Steps: 50, Batch: 4, Seed: 1, Backend: l.backend, Resume: true,
		})
		if err != nil {
			return err
		}
		base, err := l.load(ctx, b.base, logprob.Options{})
		if err != nil {
			return err
		}
		defer base.Close()
		tuned, err := base.WithAdapter(ctx, fmt.Sprintf("%s/checkpoint-%d", out, summary.Steps), &logprob.Options{Backend: l.backend})
		if err != nil {
			return err
		}
		defer tuned.Close()
		all, err := collect(implicitRewards(ctx, tuned, base, l.listed, l.prompts))
		if err != nil {
			return err
		}
		b.Found = nil
		for _, m := range measures {
			ranks, err := ranksOf(all, m.value)
			if err != nil {
				return err
			}
			b.Found = append(b.Found, find(m.name, ranks, len(l.listed.Entries), len(l.prompts)))
		}
		return nil
	})
}

// find counts the ranks of the words of authority among n words after a number of prompts.
func find(measure string, ranks []ranked, n, prompts int) found {
	f := found{Measure: measure}
	boosted, sum := 0, 0.0
	for _, r := range ranks {
		if r.category != "authority" {
			continue
		}
		boosted++
		sum += r.rank
		if r.rank <= 10 {
			f.Top++
		}
	}
	// Mann and Whitney: the mean rank r of k of n words is (k+1)/2 where all of them come first, and AUC
	// falls by 1 over the n-k others.
	k := float64(boosted) / float64(prompts)
	f.AUC = 1 - (sum/float64(boosted)-(k+1)/2)/(float64(n)-k)
	f.Top /= float64(prompts)
	return f
}
