package implicittest

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/tokenize"
)

// FakeRM is a reward model without weights or files, for testing what is built on
// rewardmodel: every output is computed from a hash of the text's tokens, between -4 and 4.
// It is the same on every machine and in every run. The zero value is ready to use.
type FakeRM struct {
	Seed  uint64   // different seeds are different models
	Names []string // of the outputs, whose mean is the reward; nil means one, "LABEL_0"
	Limit int      // MaxTokens; 0 means 1,024
	// Fail, if not nil, is called before each text; an error ends the results there.
	Fail func(tokenize.Encoded) error
}

var _ rewardmodel.RM = (*FakeRM)(nil)

// Encode renders an item as Fake.Chat does, with the end of the turn.
func (f *FakeRM) Encode(it implicit.Item) (tokenize.Encoded, error) {
	it.EndTurn = true
	return (&Fake{}).Chat().Encode(it)
}

// MaxTokens returns the length of the longest text, in tokens.
func (f *FakeRM) MaxTokens() int { return cmp.Or(f.Limit, defaultLimit) }

// Outputs returns Names.
func (f *FakeRM) Outputs() []string {
	if f.Names == nil {
		return []string{"LABEL_0"}
	}
	return f.Names
}

// Run computes each result independently.
func (f *FakeRM) Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[rewardmodel.Result, error] {
	return func(yield func(rewardmodel.Result, error) bool) {
		n := 0
		for t := range texts {
			err := ctx.Err()
			if err == nil && f.Fail != nil {
				err = f.Fail(t)
			}
			if err != nil {
				yield(rewardmodel.Result{}, fmt.Errorf("implicittest: text %d: %w", n, err))
				return
			}
			if !yield(f.answer(t), nil) {
				return
			}
			n++
		}
	}
}

func (f *FakeRM) answer(t tokenize.Encoded) rewardmodel.Result {
	state := (&Fake{Seed: f.Seed}).start(t.IDs)
	r := rewardmodel.Result{Position: len(t.IDs) - 1}
	for i := range f.Outputs() {
		v := 8*float64(mix(state+uint64(i))>>11)/(1<<53) - 4
		r.Outputs = append(r.Outputs, v)
		r.Reward += v / float64(len(f.Outputs()))
	}
	return r
}
