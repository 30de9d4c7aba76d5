package train

import (
	"context"
	"errors"
	"math"

	"github.com/implicitreward/implicitreward/logprob"
)

// bigram is a model whose logits of the next token, and final state, are rows of two tables, with
// derivatives by hand: ln p(next | last) = log-softmax(w[last])[next], h = e[last].
type bigram struct {
	vocab, width int
	w, e         *logprob.Param
	tokens       int // of a pass
	passes       uint64
	closed       int
	spoil        func(group []logprob.Request, out []logprob.Outputs) // what a pass says of a group
}

func newBigram(vocab, width int) *bigram {
	table := func(name string, rows, columns int, of func(i float64) float64) *logprob.Param {
		p := &logprob.Param{Name: name, Shape: []int{rows, columns}, Value: make([]float32, rows*columns), Grad: make([]float32, rows*columns)}
		for i := range p.Value {
			p.Value[i] = float32(of(float64(i)))
		}
		return p
	}
	return &bigram{
		vocab: vocab, width: width, tokens: 12,
		w: table("w", vocab, vocab, func(i float64) float64 { return math.Sin(7 * i) }),
		e: table("e", vocab, width, func(i float64) float64 { return math.Cos(5 * i) }),
	}
}

func (b *bigram) Params() []*logprob.Param { return []*logprob.Param{b.w, b.e} }

// Split fills passes in order.
func (b *bigram) Split(groups [][]logprob.Request) (split [][]int) {
	room := 0
	for i, g := range groups {
		n := 0
		for _, r := range g {
			n += len(r.IDs)
		}
		if room < n {
			split, room = append(split, nil), b.tokens
		}
		split[len(split)-1], room = append(split[len(split)-1], i), room-n
	}
	return split
}

func (b *bigram) Update()        {}
func (b *bigram) Passes() uint64 { return b.passes }
func (b *bigram) Close()         {}

// logSoftmax is that of a row of w.
func (b *bigram) logSoftmax(row int32) []float64 {
	out := make([]float64, b.vocab)
	total := 0.0
	for i := range out {
		out[i] = float64(b.w.Value[int(row)*b.vocab+i])
		total += math.Exp(out[i])
	}
	for i := range out {
		out[i] -= math.Log(total)
	}
	return out
}

type bigramPass struct {
	*bigram
	groups [][]logprob.Request
	out    [][]logprob.Outputs
}

func (b *bigram) forward(ctx context.Context, groups [][]logprob.Request, evaluate bool) (pass, error) {
	if !evaluate {
		b.passes++
	}
	p := &bigramPass{bigram: b, groups: groups}
	for _, g := range groups {
		out := make([]logprob.Outputs, len(g))
		for i, r := range g {
			for j := r.From; j < len(r.IDs); j++ {
				out[i].LogProbs = append(out[i].LogProbs, b.logSoftmax(r.IDs[j-1])[r.IDs[j]])
			}
			for _, at := range r.States {
				state := make([]float64, b.width)
				for k := range state {
					state[k] = float64(b.e.Value[int(r.IDs[at])*b.width+k])
				}
				out[i].States = append(out[i].States, state)
			}
		}
		if b.spoil != nil {
			b.spoil(g, out)
		}
		p.out = append(p.out, out)
	}
	return p, ctx.Err()
}

func (p *bigramPass) outputs() [][]logprob.Outputs { return p.out }

func (p *bigramPass) Backward(ctx context.Context, adjoints [][]logprob.Outputs) error {
	if len(adjoints) != len(p.groups) {
		return errors.New("other groups than in the forward pass")
	}
	for g, group := range p.groups {
		for i, r := range group {
			for j, d := range adjoints[g][i].LogProbs {
				last, next := r.IDs[r.From+j-1], int(r.IDs[r.From+j])
				for k, l := range p.logSoftmax(last) {
					grad := -d * math.Exp(l)
					if k == next {
						grad += d
					}
					p.w.Grad[int(last)*p.vocab+k] += float32(grad)
				}
			}
			for j, state := range adjoints[g][i].States {
				for k, d := range state {
					p.e.Grad[int(r.IDs[r.States[j]])*p.width+k] += float32(d)
				}
			}
		}
	}
	return ctx.Err()
}

func (p *bigramPass) Close() { p.closed++ }
