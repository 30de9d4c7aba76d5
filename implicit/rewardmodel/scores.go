package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/tokenize"
)

// RM is a reward model that scores token sequences. Package implicittest has one without
// weights for tests.
type RM interface {
	// Encode renders a conversation and the reply as the assistant's message, as tokens.
	Encode(it implicit.Item) (tokenize.Encoded, error)
	// MaxTokens is the length of the longest token sequence.
	MaxTokens() int
	// Outputs names the values of Result.Outputs, in their order: the labels of id2label, the
	// objectives of a gated head.
	Outputs() []string
	// Run yields a Result for every text, in input order. Texts are drawn as needed and may be
	// computed together. If one cannot be computed, or ctx ends, the results before it are
	// followed by one error, and the sequence ends.
	Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[Result, error]
}

// Result is a reward model's answer to one text.
type Result struct {
	Reward  float64   // the reward
	Outputs []float64 // all outputs of the head, in the order of RM.Outputs; of a plain head Reward alone
	// Weights are those of the outputs in the reward, of a head that weighs them by the text:
	// a gate's, or URM's. nil for others.
	Weights []float64
	// Quantiles are those of each output, of a head that predicts a distribution; nil for
	// others. An output is the mean of its quantiles.
	Quantiles [][]float64
	Position  int      // index of the token whose final state was pooled
	Flags     []string // doubts about this text: FlagPooling
}

// Values of Score.Flags.
const (
	FlagPooling = "pooling" // transformers would pool another token (see Pooling)
	FlagTrimmed = "trimmed" // the chat template trims white space that the reply begins or ends with
	FlagSpecial = "special" // the item's text contains the name of a special token, such as "</s>"
)

// Score is an item scored by a reward model.
type Score struct {
	Index int // index of the item in the sequence, from 0
	implicit.Item
	Err    error            // an *implicit.ItemError if the item could not be scored; Text and Result are then empty
	Text   tokenize.Encoded // what the model read
	Result                  // Reward is NaN if Err is set
}

// Flags lists the doubts about a score: FlagPooling, FlagTrimmed, FlagSpecial.
func (s Score) Flags() []string {
	all := slices.Clone(s.Result.Flags)
	if s.Text.Trimmed {
		all = append(all, FlagTrimmed)
	}
	if s.Text.Special > 0 {
		all = append(all, FlagSpecial)
	}
	return all
}

// A window is the batch of items that is encoded before the model runs; it ends at either
// bound.
const (
	windowItems  = 4096
	windowTokens = 1 << 19
)

// Scores scores every item and yields the scores in input order. Items are drawn and encoded
// in windows of up to 4,096, so memory is bounded for any number of items. Items of one
// prompt should be adjacent: their common prefix is then computed once.
//
// An item that cannot be scored is yielded in its place with Score.Err. Any other error (of
// the model or the context, or a NaN) is yielded last and ends the sequence.
func Scores(ctx context.Context, m RM, items iter.Seq[implicit.Item]) iter.Seq2[Score, error] {
	return func(yield func(Score, error) bool) {
		var window []Score
		n, tokens := 0, 0
		for it := range items {
			if err := ctx.Err(); err != nil {
				yield(Score{Index: n, Item: it}, fmt.Errorf("rewardmodel: scores: %w", err))
				return
			}
			s := encode(m, it)
			s.Index = n
			n++
			window = append(window, s)
			tokens += len(s.Text.IDs)
			if len(window) == windowItems || tokens >= windowTokens {
				if !score(ctx, m, window, yield) {
					return
				}
				window, tokens = window[:0], 0
			}
		}
		score(ctx, m, window, yield)
	}
}

// encode renders an item and checks that the model can score it.
func encode(m RM, it implicit.Item) Score {
	refuse := func(err error) Score {
		return Score{Item: it, Err: &implicit.ItemError{Item: it, Err: err}, Result: Result{Reward: math.NaN()}}
	}
	switch {
	case it.Err != nil:
		return refuse(it.Err)
	case it.Reply == "":
		return refuse(errors.New("empty, wanted text"))
	case it.Messages != nil && it.Prompt != "":
		return refuse(errors.New("messages and a prompt, wanted one of them"))
	case it.Messages != nil && len(it.Messages) == 0:
		return refuse(errors.New("no messages, wanted at least one"))
	}
	text, err := m.Encode(it)
	switch n := len(text.IDs); {
	case err != nil:
		return refuse(err)
	case n == 0:
		return refuse(errors.New("the encoded text has no tokens, wanted at least one"))
	case n > m.MaxTokens():
		return refuse(fmt.Errorf("%d tokens, wanted at most %d", n, m.MaxTokens()))
	}
	return Score{Item: it, Text: text}
}

// score runs the model over a window and yields its scores. It reports whether to continue.
func score(ctx context.Context, m RM, window []Score, yield func(Score, error) bool) bool {
	var todo []*Score
	for i := range window {
		if window[i].Err == nil {
			todo = append(todo, &window[i])
		}
	}
	if err := run(ctx, m, todo); err != nil {
		yield(Score{}, fmt.Errorf("rewardmodel: scores: %w", err))
		return false
	}
	for _, s := range window {
		if !yield(s, nil) {
			return false
		}
	}
	return true
}

// run fills in the results. It returns an error unless there is one finite result for each
// text.
func run(ctx context.Context, m RM, todo []*Score) error {
	if len(todo) == 0 {
		return ctx.Err()
	}
	texts := func(yield func(tokenize.Encoded) bool) {
		for _, s := range todo {
			if !yield(s.Text) {
				return
			}
		}
	}
	n := 0
	for r, err := range m.Run(ctx, texts) {
		if err != nil {
			return err
		}
		if n == len(todo) {
			return fmt.Errorf("more results than the %d texts", n)
		}
		s := todo[n]
		switch bad := func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }; {
		case bad(r.Reward) || slices.ContainsFunc(r.Outputs, bad):
			return fmt.Errorf("reply %q: reward %v of outputs %v, wanted finite numbers", s.Reply, r.Reward, r.Outputs)
		case len(r.Outputs) != len(m.Outputs()):
			return fmt.Errorf("reply %q: %d outputs, wanted %d", s.Reply, len(r.Outputs), len(m.Outputs()))
		}
		s.Result = r
		n++
	}
	if n < len(todo) {
		return fmt.Errorf("%d results for %d texts", n, len(todo))
	}
	return nil
}
