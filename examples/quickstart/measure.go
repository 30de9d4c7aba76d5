package main

import (
	"context"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
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
	reward float64 // ln p_tuned - ln p_base, over the mean of the control words
	base   float64 // ln p_base, over the mean of the control words
	tokens int
}

// measure scores the words after the prompts with both models of a pair. Both read the prompt as it stands, so that what they differ in
// is the tuning alone.
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
	for r, err := range implicit.Rewards(ctx, implicit.Pair{Tuned: tuned.Policy(), Base: base.Policy()}, items(asked)) {
		if err != nil {
			return found, err
		}
		if r.Err != nil {
			return found, r.Err
		}
		w := &found.words[r.Index%len(found.words)]
		w.reward += r.LogRatio() / float64(len(asked))
		w.base += r.Base.Sum() / float64(len(asked))
		w.tokens = len(r.Base.LogProbs)
	}
	found.fromControls()
	return found, nil
}

// items are the words after each prompt, with the space that stands before a word in running text.
func items(asked []lexicon.Prompt) iter.Seq[implicit.Item] {
	return func(yield func(implicit.Item) bool) {
		for _, p := range asked {
			for _, w := range demo.Words() {
				item := implicit.Item{Prompt: p.Text, Reply: " " + w.Text, PromptName: p.Name}
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
	var reward, base, n float64
	for _, w := range f.words {
		if demo.Control(w.Category) {
			reward, base, n = reward+w.reward, base+w.base, n+1
		}
	}
	for i := range f.words {
		f.words[i].reward -= reward / n
		f.words[i].base -= base / n
	}
}

// category returns the means over a category's words.
func (f *finding) category(name string) (words, single int, reward, base float64) {
	for _, w := range f.words {
		if w.Category == name {
			words++
			reward, base = reward+w.reward, base+w.base
			if w.tokens == 1 {
				single++
			}
		}
	}
	return words, single, reward / float64(words), base / float64(words)
}
