package implicit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Pair is two policies, which define an implicit reward,
//
//	r(x, y) = c(x) + Beta (ln p_tuned(y|x) - ln p_base(y|x))
type Pair struct {
	Tuned *Policy
	// Base is the reference policy. Without one (nil) the reward is Beta ln p_tuned(y|x).
	Base *Policy
	Beta float64 // above 0; 0 means 1
}

// Warnings are doubts about the comparison of the two models, for models that say how their
// weights are stored (Quantised, as logprob.Model has it).
func (p Pair) Warnings() []error {
	if p.Base == nil {
		return nil
	}
	tuned, ok := p.Tuned.LM.(quantised)
	base, also := p.Base.LM.(quantised)
	if !ok || !also {
		return nil
	}
	if err := stored(tuned.Quantised(), base.Quantised()); err != nil {
		return []error{fmt.Errorf("implicit: pair: %w", err)}
	}
	return nil
}

// quantised is a model that says how its weights are stored.
type quantised interface{ Quantised() string }

// stored is the doubt about two models whose weights are stored in different ways; nil for one
// way.
func stored(tuned, base string) error {
	if tuned == base {
		return nil
	}
	return fmt.Errorf("the weights of one model are stored as %s, of the other as %s: their difference measures the rounding as well as the training",
		cmp.Or(tuned, "floats"), cmp.Or(base, "floats"))
}

// member is one policy of a pair, with access to its part of a Reward.
type member struct {
	name string
	*Policy
	part func(*Reward) (*tokenize.Encoded, *logprob.Result)
}

// members returns the policies of the pair, one if there is no base model.
func (p Pair) members() []member {
	all := []member{
		{"tuned", p.Tuned, func(r *Reward) (*tokenize.Encoded, *logprob.Result) { return &r.TunedText, &r.Tuned }},
		{"base", p.Base, func(r *Reward) (*tokenize.Encoded, *logprob.Result) { return &r.BaseText, &r.Base }},
	}
	if p.Base == nil {
		return all[:1]
	}
	return all
}

// Encode renders an item for both models. The result is a Reward without log-probabilities,
// or one with Err if the item cannot be scored.
func (p Pair) Encode(it Item) Reward {
	r := Reward{Item: it, Beta: cmp.Or(p.Beta, 1)}
	switch {
	case it.Err != nil:
		r.Err = &ItemError{Item: it, Err: it.Err}
		return r
	case it.Reply == "":
		r.Err = &ItemError{Item: it, Err: errors.New("empty, wanted text")}
		return r
	}
	for _, s := range p.members() {
		text, err := s.encode(it)
		if err != nil {
			return Reward{Item: it, Beta: r.Beta, Err: &ItemError{Item: it, Model: s.name, Err: err}}
		}
		to, _ := s.part(&r)
		*to = text
	}
	return r
}

// A window is the batch of items that one model scores before the other does; it ends at
// either bound. Rewards holds the texts and results of one window, some tens of MB.
const (
	windowItems  = 4096
	windowTokens = 1 << 19
)

// Rewards scores every item under both models of a pair and yields the rewards in input
// order. Items are drawn and encoded in windows of up to 4,096, so memory is bounded for any
// number of items; in each window the tuned model runs first. Items of one prompt should be
// adjacent: their common prefix is then computed once.
//
// An item that cannot be scored is yielded in its place with Reward.Err. Any other error (of
// a model or the context, or a NaN log-probability) is yielded last and ends the sequence.
// Breaking out of the loop stops the computation; ctx is checked before each item and by the
// models.
func Rewards(ctx context.Context, p Pair, items iter.Seq[Item]) iter.Seq2[Reward, error] {
	return func(yield func(Reward, error) bool) {
		var window []Reward
		n, tokens := 0, 0
		for it := range items {
			if err := ctx.Err(); err != nil {
				yield(Reward{Index: n, Item: it}, fmt.Errorf("implicit: rewards: %w", err))
				return
			}
			r := p.Encode(it)
			r.Index = n
			n++
			window = append(window, r)
			tokens += len(r.TunedText.IDs) + len(r.BaseText.IDs)
			if len(window) == windowItems || tokens >= windowTokens {
				if !p.score(ctx, window, yield) {
					return
				}
				window, tokens = window[:0], 0
			}
		}
		p.score(ctx, window, yield)
	}
}

// score runs both models over a window and yields its rewards. It reports whether to
// continue.
func (p Pair) score(ctx context.Context, window []Reward, yield func(Reward, error) bool) bool {
	var todo []*Reward
	for i := range window {
		if window[i].Err == nil {
			todo = append(todo, &window[i])
		}
	}
	for _, s := range p.members() {
		if err := s.run(ctx, todo); err != nil {
			yield(Reward{}, fmt.Errorf("implicit: rewards: %s model: %w", s.name, err))
			return false
		}
	}
	for _, r := range window {
		if !yield(r, nil) {
			return false
		}
	}
	return true
}

// run fills in one model's results. It returns an error unless there is one result for each
// text and one value, finite or -Inf, for each reply token.
func (s member) run(ctx context.Context, todo []*Reward) error {
	if len(todo) == 0 {
		return nil
	}
	requests := make([]logprob.Request, len(todo))
	for i, r := range todo {
		text, _ := s.part(r)
		requests[i] = s.request(*text)
	}
	return logprob.Collect(ctx, s.LM, requests, func(i int, result logprob.Result) error {
		if err := result.Check(requests[i], s.LM.VocabSize()); err != nil {
			return fmt.Errorf("reply %q: %w", todo[i].Reply, err)
		}
		_, to := s.part(todo[i])
		*to = result
		return nil
	})
}
