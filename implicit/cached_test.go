package implicit_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestCached: what was asked before, in whatever company, is not computed again, and the
// rewards are the same.
func TestCached(t *testing.T) {
	tuned, base := &fake{seed: 1, size: 3}, &fake{seed: 2, size: 3}
	in := items(5000)
	want := collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy("User: "), Base: base.policy("")}, slices.Values(in)))
	tuned.scored, base.scored = 0, 0
	once := implicit.Cached(tuned.policy("User: "), nil)
	first := append(slices.Clone(in[2000:3000]), in[2000:2500]...) // 500 of them twice
	for range 2 {
		collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: once, Base: base.policy("")}, slices.Values(first)))
		if tuned.scored != 1000 {
			t.Errorf("%d texts were scored, wanted 1000", tuned.scored)
		}
	}
	got := collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: once, Base: base.policy("")}, slices.Values(in)))
	if !reflect.DeepEqual(got, want) || tuned.scored != len(in) {
		t.Errorf("%d texts were scored, wanted %d; the rewards are the same: %v", tuned.scored, len(in), reflect.DeepEqual(got, want))
	}

	// The same ids with the reply elsewhere are another text.
	a, b := tokenize.Encoded{IDs: []int32{1, 2, 3}, Reply: 1}, tokenize.Encoded{IDs: []int32{1, 2, 3}, Reply: 2}
	var lengths []int
	for s, err := range logprob.Score(t.Context(), once.LM, slices.Values([]tokenize.Encoded{a, b, a})) {
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(s.LogProbs))
		s.LogProbs[0] = 7 // the caller's to keep
	}
	if !slices.Equal(lengths, []int{2, 1, 2}) || tuned.scored != len(in)+2 {
		t.Errorf("scores of %v values, %d texts scored", lengths, tuned.scored)
	}
	for s := range logprob.Score(t.Context(), once.LM, slices.Values([]tokenize.Encoded{a})) {
		if s.LogProbs[0] == 7 {
			t.Error("a caller has changed what is remembered")
		}
	}
}

// TestCachedWithin: requests with a set of tokens and without share one computation;
// requests that ask for more are computed, in their place.
func TestCachedWithin(t *testing.T) {
	f := &fake{seed: 1, size: 3}
	set := []bool{true, false}
	once := implicit.Cached(f.policy(""), set)
	plain := logprob.Request{IDs: []int32{1, 2, 3}, From: 1}
	ended, other := plain, plain
	ended.Within, other.Within = set, []bool{false, true}
	var all []logprob.Result
	for _, list := range [][]logprob.Request{{plain}, {ended, plain}, {plain, other, ended}} {
		for s, err := range once.LM.Run(t.Context(), slices.Values(list)) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
	}
	if len(all) != 6 || all[0].Within == 0 || f.scored != 2 || f.ends != 2 {
		t.Errorf("results %v, %d texts scored, %d of them with their end, wanted 2 and 2", all, f.scored, f.ends)
	}
	for _, r := range all {
		if !reflect.DeepEqual(r, all[0]) {
			t.Errorf("%v, wanted %v", r, all[0])
		}
	}
}

// TestCachedErrors: a scorer's errors and broken promises come through, and are not
// remembered; so does the length of the model's context.
func TestCachedErrors(t *testing.T) {
	m := &fake{size: 3, err: errors.New("device lost")}
	once := implicit.Cached(m.policy(""), nil)
	run := func() (last error) {
		for _, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: once, Base: once}, slices.Values(items(3))) {
			last = err
		}
		return last
	}
	if err := run(); !errors.Is(err, m.err) {
		t.Errorf("error %v", err)
	}
	if m.err = nil; run() != nil {
		t.Error("the error was remembered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range logprob.Score(ctx, once.LM, slices.Values([]tokenize.Encoded{})) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	short := implicit.Cached(&implicit.Policy{LM: few{}}, nil)
	for _, err := range logprob.Score(t.Context(), short.LM, slices.Values([]tokenize.Encoded{{IDs: []int32{1, 2}, Reply: 1}})) {
		if err == nil || err.Error() != "0 results for 1 texts" {
			t.Errorf("error %v", err)
		}
	}
	bound := implicit.Cached(&implicit.Policy{LM: limited{m}}, nil)
	if n := bound.LM.MaxTokens(); n != 100 {
		t.Errorf("a context of %d tokens, wanted 100", n)
	}
	if n := once.LM.MaxTokens(); n < 1<<31 {
		t.Errorf("a context of %d tokens, wanted no limit", n)
	}
}
