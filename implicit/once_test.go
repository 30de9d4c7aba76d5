package implicit_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// ending is a fake that also knows how its replies end.
type ending struct {
	*fake
	asked int
}

func (e *ending) ScoreEnds(ctx context.Context, texts iter.Seq[tokenize.Encoded], ends []bool) iter.Seq2[logprob.Result, error] {
	e.asked++
	return func(yield func(logprob.Result, error) bool) {
		for s, err := range e.Score(ctx, texts) {
			s.Within = s.LogProbs[len(s.LogProbs)-1] / 2
			if !yield(s, err) {
				return
			}
		}
	}
}

// TestOnce: what was asked before, in whatever company, is not computed again, and the
// rewards are the same.
func TestOnce(t *testing.T) {
	tuned, base := &fake{seed: 1, size: 3}, &fake{seed: 2, size: 3}
	in := items(5000)
	want := collect(t, implicit.Rewards(t.Context(), tuned.policy("User: "), base.policy(""), slices.Values(in)))
	tuned.scored, base.scored = 0, 0
	once, err := implicit.Once(tuned.policy("User: "), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := once.Scorer.(implicit.EndScorer); ok || once.Ends != nil {
		t.Error("a policy without ends has some")
	}
	first := append(slices.Clone(in[2000:3000]), in[2000:2500]...) // 500 of them twice
	for range 2 {
		collect(t, implicit.Rewards(t.Context(), once, base.policy(""), slices.Values(first)))
		if tuned.scored != 1000 {
			t.Errorf("%d texts were scored, wanted 1000", tuned.scored)
		}
	}
	got := collect(t, implicit.Rewards(t.Context(), once, base.policy(""), slices.Values(in)))
	if !reflect.DeepEqual(got, want) || tuned.scored != len(in) {
		t.Errorf("%d texts were scored, wanted %d; the rewards are the same: %v", tuned.scored, len(in), reflect.DeepEqual(got, want))
	}

	// The same ids with the reply elsewhere are another text.
	a, b := tokenize.Encoded{IDs: []int32{1, 2, 3}, Reply: 1}, tokenize.Encoded{IDs: []int32{1, 2, 3}, Reply: 2}
	var lengths []int
	for s, err := range once.Scorer.Score(t.Context(), slices.Values([]tokenize.Encoded{a, b, a})) {
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(s.LogProbs))
		s.LogProbs[0] = 7 // the caller's to keep
	}
	if !slices.Equal(lengths, []int{2, 1, 2}) || tuned.scored != len(in)+2 {
		t.Errorf("scores of %v values, %d texts scored", lengths, tuned.scored)
	}
	for s := range once.Scorer.Score(t.Context(), slices.Values([]tokenize.Encoded{a})) {
		if s.LogProbs[0] == 7 {
			t.Error("a caller has changed what is remembered")
		}
	}
}

// TestOnceEnds: with ends, Score and ScoreEnds share one computation.
func TestOnceEnds(t *testing.T) {
	e := &ending{fake: &fake{seed: 1, size: 3}}
	p := e.policy("")
	p.Scorer, p.Ends = e, func() []bool { return []bool{true, false} }
	once, err := implicit.Once(p, true)
	if err != nil {
		t.Fatal(err)
	}
	text := tokenize.Encoded{IDs: []int32{1, 2, 3}, Reply: 1}
	var all []logprob.Result
	for s, err := range once.Scorer.Score(t.Context(), slices.Values([]tokenize.Encoded{text})) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	ends := once.Scorer.(implicit.EndScorer)
	for s, err := range ends.ScoreEnds(t.Context(), slices.Values([]tokenize.Encoded{text}), once.Ends()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if len(all) != 2 || !reflect.DeepEqual(all[0], all[1]) || all[0].Within == 0 || e.scored != 1 || e.asked != 1 {
		t.Errorf("scores %v, %d texts scored in %d calls", all, e.scored, e.asked)
	}
	for _, err := range ends.ScoreEnds(t.Context(), slices.Values([]tokenize.Encoded{text}), []bool{false, true}) {
		if err == nil || err.Error() != "implicit: once: other ends of words than the policy's" {
			t.Errorf("error %v", err)
		}
	}
	if _, err := implicit.Once((&fake{size: 3}).policy(""), true); err == nil || err.Error() != "implicit: once: the model does not say where words end (EndScorer, Policy.Ends)" {
		t.Errorf("error %v", err)
	}
}

// TestOnceErrors: a scorer's errors and broken promises come through, and are not
// remembered; so does the length of the model's context.
func TestOnceErrors(t *testing.T) {
	m := &fake{size: 3, err: errors.New("device lost")}
	once, err := implicit.Once(m.policy(""), false)
	if err != nil {
		t.Fatal(err)
	}
	run := func() (last error) {
		for _, err := range implicit.Rewards(t.Context(), once, once, slices.Values(items(3))) {
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
	for _, err := range once.Scorer.Score(ctx, slices.Values([]tokenize.Encoded{})) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	short, err := implicit.Once(implicit.Policy{Scorer: few{}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range short.Scorer.Score(t.Context(), slices.Values([]tokenize.Encoded{{IDs: []int32{1, 2}, Reply: 1}})) {
		if err == nil || err.Error() != "0 scores for 1 texts" {
			t.Errorf("error %v", err)
		}
	}
	bound, err := implicit.Once(implicit.Policy{Scorer: limited{m}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if n := bound.Scorer.(interface{ MaxTokens() int }).MaxTokens(); n != 100 {
		t.Errorf("a context of %d tokens, wanted 100", n)
	}
	if n := once.Scorer.(interface{ MaxTokens() int }).MaxTokens(); n < 1<<31 {
		t.Errorf("a context of %d tokens, wanted no limit", n)
	}
}
