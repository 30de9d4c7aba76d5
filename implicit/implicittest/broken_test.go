package implicittest_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// scorer is a scorer made of a function.
type scorer func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error]

func (s scorer) Score(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
	return s(ctx, texts)
}

// with makes the scores of a fake otherwise.
func with(f *implicittest.Fake, change func(n int, t tokenize.Encoded, s *logprob.Result)) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			n := 0
			for t := range texts {
				for s, err := range f.Score(ctx, slices.Values([]tokenize.Encoded{t})) {
					if err == nil {
						change(n, t, &s)
					}
					if !yield(s, err) || err != nil {
						return
					}
				}
				n++
			}
		}
	}
}

// all is a scorer that knows all texts before it scores the first.
func all(f *implicittest.Fake, do func(ctx context.Context, texts []tokenize.Encoded, scores []logprob.Result, err error, yield func(logprob.Result, error) bool)) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			list := slices.Collect(texts)
			var scores []logprob.Result
			for s, err := range f.Score(ctx, slices.Values(list)) {
				if err != nil {
					do(ctx, list, scores, err, yield)
					return
				}
				scores = append(scores, s)
			}
			do(ctx, list, scores, nil, yield)
		}
	}
}

// give yields scores and then the error.
func give(scores []logprob.Result, err error, yield func(logprob.Result, error) bool) {
	for _, s := range scores {
		if !yield(s, nil) {
			return
		}
	}
	if err != nil {
		yield(logprob.Result{}, err)
	}
}

// rowed says how many rows there are, ranged how long texts may be.
type rowed struct{ scorer }

func (rowed) VocabSize() int { return 257 }

type ranged struct{ scorer }

func (ranged) MaxTokens() int { return 60 }

// ended is an EndScorer.
type ended struct {
	*implicittest.Fake
	change func(s *logprob.Result)
}

func (e ended) ScoreEnds(ctx context.Context, texts iter.Seq[tokenize.Encoded], ends []bool) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for s, err := range e.Fake.ScoreEnds(ctx, texts, ends) {
			e.change(&s)
			if !yield(s, err) {
				return
			}
		}
	}
}

// TestBroken: every broken scorer is found, by the test that it breaks.
func TestBroken(t *testing.T) {
	f := &implicittest.Fake{Seed: 5}
	shared := make([]float32, 1000)
	calls := 0
	for name, c := range map[string]struct {
		scorer implicit.Scorer
		want   string
	}{
		"no scores": {all(f, func(_ context.Context, _ []tokenize.Encoded, _ []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			give(nil, err, yield)
		}), "alone: number 0: 0 scores for 1 texts"},
		"a score too many": {all(f, func(_ context.Context, list []tokenize.Encoded, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			give(append(s, logprob.Result{}), err, yield)
		}), "alone: number 0: more scores than the 1 texts"},
		"a score without texts": {all(f, func(_ context.Context, list []tokenize.Encoded, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			if len(list) == 0 {
				s = append(s, logprob.Result{})
			}
			give(s, err, yield)
		}), "grouping: none: more scores than the 0 texts"},
		"one value too many": {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { s.LogProbs = append(s.LogProbs, -1) }), "log-probabilities for a reply of"},
		"NaN":                {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { put(s, float32(math.NaN())) }), "log-probability NaN"},
		"+Inf":               {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { put(s, float32(math.Inf(1))) }), "log-probability +Inf"},
		"above 0":            {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { put(s, 1e-6) }), "log-probability 1e-06, wanted a number of at most 0"},
		"surprisal":          {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { each(s, func(v float32) float32 { return -v }) }), "wanted a number of at most 0"},
		"wrong order": {all(f, func(_ context.Context, _ []tokenize.Encoded, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			slices.Reverse(s)
			give(s, err, yield)
		}), "grouping: together: text 0: "},
		"by length": {all(f, func(_ context.Context, list []tokenize.Encoded, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			slices.SortStableFunc(s, func(a, b logprob.Result) int { return len(b.LogProbs) - len(a.LogProbs) })
			give(s, err, yield)
		}), "grouping: together: "},
		"depends on its place": {with(f, func(n int, _ tokenize.Encoded, s *logprob.Result) {
			each(s, func(v float32) float32 { return v - float32(n)/100 })
		}), "grouping: together: text 1: token 0: "},
		"drifts": {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) {
			calls++
			each(s, func(v float32) float32 { return v - float32(calls)/100 })
		}), "and -"},
		"one buffer for all":  {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { s.LogProbs = append(shared[:0], s.LogProbs...) }), "grouping: together: "},
		"writes to the ids":   {with(f, func(_ int, t tokenize.Encoded, _ *logprob.Result) { t.IDs[len(t.IDs)-1] = 9 }), "its ids were written to"},
		"sees the next token": {with(f, func(_ int, t tokenize.Encoded, s *logprob.Result) { s.LogProbs[0] -= float32(t.IDs[len(t.IDs)-1]) }), "chain: text 0: its first "},
		"forgets the prompt":  {forgets(f), "chain: text 0: after its first "},
		"mean of the reply": {with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) {
			m := float32(s.Mean())
			each(s, func(float32) float32 { return m })
		}), "chain: text 0: its first "},
		"no empty replies": {refuses(func(t tokenize.Encoded) error {
			if t.Reply == len(t.IDs) {
				return errors.New("no reply")
			}
			return nil
		}), "empty replies: "},
		"a value for nothing": {with(f, func(_ int, t tokenize.Encoded, s *logprob.Result) {
			if t.Reply == len(t.IDs) {
				s.LogProbs = []float32{-1}
			}
		}), "empty replies: text 0: 1 log-probabilities for a reply of 0 tokens"},
		"no normalisation": {rowed{with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) { each(s, func(v float32) float32 { return v / 2 }) })}, "sum: after the prompt of text 0"},
		"base 2": {rowed{with(f, func(_ int, _ tokenize.Encoded, s *logprob.Result) {
			each(s, func(v float32) float32 { return v / math.Ln2 })
		})}, "sum: after the prompt of text 0"},
		"deaf to break":         {deaf(f), "break: panic: "},
		"draws on":              {draws(f), "break: more texts were drawn after the loop was left"},
		"broken by break":       {once(f), "break: the call after it: "},
		"ignores the context":   {ignores(f), "cancelled context: 8 scores and no error"},
		"another error":         {hides(f), "cancelled context: error \"sorry\", wanted one that is \"context canceled\""},
		"context only at first": {first(f), "context cancelled on the way: "},
		"any id":                {lenient(f, func(t tokenize.Encoded) bool { return t.IDs[len(t.IDs)-1] < 0 }), "errors: an id of -1: "},
		"panics at an id": {refuses(func(t tokenize.Encoded) error {
			if t.IDs[len(t.IDs)-1] < 0 {
				panic("index out of range")
			}
			return nil
		}),
			"errors: panic: "},
		"predicts the first token": {lenient(f, func(t tokenize.Encoded) bool { return t.Reply == 0 }), "errors: a reply that begins at the first token: "},
		"cuts long texts":          {ranged{lenient(f, func(t tokenize.Encoded) bool { return len(t.IDs) > 60 })}, "errors: a text longer than the context: "},
		"goes on after an error": {all(f, func(_ context.Context, list []tokenize.Encoded, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			if give(s, err, yield); err != nil {
				yield(s0(list), nil)
			}
		}), "the scores went on after the error"},
		"ends above 1":       {ended{f, func(s *logprob.Result) { s.Within += 0.1 }}, "ends: text 0: the probability of any token is 1.105"},
		"ends of no token":   {ended{f, func(s *logprob.Result) { s.Within = max(s.Within, -50) }}, "ends: text 0: the probability of no token is "},
		"other with ends":    {ended{f, func(s *logprob.Result) { put(s, -9) }}, "ends: text 0: token 0: "},
		"ends not asked for": {ended{f, func(s *logprob.Result) { s.Within = 0 }}, "ends: text 0: the probability of no token is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var texts []tokenize.Encoded
			for _, reply := range []string{"Freedom!", " and power", "love", "ab", "tenderness", "kin", "warm", "strength."} {
				text, err := f.Raw().Encode("What is best?", reply)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
			err := implicittest.TestScorer(t.Context(), c.scorer, texts, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, wanted %q", err, c.want)
			}
		})
	}
}

func put(s *logprob.Result, v float32) {
	if len(s.LogProbs) > 0 {
		s.LogProbs[0] = v
	}
}

func each(s *logprob.Result, f func(float32) float32) {
	for i, v := range s.LogProbs {
		s.LogProbs[i] = f(v)
	}
}

func s0(list []tokenize.Encoded) logprob.Result {
	return logprob.Result{LogProbs: make([]float32, len(list[0].IDs)-list[0].Reply)}
}

// refuses is a fake that fails so.
func refuses(fail func(t tokenize.Encoded) error) implicit.Scorer {
	return &implicittest.Fake{Seed: 5, Fail: fail}
}

// forgets conditions the reply on the last token of the prompt alone.
func forgets(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return f.Score(ctx, func(yield func(tokenize.Encoded) bool) {
			for t := range texts {
				if t.Reply > 0 {
					t = tokenize.Encoded{IDs: t.IDs[t.Reply-1:], Reply: 1}
				}
				if !yield(t) {
					return
				}
			}
		})
	}
}

// lenient gives -1 for every token of texts that cannot be scored.
func lenient(f *implicittest.Fake, bad func(tokenize.Encoded) bool) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			for t := range texts {
				if ctx.Err() == nil && bad(t) {
					s := s0([]tokenize.Encoded{t})
					each(&s, func(float32) float32 { return -1 })
					if !yield(s, nil) {
						return
					}
					continue
				}
				for s, err := range f.Score(ctx, slices.Values([]tokenize.Encoded{t})) {
					if !yield(s, err) || err != nil {
						return
					}
				}
			}
		}
	}
}

// deaf goes on when the loop is left.
func deaf(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			for s, err := range f.Score(ctx, texts) {
				yield(s, err)
			}
		}
	}
}

// draws reads texts ahead in a goroutine that nobody stops.
func draws(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			ahead := make(chan tokenize.Encoded, 1<<14)
			go func() {
				defer close(ahead)
				for t := range texts {
					ahead <- t
					time.Sleep(20 * time.Microsecond)
				}
			}()
			for s, err := range f.Score(ctx, func(yield func(tokenize.Encoded) bool) {
				for t := range ahead {
					if !yield(t) {
						return
					}
				}
			}) {
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

// once works until a loop was left.
func once(f *implicittest.Fake) scorer {
	left := false
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			if left {
				yield(logprob.Result{}, errors.New("busy"))
				return
			}
			for s, err := range f.Score(ctx, texts) {
				if !yield(s, err) {
					left = true
					return
				}
			}
		}
	}
}

// ignores never looks at the context, first looks at it once, hides says another error.
func ignores(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return f.Score(context.WithoutCancel(ctx), texts)
	}
}

func first(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		if ctx.Err() != nil {
			return f.Score(ctx, texts)
		}
		return f.Score(context.WithoutCancel(ctx), texts)
	}
}

func hides(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			for s, err := range f.Score(ctx, texts) {
				if err != nil {
					err = errors.New("sorry")
				}
				if !yield(s, err) {
					return
				}
			}
		}
	}
}
