package preference

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
)

// Models score replies: a pair of language models by its implicit reward, an explicit reward
// model, or both, which then score the same rows.
type Models struct {
	Pair implicit.Pair  // no pair if Tuned is nil; without a base model ln p_tuned is measured
	RM   rewardmodel.RM // nil for none
}

// Scored is a row scored by the models. The rewards are those of the chosen and of the
// rejected replies, empty if Err is set or there is no such model.
type Scored struct {
	Row
	Rewards  [2][]implicit.Reward
	Explicit [2][]rewardmodel.Score
}

// Score scores the rows that Read yields under the models. Rows are yielded in input order,
// each with its Err: a row with a text that cannot be rendered, or exceeds the context of one
// of the models, is refused as a whole, so that all measures are of the same rows. Any other
// error (of the file, a model or ctx) is yielded last.
func Score(ctx context.Context, m Models, rows iter.Seq2[Row, error]) iter.Seq2[Scored, error] {
	all := func(yield func(Scored, error) bool) {
		for row, err := range rows {
			if !yield(Scored{Row: row}, err) || err != nil {
				return
			}
		}
	}
	scored := iter.Seq2[Scored, error](all)
	if m.Pair.Tuned == nil && m.RM == nil {
		return func(yield func(Scored, error) bool) {
			yield(Scored{}, errors.New("preference: no models, wanted a pair, a reward model or both"))
		}
	}
	if m.Pair.Tuned != nil {
		rewards := func(items iter.Seq[implicit.Item]) iter.Seq2[implicit.Reward, error] {
			return implicit.Rewards(ctx, m.Pair, items)
		}
		scored = pass(scored, rewards, func(s *Scored, side int, r implicit.Reward) error {
			s.Rewards[side] = append(s.Rewards[side], r)
			return r.Err
		})
	}
	if m.RM != nil {
		scores := func(items iter.Seq[implicit.Item]) iter.Seq2[rewardmodel.Score, error] {
			return rewardmodel.Scores(ctx, m.RM, items)
		}
		scored = pass(scored, scores, func(s *Scored, side int, r rewardmodel.Score) error {
			s.Explicit[side] = append(s.Explicit[side], r)
			if bad, ok := errors.AsType[*implicit.ItemError](r.Err); ok && bad.Model == "" && m.Pair.Tuned != nil {
				bad.Model = "reward" // not one of the pair
			}
			return r.Err
		})
	}
	return scored
}

// pending is a row that waits for the results of its replies.
type pending struct {
	Scored
	due, done int
}

// pass scores the replies of rows: results yields one R an item, which add adds to its row,
// returning its *implicit.ItemError. Rows that are refused already have no items.
func pass[R any](rows iter.Seq2[Scored, error], results func(iter.Seq[implicit.Item]) iter.Seq2[R, error], add func(s *Scored, side int, r R) error) iter.Seq2[Scored, error] {
	return func(yield func(Scored, error) bool) {
		var waiting []*pending // drawn and not yet yielded
		var last error         // of the rows
		items := func(yield func(implicit.Item) bool) {
			for row, err := range rows {
				if err != nil {
					last = err
					return
				}
				p := &pending{Scored: row}
				if waiting = append(waiting, p); p.Err != nil {
					continue
				}
				p.due = len(row.Chosen) + len(row.Rejected)
				for _, replies := range [][]string{row.Chosen, row.Rejected} {
					for _, reply := range replies {
						if !yield(implicit.Item{Messages: row.Messages, Reply: reply}) {
							return
						}
					}
				}
			}
		}
		// flush yields the rows before the first that still lacks a result.
		flush := func() bool {
			for len(waiting) > 0 && waiting[0].done == waiting[0].due {
				s := waiting[0].Scored
				if waiting = waiting[1:]; s.Err != nil {
					s.Rewards, s.Explicit = [2][]implicit.Reward{}, [2][]rewardmodel.Score{}
				}
				if !yield(s, nil) {
					return false
				}
			}
			return true
		}
		for r, err := range results(items) {
			if err != nil {
				yield(Scored{}, err)
				return
			}
			if !flush() { // rows without items precede r's
				return
			}
			p := waiting[0]
			side, k, replies := 0, p.done, p.Chosen
			if k >= len(p.Chosen) {
				side, k, replies = 1, k-len(p.Chosen), p.Rejected
			}
			p.done++
			p.refuse(add(&p.Scored, side, r), side, k, replies)
		}
		if flush() && last != nil {
			yield(Scored{}, last)
		}
	}
}

// refuse keeps the first error of a row's replies.
func (s *Scored) refuse(err error, side, k int, replies []string) {
	bad, _ := errors.AsType[*implicit.ItemError](err)
	if bad == nil || s.Err != nil {
		return
	}
	where := sides[side]
	if len(replies) > 1 {
		where += fmt.Sprintf(": reply %d", k+1)
	}
	s.Err = fmt.Errorf("%s: %w", where, bad.Cause())
}

// Flags returns those of the replies, after the side: "chosen:tuned-straddle" (see
// implicit.Reward.Flags), and of an explicit reward "chosen:explicit-trimmed" (see
// rewardmodel.Score.Flags).
func (s *Scored) Flags() []string {
	all := []string{}
	for side := range sides {
		for _, r := range s.Rewards[side] {
			for _, f := range r.Flags() {
				all = append(all, sides[side]+":"+f)
			}
		}
		for _, r := range s.Explicit[side] {
			for _, f := range r.Flags() {
				all = append(all, sides[side]+":explicit-"+f)
			}
		}
	}
	return all
}
