package engine

import (
	"errors"
	"fmt"
)

// Request is a token sequence and what is asked about it: the log-probabilities of IDs[From:],
// each after the tokens before it, and more where a field says so.
type Request struct {
	IDs          []int32
	From         int    // at least 1, unless there are no tokens
	TopK         int    // that many of the likeliest tokens, in place of each of IDs[From:] and after the last
	Distribution bool   // the log-probabilities of the whole vocabulary after the last token
	Within       []bool // the probability that a token of this set comes after the last; ids beyond it are not in the set
	States       []int  // the final states after IDs[:i+1] of each of these i
}

// Result is the answer to a Request.
type Result struct {
	LogProbs []float32 // of IDs[From:]
	Greedy   bool      // each of them was a most likely token
	// Top has the TopK likeliest tokens in place of each of IDs[From:] and after the last, the
	// likeliest first, of equals the one with the lower id; nil if not asked for.
	Top          [][]TokenLogProb
	Distribution []float32 // nil if not asked for
	Within       float32   // ln of the probability; 0 if not asked for
	// States are the final states, after the model's last norm, at Request.States, [D] each.
	States [][]float32

	greedy []bool // of each of IDs[From:]
}

// TokenLogProb is a token and its log-probability.
type TokenLogProb struct {
	ID      int32
	LogProb float32
}

// check tells why a request cannot be computed, nil if it can.
func (e *Engine) check(r Request) error {
	if n := e.maxTokens; n > 0 && n < e.model.Context && len(r.IDs) > n {
		return fmt.Errorf("%d tokens, wanted at most %d (MaxTokens)", len(r.IDs), n)
	}
	if len(r.IDs) > e.model.Context {
		return fmt.Errorf("%d tokens, wanted at most %d, the model's context", len(r.IDs), e.model.Context)
	}
	if err := e.checkIDs(r); err != nil {
		return err
	}
	for _, i := range r.States {
		if i < 0 || i >= len(r.IDs) {
			return fmt.Errorf("a state after token %d of %d", i, len(r.IDs))
		}
	}
	if e.model.Head.Layer == nil && (r.From < len(r.IDs) || r.after()) {
		return errors.New("log-probabilities of a model that was loaded without its vocabulary head, wanted States alone")
	}
	if len(r.Within) > e.model.V {
		return fmt.Errorf("a set of %d tokens, wanted at most %d, one for each row of the vocabulary", len(r.Within), e.model.V)
	}
	if r.From < 0 || r.From > len(r.IDs) {
		return fmt.Errorf("reply begins at token %d of %d", r.From, len(r.IDs))
	}
	if r.From == 0 && len(r.IDs) > 0 || r.after() && len(r.IDs) == 0 {
		return errors.New("nothing stands before the first token that is asked for, wanted a prompt or a BOS token")
	}
	return nil
}

// checkIDs tells which token the model has no row for, or cannot read, nil if none.
func (e *Engine) checkIDs(r Request) error {
	for i, id := range r.IDs {
		if id >= 0 && int(id) < e.model.V {
			continue
		}
		if name := e.tokenName(id); name != "" {
			return fmt.Errorf("token %d is %q with id %d, which the model has no row for (config.json's vocab_size is %d)", i, name, id, e.model.V)
		}
		return fmt.Errorf("token %d has id %d, wanted 0 to %d", i, id, e.model.V-1)
	}
	for i, id := range r.IDs[:min(max(r.states(), 0), len(r.IDs))] {
		if err := e.model.Embed.Check(id); err != nil {
			return fmt.Errorf("token %d, %q: %w", i, e.tokenName(id), err)
		}
	}
	return nil
}
