package plot

// Points draws points in facets beside each other: the end of training against
// the size of its data (the paper's figures 4b and A5b), or one score of words against
// another.
type Points struct {
	XLabel, YLabel string
	Reverse        bool     // the smallest y on top, as for ranks
	SharedY        bool     // one y axis for all facets
	Groups         []Group  // what the colours stand for
	Shapes         []string // what circle, triangle, diamond, square, cross and star stand for, in this order; nil: all are circles
	Ticks          []Tick   // of the x axis; nil: round numbers
	Break          float64  // the x at which the axis is broken; 0: nowhere
	Join           bool     // a dotted line joins the points of a facet that have the same X and Shape
	ZeroX, ZeroY   bool     // a line at x = 0, at y = 0
	Facets         []PointFacet
}

// A PointFacet is one panel of Points.
type PointFacet struct {
	Name   string
	Points []Point
	Note   string // in a line of its own over the data, such as "r = 0.31"
}

// A Point is one mark.
type Point struct {
	X, Y  float64
	Group int    // index into Groups
	Shape int    // index into Shapes
	Label string // beside the point; "": none
}

// A Tick is a place on an axis and what is written there.
type Tick struct {
	At    float64
	Label string
}

func (c *Points) check() error { return nil }
