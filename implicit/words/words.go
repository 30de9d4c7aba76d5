package words

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Options say how words are scored; nil is the zero value.
type Options struct {
	Forms    []lexicon.Form // surface forms of an entry; nil means AllForms
	Measures []Measure      // measures to compute, in this order; nil means Pooled
	// Progress, if not nil, is called with the number of replies scored and the total: all
	// forms of all entries after all prompts. A reply that one model has scored counts half.
	Progress func(done, total int)
}

// Word is an entry of a corpus after one prompt: its forms scored by both models, and the
// measures of them.
type Word struct {
	PromptName string
	Index      int // of the entry in Corpus.Entries
	lexicon.Entry
	Err    error       // an *ItemError if the entry could not be scored
	Forms  []FormScore // each distinct text once, in the order of Options.Forms
	Scores []Score     // in the order of Options.Measures, without measures that have no value

	ends [2][]bool // word boundaries of the tuned and the base model; nil if not needed
}

// FormScore is one text of an entry scored by both models.
type FormScore struct {
	Text              string         // the reply
	Forms             []lexicon.Form // forms that produce the text
	TunedIDs, BaseIDs []int32
	Tuned, Base       logprob.Result // with Within if a measure needs it
	Flags             []string       // of Reward.Flags
	Err               error          // an *ItemError if it could not be scored; the other results are then empty

	context [2]int // index of the prompt's ids among those of the entry's forms
}

// Rewards scores every entry of a corpus in its surface forms after every prompt, and yields
// one Word for each, prompt by prompt, in corpus order. The forms go through
// implicit.Rewards, those of one prompt together, so that common prefixes are computed once.
// Ranks need all words of a prompt, so these are held in memory; nothing else is.
//
// An entry that cannot be scored is yielded in its place with Word.Err: a wildcard (see
// Corpus.Expand), an empty entry, one none of whose forms can be scored, or one for which no
// measure has a value. If only some forms cannot be scored, these have FormScore.Err. Any
// other error is yielded last and ends the sequence: wrong options, a measure that needs
// word boundaries with a model that has none, and those of implicit.Rewards.
func Rewards(ctx context.Context, pair implicit.Pair, corpus *lexicon.Corpus, prompts []lexicon.Prompt, o *Options) iter.Seq2[Word, error] {
	return func(yield func(Word, error) bool) {
		run, err := newWordRun(pair, corpus, prompts, o)
		if err != nil {
			yield(Word{}, err)
			return
		}
		next, stop := iter.Pull2(implicit.Rewards(ctx, run.pair, run.texts.items(prompts)))
		defer stop()
		for _, p := range prompts {
			words := make([]Word, 0, len(corpus.Entries))
			for i := range corpus.Entries {
				w := Word{PromptName: p.Name, Index: i, Entry: corpus.Entries[i], ends: run.ends}
				if err := run.gather(&w, next); err != nil {
					yield(w, err)
					return
				}
				if w.Err, err = run.measure(&w, p); err != nil {
					yield(w, err)
					return
				}
				words = append(words, w)
			}
			rankWords(words, run.Measures, run.Options.Forms)
			for _, w := range words {
				if !yield(w, nil) {
					return
				}
			}
		}
	}
}

// wordRun is the state of one call of Rewards.
type wordRun struct {
	Options
	corpus *lexicon.Corpus
	texts  spellings
	pair   implicit.Pair // with models that count what they have scored
	ends   [2][]bool
	halves int // scored replies, counted once for each model; a reply that cannot be scored counts two
	total  int // number of replies
}

func newWordRun(pair implicit.Pair, corpus *lexicon.Corpus, prompts []lexicon.Prompt, o *Options) (*wordRun, error) {
	run := &wordRun{corpus: corpus, pair: pair}
	if o != nil {
		run.Options = *o
	}
	if run.Options.Forms == nil {
		run.Options.Forms = lexicon.AllForms()
	}
	if run.Measures == nil {
		run.Measures = []Measure{Pooled}
	}
	if err := lexicon.CheckForms(run.Options.Forms); err != nil {
		return nil, err
	}
	if err := checkMeasures(run.Measures); err != nil {
		return nil, err
	}
	if pair.Base == nil {
		return nil, errors.New("words: no base model, wanted a pair")
	}
	for i, p := range []**implicit.Policy{&run.pair.Tuned, &run.pair.Base} {
		q := **p
		if needs := slices.IndexFunc(run.Measures, Measure.NeedsBoundaries); needs >= 0 {
			var err error
			if run.ends[i], err = policyBoundaries(*p); err != nil {
				return nil, fmt.Errorf("words: %s model: %w, wanted for the measure %s", [...]string{"tuned", "base"}[i], err, run.Measures[needs])
			}
		}
		q.Within = run.ends[i]
		q.LM = counted{q.LM, run}
		*p = &q
	}
	run.texts = spell(corpus, run.Options.Forms)
	run.total = run.texts.count() * len(prompts)
	return run, nil
}

// counted is a model that counts what it has scored.
type counted struct {
	logprob.LM
	run *wordRun
}

func (c counted) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for r, err := range c.LM.Run(ctx, requests) {
			if c.run.tell(1); !yield(r, err) {
				return
			}
		}
	}
}

// tell adds half replies to the progress.
func (run *wordRun) tell(halves int) {
	before := run.halves / 2
	run.halves += halves
	if done := run.halves / 2; done > before && run.Progress != nil {
		run.Progress(done, run.total)
	}
}

// gather reads the rewards of an entry's texts from the stream. Of the prompts' ids, which
// are most of a text, it only keeps which forms share them.
func (run *wordRun) gather(w *Word, next func() (implicit.Reward, error, bool)) error {
	var contexts [2][][]int32
	for _, s := range run.texts[w.Index] {
		r, err, ok := next()
		if !ok {
			return errors.New("words: fewer rewards than replies")
		}
		f := FormScore{Text: s.Text, Forms: s.Forms}
		if err != nil {
			return err
		}
		if f.Err = r.Err; r.Err != nil {
			run.tell(2)
		} else {
			f.Tuned, f.Base, f.Flags = r.Tuned, r.Base, r.Flags()
			for i, m := range []struct {
				text tokenize.Encoded
				ids  *[]int32
			}{{r.TunedText, &f.TunedIDs}, {r.BaseText, &f.BaseIDs}} {
				*m.ids = slices.Clone(m.text.IDs[m.text.Reply:])
				before := m.text.IDs[:m.text.Reply]
				k := slices.IndexFunc(contexts[i], func(c []int32) bool { return slices.Equal(c, before) })
				if k < 0 {
					k = len(contexts[i])
					contexts[i] = append(contexts[i], before)
				}
				f.context[i] = k
			}
		}
		w.Forms = append(w.Forms, f)
	}
	return nil
}

// measure computes a word's measures. why says why the word cannot be scored; err ends the
// work.
func (run *wordRun) measure(w *Word, p lexicon.Prompt) (why, err error) {
	switch {
	case w.Wildcard:
		return refused(w.Term, p, wildcard(run.corpus)), nil
	case !slices.ContainsFunc(w.Forms, func(f FormScore) bool { return f.Err == nil }):
		return w.Forms[0].Err, nil
	}
	for _, m := range run.Measures {
		scores, err := w.Measure(m)
		if none := (*noValue)(nil); errors.As(err, &none) {
			if why == nil {
				why = refused(w.Term, p, none)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		w.Scores = append(w.Scores, scores...)
	}
	if len(w.Scores) > 0 {
		why = nil
	}
	return why, nil
}
