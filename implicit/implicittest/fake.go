package implicittest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// bos is the first token of every text of a Fake; the ids below it are bytes.
const bos = 256

// defaultLimit is a Fake's default context length.
const defaultLimit = 1024

// Fake is a language model without weights or files, for testing what is built on implicit:
// every next-token distribution is computed from a hash of the tokens before it. It sums to
// 1, differs after every text, and is the same on every machine and in every run. The zero
// value is ready to use, and a Fake may be used by several goroutines.
//
// The vocabulary is the 256 bytes (ids 0 to 255) and a BOS (256) that begins every text;
// with Pairs, also every pair of small ASCII letters (257 + 26 first + second, letters
// counted from 0). So a Fake with pairs and one without tokenize a text differently, and
// after a prompt that ends in a letter a token may straddle the boundary.
type Fake struct {
	Seed  uint64 // different seeds are different models
	Pairs bool
	Limit int // MaxTokens; 0 means 1,024
	// Fail, if not nil, is called before each text; an error ends the results there.
	Fail func(logprob.Request) error
}

// VocabSize returns the vocabulary size.
func (f *Fake) VocabSize() int {
	if f.Pairs {
		return bos + 1 + 26*26
	}
	return bos + 1
}

// MaxTokens returns the length of the longest text, in tokens.
func (f *Fake) MaxTokens() int {
	if f.Limit == 0 {
		return defaultLimit
	}
	return f.Limit
}

// Tokenizer returns nil: a Fake has no tokenizer files.
func (f *Fake) Tokenizer() *tokenize.Tokenizer { return nil }

// Raw is the policy that reads the prompt as plain text, followed directly by the reply.
func (f *Fake) Raw() *implicit.Policy { return f.policy("", "") }

// Chat is the policy that reads "User: ", the prompt, "\nAssistant: " and the reply (with
// Item.EndTurn also a line end). Every message of a conversation but the assistant's is
// rendered so; the assistant's messages follow as plain text.
func (f *Fake) Chat() *implicit.Policy { return f.policy("User: ", "\nAssistant: ") }

func (f *Fake) policy(before, after string) *implicit.Policy {
	encode := func(it implicit.Item) (tokenize.Encoded, error) {
		var b strings.Builder
		for _, m := range it.Conversation() {
			if m.Role == "assistant" {
				b.WriteString(m.Content + "\n")
			} else {
				b.WriteString(before + m.Content + after)
			}
		}
		reply := it.Reply
		if it.EndTurn {
			reply += "\n"
		}
		return f.encode(b.String(), reply)
	}
	return &implicit.Policy{LM: f, Encode: encode, WordBoundaries: f.ends}
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

// ends is words.Boundaries for this vocabulary.
func (f *Fake) ends() []bool {
	ends := make([]bool, f.VocabSize())
	copy(ends, byteEnds()) // pairs of letters continue a word
	ends[bos] = true
	return ends
}

var byteEnds = sync.OnceValue(func() []bool {
	ends := make([]bool, bos)
	for b := range ends {
		ends[b] = words.IsBoundary([]byte{byte(b)})
	}
	return ends
})

// Run computes each result independently. A text longer than MaxTokens, an id outside the
// vocabulary, or a reply without a token before it ends the results with an error.
func (f *Fake) Run(ctx context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		n := 0
		for r := range requests {
			if err := f.check(ctx, r); err != nil {
				yield(logprob.Result{}, fmt.Errorf("implicittest: text %d: %w", n, err))
				return
			}
			if !yield(f.answer(r), nil) {
				return
			}
			n++
		}
	}
}

func (f *Fake) answer(r logprob.Request) logprob.Result {
	out := logprob.Result{Greedy: true, LogProbs: make([]float32, 0, len(r.IDs)-r.From)}
	state := f.start(r.IDs[:r.From])
	row := f.row(state)
	if r.TopK > 0 {
		out.Top = append(out.Top, top(row, r.TopK))
	}
	for _, id := range r.IDs[r.From:] {
		out.LogProbs = append(out.LogProbs, row[id])
		for v, p := range row { // ties go to the lower id
			out.Greedy = out.Greedy && (p < row[id] || p == row[id] && v >= int(id))
		}
		state = mix(state ^ uint64(id))
		row = f.row(state)
		if r.TopK > 0 {
			out.Top = append(out.Top, top(row, r.TopK))
		}
	}
	if r.Within != nil {
		sum := 0.0
		for v, p := range row {
			if v < len(r.Within) && r.Within[v] {
				sum += math.Exp(float64(p))
			}
		}
		out.Within = float32(min(math.Log(sum), 0))
	}
	if r.Distribution {
		out.Distribution = row
	}
	return out
}

// top returns the k likeliest tokens of a row; of ties the lower id comes first.
func top(row []float32, k int) []logprob.TokenLogProb {
	all := make([]logprob.TokenLogProb, len(row))
	for v, p := range row {
		all[v] = logprob.TokenLogProb{ID: int32(v), LogProb: p}
	}
	slices.SortStableFunc(all, func(a, b logprob.TokenLogProb) int { return cmp.Compare(b.LogProb, a.LogProb) })
	return slices.Clip(all[:min(k, len(all))])
}

func (f *Fake) check(ctx context.Context, r logprob.Request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Fail != nil {
		if err := f.Fail(r); err != nil {
			return err
		}
	}
	if len(r.IDs) > f.MaxTokens() {
		return fmt.Errorf("%d tokens, wanted at most %d", len(r.IDs), f.MaxTokens())
	}
	if r.From < 0 || r.From > len(r.IDs) {
		return fmt.Errorf("the reply begins at token %d of %d", r.From, len(r.IDs))
	}
	if r.From == 0 && (len(r.IDs) > 0 || r.TopK > 0 || r.Distribution || r.Within != nil) {
		return errors.New("the reply begins at the first token, which nothing predicts")
	}
	for _, id := range r.IDs {
		if id < 0 || int(id) >= f.VocabSize() {
			return fmt.Errorf("token id %d, wanted 0 to %d", id, f.VocabSize()-1)
		}
	}
	return nil
}

// start hashes the tokens before a position.
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
