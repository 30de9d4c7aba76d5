package implicittest_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// answers are a model's, to requests.
type answers func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error]

// lm is a fake that answers otherwise.
type lm struct {
	*implicittest.Fake
	run answers
}

func (m lm) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return m.run(ctx, requests)
}

// with makes the scores of a fake otherwise.
func with(f *implicittest.Fake, change func(n int, t logprob.Request, s *logprob.Result)) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			n := 0
			for t := range requests {
				for s, err := range f.Run(ctx, slices.Values([]logprob.Request{t})) {
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
	}}
}

// all is a scorer that knows all texts before it scores the first.
func all(f *implicittest.Fake, do func(ctx context.Context, texts []logprob.Request, scores []logprob.Result, err error, yield func(logprob.Result, error) bool)) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			list := slices.Collect(requests)
			var scores []logprob.Result
			for s, err := range f.Run(ctx, slices.Values(list)) {
				if err != nil {
					do(ctx, list, scores, err, yield)
					return
				}
				scores = append(scores, s)
			}
			do(ctx, list, scores, nil, yield)
		}
	}}
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

// ranged says how long texts may be.
type ranged struct{ lm }

func (ranged) MaxTokens() int { return 60 }

// TestBroken: every broken model is found, by the test that it breaks.
func TestBroken(t *testing.T) {
	f := &implicittest.Fake{Seed: 5}
	shared := make([]float32, 1000)
	calls := 0
	for name, c := range map[string]struct {
		model logprob.LM
		want  string
	}{
		"no scores": {all(f, func(_ context.Context, _ []logprob.Request, _ []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			give(nil, err, yield)
		}), "alone: number 0: 0 scores for 1 texts"},
		"a score too many": {all(f, func(_ context.Context, list []logprob.Request, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			give(append(s, logprob.Result{}), err, yield)
		}), "alone: number 0: more scores than the 1 texts"},
		"a score without texts": {all(f, func(_ context.Context, list []logprob.Request, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			if len(list) == 0 {
				s = append(s, logprob.Result{})
			}
			give(s, err, yield)
		}), "grouping: none: more scores than the 0 texts"},
		"one value too many": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.LogProbs = append(s.LogProbs, -1) }), "log-probabilities for a reply of"},
		"NaN":                {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { put(s, float32(math.NaN())) }), "log-probability NaN"},
		"+Inf":               {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { put(s, float32(math.Inf(1))) }), "log-probability +Inf"},
		"above 0":            {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { put(s, 1e-6) }), "log-probability 1e-06, wanted a number of at most 0"},
		"surprisal":          {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { each(s, func(v float32) float32 { return -v }) }), "wanted a number of at most 0"},
		"wrong order": {all(f, func(_ context.Context, _ []logprob.Request, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			slices.Reverse(s)
			give(s, err, yield)
		}), "grouping: together: text 0: "},
		"by length": {all(f, func(_ context.Context, list []logprob.Request, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			slices.SortStableFunc(s, func(a, b logprob.Result) int { return len(b.LogProbs) - len(a.LogProbs) })
			give(s, err, yield)
		}), "grouping: together: "},
		"depends on its place": {with(f, func(n int, _ logprob.Request, s *logprob.Result) {
			each(s, func(v float32) float32 { return v - float32(n)/100 })
		}), "grouping: together: text 1: token 0: "},
		"drifts": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) {
			calls++
			each(s, func(v float32) float32 { return v - float32(calls)/100 })
		}), "and -"},
		"one buffer for all":  {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.LogProbs = append(shared[:0], s.LogProbs...) }), "grouping: together: "},
		"writes to the ids":   {with(f, func(_ int, t logprob.Request, _ *logprob.Result) { t.IDs[len(t.IDs)-1] = 9 }), "its ids were written to"},
		"sees the next token": {with(f, func(_ int, t logprob.Request, s *logprob.Result) { s.LogProbs[0] -= float32(t.IDs[len(t.IDs)-1]) }), "chain: text 0: its first "},
		"forgets the prompt":  {forgets(f), "chain: text 0: after its first "},
		"mean of the reply": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) {
			m := float32(s.Mean())
			each(s, func(float32) float32 { return m })
		}), "chain: text 0: its first "},
		"no empty replies": {refuses(func(t logprob.Request) error {
			if t.From == len(t.IDs) {
				return errors.New("no reply")
			}
			return nil
		}), "empty replies: "},
		"a value for nothing": {with(f, func(_ int, t logprob.Request, s *logprob.Result) {
			if t.From == len(t.IDs) {
				s.LogProbs = []float32{-1}
			}
		}), "empty replies: text 0: 1 log-probabilities for a reply of 0 tokens"},
		"no normalisation": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { each(s, func(v float32) float32 { return v / 2 }) }), "sum: after the prompt of text 0"},
		"base 2": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) {
			each(s, func(v float32) float32 { return v / math.Ln2 })
		}), "sum: after the prompt of text 0"},
		"deaf to break":         {deaf(f), "break: panic: "},
		"draws on":              {draws(f), "break: more texts were drawn after the loop was left"},
		"broken by break":       {once(f), "break: the call after it: "},
		"ignores the context":   {ignores(f), "cancelled context: 8 scores and no error"},
		"another error":         {hides(f), "cancelled context: error \"sorry\", wanted one that is \"context canceled\""},
		"context only at first": {first(f), "context cancelled on the way: "},
		"any id":                {lenient(f, func(t logprob.Request) bool { return t.IDs[len(t.IDs)-1] < 0 }), "errors: an id of -1: "},
		"panics at an id": {refuses(func(t logprob.Request) error {
			if t.IDs[len(t.IDs)-1] < 0 {
				panic("index out of range")
			}
			return nil
		}),
			"errors: panic: "},
		"predicts the first token": {lenient(f, func(t logprob.Request) bool { return t.From == 0 }), "errors: a reply that begins at the first token: "},
		"cuts long texts":          {ranged{lenient(f, func(t logprob.Request) bool { return len(t.IDs) > 60 })}, "errors: a text longer than the context: "},
		"goes on after an error": {all(f, func(_ context.Context, list []logprob.Request, s []logprob.Result, err error, yield func(logprob.Result, error) bool) {
			if give(s, err, yield); err != nil {
				yield(s0(list), nil)
			}
		}), "the scores went on after the error"},
		"ends above 1":     {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.Within += 0.1 }), "after the reply: text 0: the probability of a set of tokens is 1.105"},
		"ends of no token": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.Within = max(s.Within, -50) }), "after the reply: text 0: the probability of a set of tokens is 1.9"},
		"no distribution":  {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.Distribution = nil }), "after the reply: text 0: a distribution of 0 tokens"},
		"one too likely":   {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { spoil(s.Distribution) }), "the probabilities of the next token add up to"},
		"the unlikeliest": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) {
			for _, top := range s.Top {
				slices.Reverse(top)
			}
		}), "wanted the likeliest first"},
		"too few likely": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) {
			for i := range s.Top {
				s.Top[i] = s.Top[i][:1]
			}
		}), "place 0: 1 likeliest tokens, wanted 3"},
		"always greedy": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.Greedy = true }), "greedy is true"},
		"other with ends": {with(f, func(_ int, t logprob.Request, s *logprob.Result) {
			if t.Within != nil {
				put(s, -9)
			}
		}), "after the reply: text 0: token 0: "},
		"ends not asked for": {with(f, func(_ int, _ logprob.Request, s *logprob.Result) { s.Within = 0 }), "after the reply: text 0: the probability of a set of tokens is 1, the sum of theirs 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var texts []tokenize.Encoded
			for _, reply := range []string{"Freedom!", " and power", "love", "ab", "tenderness", "kin", "warm", "strength."} {
				text, err := f.Raw().Encode(implicit.Item{Prompt: "What is best?", Reply: reply})
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
			err := implicittest.TestLM(t.Context(), c.model, texts, nil)
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

// spoil makes the unlikeliest token a likely one.
func spoil(row []float32) {
	if len(row) > 0 {
		row[slices.Index(row, slices.Min(row))] = -0.5
	}
}

func s0(list []logprob.Request) logprob.Result {
	return logprob.Result{LogProbs: make([]float32, len(list[0].IDs)-list[0].From)}
}

// refuses is a fake that fails so.
func refuses(fail func(t logprob.Request) error) logprob.LM {
	return &implicittest.Fake{Seed: 5, Fail: fail}
}

// forgets conditions the reply on the last token of the prompt alone.
func forgets(f *implicittest.Fake) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return f.Run(ctx, func(yield func(logprob.Request) bool) {
			for t := range requests {
				if t.From > 0 {
					t = logprob.Request{IDs: t.IDs[t.From-1:], From: 1}
				}
				if !yield(t) {
					return
				}
			}
		})
	}}
}

// lenient gives -1 for every token of texts that cannot be scored.
func lenient(f *implicittest.Fake, bad func(logprob.Request) bool) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			for t := range requests {
				if ctx.Err() == nil && bad(t) {
					s := s0([]logprob.Request{t})
					each(&s, func(float32) float32 { return -1 })
					if !yield(s, nil) {
						return
					}
					continue
				}
				for s, err := range f.Run(ctx, slices.Values([]logprob.Request{t})) {
					if !yield(s, err) || err != nil {
						return
					}
				}
			}
		}
	}}
}

// deaf goes on when the loop is left.
func deaf(f *implicittest.Fake) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			for s, err := range f.Run(ctx, requests) {
				yield(s, err)
			}
		}
	}}
}

// draws goes on drawing the texts of a call, though its loop was left, when the next call comes.
func draws(f *implicittest.Fake) lm {
	var mu sync.Mutex
	rest := func() {} // draws what the call before has left
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			mu.Lock()
			defer mu.Unlock()
			rest()
			next, stop := iter.Pull(requests)
			rest = func() {
				for more := true; more; {
					_, more = next()
				}
				stop()
			}
			f.Run(ctx, func(yield func(logprob.Request) bool) {
				for r, ok := next(); ok && yield(r); r, ok = next() {
				}
			})(yield)
		}
	}}
}

// once works until a loop was left.
func once(f *implicittest.Fake) lm {
	left := false
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			if left {
				yield(logprob.Result{}, errors.New("busy"))
				return
			}
			for s, err := range f.Run(ctx, requests) {
				if !yield(s, err) {
					left = true
					return
				}
			}
		}
	}}
}

// ignores never looks at the context, first looks at it once, hides says another error.
func ignores(f *implicittest.Fake) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return f.Run(context.WithoutCancel(ctx), requests)
	}}
}

func first(f *implicittest.Fake) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		if ctx.Err() != nil {
			return f.Run(ctx, requests)
		}
		return f.Run(context.WithoutCancel(ctx), requests)
	}}
}

func hides(f *implicittest.Fake) lm {
	return lm{f, func(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
		return func(yield func(logprob.Result, error) bool) {
			for s, err := range f.Run(ctx, requests) {
				if err != nil {
					err = errors.New("sorry")
				}
				if !yield(s, err) {
					return
				}
			}
		}
	}}
}
