package arch

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Round is the number of rows of each expert in a round where so many tokens choose: a power of two,
// and as many as all have if they are chosen alike.
func (m Experts) Round(tokens int) int {
	rows := 16
	for rows*m.E < tokens*m.K {
		rows *= 2
	}
	return rows
}

// rounds is sorted for a device that is slow where little is computed at a time, such as a GPU, which
// for some hundred tiles of a batch would have to be asked as often whether there is one more.
//
// A loop takes the next rows of all experts together, [E rows D] by [E 2F D], until the expert that
// most tokens chose is done: mostly two or three times. Where an expert has no more, its rows
// are computed for nothing.
func (m experts) rounds(s *Scope, x, order *Node) *Node {
	g, tokens, d := x.Graph(), x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	pairs, rows := tokens*m.K, m.Round(tokens)
	ints := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.Int32, dims...) }
	wide := func(x *Node, dims ...int) *Node { return BroadcastToDims(x, dims...) }

	expert := Reshape(order, pairs)
	sorted, place, begin, count := m.byExpert(expert)
	most := ReduceAllMax(count)
	// The token of each place [P+T+rows]; behind the last pair's any, since rounds go on until the expert
	// that most tokens chose is done, which T did at most.
	token := Concatenate([]*Node{DivScalar(sorted, m.K), Zeros(g, ints(tokens+rows))}, 0)
	turn := Sub(place, Gather(begin, InsertAxes(expert, -1))) // [P] of each pair among its expert's
	nowhere := Zeros(g, ints(pairs))
	numbers := m.numbers(x)

	// Within a loop of go-xla v0.4.5 sums and the like take what the loop hands on alone; products, comparisons and
	// Gather take what stands outside too.
	state := []*Node{
		Const(g, int32(0)),                         // the first turn of the round
		Zeros(g, shapes.Make(x.DType(), pairs, d)), // what the experts gave so far
		Add(wide(InsertAxes(begin, 1), m.E, rows), Iota(g, ints(m.E, rows), 1)), // the places of the first round's rows
		Add(MulScalar(expert, rows), turn),                                      // of each pair its row in the first round, were it that large
		Iota(g, ints(m.E), 0),                                                   // each expert's number
	}
	handed := func(g *Graph) (all []*Node) {
		for i, name := range []string{"from", "done", "row", "slot", "which"} {
			all = append(all, Parameter(g, name, state[i].Shape()))
		}
		return all
	}
	more := NewClosure(g, func(g *Graph) []*Node { return []*Node{LessThan(handed(g)[0], most)} })
	next := NewClosure(g, func(g *Graph) []*Node {
		all := handed(g)
		from, done, row, slot, which := all[0], all[1], all[2], all[3], all[4]
		to := Add(from, Const(g, int32(rows)))
		in := Gather(x, InsertAxes(Gather(token, InsertAxes(Add(row, wide(from, m.E, rows)), -1)), -1)) // [E rows D]
		out := m.expert(s, in, func(of *Node) *Node {
			if of.Rank() == 2 { // biases and numbers
				return Gather(of, InsertAxes(which, -1))
			}
			return of
		}, numbers)
		now := LogicalAnd(LessOrEqual(wide(from, pairs), turn), LessThan(turn, wide(to, pairs)))
		at := Where(now, Sub(slot, wide(from, pairs)), nowhere)
		out = Gather(Reshape(out, m.E*rows, d), InsertAxes(at, -1)) // [P D]
		return []*Node{to, Where(wide(InsertAxes(now, -1), pairs, d), out, done), row, slot, which}
	})
	return Reshape(While(more, next, state...)[1], tokens, m.K, d)
}
