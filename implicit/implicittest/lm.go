package implicittest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Options change what the tests expect. nil and the zero value are for models that compute
// in float32.
type Options struct {
	// Tolerance is the greatest difference, in nats, between two log-probabilities of the
	// same token when a text is scored in different batches; 0 means 1e-4. A model that
	// computes in bfloat16 may need 0.2.
	Tolerance float64
}

func (o *Options) tolerance() float64 {
	if o == nil || o.Tolerance == 0 {
		return 1e-4
	}
	return o.Tolerance
}

// TestLM tests a language model on texts that it must be able to score: at least two that
// differ, with replies of two or more tokens. It returns nil or all failures (errors.Join).
// The tests are
//
//   - count and order: one result for each text, in order, in any batch; no result and no
//     error for no texts;
//   - values: one for each reply token, finite or -Inf, at most 0; none for an empty reply;
//     the caller may keep and change them, and the texts' ids are not written to;
//   - chain rule: ln p of a reply is ln p of its beginning plus ln p of the remainder after it;
//   - grouping: the same numbers, within Options.Tolerance, alone, together, in reverse
//     order, twice in a call, and in a second call;
//   - sum: the probabilities of all one-token replies sum to 1, and of the first 4,096, if
//     there are more, to at most 1;
//   - break: leaving the loop stops the work, no more texts are drawn, and the model can be
//     used again;
//   - context: cancelled before the call, or while texts are drawn, it ends the results with
//     its error (errors.Is), also for endless texts;
//   - errors: an id of -1, a reply that begins at the first token, and a text longer than
//     MaxTokens (if that is below 2^16) give the results before it, or some of them, and
//     then one error, the last thing yielded;
//   - after the reply: Distribution sums to 1 and agrees with Within for no token, all, and
//     two halves; Top agrees with it and with LogProbs, likeliest first; Greedy reports
//     whether every reply token is first in Top; none of these changes the log-probabilities.
//
// A model that panics fails the calling test. Whether the numbers are those of the right
// model, no such test can tell.
func TestLM(ctx context.Context, m logprob.LM, texts []tokenize.Encoded, o *Options) error {
	if len(texts) < 2 {
		return fmt.Errorf("implicittest: %d texts, wanted two or more", len(texts))
	}
	for i, t := range texts {
		if t.Reply < 1 || t.Reply+2 > len(t.IDs) {
			return fmt.Errorf("implicittest: text %d: %d tokens, the reply from %d, wanted a prompt and a reply of two or more tokens", i, len(t.IDs), t.Reply)
		}
		for _, u := range texts[:i] {
			if slices.Equal(t.IDs, u.IDs) && t.Reply == u.Reply {
				return fmt.Errorf("implicittest: text %d stands there twice, wanted texts that differ", i)
			}
		}
	}
	c := &conformance{ctx: ctx, m: m, tolerance: o.tolerance()}
	for _, t := range texts { // a model that writes to ids must not spoil the tests
		t.IDs = slices.Clone(t.IDs)
		c.texts = append(c.texts, t)
	}
	if !c.test("alone", c.alone) {
		return errors.Join(c.found...) // the other tests compare with these
	}
	c.test("grouping", c.grouping)
	c.test("empty replies", c.empty)
	c.test("chain", c.chain)
	c.test("sum", c.sum)
	c.test("break", c.leave)
	c.test("cancelled context", c.cancelled)
	c.test("context cancelled on the way", c.cancelling)
	c.test("errors", c.errors)
	c.test("after the reply", c.after)
	return errors.Join(c.found...)
}

// conformance is a test of one model.
type conformance struct {
	ctx       context.Context
	m         logprob.LM
	tolerance float64
	texts     []tokenize.Encoded
	want      []logprob.Result // of each text, scored alone
	found     []error
}

// test runs one test and reports whether it found no failure.
func (c *conformance) test(name string, run func() error) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			c.found = append(c.found, fmt.Errorf("implicittest: %s: panic: %v", name, p))
			ok = false
		}
	}()
	if err := run(); err != nil {
		c.found = append(c.found, fmt.Errorf("implicittest: %s: %w", name, err))
		return false
	}
	return true
}

// scores calls the model and checks its results against the texts.
func (c *conformance) scores(texts ...tokenize.Encoded) ([]logprob.Result, error) {
	return checked(logprob.Score(c.ctx, c.m, slices.Values(texts)), texts)
}

func checked(stream iter.Seq2[logprob.Result, error], texts []tokenize.Encoded) ([]logprob.Result, error) {
	before := make([][]int32, len(texts))
	for i, t := range texts {
		before[i] = slices.Clone(t.IDs)
	}
	var all []logprob.Result
	for s, err := range stream {
		if err != nil {
			return nil, fmt.Errorf("text %d of %d: %w", len(all), len(texts), err)
		}
		if len(all) == len(texts) {
			return nil, fmt.Errorf("more scores than the %d texts", len(texts))
		}
		all = append(all, s)
	}
	if len(all) < len(texts) {
		return nil, fmt.Errorf("%d scores for %d texts", len(all), len(texts))
	}
	for i, s := range all {
		if !slices.Equal(before[i], texts[i].IDs) {
			return nil, fmt.Errorf("text %d: its ids were written to", i)
		}
		if n := len(texts[i].IDs) - texts[i].Reply; len(s.LogProbs) != n {
			return nil, fmt.Errorf("text %d: %d log-probabilities for a reply of %d tokens", i, len(s.LogProbs), n)
		}
		for k, v := range s.LogProbs {
			if !(v <= 0) {
				return nil, fmt.Errorf("text %d: token %d: log-probability %v, wanted a number of at most 0, or -Inf", i, k, v)
			}
		}
	}
	return all, nil
}

// near compares log-probabilities.
func (c *conformance) near(got, want []float32) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d log-probabilities, wanted %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] && !(math.Abs(float64(got[i])-float64(want[i])) <= c.tolerance) {
			return fmt.Errorf("token %d: log-probability %v, and %v where the text is scored alone", i, got[i], want[i])
		}
	}
	return nil
}

func (c *conformance) alone() error {
	for i, t := range c.texts {
		s, err := c.scores(t)
		if err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
		s[0].LogProbs = slices.Clone(s[0].LogProbs)
		c.want = append(c.want, s[0])
	}
	return nil
}

func (c *conformance) grouping() error {
	n := len(c.texts)
	forth, back, twice := make([]int, n), make([]int, n), make([]int, 0, 2*n)
	for i := range n {
		forth[i], back[i], twice = i, n-1-i, append(twice, i, i)
	}
	for _, g := range []struct {
		name string
		at   []int
	}{{"none", nil}, {"together", forth}, {"in reverse", back}, {"each twice", twice}, {"one after all of these", forth[:1]}} {
		texts := make([]tokenize.Encoded, len(g.at))
		for i, k := range g.at {
			texts[i] = c.texts[k]
		}
		got, err := c.scores(texts...)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		for i, k := range g.at {
			if err := c.near(got[i].LogProbs, c.want[k].LogProbs); err != nil {
				return fmt.Errorf("%s: text %d: %w", g.name, i, err)
			}
		}
	}
	return nil
}

// empty scores empty replies between others.
func (c *conformance) empty() error {
	first, none := c.texts[0], c.texts[0]
	none.IDs = none.IDs[:none.Reply:none.Reply]
	got, err := c.scores(none, first, none)
	if err != nil {
		return err
	}
	if err := c.near(got[1].LogProbs, c.want[0].LogProbs); err != nil {
		return fmt.Errorf("beside one: %w", err)
	}
	_, err = c.scores(none)
	return err
}

// chain moves the end of the prompt, and of the text, through each reply.
func (c *conformance) chain() error {
	for i, t := range c.texts {
		want := c.want[i].LogProbs
		var texts []tokenize.Encoded
		for k := 1; k < len(want); k++ {
			head := tokenize.Encoded{IDs: slices.Clone(t.IDs[:t.Reply+k]), Reply: t.Reply}
			texts = append(texts, head, tokenize.Encoded{IDs: slices.Clone(t.IDs), Reply: t.Reply + k})
		}
		got, err := c.scores(texts...)
		if err != nil {
			return err
		}
		for k := 1; k < len(want); k++ {
			if err := c.near(got[2*k-2].LogProbs, want[:k]); err != nil {
				return fmt.Errorf("text %d: its first %d reply tokens, without the rest: %w", i, k, err)
			}
			if err := c.near(got[2*k-1].LogProbs, want[k:]); err != nil {
				return fmt.Errorf("text %d: after its first %d reply tokens: %w", i, k, err)
			}
		}
	}
	return nil
}

// mostRows is the largest number of one-token replies that sum scores.
const mostRows = 4096

func (c *conformance) sum() error {
	rows := c.m.VocabSize()
	for i, t := range c.texts[:2] {
		var texts []tokenize.Encoded
		for id := range min(rows, mostRows) {
			texts = append(texts, tokenize.Encoded{IDs: append(slices.Clone(t.IDs[:t.Reply]), int32(id)), Reply: t.Reply})
		}
		got, err := c.scores(texts...)
		if err != nil {
			return err
		}
		sum := 0.0
		for _, s := range got {
			sum += math.Exp(s.Sum())
		}
		if sum > 1+c.tolerance || rows <= mostRows && sum < 1-c.tolerance {
			return fmt.Errorf("after the prompt of text %d the probabilities of %d of %d tokens add up to %v, wanted 1 for all", i, len(texts), rows, sum)
		}
	}
	return nil
}
