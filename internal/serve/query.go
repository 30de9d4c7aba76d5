package serve

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// LM is what the server needs of a language model. *logprob.Model is one.
type LM interface {
	Tokenizer() *tokenize.Tokenizer // nil: the model takes token ids only
	Context() int                   // tokens of the longest text
	Rows() int                      // of the vocabulary
	Score(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error]
	Next(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[[]float32, error]
}

// query is a text and what is wanted of it.
type query struct {
	ids  []int32
	from int  // ln p of ids[from:] is wanted; from >= 1
	top  int  // above 0: also the likeliest tokens at each of these places, and at the one after the text
	row  bool // also ln p of the whole vocabulary after the text
}

// answer is what a query gets.
type answer struct {
	logProb []float32
	top     [][]likely // top[i] after ids[:from+i], i = 0 to len(logProb)
	row     []float32
}

type likely struct {
	id      int32
	logProb float32
}

// ask computes a batch of queries, in order.
func ask(ctx context.Context, m LM, queries []query) ([]answer, error) {
	answers := make([]answer, len(queries))
	var score, next []tokenize.Text
	var scored []int
	var use []func(row []float32)
	for i, q := range queries {
		a := &answers[i]
		a.logProb = make([]float32, len(q.ids)-q.from)
		if q.top == 0 {
			if len(q.ids) > q.from {
				score, scored = append(score, tokenize.Text{IDs: q.ids, Reply: q.from}), append(scored, i)
			}
			if q.row {
				next, use = append(next, tokenize.Text{IDs: q.ids, Reply: len(q.ids)}), append(use, func(row []float32) { a.row = row })
			}
			continue
		}
		// The row at every place: what the likeliest tokens are, and the log-probability of
		// the text's own token beside them, from the same numbers.
		a.top = make([][]likely, len(a.logProb)+1)
		for n := range a.top {
			at := q.from + n
			next = append(next, tokenize.Text{IDs: q.ids[:at], Reply: at})
			use = append(use, func(row []float32) {
				a.top[n] = likeliest(row, q.top)
				if at < len(q.ids) {
					a.logProb[n] = row[q.ids[at]]
				} else if q.row {
					a.row = row
				}
			})
		}
	}
	n := 0
	for s, err := range m.Score(ctx, slices.Values(score)) {
		if err != nil {
			return nil, err
		}
		if n == len(score) || len(s.LogProb) != len(answers[scored[n]].logProb) {
			return nil, fmt.Errorf("serve: score %d of %d does not fit its text", n, len(score))
		}
		answers[scored[n]].logProb = s.LogProb
		n++
	}
	rows := 0
	for row, err := range m.Next(ctx, slices.Values(next)) {
		if err != nil {
			return nil, err
		}
		if rows == len(next) || len(row) != m.Rows() {
			return nil, fmt.Errorf("serve: row %d of %d has %d values, wanted %d", rows, len(next), len(row), m.Rows())
		}
		use[rows](row)
		rows++
	}
	if n < len(score) || rows < len(next) {
		return nil, fmt.Errorf("serve: %d scores and %d rows, wanted %d and %d", n, rows, len(score), len(next))
	}
	for i, a := range answers {
		for _, v := range a.logProb {
			if v != v || math.IsInf(float64(v), 1) {
				return nil, fmt.Errorf("serve: text %d: log-probability %v, wanted a number or -Inf", i, v)
			}
		}
	}
	return answers, nil
}

// likeliest returns the k tokens with the highest log-probabilities, of equal ones those of
// lower id, likeliest first.
func likeliest(row []float32, k int) []likely {
	top := make([]likely, 0, k+1)
	for id, v := range row {
		if len(top) == k && (k == 0 || v <= top[k-1].logProb) {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, v, func(l likely, v float32) int {
			if l.logProb >= v { // equal ones stay before: their ids are lower
				return -1
			}
			return 1
		})
		top = slices.Insert(top, at, likely{int32(id), v})
		top = top[:min(k, len(top))]
	}
	return top
}
