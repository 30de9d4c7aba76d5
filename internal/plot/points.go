package plot

import "fmt"

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

func (c *Points) check() error {
	const name = "points"
	err := first(filled(name, "Facets", len(c.Facets)), filled(name, "Groups", len(c.Groups)), finite(name, "Break", c.Break))
	if err != nil {
		return err
	}
	for i, t := range c.Ticks {
		if err := finite(name, fmt.Sprintf("Ticks[%d].At", i), t.At); err != nil {
			return err
		}
		if i > 0 && !(t.At > c.Ticks[i-1].At) {
			return fmt.Errorf("plot: points: Ticks[%d].At is %v after %v, wanted ascending ticks", i, t.At, c.Ticks[i-1].At)
		}
	}
	n := 0
	for i, f := range c.Facets {
		n += len(f.Points)
		for j, q := range f.Points {
			at := fmt.Sprintf("Facets[%d].Points[%d]", i, j)
			err := first(finite(name, at+".X", q.X), finite(name, at+".Y", q.Y),
				within(name, at+".Group", q.Group, len(c.Groups), "Groups"), within(name, at+".Shape", q.Shape, max(len(c.Shapes), 1), "Shapes"))
			if err != nil {
				return err
			}
		}
	}
	return filled(name, "every Facet", n)
}

func (c *Points) plane() *plane {
	f := &plane{xlabel: c.XLabel, ylabel: c.YLabel, reverse: c.Reverse, sharedY: c.SharedY, ticks: c.Ticks, breakAt: c.Break}
	var all extent
	for _, t := range c.Ticks {
		f.x.add(t.At)
	}
	for _, facet := range c.Facets {
		for _, q := range facet.Points {
			f.x.add(q.X)
			all.add(q.Y)
		}
	}
	if c.ZeroX {
		f.x.add(0)
	}
	if c.Break != 0 {
		f.x.add(c.Break)
	}
	for _, facet := range c.Facets {
		var y extent
		for _, q := range facet.Points {
			y.add(q.Y)
		}
		if !y.any {
			y = all
		}
		if c.ZeroY {
			y.add(0)
		}
		f.names, f.y = append(f.names, facet.Name), append(f.y, y.padded(0.08, 0.08))
	}
	f.x = f.x.padded(0.07, 0.07)
	return f
}

func (c *Points) size(*pen) float64 { return c.plane().width() }

func (c *Points) height(*pen, float64) float64 { return c.plane().height() }

func (c *Points) legend() []entry {
	colors := palette(c.Groups)
	groups, kinds := make([]bool, len(c.Groups)), make([]bool, len(c.Shapes))
	for _, f := range c.Facets {
		for _, q := range f.Points {
			groups[q.Group] = true
			if len(kinds) > 0 {
				kinds[q.Shape] = true
			}
		}
	}
	var out []entry
	for i, g := range c.Groups {
		if groups[i] {
			out = append(out, marked(g.Name, 0, colors[i]))
		}
	}
	for i, s := range c.Shapes {
		if kinds[i] && len(c.Shapes) > 1 {
			out = append(out, marked(s, i, muted))
		}
	}
	return out
}

func (c *Points) draw(p *pen, area rect) error {
	panels, err := c.plane().draw(p, area)
	if err != nil {
		return err
	}
	for i, f := range c.Facets {
		c.facet(p, f, panels[i])
	}
	return nil
}

func (c *Points) facet(p *pen, f PointFacet, to panel) {
	zero := stroke{0.8, ink, 0.6, nil}
	if c.ZeroX {
		p.line(to.x.at(0), to.y0, to.x.at(0), to.y1, zero)
	}
	if c.ZeroY {
		p.line(to.x0, to.y.at(0), to.x1, to.y.at(0), zero)
	}
	labels := labeller{panel: to.rect}
	at := make([]xy, len(f.Points))
	for i, q := range f.Points {
		at[i] = xy{to.x.at(q.X), to.y.at(q.Y)}
	}
	labels.marks = at
	if c.Join {
		for _, way := range joined(f.Points, at) {
			p.poly(way, stroke{0.9, stem, solid, []float64{1.2, 1.8}})
			labels.lines = append(labels.lines, way)
		}
	}
	radius, alpha := 3.2, 0.95
	if len(f.Points) > 60 {
		radius, alpha = 1.7, 0.6
	}
	if len(f.Points) > 600 {
		radius, alpha = 1.1, 0.45
	}
	c.marks(p, f, at, radius, alpha)
	if b := p.block(f.Note, tickStyle, to.w()-8); b.h > 0 {
		r := p.note(b, to.rect, at)
		labels.taken = append(labels.taken, r)
	}
	c.labels(p, f, at, labels, max(radius, 2))
}

// joined returns, for the points of the same X and Shape, the line from the lowest to the highest.
func joined(points []Point, at []xy) [][]xy {
	var out [][]xy
	for i, q := range points {
		low, high, one := at[i], at[i], true
		for j, r := range points {
			if r.X == q.X && r.Shape == q.Shape && i != j {
				one = one && j > i // else the line is there
				low.y, high.y = min(low.y, at[j].y), max(high.y, at[j].y)
			}
		}
		if one && low != high {
			out = append(out, []xy{low, high})
		}
	}
	return out
}

// marks draws the points, those of one group and shape together where they are many.
func (c *Points) marks(p *pen, f PointFacet, at []xy, radius, alpha float64) {
	colors := palette(c.Groups)
	for g := range c.Groups {
		var dots []xy
		for i, q := range f.Points {
			switch {
			case q.Group != g:
			case q.Shape%shapes == 0 && len(at) > 60:
				dots = append(dots, at[i])
			default:
				p.shape(q.Shape, at[i], radius, colors[g], alpha)
			}
		}
		p.dots(dots, radius, colors[g], alpha)
	}
}

// labels writes the labels of points, and marks these out among the others.
func (c *Points) labels(p *pen, f PointFacet, at []xy, labels labeller, radius float64) {
	colors := palette(c.Groups)
	var blocks []block
	var places []rect
	for i, q := range f.Points {
		b, place := labels.place(p, q.Label, style{tickSize, false, colors[q.Group].dark()}, at[i], false)
		if b.h > 0 {
			p.pointer(at[i], place)
			p.shape(q.Shape, at[i], radius+0.8, white, solid)
			p.shape(q.Shape, at[i], radius, colors[q.Group], solid)
			blocks, places = append(blocks, b), append(places, place)
		}
	}
	for i, b := range blocks { // over the pointers to others
		p.box(places[i].inset(-0.5), white, 0.75, stroke{})
		p.put(b, places[i].cx(), places[i].cy(), atCentre)
	}
}

// note writes text in the corner of a panel that has the fewest points.
func (p *pen) note(b block, r rect, at []xy) rect {
	best, fewest := rect{}, len(at)+1
	for _, corner := range []anchor{{1, 1}, {0, 1}, {0, 0}, {1, 0}} {
		x, y := r.x0+3+corner.x*(r.w()-6-b.w), r.y0+3+corner.y*(r.h()-6-b.h)
		to := rect{x, y, x + b.w, y + b.h}
		n := 0
		for _, q := range at {
			if to.overlap(rect{q.x - 2, q.y - 2, q.x + 2, q.y + 2}) > 0 {
				n++
			}
		}
		if n < fewest {
			best, fewest = to, n
		}
	}
	p.box(best.inset(-1), white, 0.8, stroke{})
	p.put(b, best.x0, best.y1, topLeft)
	return best
}
