package rewardmodel

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Run computes the final states of some thousands of tokens at a time, common prefixes once,
// and the head of each text on the host in float64. See RM.
func (m *Model) Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		var waiting []pooled // those that the engine has drawn and not answered
		var refused error    // of a text, which ends the sequence after those before it
		requests := func(yield func(logprob.Request) bool) {
			n := 0
			for t := range texts {
				p, err := m.pool(t.IDs)
				if err != nil {
					refused = fmt.Errorf("rewardmodel: text %d: %w", n, err)
					return
				}
				waiting = append(waiting, p)
				if !yield(logprob.Request{IDs: t.IDs, From: len(t.IDs), States: p.states()}) {
					return
				}
				n++
			}
		}
		memo := &gateMemo{}
		for r, err := range m.lm.Run(ctx, requests) {
			if err != nil {
				yield(Result{}, fmt.Errorf("rewardmodel: %w", err))
				return
			}
			p := waiting[0]
			waiting = waiting[1:]
			if !yield(m.result(p, r.States, memo), nil) {
				return
			}
		}
		if refused != nil {
			yield(Result{}, refused)
		}
	}
}

// Check says why the head cannot read a text of these ids: there are none, or it has a gate and
// finds no end of the user's turn. What Encode returns it can read.
func (m *Model) Check(ids []int32) error {
	_, err := m.pool(ids)
	return err
}

// Places are the tokens of a text that a head reads or might read, as indices.
type Places struct {
	Pooled    int // by the model's Pooling
	HF, HFOld int // by the rules of transformers 5 and 4.43
	Gate      int // the end of the user's turn, which a gate reads; -1 without a gate
}

// Places returns which tokens of a text of these ids the head reads. Errors are those of Check.
func (m *Model) Places(ids []int32) (Places, error) {
	p, err := m.pool(ids)
	if err != nil {
		return Places{}, err
	}
	return Places{Pooled: p.at, HF: HF.position(ids, m.pad), HFOld: HFOld.position(ids, m.pad), Gate: p.turn}, nil
}

// pooled are the positions of a text whose states the head reads.
type pooled struct {
	turn, at int // turn is -1 without a gate
	flags    []string
}

func (p pooled) states() []int {
	if p.turn < 0 {
		return []int{p.at}
	}
	return []int{p.turn, p.at}
}

// pool finds the positions. It is an error if a gated head finds no end of the user's turn.
func (m *Model) pool(ids []int32) (pooled, error) {
	p := pooled{turn: -1}
	if len(ids) == 0 {
		return p, fmt.Errorf("no tokens, wanted at least one")
	}
	p.at = m.o.Pooling.position(ids, m.pad)
	if HF.position(ids, m.pad) != p.at || HFOld.position(ids, m.pad) != p.at {
		p.flags = []string{FlagPooling}
	}
	if m.turn == nil {
		return p, nil
	}
	if p.turn = lastIndex(ids, m.turn); p.turn < 0 {
		return p, fmt.Errorf("it holds no end of a user's turn before an assistant's, %q (ids %v), where the head's gate reads: wanted a conversation by the chat template", m.Tokenizer().Decode(m.turn...), m.turn)
	}
	return p, nil
}

// lastIndex returns where the last occurrence of part begins, -1 without one.
func lastIndex(ids, part []int32) int {
	for i := len(ids) - len(part); i >= 0; i-- {
		if slices.Equal(ids[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// gateMemo remembers a gate's weights of the last prompt: thousands of replies share one.
type gateMemo struct {
	state []float32
	gate  []float64
}

// result computes the head.
func (m *Model) result(p pooled, states [][]float32, memo *gateMemo) Result {
	var gate []float64
	if g, ok := m.head.(*gated); ok {
		if memo.gate == nil || !slices.Equal(memo.state, states[0]) {
			memo.state, memo.gate = states[0], g.gate(widen(states[0]))
		}
		gate = slices.Clone(memo.gate)
		states = states[1:]
	}
	r := m.head.of(widen(states[0]), gate)
	if m.column >= 0 {
		r.Reward = r.Outputs[m.column]
	}
	if m.o.Normalize {
		r.Reward = (r.Reward - *m.norm.mean) / *m.norm.std
	}
	r.Position, r.Flags = p.at, p.flags
	return r
}
