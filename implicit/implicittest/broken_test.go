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
type scorer func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error]

func (s scorer) Score(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
	return s(ctx, texts)
}

// with makes the scores of a fake otherwise.
func with(f *implicittest.Fake, change func(n int, t tokenize.Text, s *logprob.Score)) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
			n := 0
			for t := range texts {
				for s, err := range f.Score(ctx, slices.Values([]tokenize.Text{t})) {
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
func all(f *implicittest.Fake, do func(ctx context.Context, texts []tokenize.Text, scores []logprob.Score, err error, yield func(logprob.Score, error) bool)) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
			list := slices.Collect(texts)
			var scores []logprob.Score
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
func give(scores []logprob.Score, err error, yield func(logprob.Score, error) bool) {
	for _, s := range scores {
		if !yield(s, nil) {
			return
		}
	}
	if err != nil {
		yield(logprob.Score{}, err)
	}
}

// rowed says how many rows there are, ranged how long texts may be.
type rowed struct{ scorer }

func (rowed) Rows() int { return 257 }

type ranged struct{ scorer }

func (ranged) Context() int { return 60 }

// ended is an EndScorer.
type ended struct {
	*implicittest.Fake
	change func(s *logprob.Score)
}

func (e ended) ScoreEnds(ctx context.Context, texts iter.Seq[tokenize.Text], ends []bool) iter.Seq2[logprob.Score, error] {
	return func(yield func(logprob.Score, error) bool) {
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
		"no scores": {all(f, func(_ context.Context, _ []tokenize.Text, _ []logprob.Score, err error, yield func(logprob.Score, error) bool) {
			give(nil, err, yield)
		}), "alone: number 0: 0 scores for 1 texts"},
		"a score too many": {all(f, func(_ context.Context, list []tokenize.Text, s []logprob.Score, err error, yield func(logprob.Score, error) bool) {
			give(append(s, logprob.Score{}), err, yield)
		}), "alone: number 0: more scores than the 1 texts"},
		"a score without texts": {all(f, func(_ context.Context, list []tokenize.Text, s []logprob.Score, err error, yield func(logprob.Score, error) bool) {
			if len(list) == 0 {
				s = append(s, logprob.Score{})
			}
			give(s, err, yield)
		}), "grouping: none: more scores than the 0 texts"},
		"one value too many": {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { s.LogProb = append(s.LogProb, -1) }), "log-probabilities for a reply of"},
		"NaN":                {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { put(s, float32(math.NaN())) }), "log-probability NaN"},
		"+Inf":               {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { put(s, float32(math.Inf(1))) }), "log-probability +Inf"},
		"above 0":            {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { put(s, 1e-6) }), "log-probability 1e-06, wanted a number of at most 0"},
		"surprisal":          {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { each(s, func(v float32) float32 { return -v }) }), "wanted a number of at most 0"},
		"wrong order": {all(f, func(_ context.Context, _ []tokenize.Text, s []logprob.Score, err error, yield func(logprob.Score, error) bool) {
			slices.Reverse(s)
			give(s, err, yield)
		}), "grouping: together: text 0: "},
		"by length": {all(f, func(_ context.Context, list []tokenize.Text, s []logprob.Score, err error, yield func(logprob.Score, error) bool) {
			slices.SortStableFunc(s, func(a, b logprob.Score) int { return len(b.LogProb) - len(a.LogProb) })
			give(s, err, yield)
		}), "grouping: together: "},
		"depends on its place": {with(f, func(n int, _ tokenize.Text, s *logprob.Score) {
			each(s, func(v float32) float32 { return v - float32(n)/100 })
		}), "grouping: together: text 1: token 0: "},
		"drifts": {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) {
			calls++
			each(s, func(v float32) float32 { return v - float32(calls)/100 })
		}), "and -"},
		"one buffer for all":  {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { s.LogProb = append(shared[:0], s.LogProb...) }), "grouping: together: "},
		"writes to the ids":   {with(f, func(_ int, t tokenize.Text, _ *logprob.Score) { t.IDs[len(t.IDs)-1] = 9 }), "its ids were written to"},
		"sees the next token": {with(f, func(_ int, t tokenize.Text, s *logprob.Score) { s.LogProb[0] -= float32(t.IDs[len(t.IDs)-1]) }), "chain: text 0: its first "},
		"forgets the prompt":  {forgets(f), "chain: text 0: after its first "},
		"mean of the reply": {with(f, func(_ int, _ tokenize.Text, s *logprob.Score) {
			m := float32(s.Mean())
			each(s, func(float32) float32 { return m })
		}), "chain: text 0: its first "},
		"no empty replies": {refuses(func(t tokenize.Text) error {
			if t.Reply == len(t.IDs) {
				return errors.New("no reply")
			}
			return nil
		}), "empty replies: "},
		"a value for nothing": {with(f, func(_ int, t tokenize.Text, s *logprob.Score) {
			if t.Reply == len(t.IDs) {
				s.LogProb = []float32{-1}
			}
		}), "empty replies: text 0: 1 log-probabilities for a reply of 0 tokens"},
		"no normalisation": {rowed{with(f, func(_ int, _ tokenize.Text, s *logprob.Score) { each(s, func(v float32) float32 { return v / 2 }) })}, "sum: after the prompt of text 0"},
		"base 2": {rowed{with(f, func(_ int, _ tokenize.Text, s *logprob.Score) {
			each(s, func(v float32) float32 { return v / math.Ln2 })
		})}, "sum: after the prompt of text 0"},
		"deaf to break":         {deaf(f), "break: panic: "},
		"draws on":              {draws(f), "break: more texts were drawn after the loop was left"},
		"broken by break":       {once(f), "break: the call after it: "},
		"ignores the context":   {ignores(f), "cancelled context: 8 scores and no error"},
		"another error":         {hides(f), "cancelled context: error \"sorry\", wanted one that is \"context canceled\""},
		"context only at first": {first(f), "context cancelled on the way: "},
		"any id":                {lenient(f, func(t tokenize.Text) bool { return t.IDs[len(t.IDs)-1] < 0 }), "errors: an id of -1: "},
		"panics at an id": {refuses(func(t tokenize.Text) error {
			if t.IDs[len(t.IDs)-1] < 0 {
				panic("index out of range")
			}
			return nil
		}),
			"errors: panic: "},
		"predicts the first token": {lenient(f, func(t tokenize.Text) bool { return t.Reply == 0 }), "errors: a reply that begins at the first token: "},
		"cuts long texts":          {ranged{lenient(f, func(t tokenize.Text) bool { return len(t.IDs) > 60 })}, "errors: a text longer than the context: "},
		"goes on after an error": {all(f, func(_ context.Context, list []tokenize.Text, s []logprob.Score, err error, yield func(logprob.Score, error) bool) {
			if give(s, err, yield); err != nil {
				yield(s0(list), nil)
			}
		}), "the scores went on after the error"},
		"ends above 1":       {ended{f, func(s *logprob.Score) { s.End += 0.1 }}, "ends: text 0: the probability of any token is 1.105"},
		"ends of no token":   {ended{f, func(s *logprob.Score) { s.End = max(s.End, -50) }}, "ends: text 0: the probability of no token is "},
		"other with ends":    {ended{f, func(s *logprob.Score) { put(s, -9) }}, "ends: text 0: token 0: "},
		"ends not asked for": {ended{f, func(s *logprob.Score) { s.End = 0 }}, "ends: text 0: the probability of no token is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var texts []tokenize.Text
			for _, reply := range []string{"Freedom!", " and power", "love", "ab", "tenderness", "kin", "warm", "strength."} {
				text, err := f.Plain().Encode("What is best?", reply)
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

func put(s *logprob.Score, v float32) {
	if len(s.LogProb) > 0 {
		s.LogProb[0] = v
	}
}

func each(s *logprob.Score, f func(float32) float32) {
	for i, v := range s.LogProb {
		s.LogProb[i] = f(v)
	}
}

func s0(list []tokenize.Text) logprob.Score {
	return logprob.Score{LogProb: make([]float32, len(list[0].IDs)-list[0].Reply)}
}

// refuses is a fake that fails so.
func refuses(fail func(t tokenize.Text) error) implicit.Scorer {
	return &implicittest.Fake{Seed: 5, Fail: fail}
}

// forgets conditions the reply on the last token of the prompt alone.
func forgets(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return f.Score(ctx, func(yield func(tokenize.Text) bool) {
			for t := range texts {
				if t.Reply > 0 {
					t = tokenize.Text{IDs: t.IDs[t.Reply-1:], Reply: 1}
				}
				if !yield(t) {
					return
				}
			}
		})
	}
}

// lenient gives -1 for every token of texts that cannot be scored.
func lenient(f *implicittest.Fake, bad func(tokenize.Text) bool) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
			for t := range texts {
				if ctx.Err() == nil && bad(t) {
					s := s0([]tokenize.Text{t})
					each(&s, func(float32) float32 { return -1 })
					if !yield(s, nil) {
						return
					}
					continue
				}
				for s, err := range f.Score(ctx, slices.Values([]tokenize.Text{t})) {
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
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
			for s, err := range f.Score(ctx, texts) {
				yield(s, err)
			}
		}
	}
}

// draws reads texts ahead in a goroutine that nobody stops.
func draws(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
			ahead := make(chan tokenize.Text, 1<<14)
			go func() {
				defer close(ahead)
				for t := range texts {
					ahead <- t
					time.Sleep(20 * time.Microsecond)
				}
			}()
			for s, err := range f.Score(ctx, func(yield func(tokenize.Text) bool) {
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
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
			if left {
				yield(logprob.Score{}, errors.New("busy"))
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
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return f.Score(context.WithoutCancel(ctx), texts)
	}
}

func first(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		if ctx.Err() != nil {
			return f.Score(ctx, texts)
		}
		return f.Score(context.WithoutCancel(ctx), texts)
	}
}

func hides(f *implicittest.Fake) scorer {
	return func(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
		return func(yield func(logprob.Score, error) bool) {
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
