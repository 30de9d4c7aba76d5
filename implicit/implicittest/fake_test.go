package implicittest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

var _ logprob.LM = (*implicittest.Fake)(nil)

// ExampleFake scores two replies with models that need no files.
func ExampleFake() {
	tuned, base := &implicittest.Fake{Seed: 1}, &implicittest.Fake{Seed: 2, Pairs: true}
	items := []implicit.Item{{Prompt: "What is best? ", Reply: "Love"}, {Prompt: "What is best? ", Reply: "Power"}}
	for r, err := range implicit.Rewards(context.Background(), implicit.Pair{Tuned: tuned.Chat(), Base: base.Raw()}, slices.Values(items)) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s %.3f, %d and %d tokens %v\n", r.Reply, r.LogRatio(), len(r.Tuned.LogProbs), len(r.Base.LogProbs), r.Flags())
	}
	// Output:
	// Love -5.282, 4 and 3 tokens [cut]
	// Power -12.358, 5 and 3 tokens [cut]
}

// TestFakeNumbers holds the distribution to its definition: log-probabilities are chained distributions, rows
// sum to 1, seeds and prefixes matter, and the numbers are those of every machine.
func TestFakeNumbers(t *testing.T) {
	f := &implicittest.Fake{Seed: 7}
	text, err := f.Raw().Encode(implicit.Item{Prompt: "ab", Reply: "cd"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(text.IDs, []int32{256, 'a', 'b', 'c', 'd'}) || text.Reply != 3 {
		t.Fatalf("text %+v", text)
	}
	score := one(t, f, text)
	for i := range score.LogProbs {
		row := next(t, f, tokenize.Encoded{IDs: text.IDs[:3+i]})
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		if math.Abs(sum-1) > 1e-5 || len(row) != 257 {
			t.Errorf("%d probabilities add up to %v", len(row), sum)
		}
		if got := score.LogProbs[i]; got != row[text.IDs[3+i]] {
			t.Errorf("token %d: %v, Next says %v", i, got, row[text.IDs[3+i]])
		}
		best := 0
		for v := range row {
			if row[v] > row[best] {
				best = v
			}
		}
		greedy := one(t, f, tokenize.Encoded{IDs: append(slices.Clone(text.IDs[:3+i]), int32(best)), Reply: 3 + i})
		if !greedy.Greedy || score.Greedy {
			t.Errorf("greedy: %v of the likeliest token, %v of the reply", greedy.Greedy, score.Greedy)
		}
	}
	other := one(t, &implicittest.Fake{Seed: 8}, text)
	if other.LogProbs[0] == score.LogProbs[0] || score.LogProbs[0] == score.LogProbs[1] {
		t.Errorf("seeds %v and %v", score.LogProbs, other.LogProbs)
	}
}

func one(t *testing.T, m logprob.LM, text tokenize.Encoded) (score logprob.Result) {
	t.Helper()
	for got, err := range logprob.Score(t.Context(), m, slices.Values([]tokenize.Encoded{text})) {
		if err != nil {
			t.Fatal(err)
		}
		score = got
	}
	return score
}

func next(t *testing.T, f *implicittest.Fake, text tokenize.Encoded) (row []float32) {
	t.Helper()
	for got, err := range logprob.Next(t.Context(), f, slices.Values([]tokenize.Encoded{text})) {
		if err != nil {
			t.Fatal(err)
		}
		row = got
	}
	return row
}

// TestFakeEncode: pairs of small letters are one token, also over the boundary.
func TestFakeEncode(t *testing.T) {
	text, err := (&implicittest.Fake{Pairs: true}).Chat().Encode(implicit.Item{Prompt: "hey", Reply: "you"})
	if err != nil {
		t.Fatal(err)
	}
	if text.Rendered != "User: hey\nAssistant: you" || text.Straddle || text.IDs[text.Reply] != 257+26*('y'-'a')+'o'-'a' {
		t.Errorf("%+v", text)
	}
	text, err = (&implicittest.Fake{Pairs: true}).Raw().Encode(implicit.Item{Prompt: "hey", Reply: "you"})
	if err != nil {
		t.Fatal(err)
	}
	if !text.Straddle || text.Reply != 2 || text.Spans[2] != [2]int{2, 4} {
		t.Errorf("%+v", text)
	}
	if _, err := (&implicittest.Fake{}).Raw().Encode(implicit.Item{Prompt: "a", Reply: "\xff"}); err == nil {
		t.Error("no error of text that is not UTF-8")
	}
}

// TestFakeErrors: what Fail says, the limit, and what is not scored.
func TestFakeErrors(t *testing.T) {
	down := errors.New("device lost")
	text := func(ids ...int32) tokenize.Encoded { return tokenize.Encoded{IDs: ids, Reply: 1} }
	for _, c := range []struct {
		f    *implicittest.Fake
		text tokenize.Encoded
		want string
	}{
		{&implicittest.Fake{Fail: func(logprob.Request) error { return down }}, text(256, 1), "implicittest: text 0: device lost"},
		{&implicittest.Fake{Limit: 2}, text(256, 1, 2), "implicittest: text 0: 3 tokens, wanted at most 2"},
		{&implicittest.Fake{}, text(256, 257), "implicittest: text 0: token id 257, wanted 0 to 256"},
		{&implicittest.Fake{}, tokenize.Encoded{IDs: []int32{1}}, "implicittest: text 0: the reply begins at the first token, which nothing predicts"},
		{&implicittest.Fake{}, tokenize.Encoded{IDs: []int32{1}, Reply: 2}, "implicittest: text 0: the reply begins at token 2 of 1"},
	} {
		for _, err := range logprob.Score(t.Context(), c.f, slices.Values([]tokenize.Encoded{c.text})) {
			if err == nil || err.Error() != c.want {
				t.Errorf("%v, wanted %s", err, c.want)
			}
		}
	}
	for _, err := range logprob.Next(t.Context(), &implicittest.Fake{}, slices.Values([]tokenize.Encoded{{}})) {
		if err == nil || !strings.Contains(err.Error(), "which nothing predicts") {
			t.Error(err)
		}
	}
}

// TestFakeWords: the whole of package implicit works on fakes, words that end included.
func TestFakeWords(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader("category,word\na,free\na,freedom\n"))
	if err != nil {
		t.Fatal(err)
	}
	prompts := []lexicon.Prompt{{Name: "p", Text: "Say: "}}
	o := &words.Options{Measures: []words.Measure{words.Pooled, words.WholeWord}}
	n := 0
	for w, err := range words.Rewards(t.Context(), implicit.Pair{Tuned: (&implicittest.Fake{Seed: 1}).Chat(), Base: (&implicittest.Fake{Seed: 2}).Raw()}, corpus, prompts, o) {
		if err != nil {
			t.Fatal(err)
		}
		pooled, ended := w.Scores[0], w.Scores[1]
		if !(ended.Tuned < pooled.Tuned) || !(ended.Base < pooled.Base) || math.IsInf(ended.Tuned, 0) {
			t.Errorf("%s: %+v, %+v", w.Term, pooled, ended)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d words", n)
	}
}

// TestFakeParallel scores from several goroutines, for the race detector.
func TestFakeParallel(t *testing.T) {
	f := &implicittest.Fake{Seed: 3}
	text, err := f.Raw().Encode(implicit.Item{Prompt: "a", Reply: "bc"})
	if err != nil {
		t.Fatal(err)
	}
	want := one(t, f, text)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for s, err := range logprob.Score(t.Context(), f, slices.Values([]tokenize.Encoded{text})) {
				if err != nil || !slices.Equal(s.LogProbs, want.LogProbs) {
					t.Error(s, err)
				}
			}
		})
	}
	wg.Wait()
}
