package logprob

import (
	"context"
	"iter"

	"github.com/implicitreward/implicitreward/internal/engine"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Query is a text and what is wanted of it, beside the log-probabilities of its reply.
type Query struct {
	Text tokenize.Encoded
	// Top asks for that many of the likeliest tokens, at every place of the reply and
	// after it.
	TopK int
	// Row asks for ln p of the whole vocabulary after the text.
	Distribution bool
}

// Answer is what a model says to a Query.
type Answer struct {
	Result
	// Top[i] are the likeliest tokens at place i of the reply, the likeliest first, of
	// equals the one with the lower id; Top[len(LogProb)] are those after it. nil if
	// not asked for. A token of the reply has the same bits here as in LogProb.
	Top [][]TokenLogProb
	// Row is as Next's; nil if not asked for.
	Distribution []float32
}

// TokenLogProb is a token and its log-probability at some place.
type TokenLogProb = engine.TokenLogProb

// Query answers queries of all kinds, in order, computing what their texts have in
// common once. Errors are as Score's; an empty text of which something is wanted is one.
func (m *Model) Query(ctx context.Context, queries iter.Seq[Query]) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		items := func(yield func(engine.Request) bool) {
			for q := range queries {
				if !yield(engine.Request{IDs: q.Text.IDs, From: q.Text.Reply, Distribution: q.Distribution, TopK: max(q.TopK, 0)}) {
					return
				}
			}
		}
		for r, err := range m.run(ctx, items) {
			if !yield(Answer{Result: Result{LogProbs: r.LogProbs, Greedy: r.Greedy}, Top: r.Top, Distribution: r.Distribution}, err) {
				return
			}
		}
	}
}

// Next yields ln p of every token of the vocabulary after each text (prompt and
// reply together), in order. A row has VocabSize() values and is the caller's to keep.
// Errors are as Score's; an empty text is one.
func (m *Model) Next(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		items := func(yield func(engine.Request) bool) {
			for t := range texts {
				if !yield(engine.Request{IDs: t.IDs, From: len(t.IDs), Distribution: true}) {
					return
				}
			}
		}
		for r, err := range m.run(ctx, items) {
			if !yield(r.Distribution, err) {
				return
			}
		}
	}
}
