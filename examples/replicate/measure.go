package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/replicate"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/stats"
)

// lean is how much better a model ranks the words of agency than those of communion, in mean
// ranks of the 32 words: the mean rank of communion's less that of agency's, from -16 to 16, as the
// mean over prompts.
type lean struct {
	Positive float64 // after prompts that ask for the best, greatest or most good thing
	Negative float64 // the worst, most bad or most terrible
	// Agency and Communion are the mean ranks after positive prompts.
	Agency, Communion float64
}

// ranked is a word's rank after a prompt.
type ranked struct {
	prompt, category string
	rank             float64
}

// leanOf sums ranks up. Where there are no negative prompts, Negative is 0.
func leanOf(all []ranked) lean {
	var sum, n [2][2]float64 // by framing and category
	for _, r := range all {
		framing, category := 0, 0
		for _, bad := range []string{"worst_", "bad_", "terrible_"} {
			if strings.HasPrefix(r.prompt, bad) {
				framing = 1
			}
		}
		if r.category == "communion" {
			category = 1
		}
		sum[framing][category] += r.rank
		n[framing][category]++
	}
	mean := func(framing, category int) float64 { return sum[framing][category] / max(n[framing][category], 1) }
	return lean{mean(0, 1) - mean(0, 0), mean(1, 1) - mean(1, 0), mean(0, 0), mean(0, 1)}
}

// lists reads the word lists and, unless there are some, the prompts.
func (l *lab) lists() (err error) {
	if l.prompts == nil {
		l.prompts = lexicon.PaperPrompts()
	}
	if l.words, err = lexicon.ReadCorpus(strings.NewReader(replicate.WordList())); err != nil {
		return err
	}
	var all bytes.Buffer
	all.WriteString("category,word\n")
	for _, w := range replicate.Words() {
		fmt.Fprintf(&all, "%s,%s\n", w.Category, w.Text)
	}
	l.listed, err = lexicon.ReadCorpus(&all)
	return err
}

// greatest is the prompt of the paper's figure 4.
func (l *lab) greatest() []lexicon.Prompt {
	for _, p := range l.prompts {
		if p.Name == "greatest_ever_one" {
			return []lexicon.Prompt{p}
		}
	}
	panic("no prompt greatest_ever_one")
}

// implicitRewards are those of a pair on words, one a prompt and word.
func implicitRewards(ctx context.Context, tuned, base *logprob.Model, corpus *lexicon.Corpus, prompts []lexicon.Prompt) iter.Seq2[words.Word, error] {
	pair := implicit.Pair{Tuned: implicit.Chat(tuned, nil), Base: implicit.Chat(base, nil)}
	return words.Rewards(ctx, pair, corpus, prompts, &words.Options{Forms: []lexicon.Form{"{lower}"}, Measures: []words.Measure{words.Exact}})
}

// collect gathers words of which none may be refused.
func collect(scored iter.Seq2[words.Word, error]) (all []words.Word, err error) {
	for w, err := range scored {
		if err == nil {
			err = w.Err
		}
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// ranksOf ranks words of Rewards by a value, prompt by prompt, the greatest first.
func ranksOf(all []words.Word, value func(words.Score) float64) ([]ranked, error) {
	var ranks []ranked
	for from := 0; from < len(all); {
		to := from
		var values []float64
		for to < len(all) && all[to].PromptName == all[from].PromptName {
			values = append(values, value(all[to].Scores[0]))
			to++
		}
		each, err := stats.RanksDescending(values)
		if err != nil {
			return nil, err
		}
		for i, r := range each {
			w := all[from+i]
			ranks = append(ranks, ranked{w.PromptName, w.Categories[0], r})
		}
		from = to
	}
	return ranks, nil
}
