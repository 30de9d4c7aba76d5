package words

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/tokenize"
)

// ScoreOptions say how a reward model scores words; nil is the zero value.
type ScoreOptions struct {
	Forms    []lexicon.Form // surface forms of an entry; nil means {lower} alone, the paper's
	Measures []ScoreMeasure // measures to compute, in this order; nil means ExactForm
	// Progress, if not nil, is called with the number of replies scored and the total: all
	// forms of all entries after all prompts.
	Progress func(done, total int)
}

// ScoredWord is an entry of a corpus after one prompt: its forms scored by a reward model, and
// the measures of them.
type ScoredWord struct {
	PromptName string
	Index      int // of the entry in Corpus.Entries
	lexicon.Entry
	Err     error        // an *implicit.ItemError if the entry could not be scored
	Forms   []ScoredForm // each distinct text once, in the order of ScoreOptions.Forms
	Scores  []WordScore  // in the order of ScoreOptions.Measures; none if Err is set
	Outputs []string     // names of the head's outputs: RM.Outputs
}

// ScoredForm is one text of an entry scored by a reward model.
type ScoredForm struct {
	Text   string         // the reply
	Forms  []lexicon.Form // forms that produce the text
	IDs    []int32        // all that the model read
	Tokens int            // those of the reply, without the end of its turn
	rewardmodel.Result
	// Flags are those of rewardmodel.Score.Flags, and FlagSameText.
	Flags []string
	Err   error // an *implicit.ItemError if it could not be scored; IDs and Result are then empty
}

// FlagSameText is a flag of a form that is the very same text to the model as an earlier form
// of the word, because the chat template trims a reply (rewardmodel.FlagTrimmed), and of a
// measure over such forms: they count once.
const FlagSameText = "same-text"

// Scores scores every entry of a corpus in its surface forms after every prompt with a reward
// model, and yields one ScoredWord for each, prompt by prompt, in corpus order. The forms go
// through rewardmodel.Scores as the reply to the prompt, each with its own tokens. Ranks need
// all words of a prompt, so these are held in memory; nothing else is.
//
// An entry that cannot be scored is yielded in its place with ScoredWord.Err: a wildcard (see
// Corpus.Expand), an empty entry, or one none of whose forms can be scored. If only some forms
// cannot be scored, these have ScoredForm.Err. Any other error is yielded last and ends the
// sequence: wrong options, and those of rewardmodel.Scores.
func Scores(ctx context.Context, rm rewardmodel.RM, corpus *lexicon.Corpus, prompts []lexicon.Prompt, o *ScoreOptions) iter.Seq2[ScoredWord, error] {
	return func(yield func(ScoredWord, error) bool) {
		run, err := newScoreRun(rm, corpus, prompts, o)
		if err != nil {
			yield(ScoredWord{}, err)
			return
		}
		next, stop := iter.Pull2(rewardmodel.Scores(ctx, countedRM{rm, run}, run.texts.items(prompts)))
		defer stop()
		outputs := rm.Outputs()
		for _, p := range prompts {
			words := make([]ScoredWord, 0, len(corpus.Entries))
			for i := range corpus.Entries {
				w := ScoredWord{PromptName: p.Name, Index: i, Entry: corpus.Entries[i], Outputs: outputs}
				if err := run.gather(&w, next); err != nil {
					yield(w, err)
					return
				}
				if w.Err = run.refuse(&w, p); w.Err == nil {
					for _, m := range run.Measures {
						w.Scores = append(w.Scores, w.measure(m)...)
					}
				}
				words = append(words, w)
			}
			rankScored(words, run.Measures, run.Forms)
			for _, w := range words {
				if !yield(w, nil) {
					return
				}
			}
		}
	}
}

// scoreRun is the state of one call of Scores.
type scoreRun struct {
	ScoreOptions
	corpus      *lexicon.Corpus
	texts       spellings
	done, total int // replies
}

func newScoreRun(rm rewardmodel.RM, corpus *lexicon.Corpus, prompts []lexicon.Prompt, o *ScoreOptions) (*scoreRun, error) {
	run := &scoreRun{corpus: corpus}
	if o != nil {
		run.ScoreOptions = *o
	}
	if run.Forms == nil {
		run.Forms = []lexicon.Form{"{lower}"}
	}
	if run.Measures == nil {
		run.Measures = []ScoreMeasure{ExactForm}
	}
	if err := lexicon.CheckForms(run.Forms); err != nil {
		return nil, err
	}
	if err := checkNames(run.Measures, ScoreMeasures()); err != nil {
		return nil, err
	}
	if rm == nil {
		return nil, errors.New("words: no reward model, wanted one")
	}
	run.texts = spell(corpus, run.Forms)
	run.total = run.texts.count() * len(prompts)
	return run, nil
}

// tell adds a reply to the progress.
func (run *scoreRun) tell() {
	if run.done++; run.Progress != nil {
		run.Progress(run.done, run.total)
	}
}

// countedRM is a reward model that counts what it has scored.
type countedRM struct {
	rewardmodel.RM
	run *scoreRun
}

func (c countedRM) Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[rewardmodel.Result, error] {
	return func(yield func(rewardmodel.Result, error) bool) {
		for r, err := range c.RM.Run(ctx, texts) {
			if c.run.tell(); !yield(r, err) {
				return
			}
		}
	}
}

// gather reads the scores of an entry's texts from the stream.
func (run *scoreRun) gather(w *ScoredWord, next func() (rewardmodel.Score, error, bool)) error {
	for _, spelling := range run.texts[w.Index] {
		s, err, ok := next()
		switch {
		case !ok:
			return errors.New("words: fewer scores than replies")
		case err != nil:
			return err
		}
		f := ScoredForm{Text: spelling.Text, Forms: spelling.Forms, Err: s.Err}
		if s.Err != nil {
			run.tell()
		} else {
			f.IDs, f.Tokens, f.Result, f.Flags = s.Text.IDs, replyTokens(s.Text, s.Reply), s.Result, s.Flags()
			if slices.ContainsFunc(w.Forms, func(g ScoredForm) bool { return g.Err == nil && slices.Equal(g.IDs, f.IDs) }) {
				f.Flags = append(f.Flags, FlagSameText)
			}
		}
		w.Forms = append(w.Forms, f)
	}
	return nil
}

// refuse says why a word cannot be scored.
func (run *scoreRun) refuse(w *ScoredWord, p lexicon.Prompt) error {
	switch {
	case w.Wildcard:
		return refused(w.Term, p, wildcard(run.corpus))
	case !slices.ContainsFunc(w.Forms, func(f ScoredForm) bool { return f.Err == nil }):
		return w.Forms[0].Err
	}
	return nil
}

// replyTokens counts the tokens of a reply that a template writes as the assistant's message,
// as it is or trimmed: those with a byte of it. A text that was made from ids has all of its
// reply's.
func replyTokens(t tokenize.Encoded, reply string) int {
	if t.Spans == nil {
		return len(t.IDs) - t.Reply
	}
	if !strings.HasPrefix(t.Rendered[t.Start:], reply) {
		reply = strings.TrimSpace(reply)
	}
	end := t.Start + len(reply)
	n := 0
	for _, span := range t.Spans[t.Reply:] {
		if span[0] < end && span[1] > t.Start {
			n++
		}
	}
	return n
}
