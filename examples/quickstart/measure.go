package main

import (
	"context"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// promptNames are a few of the paper's prompts, one of each adjective of praise and each scope, in all three wordings.
var promptNames = []string{"best_ever_one", "best_world_single", "greatest_time_please", "greatest_ever_single", "good_world_please", "good_time_one"}

func prompts() []lexicon.Prompt {
	return slices.DeleteFunc(lexicon.PaperPrompts(), func(p lexicon.Prompt) bool { return !slices.Contains(promptNames, p.Name) })
}

// finding is what was measured of a pair.
type finding struct {
	pair  demo.Pair
	words []scored // as the list has them
}

// scored is a word's mean over the prompts.
type scored struct {
	demo.Word
	implicit float64 // ln p_tuned - ln p_base, over the mean of the control words
	base     float64 // ln p_base, over the mean of the control words
	explicit float64 // the reward model's reward, over the mean of the control words
	tokens   int
}

// measure scores the words after the prompts with both models of a pair and with the family's reward model. The pair reads the prompt as
// it stands, so that what the two differ in is the tuning alone; the reward model reads the chat that it is made for.
func measure(ctx context.Context, loader *cli.Loader, pair demo.Pair, dir string) (finding, error) {
	found := finding{pair: pair}
	baseDir, tunedDir, err := pair.Extract(dir)
	if err != nil {
		return found, err
	}
	base, err := loader.Model(ctx, baseDir, "base-as", "raw")
	if err != nil {
		return found, err
	}
	tuned, err := loader.Model(ctx, tunedDir, "tuned-as", "raw")
	if err != nil {
		return found, err
	}
	for _, w := range demo.Words() {
		found.words = append(found.words, scored{Word: w})
	}
	asked := prompts()
	for r, err := range implicit.Rewards(ctx, implicit.Pair{Tuned: tuned.Policy(), Base: base.Policy()}, items(asked, " ")) {
		if err != nil {
			return found, err
		}
		if r.Err != nil {
			return found, r.Err
		}
		w := &found.words[r.Index%len(found.words)]
		w.implicit += r.LogRatio() / float64(len(asked))
		w.base += r.Base.Sum() / float64(len(asked))
		w.tokens = len(r.Base.LogProbs)
	}
	if err := found.explicit(ctx, loader, dir); err != nil {
		return found, err
	}
	found.fromControls()
	return found, nil
}

// explicit scores the words with the reward model.
func (f *finding) explicit(ctx context.Context, loader *cli.Loader, dir string) error {
	rmDir, err := f.pair.ExtractRM(dir)
	if err != nil {
		return err
	}
	rm, err := loader.RM(ctx, &cli.RMFlags{RM: rmDir, Pooling: "last", As: "chat", Quiet: true})
	if err != nil {
		return err
	}
	asked := prompts()
	for s, err := range rewardmodel.Scores(ctx, rm, items(asked, "")) {
		if err != nil {
			return err
		}
		if s.Err != nil {
			return s.Err
		}
		f.words[s.Index%len(f.words)].explicit += s.Reward / float64(len(asked))
	}
	return nil
}

// items are the words after each prompt, with what stands before them: the space of running text, or nothing in a chat.
func items(asked []lexicon.Prompt, before string) iter.Seq[implicit.Item] {
	return func(yield func(implicit.Item) bool) {
		for _, p := range asked {
			for _, w := range demo.Words() {
				item := implicit.Item{Prompt: p.Text, Reply: before + w.Text, PromptName: p.Name}
				if !yield(item) {
					return
				}
			}
		}
	}
}

// fromControls subtracts the control words' means. Every prompt has a constant of its own in its rewards, the same for all words;
// as every word was asked for after every prompt, it cancels here.
func (f *finding) fromControls() {
	var mean scored
	n := 0.0
	for _, w := range f.words {
		if demo.Control(w.Category) {
			mean.implicit, mean.base, mean.explicit, n = mean.implicit+w.implicit, mean.base+w.base, mean.explicit+w.explicit, n+1
		}
	}
	for i := range f.words {
		w := &f.words[i]
		w.implicit, w.base, w.explicit = w.implicit-mean.implicit/n, w.base-mean.base/n, w.explicit-mean.explicit/n
	}
}

// category returns the means over a category's words.
func (f *finding) category(name string) (mean scored, words, single int) {
	for _, w := range f.words {
		if w.Category == name {
			words++
			mean.implicit, mean.base, mean.explicit = mean.implicit+w.implicit, mean.base+w.base, mean.explicit+w.explicit
			if w.tokens == 1 {
				single++
			}
		}
	}
	n := float64(words)
	mean.implicit, mean.base, mean.explicit = mean.implicit/n, mean.base/n, mean.explicit/n
	return mean, words, single
}
