package implicit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

var _ logprob.LM = (*logprob.Model)(nil)

// fake is a model whose log-probability of a token depends on the token, the one
// before and a seed, and whose tokenizer cuts texts into pieces of size bytes. It
// counts the texts it scored.
type fake struct {
	limits
	seed   uint64
	size   int
	scored int
	ends   int // texts of which the end was asked for too
	spoil  func(*logprob.Result)
	err    error
}

// limits are a model's, which takes token ids alone, and has none to speak of.
type limits struct{}

func (limits) Tokenizer() *tokenize.Tokenizer { return nil }
func (limits) VocabSize() int                 { return math.MaxInt32 }
func (limits) MaxTokens() int                 { return math.MaxInt }

func (f *fake) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for t := range requests {
			if err := ctx.Err(); err != nil || f.err != nil {
				yield(logprob.Result{}, errors.Join(err, f.err))
				return
			}
			f.scored++
			s := logprob.Result{}
			for i := t.From; i < len(t.IDs); i++ {
				rng := rand.New(rand.NewPCG(f.seed, uint64(t.IDs[i])<<32|uint64(t.IDs[i-1])))
				s.LogProbs = append(s.LogProbs, float32(-10*rng.ExpFloat64()))
			}
			if t.Within != nil {
				f.ends++
				s.Within = s.LogProbs[len(s.LogProbs)-1] / 2
			}
			if f.spoil != nil {
				f.spoil(&s)
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// policy renders "prefix + prompt" and cuts prompt and reply apart from each other.
func (f *fake) policy(prefix string) *implicit.Policy {
	return &implicit.Policy{LM: f, Encode: func(it implicit.Item) (tokenize.Encoded, error) {
		prompt, reply := it.Prompt, it.Reply
		if strings.Contains(reply, "\x00") {
			return tokenize.Encoded{}, errors.New("fake: a NUL byte")
		}
		t := tokenize.Encoded{Rendered: prefix + prompt + reply, Start: len(prefix + prompt)}
		cut := func(from, to int) {
			for ; from < to; from += f.size {
				end := min(from+f.size, to)
				id := int32(1)
				for _, b := range []byte(t.Rendered[from:end]) {
					id = id*31 + int32(b)
				}
				t.IDs, t.Spans = append(t.IDs, id&math.MaxInt32), append(t.Spans, [2]int{from, end})
			}
		}
		cut(0, t.Start)
		t.Reply = len(t.IDs)
		cut(t.Start, len(t.Rendered))
		return t, nil
	}}
}

func items(n int) []implicit.Item {
	var all []implicit.Item
	for i := range n {
		all = append(all, implicit.Item{Prompt: fmt.Sprint("Q", i/7, "? "), Reply: fmt.Sprint("answer ", i), PromptName: fmt.Sprint("p", i/7)})
	}
	return all
}

// collect drains a stream that must not fail.
func collect(t *testing.T, stream iter.Seq2[implicit.Reward, error]) []implicit.Reward {
	t.Helper()
	var all []implicit.Reward
	for r, err := range stream {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestRewards runs more items than a window holds: order, the models' own texts, the
// sums, telescoping, and 0 against itself.
func TestRewards(t *testing.T) {
	tuned, base := &fake{seed: 1, size: 3}, &fake{seed: 2, size: 3}
	in := items(5000)
	got := collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy("User: "), Base: base.policy(""), Beta: 0.1}, slices.Values(in)))
	if len(got) != len(in) || tuned.scored != len(in) || base.scored != len(in) {
		t.Fatalf("%d rewards, %d and %d texts scored, want %d", len(got), tuned.scored, base.scored, len(in))
	}
	for i, r := range got {
		if !reflect.DeepEqual(r.Item, in[i]) || r.TunedText.Rendered != "User: "+in[i].Prompt+in[i].Reply || r.BaseText.Rendered != in[i].Prompt+in[i].Reply {
			t.Fatalf("%d: %+v, want %+v", i, r.Item, in[i])
		}
		if want := r.Tuned.Sum() - r.Base.Sum(); r.LogRatio() != want || r.Value() != 0.1*want || r.Index != i || r.PerByte() != want/float64(len(in[i].Reply)) ||
			r.MeanLogRatio() != r.Tuned.Mean()-r.Base.Mean() {
			t.Fatalf("%d: log-ratio %v, want %v", i, r.LogRatio(), want)
		}
		steps, ok := r.PerToken()
		if !ok || len(steps) != len(r.Tuned.LogProbs) || r.Flags() != nil {
			t.Fatalf("%d: %v, %v, flags %v", i, steps, ok, r.Flags())
		}
		sum := 0.0
		for k, s := range steps {
			if want := float64(r.Tuned.LogProbs[k]) - float64(r.Base.LogProbs[k]); s != want {
				t.Fatalf("%d: token %d: %v, want %v", i, k, s, want)
			}
			sum += s
		}
		near(t, "sum of token rewards", sum, r.LogRatio(), 1e-12)
	}
	for _, r := range collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: tuned.policy(""), Base: tuned.policy("")}, slices.Values(in[:50]))) {
		if r.LogRatio() != 0 || r.MeanLogRatio() != 0 {
			t.Errorf("a model against itself: %v, want 0", r.LogRatio())
		}
	}
}

// TestRewardsAcross has tokenizers that cut differently: a reward, but none per token.
func TestRewardsAcross(t *testing.T) {
	for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: (&fake{seed: 1, size: 2}).policy(""), Base: (&fake{seed: 2, size: 3}).policy("")}, slices.Values(items(3))) {
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := r.PerToken(); ok || v != nil || !reflect.DeepEqual(r.Flags(), []string{implicit.FlagCut}) {
			t.Errorf("%v, %v, flags %v", v, ok, r.Flags())
		}
		if r.LogRatio() == 0 {
			t.Error("no reward")
		}
	}
}

// TestRewardsItemErrors holds that what cannot be scored comes in its place and the
// rest goes on.
func TestRewardsItemErrors(t *testing.T) {
	in := items(5)
	in[0].Reply = "bad\x00"
	in[2].Reply = ""
	in[4] = implicit.Item{Prompt: "Q", Reply: "abandon*", Err: errors.New("a wildcard, wanted a word")}
	in = append(in, implicit.Item{Reply: "no prompt"}, implicit.Item{Prompt: "Q", Reply: strings.Repeat("long", 100)}, in[1])
	want := map[int]string{
		0: `implicit: reply "bad\x00" to p0: tuned model: fake: a NUL byte`,
		2: `implicit: reply "" to p0: empty, wanted text`,
		4: `implicit: reply "abandon*": a wildcard, wanted a word`,
		5: `implicit: reply "no prompt": tuned model: the reply begins at the first token, which nothing predicts: wanted a prompt`,
		6: `implicit: reply "` + strings.Repeat("long", 100) + `": base model: 135 tokens, wanted at most 100`,
	}
	base := (&fake{seed: 2, size: 3}).policy("")
	base.LM = limited{base.LM}
	i := 0
	for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: (&fake{seed: 1, size: 3}).policy(""), Base: base}, slices.Values(in)) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Reply != in[i].Reply || r.Index != i {
			t.Errorf("%d: %q, want %q", i, r.Reply, in[i].Reply)
		}
		if text := want[i]; text == "" && (r.Err != nil || r.LogRatio() == 0) || text != "" && (r.Err == nil || r.Err.Error() != text || r.TunedText.IDs != nil || !math.IsNaN(r.LogRatio())) {
			t.Errorf("%d: %v, want %s", i, r.Err, text)
		}
		i++
	}
	if i != len(in) {
		t.Errorf("%d results, want %d", i, len(in))
	}
}

// TestRewardsErrors holds that a scorer that fails or breaks its promise ends the
// stream with an error that says so.
func TestRewardsErrors(t *testing.T) {
	down := errors.New("device lost")
	for want, m := range map[string]*fake{
		"implicit: rewards: base model: device lost":                                                              {size: 3, err: down},
		`implicit: rewards: base model: reply "answer 0": 0 log-probabilities, wanted 3`:                          {size: 3, spoil: func(s *logprob.Result) { s.LogProbs = nil }},
		`implicit: rewards: base model: reply "answer 0": token 1: log-probability NaN, wanted a number or -Inf`:  {size: 3, spoil: func(s *logprob.Result) { s.LogProbs[1] = float32(math.NaN()) }},
		`implicit: rewards: base model: reply "answer 0": token 0: log-probability +Inf, wanted a number or -Inf`: {size: 3, spoil: func(s *logprob.Result) { s.LogProbs[0] = float32(math.Inf(1)) }},
	} {
		var last error
		for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: (&fake{seed: 1, size: 3}).policy(""), Base: m.policy("")}, slices.Values(items(5))) {
			if last != nil {
				t.Errorf("%s: another result after the error: %+v", want, r)
			}
			last = err
		}
		if last == nil || last.Error() != want {
			t.Errorf("%v, want %s", last, want)
		}
		if m.err != nil && !errors.Is(last, down) {
			t.Errorf("%v does not wrap its cause", last)
		}
	}
	short := &implicit.Policy{Encode: (&fake{size: 3}).policy("").Encode, LM: few{}}
	for _, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: short, Base: short}, slices.Values(items(2))) {
		if err == nil || err.Error() != "implicit: rewards: tuned model: 0 results for 2 texts" {
			t.Error(err)
		}
	}
}

// limited is a model with a context.
type limited struct{ logprob.LM }

func (limited) MaxTokens() int { return 100 }

func TestNoTokenizer(t *testing.T) {
	for _, p := range []*implicit.Policy{implicit.Raw(&fake{}), implicit.Chat(&fake{}, nil)} {
		if _, err := p.Encode(implicit.Item{Prompt: "Q", Reply: "a"}); err == nil || err.Error() != "no tokenizer, wanted one to make tokens of text" {
			t.Error(err)
		}
	}
}

// few scores nothing.
type few struct{ limits }

func (few) Run(context.Context, iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(func(logprob.Result, error) bool) {}
}

// TestRewardsStop holds that items are drawn a window at a time, and that break and a
// cancelled context stop the work.
func TestRewardsStop(t *testing.T) {
	const window = 4096 // as the documentation of Rewards says
	drawn := 0
	endless := func(yield func(implicit.Item) bool) {
		for yield(implicit.Item{Prompt: "Q? ", Reply: "a"}) {
			drawn++
		}
	}
	m := &fake{seed: 1, size: 3}
	n := 0
	for range implicit.Rewards(t.Context(), implicit.Pair{Tuned: m.policy(""), Base: m.policy("x")}, endless) {
		if n++; n == 10 {
			break
		}
	}
	if drawn >= window || m.scored != 2*window {
		t.Errorf("%d items drawn, %d texts scored, want one window of %d", drawn+1, m.scored, window)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n = 0
	var last error
	for _, err := range implicit.Rewards(ctx, implicit.Pair{Tuned: m.policy(""), Base: m.policy("x")}, endless) {
		if n++; n == 10 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n != window+1 {
		t.Errorf("%v after %d results, want the context's error after %d", last, n, window)
	}
	long := &fake{seed: 1, size: 1}
	longItem := implicit.Item{Prompt: strings.Repeat("x", 1<<17), Reply: "y"} // twice 131,073 tokens
	drawn = 0
	for range implicit.Rewards(t.Context(), implicit.Pair{Tuned: long.policy(""), Base: long.policy("")}, func(yield func(implicit.Item) bool) {
		for yield(longItem) {
			drawn++
		}
	}) {
		break
	}
	if long.scored != 4 {
		t.Errorf("%d long texts scored, want 4: two items fill a window of 2^19 tokens", long.scored)
	}
}

// TestPerToken holds what counts as the same cut: the pieces of the reply, wherever
// it stands.
func TestPerToken(t *testing.T) {
	text := func(rendered string, start, reply int, spans ...[2]int) tokenize.Encoded {
		return tokenize.Encoded{IDs: make([]int32, len(spans)), Reply: reply, Rendered: rendered, Start: start, Spans: spans}
	}
	for _, c := range []struct {
		name  string
		a, b  tokenize.Encoded
		ok    bool
		flags []string
	}{
		{"other prompts", text("Q:ab", 2, 1, [2]int{0, 2}, [2]int{2, 3}, [2]int{3, 4}), text("ab", 0, 0, [2]int{0, 1}, [2]int{1, 2}), true, nil},
		{"other pieces", text("Qab", 1, 1, [2]int{0, 1}, [2]int{1, 3}), text("ab", 0, 0, [2]int{0, 1}, [2]int{1, 2}), false, []string{"cut"}},
		{"other text", text("Qa", 1, 1, [2]int{0, 1}, [2]int{1, 2}), text("b", 0, 0, [2]int{0, 1}), false, []string{"cut", "text"}},
		{"from ids, the same", tokenize.Encoded{IDs: []int32{1, 5, 6}, Reply: 1}, tokenize.Encoded{IDs: []int32{5, 6}}, true, nil},
		{"from ids, others", tokenize.Encoded{IDs: []int32{1, 5, 6}, Reply: 1}, tokenize.Encoded{IDs: []int32{5, 7}}, false, []string{"cut"}},
	} {
		r := implicit.Reward{TunedText: c.a, BaseText: c.b, Tuned: logprob.Result{LogProbs: make([]float32, len(c.a.IDs)-c.a.Reply)}, Base: logprob.Result{LogProbs: make([]float32, len(c.b.IDs)-c.b.Reply)}}
		if _, ok := r.PerToken(); ok != c.ok || !reflect.DeepEqual(r.Flags(), c.flags) {
			t.Errorf("%s: %v, flags %v, want %v, %v", c.name, ok, r.Flags(), c.ok, c.flags)
		}
	}
	// Both first tokens reach back into the prompt, by different lengths.
	a, b := text("Q: ab", 3, 1, [2]int{0, 2}, [2]int{2, 4}, [2]int{4, 5}), text("Q:  ab", 4, 1, [2]int{0, 2}, [2]int{2, 5}, [2]int{5, 6})
	a.Straddle, b.Straddle, a.Special, b.Special = true, true, 1, 1
	r := implicit.Reward{TunedText: a, BaseText: b, Tuned: logprob.Result{LogProbs: []float32{-1, -2}}, Base: logprob.Result{LogProbs: []float32{-2, -2}}}
	if v, ok := r.PerToken(); !ok || !reflect.DeepEqual(v, []float64{1, 0}) || !reflect.DeepEqual(r.Flags(), []string{"tuned-straddle", "base-straddle", "tuned-special", "base-special"}) {
		t.Errorf("%v, %v, %v", v, ok, r.Flags())
	}
}

// TestLogRatioZero holds what probability 0 gives.
func TestLogRatioZero(t *testing.T) {
	zero, some := logprob.Result{LogProbs: []float32{-1, negInf}}, logprob.Result{LogProbs: []float32{-1, -2}}
	for _, c := range []struct {
		tuned, base logprob.Result
		want        float64
	}{{zero, zero, 0}, {some, zero, math.Inf(1)}, {zero, some, math.Inf(-1)}, {some, some, 0}} {
		if got := (implicit.Reward{Tuned: c.tuned, Base: c.base}).LogRatio(); got != c.want {
			t.Errorf("%v - %v = %v, want %v", c.tuned, c.base, got, c.want)
		}
	}
}

// TestMessages: an item is a prompt or a conversation, which a policy may not read.
func TestMessages(t *testing.T) {
	chat, plain := (&implicittest.Fake{Seed: 1}).Chat(), (&implicittest.Fake{Seed: 2}).Raw()
	user := []tokenize.Message{{Role: "user", Content: "Hi"}}
	items := []implicit.Item{{Prompt: "Hi", Reply: "love"}, {Messages: user, Reply: "love"}, {Messages: user, Prompt: "Hi", Reply: "love"}, {Messages: []tokenize.Message{}, Reply: "love"}}
	var got []float64
	for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: chat, Base: plain}, slices.Values(items)) {
		if err != nil {
			t.Fatal(err)
		}
		if want := map[int]string{2: "messages and a prompt, wanted one of them", 3: "no messages, wanted at least one"}[r.Index]; want == "" {
			if r.Err != nil {
				t.Errorf("item %d: %v", r.Index, r.Err)
			}
		} else if r.Err == nil || r.Err.Error() != `implicit: reply "love": tuned model: `+want {
			t.Errorf("item %d: %v", r.Index, r.Err)
		}
		got = append(got, r.LogRatio())
	}
	if len(got) != 4 || got[0] != got[1] || got[0] == 0 {
		t.Errorf("%v, wanted the same for a prompt and the one message of it", got)
	}
}

// TestReferenceFree: without a base model the reward is beta times the tuned model's sum.
func TestReferenceFree(t *testing.T) {
	chat, base := (&implicittest.Fake{Seed: 1}).Chat(), (&implicittest.Fake{Seed: 2}).Raw()
	list := items(3)
	with := collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: chat, Base: base}, slices.Values(list)))
	for i, r := range collect(t, implicit.Rewards(t.Context(), implicit.Pair{Tuned: chat, Beta: 0.5}, slices.Values(list))) {
		if r.LogRatio() != with[i].Tuned.Sum() || r.Value() != 0.5*r.LogRatio() || r.MeanLogRatio() != r.Tuned.Mean() || r.Flags() != nil || r.Err != nil {
			t.Errorf("item %d: %+v", i, r)
		}
		steps, ok := r.PerToken()
		spans, err := r.PerSpan()
		if !ok || err != nil || len(spans) != len(steps) {
			t.Fatalf("item %d: %v and %v, %v", i, steps, spans, err)
		}
		for k, s := range spans {
			if s.LogRatio() != steps[k] || steps[k] != float64(r.Tuned.LogProbs[k]) || s.Base != 0 {
				t.Errorf("item %d: span %d: %+v, step %v", i, k, s, steps[k])
			}
		}
	}
}
