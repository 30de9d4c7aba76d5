package implicittest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// manyTexts is the number of texts in a call of which only the first few should be computed.
const manyTexts = 1 << 13

// leave breaks out of the loop.
func (c *conformance) leave() error {
	left, late := &atomic.Bool{}, &atomic.Bool{}
	texts := func(yield func(tokenize.Encoded) bool) {
		for i := range manyTexts {
			if left.Load() {
				late.Store(true)
			}
			if !yield(c.texts[i%len(c.texts)]) {
				return
			}
		}
	}
	n := 0
	for s, err := range logprob.Score(c.ctx, c.m, texts) {
		if err != nil {
			return err
		}
		if err := c.near(s.LogProbs, c.want[n].LogProbs); err != nil {
			return err
		}
		if n++; n == 2 {
			break
		}
	}
	left.Store(true)
	got, err := c.scores(c.texts...)
	if err != nil {
		return fmt.Errorf("the call after it: %w", err)
	}
	for i := range got {
		if err := c.near(got[i].LogProbs, c.want[i].LogProbs); err != nil {
			return fmt.Errorf("the call after it: text %d: %w", i, err)
		}
	}
	if late.Load() {
		return errors.New("more texts were drawn after the loop was left")
	}
	return nil
}

func (c *conformance) cancelled() error {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	return ended(logprob.Score(ctx, c.m, slices.Values(c.texts)), context.Canceled, len(c.texts))
}

// cancelling cancels the context while the third of very many texts is drawn.
func (c *conformance) cancelling() error {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	drawn := 0
	texts := func(yield func(tokenize.Encoded) bool) {
		for ; drawn < manyTexts; drawn++ {
			if drawn == 2 {
				cancel()
			}
			if !yield(c.texts[drawn%len(c.texts)]) {
				return
			}
		}
	}
	return ended(logprob.Score(ctx, c.m, texts), context.Canceled, manyTexts)
}

// ended checks for fewer than n results and then one error; cause, if not nil, must be
// wrapped in it.
func ended(stream iter.Seq2[logprob.Result, error], cause error, n int) error {
	var last error
	scores := 0
	for _, err := range stream {
		if last != nil {
			return fmt.Errorf("the scores went on after the error %q", last)
		}
		if last = err; err == nil {
			scores++
		}
	}
	switch {
	case last == nil:
		return fmt.Errorf("%d scores and no error, wanted one", scores)
	case cause != nil && !errors.Is(last, cause):
		return fmt.Errorf("error %q, wanted one that is %q", last, cause)
	case scores >= n:
		return fmt.Errorf("%d scores before the error, wanted fewer than %d", scores, n)
	}
	return nil
}

// errors puts a text that cannot be scored between others.
func (c *conformance) errors() error {
	good := c.texts[0]
	foreign := tokenize.Encoded{IDs: append(slices.Clone(good.IDs), -1), Reply: good.Reply}
	first := tokenize.Encoded{IDs: slices.Clone(good.IDs)}
	bad := []struct {
		name string
		tokenize.Encoded
	}{{"an id of -1", foreign}, {"a reply that begins at the first token", first}}
	if most := c.m.MaxTokens(); most < 1<<16 {
		long := tokenize.Encoded{IDs: slices.Clone(good.IDs), Reply: good.Reply}
		for len(long.IDs) <= most {
			long.IDs = append(long.IDs, good.IDs[len(good.IDs)-1])
		}
		bad = append(bad, struct {
			name string
			tokenize.Encoded
		}{"a text longer than the context", long})
	}
	for _, b := range bad {
		if err := ended(logprob.Score(c.ctx, c.m, slices.Values([]tokenize.Encoded{good, b.Encoded, good})), nil, 2); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		got, err := c.scores(good)
		if err == nil {
			err = c.near(got[0].LogProbs, c.want[0].LogProbs)
		}
		if err != nil {
			return fmt.Errorf("the call after %s: %w", b.name, err)
		}
	}
	return nil
}
