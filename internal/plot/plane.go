package plot

// A plane is facets with an x and a y axis each: what Lines and Points share.
type plane struct {
	xlabel, ylabel   string
	reverse, sharedY bool
	names            []string
	x                extent
	y                []extent // of each facet, padded
	ticks            []Tick   // of x; nil: round numbers
	breakAt          float64
}

// A panel is one facet of a plane.
type panel struct {
	rect
	x, y scale
}

func (f *plane) shared() extent {
	var all extent
	for _, e := range f.y {
		all.add(e.lo, e.hi)
	}
	return all
}

// draw draws the axes and returns the panels, in the order of the facets.
func (f *plane) draw(p *pen, area rect) ([]panel, error) {
	n := len(f.names)
	rows, cols := tiled(n)
	y := append([]extent(nil), f.y...)
	if f.sharedY {
		for i, all := 0, f.shared(); i < n; i++ {
			y[i] = all
		}
	}
	ticks := make([][]Tick, n)
	left := make([]float64, cols)
	for i := range n {
		ticks[i] = ticksY(y[i], area.h()/float64(rows)-30)
		if !f.sharedY || i%cols == 0 {
			left[i%cols] = max(left[i%cols], p.leftRoom(ticks[i]))
		}
	}
	g, err := p.columns(area, rows, cols, f.xlabel, f.ylabel, left, 2)
	if err != nil {
		return nil, err
	}
	xt := f.ticks
	if xt == nil {
		xt = p.ticksX(f.x, g.right[0]-g.left[0])
	}
	tops, bottoms := make([]float64, rows), make([]float64, rows)
	names := make([]block, n)
	feet := make([]tickRow, cols)
	for i, name := range f.names {
		r := rect{x0: g.left[i%cols], x1: g.right[i%cols]}
		names[i] = p.block(name, labelStyle, r.w()-6)
		tops[i/cols] = max(tops[i/cols], stripRoom(names[i]))
		if i+cols >= n {
			feet[i%cols] = p.tickRow(xt, f.x.horizontal(r))
			bottoms[i/cols] = max(bottoms[i/cols], feet[i%cols].high)
		}
	}
	if err := g.stack(tops, bottoms); err != nil {
		return nil, err
	}
	out := make([]panel, n)
	for i := range n {
		r := g.panel(i/cols, i%cols)
		out[i] = panel{r, f.x.horizontal(r), y[i].vertical(r, f.reverse)}
		p.ground(r, out[i].x, xt, out[i].y, ticks[i])
		p.border(r)
		p.nameAbove(names[i], r, tops[i/cols])
		if !f.sharedY || i%cols == 0 {
			p.ticksLeft(r, out[i].y, ticks[i])
		}
		if i+cols >= n {
			feet[i%cols].draw(p, r.y0, out[i].x)
		}
		if f.breakAt != 0 {
			p.axisBreak(r, out[i].x.at(f.breakAt))
		}
	}
	g.titles()
	return out, nil
}

// axisBreak draws a gap between two slanted strokes in the lower border of a panel, and
// a dotted line above it.
func (p *pen) axisBreak(r rect, x float64) {
	gap := []xy{{x - 3, r.y0 - 3}, {x - 0.4, r.y0 + 3}, {x + 3, r.y0 + 3}, {x + 0.4, r.y0 - 3}}
	p.area(gap, white, solid, stroke{})
	p.poly(gap[:2], stroke{0.8, muted, solid, nil})
	p.poly(gap[2:], stroke{0.8, muted, solid, nil})
	p.line(x, r.y0+4, x, r.y1, stroke{hairPen, frame, solid, []float64{1, 2.5}})
}

// width and height are natural for facets with axes.
func (f *plane) width() float64 {
	_, cols := tiled(len(f.names))
	return []float64{360, 360, 450, 500, 540}[cols]
}

func (f *plane) height() float64 {
	rows, _ := tiled(len(f.names))
	if rows == 1 {
		return 220
	}
	return float64(rows)*145 + 40
}
