package engine

import (
	"context"
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sync/errgroup"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// head computes the results of a step from its final hidden states, one slice of the
// vocabulary after the other, or the whole. Until finish, results hold logits.
type head struct {
	e       *Engine
	results []Result
	groups  []*states // after which logits are needed
	finals  []*states // that are asked for themselves
}

// states are some hidden states after which something is asked for, and the softmax over
// the slices of the vocabulary so far.
type states struct {
	outputs []*outputs      // of each state
	x       []float32       // [S D]
	device  *tensors.Tensor // [S D], with padding

	max       []float64 // the highest logit
	sum       []float64 // of exp(logit - max)
	sets      [][]bool  // all sets of tokens that are summed over
	within    [][]float64
	likeliest [][]TokenLogProb // tokens with the highest logits, the highest first
}

// release frees what is on the device.
func (h *head) release() {
	if h == nil {
		return
	}
	for _, g := range slices.Concat(h.groups, h.finals) {
		if g.device != nil {
			g.device.MustFinalizeAll()
		}
	}
}

// add enters a hidden state [D].
func (h *head) add(o *outputs, x []float32) {
	if o.scored() {
		h.groups = h.enter(h.groups, o, x)
	}
	if len(o.states) > 0 {
		h.finals = h.enter(h.finals, o, x)
	}
}

func (h *head) enter(groups []*states, o *outputs, x []float32) []*states {
	if n := len(groups); n == 0 || len(groups[n-1].outputs) == h.e.headStates {
		groups = append(groups, &states{})
	}
	g := groups[len(groups)-1]
	g.outputs = append(g.outputs, o)
	g.x = append(g.x, x...)
	return groups
}

// norm computes the states that are asked for themselves.
func (h *head) norm(ctx context.Context, shard *shard) error {
	d := h.e.model.D
	for _, g := range h.finals {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.upload(g); err != nil {
			return err
		}
		out, err := h.e.call(shard.on.device, "norm "+shard.layer.Key, normGraph(shard.layer, shard.inOut()), append([]*tensors.Tensor{g.device}, shard.tensors()...))
		if err != nil {
			return err
		}
		all := tensors.MustCopyFlatData[float32](out[0]) // [S D]
		releaseAll(out)
		for i, o := range g.outputs {
			state := all[i*d : (i+1)*d]
			if at := slices.IndexFunc(state, func(x float32) bool { return x-x != 0 }); at >= 0 {
				return fmt.Errorf("engine: the final state after a text has the value %g in channel %d: the checkpoint computes none in %s", state[at], at, h.e.dtype)
			}
			for _, t := range o.states {
				h.results[t.request].States[t.i] = slices.Clone(state)
			}
		}
	}
	return nil
}

// slice takes all states through one slice of the vocabulary.
func (h *head) slice(ctx context.Context, shard *shard) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(h.e.abreast)
	for _, g := range h.groups {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if g.device == nil {
				if err := h.upload(g); err != nil {
					return err
				}
			}
			return h.logits(g, shard)
		})
	}
	return group.Wait()
}

// upload puts a group on the device and makes room for its softmax.
func (h *head) upload(g *states) error {
	n := len(g.outputs)
	size := 1 << bits(n)
	if h.e.accelerated {
		size = fewSizes(n, h.e.headStates)
	} else if size > chunkTokens {
		size = bucket(n)
	}
	if h.e.invariant {
		var err error
		if size, err = h.e.rows(n, size, true); err != nil {
			return err
		}
	}
	d := h.e.model.D
	g.device = tensors.FromFlatDataAndDimensions(append(g.x, make([]float32, (size-n)*d)...), size, d)
	g.x = nil
	g.max, g.sum, g.likeliest = make([]float64, n), make([]float64, n), make([][]TokenLogProb, n)
	for _, o := range g.outputs {
		for _, sum := range o.sums {
			if setIndex(g.sets, sum.set) < 0 {
				g.sets = append(g.sets, sum.set)
				g.within = append(g.within, make([]float64, n))
			}
		}
	}
	return nil
}

// logits computes a group's logits over one slice of the vocabulary, and takes from them
// what is asked for.
func (h *head) logits(g *states, shard *shard) error {
	args := []*tensors.Tensor{g.device}
	if err := h.e.move(shard.on.device, args...); err != nil {
		return err
	}
	g.device = args[0]
	for _, set := range g.sets {
		members := make([]float32, shard.to-shard.from)
		for i := range members {
			if set[shard.from+i] {
				members[i] = 1
			}
		}
		args = append(args, tensors.FromFlatDataAndDimensions(members, len(members)))
	}
	whole := slices.ContainsFunc(g.outputs, func(o *outputs) bool { return len(o.distributions) > 0 || o.topK > 0 })
	parts := headParts{sets: len(g.sets), values: h.e.accelerated, logits: whole || !h.e.accelerated}
	at, to := g.wanted(shard, h.e.accelerated)
	if parts.values {
		args = append(args, at)
	}
	defer releaseAll(args[1:])
	out, err := h.e.call(shard.on.device, fmt.Sprintf("head %s %+v", shard.layer.Key, parts), headGraph(shard.layer, shard.inOut(), parts), append(args, shard.tensors()...))
	if err != nil {
		return err
	}
	defer releaseAll(out)
	sums := make([][]float32, 2+parts.sets)
	for i := range sums {
		sums[i] = tensors.MustCopyFlatData[float32](out[i])
	}
	g.accumulate(sums[0], sums[1], sums[2:], shard.from == 0)
	values := out[len(sums):]
	logits := out[len(out)-1]
	if !parts.values && len(to) > 0 {
		if values, err = h.e.call(shard.on.device, "gather", gatherGraph, []*tensors.Tensor{logits, at}); err != nil {
			return err
		}
		defer releaseAll(values)
	}
	if len(to) > 0 {
		h.take(to, tensors.MustCopyFlatData[float32](values[0]))
	}
	if !whole {
		return nil
	}
	return tensors.ConstFlatData(logits, func(flat []float32) { h.copy(g, shard, flat) })
}

// accumulate adds the highest logits and the sums of a slice, and of its parts within the
// sets, to those of the slices before it.
func (g *states) accumulate(highest, sum []float32, within [][]float32, first bool) {
	for i := range g.outputs {
		m, old, new := float64(highest[i]), 1.0, 1.0 // what both sums are to be multiplied by
		switch {
		case first:
			g.max[i] = m
		case m > g.max[i]:
			old, g.max[i] = math.Exp(g.max[i]-m), m
		default:
			new = math.Exp(m - g.max[i])
		}
		g.sum[i] = g.sum[i]*old + float64(sum[i])*new
		for s := range within {
			g.within[s][i] = g.within[s][i]*old + float64(within[s][i])*new
		}
	}
}

// wanted lists the logits of single tokens that are asked for in a slice, by row and column, [P 2],
// and where they go; few is whether there are to be few different P.
func (g *states) wanted(shard *shard, few bool) (*tensors.Tensor, [][]target) {
	var at []int32
	var to [][]target
	for i, o := range g.outputs {
		for k, id := range o.tokens {
			if shard.from <= int(id) && int(id) < shard.to {
				at = append(at, int32(i), id-int32(shard.from))
				to = append(to, o.logProbs[k])
			}
		}
	}
	size := max(64, 1<<bits(len(to)))
	if few {
		size = fewSizes(len(to), math.MaxInt)
	}
	return tensors.FromFlatDataAndDimensions(padded(at, 2*size), size, 2), to
}

// take puts the logits of single tokens in their places.
func (h *head) take(to [][]target, values []float32) {
	for n, targets := range to {
		for _, t := range targets {
			h.results[t.request].LogProbs[t.i] = values[n]
		}
	}
}

// copy takes distributions and likeliest tokens from the logits of a slice.
func (h *head) copy(g *states, shard *shard, logits []float32) {
	width := shard.to - shard.from
	for i, o := range g.outputs {
		row := logits[i*width : (i+1)*width]
		for _, request := range o.distributions {
			r := &h.results[request]
			if r.Distribution == nil {
				r.Distribution = make([]float32, h.e.model.V)
			}
			copy(r.Distribution[shard.from:], row)
		}
		if o.topK > 0 {
			g.likeliest[i] = likeliest(g.likeliest[i], o.topK, row, shard.from)
		}
	}
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

// finish turns logits into log-probabilities.
func (h *head) finish() error {
	for _, g := range h.groups {
		for i, o := range g.outputs {
			lse := g.max[i] + math.Log(g.sum[i])
			if math.IsNaN(lse) || math.IsInf(lse, 0) {
				return fmt.Errorf("engine: logits after a text are not finite (log-sum-exp %g): the checkpoint computes no distribution in %s", lse, h.e.dtype)
			}
			for _, targets := range o.logProbs {
				for _, t := range targets {
					r := &h.results[t.request]
					r.greedy[t.i] = float64(r.LogProbs[t.i]) >= g.max[i]
					r.Greedy = r.Greedy && r.greedy[t.i]
					r.LogProbs[t.i] = logProb(r.LogProbs[t.i], lse)
				}
			}
			for _, request := range o.distributions {
				all := h.results[request].Distribution
				for j, x := range all {
					all[j] = logProb(x, lse)
				}
			}
			for _, t := range o.tops {
				top := h.results[t.request].Top[t.i]
				for j := range top {
					top[j] = TokenLogProb{g.likeliest[i][j].ID, logProb(g.likeliest[i][j].LogProb, lse)}
				}
			}
			for _, sum := range o.sums {
				within := g.within[setIndex(g.sets, sum.set)][i]
				h.results[sum.request].Within = float32(min(math.Log(within)-math.Log(g.sum[i]), 0))
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

// headParts are what the head hands out of the logits over a slice beside the highest and the sum.
type headParts struct {
	sets   int  // the sums over so many sets
	values bool // single ones
	logits bool // all
}

// headGraph is x [S D], sets [C] each (, places [P 2] of single logits), weights with a slice [C D] of
// the vocabulary's matrix -> highest [S], sum of exp(logit-highest) [S], the same over each set (, single
// logits [P]) (, all [S C]).
func headGraph(layer *arch.Layer, inOut []bool, parts headParts) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		x, within, in := in[0], in[1:1+parts.sets], in[1+parts.sets:]
		var at *Node
		if parts.values {
			at, in = in[0], in[1:]
		}
		logits := layer.Apply(&arch.Scope{Weights: in, InOut: inOut}, x)
		highest := ReduceMax(logits, -1)
		share := Exp(Sub(logits, InsertAxes(highest, -1)))
		out := []*Node{highest, ReduceSum(share, -1)}
		for _, set := range within {
			out = append(out, ReduceSum(Mul(share, ExpandLeftToRank(set, 2)), -1))
		}
		if parts.values {
			out = append(out, Gather(logits, at))
		}
		if parts.logits {
			out = append(out, logits)
		}
		return out
	}
}

// normGraph is x [S D], weights -> [S D].
func normGraph(layer *arch.Layer, inOut []bool) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		return []*Node{layer.Apply(&arch.Scope{Weights: in[1:], InOut: inOut}, in[0])}
	}
}

// gatherGraph picks values of [S C] by (row, column) pairs [P 2].
func gatherGraph(in []*Node) []*Node { return []*Node{Gather(in[0], in[1])} }
