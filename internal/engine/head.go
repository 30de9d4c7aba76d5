package engine

import (
	"context"
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// headRows is the number of states that the head takes at a time.
const headRows = 256

// sliceRows is the number of rows of the vocabulary that it takes at a time, so that
// logits stay in the cache (4,096 and 16,384 are slower, measured). Tests change it.
var sliceRows = 8192

// head computes what is wanted of a pass, from its final states, slice by slice of
// the vocabulary.
type head struct {
	e    *Engine
	rows []*rows
}

// rows are some final states and what is known of the logits after them so far.
type rows struct {
	wants  []*want
	x      []float32 // [S D]
	onDev  *tensors.Tensor
	top    []float64        // highest logit
	sum    []float64        // of exp(logit - top)
	sets   [][]bool         // over which something is summed: of each, a value for each of the vocabulary
	within [][]float64      // of the same as sum, over each of the sets
	best   [][]TokenLogProb // tokens with the highest logits, the highest first, where they are wanted
}

// release frees what is on the device.
func (h *head) release() {
	if h == nil {
		return
	}
	for _, r := range h.rows {
		if r.onDev != nil {
			r.onDev.MustFinalizeAll()
		}
	}
}

// group returns the rows that have room for one more.
func (h *head) group() *rows {
	if n := len(h.rows); n == 0 || len(h.rows[n-1].wants) == headRows {
		h.rows = append(h.rows, &rows{})
	}
	return h.rows[len(h.rows)-1]
}

// slice takes all states through one slice of the vocabulary. Until finish, results
// hold logits.
func (h *head) slice(ctx context.Context, piece *piece, results []Result) error {
	for _, r := range h.rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.one(r, piece, results); err != nil {
			return err
		}
	}
	return nil
}

func (h *head) one(r *rows, piece *piece, results []Result) error {
	e := h.e
	if r.onDev == nil {
		size := 1 << bits(len(r.wants))
		if size > chunkNodes {
			size = bucket(len(r.wants))
		}
		if e.invariant {
			var err error
			if size, err = e.rows(len(r.wants), size, true); err != nil {
				return err
			}
		}
		r.x = append(r.x, make([]float32, (size-len(r.wants))*e.model.D)...)
		r.onDev = tensors.FromFlatDataAndDimensions(r.x, size, e.model.D)
		r.x = nil
		n := len(r.wants)
		r.top, r.sum = make([]float64, n), make([]float64, n)
		for _, w := range r.wants {
			for _, in := range w.within {
				if setIndex(r.sets, in.set) < 0 {
					r.sets = append(r.sets, in.set)
					r.within = append(r.within, make([]float64, n))
				}
			}
		}
		r.best = make([][]TokenLogProb, n)
	}
	wantRows := false
	var pick []int32
	for i, w := range r.wants {
		wantRows = wantRows || len(w.rows) > 0 || w.top > 0
		for _, id := range w.ids {
			if piece.from <= int(id) && int(id) < piece.to {
				pick = append(pick, int32(i), id-int32(piece.from))
			}
		}
	}
	args := []*tensors.Tensor{r.onDev}
	for _, set := range r.sets {
		in := make([]float32, piece.to-piece.from)
		for i := range in {
			if set[piece.from+i] {
				in[i] = 1
			}
		}
		args = append(args, tensors.FromFlatDataAndDimensions(in, len(in)))
	}
	defer releaseAll(args[1:])
	out, err := e.call(fmt.Sprint("head ", len(r.sets)), headGraph(piece.part, piece.inOut(), len(r.sets)), append(args, piece.tensors()...))
	if err != nil {
		return err
	}
	defer releaseAll(out)
	logits := out[0]
	tops, sums := tensors.MustCopyFlatData[float32](out[1]), tensors.MustCopyFlatData[float32](out[2])
	within := make([][]float32, len(r.sets))
	for s := range within {
		within[s] = tensors.MustCopyFlatData[float32](out[3+s])
	}
	for i := range r.wants {
		top, old, new := float64(tops[i]), 1.0, 1.0 // factors of the sums so far, and of this slice's
		switch {
		case piece.from == 0:
			r.top[i] = top
		case top > r.top[i]:
			old, r.top[i] = math.Exp(r.top[i]-top), top
		default:
			new = math.Exp(top - r.top[i])
		}
		r.sum[i] = r.sum[i]*old + float64(sums[i])*new
		for s := range within {
			r.within[s][i] = r.within[s][i]*old + float64(within[s][i])*new
		}
	}
	if err := h.pick(r, piece, logits, pick, results); err != nil || !wantRows {
		return err
	}
	return tensors.ConstFlatData(logits, func(flat []float32) {
		width := piece.to - piece.from
		for i, w := range r.wants {
			for _, text := range w.rows {
				if results[text].Distribution == nil {
					results[text].Distribution = make([]float32, e.model.V)
				}
				copy(results[text].Distribution[piece.from:piece.to], flat[i*width:])
			}
			if w.top > 0 {
				r.best[i] = likeliest(r.best[i], w.top, flat[i*width:(i+1)*width], piece.from)
			}
		}
	})
}

// likeliest keeps the n highest of best and of logits, whose ids start at from.
func likeliest(best []TokenLogProb, n int, logits []float32, from int) []TokenLogProb {
	for j, x := range logits {
		if len(best) == n && !(x > best[n-1].LogProb) {
			continue
		}
		at := len(best)
		for at > 0 && x > best[at-1].LogProb {
			at--
		}
		if best = slices.Insert(best, at, TokenLogProb{int32(from + j), x}); len(best) > n {
			best = best[:n]
		}
	}
	return best
}

// pick copies the wanted logits, (row, column) pairs, from the device.
func (h *head) pick(r *rows, piece *piece, logits *tensors.Tensor, pick []int32, results []Result) error {
	if len(pick) == 0 {
		return nil
	}
	size := max(64, 1<<bits(len(pick)/2))
	picked, err := h.e.call("gather", gatherGraph, []*tensors.Tensor{logits, tensors.FromFlatDataAndDimensions(padded(pick, 2*size), size, 2)})
	if err != nil {
		return err
	}
	values := tensors.MustCopyFlatData[float32](picked[0])
	picked[0].MustFinalizeAll()
	n := 0
	for _, w := range r.wants {
		for k, id := range w.ids {
			if int(id) < piece.from || int(id) >= piece.to {
				continue
			}
			for _, to := range w.slot[k] {
				results[to.text].LogProbs[to.i] = values[n]
			}
			n++
		}
	}
	return nil
}

// finish turns logits into log-probabilities.
func (h *head) finish(results []Result) error {
	for _, r := range h.rows {
		for i, w := range r.wants {
			lse := r.top[i] + math.Log(r.sum[i])
			if math.IsNaN(lse) || math.IsInf(lse, 0) {
				return fmt.Errorf("engine: logits after a text are not finite (log-sum-exp %g): the checkpoint computes no distribution in %s", lse, h.e.dtype)
			}
			for _, slots := range w.slot {
				for _, to := range slots {
					at := &results[to.text].LogProbs[to.i]
					results[to.text].Greedy = results[to.text].Greedy && float64(*at) >= r.top[i]
					*at = logProb(*at, lse)
				}
			}
			for _, text := range w.rows {
				row := results[text].Distribution
				for j, x := range row {
					row[j] = logProb(x, lse)
				}
			}
			for _, to := range w.tops {
				top := results[to.text].Top[to.i]
				for j := range top {
					top[j] = TokenLogProb{r.best[i][j].ID, logProb(r.best[i][j].LogProb, lse)}
				}
			}
			for _, in := range w.within {
				sum := r.within[setIndex(r.sets, in.set)][i]
				results[in.text].Within = float32(min(math.Log(sum)-math.Log(r.sum[i]), 0))
			}
		}
	}
	return nil
}

// logProb is logit - lse, at most 0: rounding can leave a sure thing above.
func logProb(logit float32, lse float64) float32 { return float32(min(float64(logit)-lse, 0)) }

// setIndex is the place of a set in a list, by the slice's identity, or -1.
func setIndex(sets [][]bool, set []bool) int {
	return slices.IndexFunc(sets, func(s []bool) bool { return &s[0] == &set[0] })
}

// bits is the number of bits it takes to count to n-1.
func bits(n int) int {
	b := 0
	for 1<<b < n {
		b++
	}
	return b
}

// headGraph is x [S D], sets [C] each, weights with a slice [C D] of the vocabulary's
// matrix -> logits [S C], top [S], sum of exp(logit-top) [S], the same over each set.
func headGraph(part *arch.Part, inOut []bool, sets int) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		x, within, in := in[0], in[1:1+sets], in[1+sets:]
		logits := part.Graph(&arch.Pass{Weights: in, InOut: inOut}, x)
		top := ReduceMax(logits, -1)
		share := Exp(Sub(logits, InsertAxes(top, -1)))
		out := []*Node{logits, top, ReduceSum(share, -1)}
		for _, set := range within {
			out = append(out, ReduceSum(Mul(share, ExpandLeftToRank(set, 2)), -1))
		}
		return out
	}
}

// gatherGraph picks values of [S C] by (row, column) pairs [P 2].
func gatherGraph(in []*Node) []*Node { return []*Node{Gather(in[0], in[1])} }
