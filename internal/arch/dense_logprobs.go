package arch

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// LogProbs are a text's log-probabilities.
type LogProbs struct {
	Tokens []float64 // ln p(ids[i+1] | ids[:i+1])
	Next   []float64 // ln p of every row of the vocabulary after the text
}

// LogProbs computes each of the texts alone, of one token or more each.
func (d *Dense) LogProbs(ctx context.Context, texts [][]int32) ([]LogProbs, error) {
	all := make([]LogProbs, len(texts))
	sums := make([][]logSumExp, len(texts)) // of the logits after each token
	for i, ids := range texts {
		all[i] = LogProbs{Tokens: make([]float64, max(len(ids)-1, 0)), Next: make([]float64, d.Model.V)}
		sums[i] = make([]logSumExp, len(ids))
	}
	err := d.Logits(ctx, texts, func(text, from, to int, logits []float64) {
		ids, width := texts[text], to-from
		for t := range ids {
			row := logits[t*width : (t+1)*width]
			sums[text][t].add(row)
			switch {
			case t == len(ids)-1:
				copy(all[text].Next[from:to], row)
			case from <= int(ids[t+1]) && int(ids[t+1]) < to:
				all[text].Tokens[t] = row[int(ids[t+1])-from]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for i, ids := range texts {
		for t := range ids {
			lse := sums[i][t].value()
			if math.IsNaN(lse) || math.IsInf(lse, 0) {
				return nil, fmt.Errorf("arch: %s: text %d: the logits after token %d are not finite", d.Model.Type, i, t)
			}
			if t < len(ids)-1 {
				all[i].Tokens[t] -= lse
				continue
			}
			for v := range all[i].Next {
				all[i].Next[v] -= lse
			}
		}
	}
	return all, nil
}

// logSumExp is ln sum exp(x) over the numbers that were added: sum is that of exp(x - top).
// Its zero value has none.
type logSumExp struct{ top, sum float64 }

func (l *logSumExp) add(numbers []float64) {
	before := l.top
	if l.sum == 0 {
		before = math.Inf(-1)
	}
	l.top = max(before, slices.Max(numbers))
	l.sum *= math.Exp(before - l.top)
	for _, x := range numbers {
		l.sum += math.Exp(x - l.top)
	}
}

func (l *logSumExp) value() float64 { return l.top + math.Log(l.sum) }
