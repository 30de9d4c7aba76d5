package implicittest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// bos is the token before every text of a Fake; the ids below it are bytes.
const bos = 256

// defaultLimit is a Fake's context where it states none.
const defaultLimit = 1024

// Fake is a language model without weights or files, for tests of what is built on
// implicit: every next-token distribution is made of a hash of the tokens before it. It
// sums to 1, differs after every text, and is the same on every machine and in every
// run. The zero value is ready, and a Fake may be used by several goroutines.
//
// Its vocabulary are the 256 bytes (ids 0 to 255) and a BOS (256), which stands before
// every text; with Pairs, also every pair of small ASCII letters (257 + 26 first +
// second, letters counted from 0), so that a Fake with pairs and one without cut a text
// differently, and a prompt that ends in a letter makes a token straddle the boundary.
type Fake struct {
	Seed  uint64 // another seed, another model
	Pairs bool
	Limit int // the longest text in tokens; 0: 1,024
	// Fail, if not nil, is asked before each text; its error ends the scores in the
	// text's place.
	Fail func(tokenize.Encoded) error
}

// VocabSize is the size of the vocabulary.
func (f *Fake) VocabSize() int {
	if f.Pairs {
		return bos + 1 + 26*26
	}
	return bos + 1
}

// MaxTokens is the longest text in tokens.
func (f *Fake) MaxTokens() int {
	if f.Limit == 0 {
		return defaultLimit
	}
	return f.Limit
}

// Raw reads the prompt as it stands and the reply right after it.
func (f *Fake) Raw() implicit.Policy { return f.policy("", "") }

// Chat reads the prompt between "User: " and "\nAssistant: ", and then the reply; of a
// conversation so every message but the assistant's, which follow as they stand.
func (f *Fake) Chat() implicit.Policy { return f.policy("User: ", "\nAssistant: ") }

func (f *Fake) policy(before, after string) implicit.Policy {
	return implicit.Policy{
		Scorer: f,
		Encode: func(prompt, reply string) (tokenize.Encoded, error) { return f.encode(before+prompt+after, reply) },
		Conversation: func(messages []tokenize.Message, reply string) (tokenize.Encoded, error) {
			var b strings.Builder
			for _, m := range messages {
				if m.Role == "assistant" {
					b.WriteString(m.Content + "\n")
				} else {
					b.WriteString(before + m.Content + after)
				}
			}
			return f.encode(b.String(), reply)
		},
		Ends: f.ends,
	}
}

func (f *Fake) encode(prompt, reply string) (tokenize.Encoded, error) {
	t := tokenize.Encoded{Rendered: prompt + reply, Start: len(prompt), IDs: []int32{bos}, Spans: [][2]int{{0, 0}}}
	if !utf8.ValidString(t.Rendered) {
		return tokenize.Encoded{}, errors.New("implicittest: text that is not UTF-8")
	}
	small := func(i int) bool { return i < len(t.Rendered) && t.Rendered[i] >= 'a' && t.Rendered[i] <= 'z' }
	for i := 0; i < len(t.Rendered); {
		id, end := int32(t.Rendered[i]), i+1
		if f.Pairs && small(i) && small(i+1) {
			id, end = bos+1+26*int32(t.Rendered[i]-'a')+int32(t.Rendered[i+1]-'a'), i+2
		}
		t.IDs, t.Spans = append(t.IDs, id), append(t.Spans, [2]int{i, end})
		i = end
	}
	for t.Reply = 1; t.Reply < len(t.IDs) && t.Spans[t.Reply][1] <= t.Start; t.Reply++ {
	}
	t.Straddle = t.Reply < len(t.IDs) && t.Spans[t.Reply][0] < t.Start
	return t, nil
}

// ends is implicit.Ends for this vocabulary.
func (f *Fake) ends() []bool {
	ends := make([]bool, f.VocabSize())
	copy(ends, byteEnds()) // pairs of letters go on
	ends[bos] = true
	return ends
}

var byteEnds = sync.OnceValue(func() []bool {
	ends := make([]bool, bos)
	for b := range ends {
		ends[b] = implicit.EndsWord([]byte{byte(b)})
	}
	return ends
})

// Score yields ln p of the replies' tokens. A text longer than MaxTokens, an id outside the
// vocabulary, or a reply that nothing stands before, ends the scores with an error.
func (f *Fake) Score(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
	return f.score(ctx, texts, nil)
}

// ScoreEnds is Score, with Score.End.
func (f *Fake) ScoreEnds(ctx context.Context, texts iter.Seq[tokenize.Encoded], ends []bool) iter.Seq2[logprob.Result, error] {
	if ends == nil {
		ends = []bool{}
	}
	return f.score(ctx, texts, ends)
}

func (f *Fake) score(ctx context.Context, texts iter.Seq[tokenize.Encoded], ends []bool) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		n := 0
		for t := range texts {
			err := f.check(ctx, t)
			if err == nil && t.Reply == 0 && len(t.IDs) > 0 {
				err = errors.New("the reply begins at the first token, which nothing predicts")
			}
			if err != nil {
				yield(logprob.Result{}, fmt.Errorf("implicittest: text %d: %w", n, err))
				return
			}
			if !yield(f.one(t, ends), nil) {
				return
			}
			n++
		}
	}
}

func (f *Fake) one(t tokenize.Encoded, ends []bool) logprob.Result {
	s := logprob.Result{Greedy: true, LogProbs: make([]float32, 0, len(t.IDs)-t.Reply)}
	state := f.start(t.IDs[:t.Reply])
	for _, id := range t.IDs[t.Reply:] {
		row := f.row(state)
		s.LogProbs = append(s.LogProbs, row[id])
		for v, p := range row { // of equals the lower id is the likeliest
			s.Greedy = s.Greedy && (p < row[id] || p == row[id] && v >= int(id))
		}
		state = mix(state ^ uint64(id))
	}
	if ends != nil {
		sum := 0.0
		for v, p := range f.row(state) {
			if v < len(ends) && ends[v] {
				sum += math.Exp(float64(p))
			}
		}
		s.Within = float32(min(math.Log(sum), 0))
	}
	return s
}

// Next yields ln p of every token of the vocabulary after each text.
func (f *Fake) Next(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		n := 0
		for t := range texts {
			err := f.check(ctx, t)
			if err == nil && len(t.IDs) == 0 {
				err = errors.New("no tokens, wanted at least one")
			}
			if err != nil {
				yield(nil, fmt.Errorf("implicittest: text %d: %w", n, err))
				return
			}
			if !yield(f.row(f.start(t.IDs)), nil) {
				return
			}
			n++
		}
	}
}

func (f *Fake) check(ctx context.Context, t tokenize.Encoded) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Fail != nil {
		if err := f.Fail(t); err != nil {
			return err
		}
	}
	if len(t.IDs) > f.MaxTokens() {
		return fmt.Errorf("%d tokens, wanted at most %d", len(t.IDs), f.MaxTokens())
	}
	if t.Reply < 0 || t.Reply > len(t.IDs) {
		return fmt.Errorf("the reply begins at token %d of %d", t.Reply, len(t.IDs))
	}
	for _, id := range t.IDs {
		if id < 0 || int(id) >= f.VocabSize() {
			return fmt.Errorf("token id %d, wanted 0 to %d", id, f.VocabSize()-1)
		}
	}
	return nil
}

// start hashes the tokens before a place.
func (f *Fake) start(ids []int32) uint64 {
	state := mix(f.Seed)
	for _, id := range ids {
		state = mix(state ^ uint64(id))
	}
	return state
}

// row is ln p of every token after the tokens with that hash: logits between 0 and 8,
// normalised in float64.
func (f *Fake) row(state uint64) []float32 {
	logits := make([]float64, f.VocabSize())
	sum := 0.0
	for v := range logits {
		logits[v] = 8 * float64(mix(state+uint64(v))>>11) / (1 << 53)
		sum += math.Exp(logits[v])
	}
	row, total := make([]float32, len(logits)), math.Log(sum)
	for v, z := range logits {
		row[v] = float32(z - total)
	}
	return row
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, 2014) after one step.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
