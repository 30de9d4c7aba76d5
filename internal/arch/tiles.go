package arch

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Tile is the number of rows that an expert takes at a time where so many tokens choose: the
// more, the less often its matrices are read, and the more rows are padding. A product of fewer
// than 32 rows takes hardly less time than one of 32.
func (m Experts) Tile(tokens int) int {
	rows := 32
	for rows < 128 && rows*m.E < tokens*m.K {
		rows *= 2
	}
	return rows
}

// Tiles is the most tiles that the choices of so many tokens can fill: of each expert one may
// hold a single row.
func (m Experts) Tiles(tokens int) int {
	pairs, rows := tokens*m.K, m.Tile(tokens)
	return (pairs + (rows-1)*min(m.E, pairs)) / rows
}

// sorted takes each token of x [T D] through the experts that it chose, order [T K], and returns
// what they give [T K D].
//
// Pairs of a token and an expert are sorted by expert, those of an expert begin with a tile of
// their own, and a loop takes the tiles one after the other, each through its expert's matrices,
// which are read once for each tile. No pair is left out: there is room for the most tiles that
// so many pairs can fill, and the loop ends with the last that is used.
func (m experts) sorted(s *Scope, x, order *Node) *Node {
	g, tokens := x.Graph(), x.Shape().Dimensions[0]
	t := m.tiles(Reshape(order, tokens*m.K))
	one := func(x, at *Node) *Node { return Gather(x, InsertAxes(at, 0)) }
	numbers := m.numbers(x)
	y := Zeros(g, shapes.Make(x.DType(), append(t.tokens.Shape().Dimensions, x.Shape().Dimensions[1])...)) // [tiles rows D]
	state := func(g *Graph) (at, done *Node) {
		return Parameter(g, "tile", shapes.Make(dtypes.Int32)), Parameter(g, "done", y.Shape())
	}
	more := NewClosure(g, func(g *Graph) []*Node {
		at, _ := state(g)
		return []*Node{LessThan(at, t.used)}
	})
	next := NewClosure(g, func(g *Graph) []*Node {
		at, done := state(g)
		e := one(t.expert, at)
		rows := Gather(x, InsertAxes(one(t.tokens, at), -1)) // [rows D]
		rows = m.expert(s, rows, func(of *Node) *Node { return one(of, e) }, numbers)
		return []*Node{Add(at, Const(g, int32(1))), put(done, rows, at)}
	})
	y = While(more, next, Const(g, int32(0)), y)[1]
	d := x.Shape().Dimensions[1]
	return Reshape(Gather(Reshape(y, -1, d), InsertAxes(t.row, -1)), tokens, m.K, d)
}

// put returns y [tiles rows D], which is 0 there, with the tile of one number. The pure-Go backend
// has no DynamicUpdateSlice, and XLA no scatter within a loop (go-xla v0.4.5).
func put(y, tile, number *Node) *Node {
	tile = InsertAxes(tile, 0)
	if y.Graph().Backend().String() == "go" {
		return ScatterSum(y, InsertAxes(number, 0, 0), tile, true, true)
	}
	zero := Const(y.Graph(), int32(0))
	return DynamicUpdateSlice(y, tile, []*Node{number, zero, zero})
}

// tiles are the places of P pairs, which stand for tokens in turn, sorted by expert.
type tiles struct {
	expert *Node // [tiles] of each tile
	tokens *Node // [tiles rows] of each of its rows; those beyond the last pair's hold any
	used   *Node // [] how many there are
	row    *Node // [P] of each pair, counted through all tiles
}

// tiles sorts the pairs; expert [P] is that of each.
func (m Experts) tiles(expert *Node) tiles {
	g, pairs := expert.Graph(), expert.Shape().Dimensions[0]
	rows, most := m.Tile(pairs/m.K), m.Tiles(pairs/m.K)
	iota := func(axis int, dims ...int) *Node { return Iota(g, shapes.Make(dtypes.Int32, dims...), axis) }
	wide := func(x *Node, axis int, dims ...int) *Node { return BroadcastToDims(InsertAxes(x, axis), dims...) }
	at := func(x, i *Node) *Node { return Gather(x, InsertAxes(i, -1)) }

	sorted, place, begin, count := m.byExpert(expert)
	filled := DivScalar(AddScalar(count, rows-1), rows) // tiles [E]
	first := m.sumBefore(filled)                        // its first tile

	tile := iota(0, most)
	done := LessOrEqual(wide(Add(first, filled), 0, most, m.E), wide(tile, 1, most, m.E))
	of := MinScalar(ReduceSum(ConvertDType(done, dtypes.Int32), 1), m.E-1)
	from := Add(at(begin, of), MulScalar(Sub(tile, at(first, of)), rows)) // its first pair [tiles]
	i := MinScalar(Add(wide(from, 1, most, rows), iota(1, most, rows)), pairs-1)
	return tiles{
		expert: of,
		tokens: DivScalar(at(sorted, i), m.K),
		used:   ReduceAllSum(filled),
		row:    Add(MulScalar(at(first, expert), rows), Sub(place, at(begin, expert))),
	}
}

// byExpert sorts P pairs by their experts [P], those of one in the order in which they came: the
// pairs by place, the place of each, and of each expert [E] the place of its first and how many are its.
func (m Experts) byExpert(expert *Node) (sorted, place, begin, count *Node) {
	g, pairs := expert.Graph(), expert.Shape().Dimensions[0]
	iota := func(axis int, dims ...int) *Node { return Iota(g, shapes.Make(dtypes.Int32, dims...), axis) }
	pair := iota(0, pairs)
	sorted = Sort(Add(MulScalar(expert, pairs), pair), 0, true) // unique, so there are no ties
	sorted = Sub(sorted, MulScalar(DivScalar(sorted, pairs), pairs))
	place = Scatter(InsertAxes(sorted, -1), pair, shapes.Make(dtypes.Int32, pairs), false, true)
	is := Equal(BroadcastToDims(InsertAxes(expert, 1), pairs, m.E), iota(1, pairs, m.E))
	count = ReduceSum(ConvertDType(is, dtypes.Int32), 0)
	return sorted, place, m.sumBefore(count), count
}

// sumBefore adds up, for each expert, the numbers [E] of those before it.
func (m Experts) sumBefore(x *Node) *Node {
	iota := func(axis int) *Node { return Iota(x.Graph(), shapes.Make(dtypes.Int32, m.E, m.E), axis) }
	before := ConvertDType(LessThan(iota(0), iota(1)), dtypes.Int32)
	return ReduceSum(Mul(before, BroadcastToDims(InsertAxes(x, 1), m.E, m.E)), 0)
}
