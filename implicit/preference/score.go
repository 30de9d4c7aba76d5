package preference

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
)

// Scored is a row scored by the models.
type Scored struct {
	Row
	Rewards [2][]implicit.Reward // of the chosen and of the rejected replies; empty if Err is set
}

// Score scores the rows that Read yields under both models of a pair, or only the tuned one
// if the pair has no base. Rows are yielded in input order, each with its Err: a row with a
// text that cannot be rendered, or exceeds a context, is refused as a whole. Any other error
// (of the file, a model or ctx) is yielded last.
func Score(ctx context.Context, pair implicit.Pair, rows iter.Seq2[Row, error]) iter.Seq2[Scored, error] {
	return func(yield func(Scored, error) bool) {
		var waiting []Scored // drawn and not yet scored
		var last error       // of the rows
		items := func(yield func(implicit.Item) bool) {
			for row, err := range rows {
				if err != nil {
					last = err
					return
				}
				waiting = append(waiting, Scored{Row: row})
				for _, replies := range [][]string{row.Chosen, row.Rejected} {
					for _, reply := range replies {
						if !yield(implicit.Item{Messages: row.Messages, Reply: reply}) {
							return
						}
					}
				}
			}
		}
		// done yields the rows before the first that still lacks a reward.
		done := func() bool {
			for len(waiting) > 0 && waiting[0].complete() {
				s := waiting[0]
				if waiting = waiting[1:]; s.Err != nil {
					s.Rewards = [2][]implicit.Reward{}
				}
				if !yield(s, nil) {
					return false
				}
			}
			return true
		}
		for r, err := range implicit.Rewards(ctx, pair, items) {
			if err != nil {
				yield(Scored{}, err)
				return
			}
			if !done() { // rows without items precede r's
				return
			}
			waiting[0].add(r)
		}
		if done() && last != nil {
			yield(Scored{}, last)
		}
	}
}

// complete reports whether every reply has its reward.
func (s *Scored) complete() bool {
	return len(s.Rewards[0]) == len(s.Chosen) && len(s.Rewards[1]) == len(s.Rejected)
}

// add adds the reward of the next reply, or its error.
func (s *Scored) add(r implicit.Reward) {
	side, replies := 0, s.Chosen
	if len(s.Rewards[0]) == len(s.Chosen) {
		side, replies = 1, s.Rejected
	}
	s.Rewards[side] = append(s.Rewards[side], r)
	bad, _ := errors.AsType[*implicit.ItemError](r.Err)
	if bad == nil || s.Err != nil {
		return
	}
	where := sides[side]
	if len(replies) > 1 {
		where += fmt.Sprintf(": reply %d", len(s.Rewards[side]))
	}
	s.Err = fmt.Errorf("%s: %w", where, bad.Cause())
}

// Flags returns those of the replies (see implicit.Reward.Flags), prefixed by the side:
// "chosen:tuned-straddle".
func (s *Scored) Flags() []string {
	all := []string{}
	for side, rewards := range s.Rewards {
		for _, r := range rewards {
			for _, f := range r.Flags() {
				all = append(all, sides[side]+":"+f)
			}
		}
	}
	return all
}
