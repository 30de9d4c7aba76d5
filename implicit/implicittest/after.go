package implicittest

import (
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
)

// after checks what can be requested beyond the reply's log-probabilities for consistency.
func (c *conformance) after() error {
	rows := c.m.VocabSize()
	if rows > mostRows {
		rows = mostRows // of a set of tokens; longer distributions are not summed
	}
	all, even, odd := make([]bool, rows), make([]bool, rows), make([]bool, rows)
	for i := range all {
		all[i], even[i], odd[i] = true, i%2 == 0, i%2 == 1
	}
	sets := [][]bool{{false}, all, even, odd}
	var requests []logprob.Request
	for _, t := range c.texts {
		for _, set := range sets {
			r := logprob.RequestOf(t)
			r.Within, r.Distribution, r.TopK = set, true, 3
			requests = append(requests, r)
		}
	}
	var got []logprob.Result
	for r, err := range c.m.Run(c.ctx, slices.Values(requests)) {
		if err != nil {
			return err
		}
		if len(got) == len(requests) {
			return fmt.Errorf("more results than the %d requests", len(requests))
		}
		got = append(got, r)
	}
	if len(got) != len(requests) {
		return fmt.Errorf("%d results of %d requests", len(got), len(requests))
	}
	for n, r := range got {
		text, set := n/len(sets), requests[n].Within
		if err := c.near(r.LogProbs, c.want[text].LogProbs); err != nil {
			return fmt.Errorf("text %d: %w", text, err)
		}
		if err := c.agrees(requests[n], r); err != nil {
			return fmt.Errorf("text %d: %w", text, err)
		}
		p, whole := 0.0, 0.0
		for v, lnP := range r.Distribution {
			whole += math.Exp(float64(lnP))
			if v < len(set) && set[v] {
				p += math.Exp(float64(lnP))
			}
		}
		if math.Abs(whole-1) > c.tolerance {
			return fmt.Errorf("text %d: the probabilities of the next token add up to %v, wanted 1", text, whole)
		}
		if within := math.Exp(float64(r.Within)); !(math.Abs(within-p) <= c.tolerance) || p == 0 && within != 0 {
			return fmt.Errorf("text %d: the probability of a set of tokens is %v, the sum of theirs %v", text, within, p)
		}
	}
	return nil
}

// agrees checks Top and Greedy of a result against its LogProbs and Distribution.
func (c *conformance) agrees(q logprob.Request, r logprob.Result) error {
	reply := q.IDs[q.From:]
	if len(r.Distribution) != c.m.VocabSize() || len(r.Top) != len(reply)+1 {
		return fmt.Errorf("a distribution of %d tokens, wanted %d; the likeliest at %d places, wanted %d", len(r.Distribution), c.m.VocabSize(), len(r.Top), len(reply)+1)
	}
	greedy := true
	for i, top := range r.Top {
		if len(top) != min(q.TopK, c.m.VocabSize()) {
			return fmt.Errorf("place %d: %d likeliest tokens, wanted %d", i, len(top), q.TopK)
		}
		for k, t := range top {
			switch {
			case k > 0 && (t.LogProb > top[k-1].LogProb || t.LogProb == top[k-1].LogProb && t.ID < top[k-1].ID):
				return fmt.Errorf("place %d: %v after %v, wanted the likeliest first", i, t, top[k-1])
			case i == len(reply) && (t.ID < 0 || int(t.ID) >= len(r.Distribution) || math.Abs(float64(t.LogProb-r.Distribution[t.ID])) > c.tolerance):
				return fmt.Errorf("after the reply: %v, which is not the distribution's", t)
			case i < len(reply) && t.ID == reply[i] && t.LogProb != r.LogProbs[i]:
				return fmt.Errorf("place %d: %v among the likeliest, and %v in the reply", i, t, r.LogProbs[i])
			}
		}
		greedy = greedy && (i == len(reply) || r.LogProbs[i] >= top[0].LogProb)
	}
	if r.Greedy != greedy {
		return fmt.Errorf("greedy is %v, and the reply's tokens are the likeliest is %v", r.Greedy, greedy)
	}
	return nil
}
