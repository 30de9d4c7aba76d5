package plot

import "fmt"

const (
	panelGap   = 8.0
	tickLength = 2.5
	tickRoom   = tickLength + 2 // between a panel and its tick labels
)

// A grid is panels in rows and columns with room for their labels.
type grid struct {
	p              *pen
	area           rect
	rows, cols     int
	left, right    []float64 // edges of the columns
	lower, upper   []float64 // edges of the rows
	xlabel, ylabel block
}

// columns divides the width of an area: left is the room for labels left of each column,
// right that after the last.
func (p *pen) columns(area rect, rows, cols int, xlabel, ylabel string, left []float64, right float64) (*grid, error) {
	g := &grid{p: p, area: area, rows: rows, cols: cols}
	g.ylabel = p.block(ylabel, labelStyle, area.h()*0.95)
	g.xlabel = p.block(xlabel, labelStyle, area.w()*0.95)
	x := area.x0
	if g.ylabel.h > 0 {
		x += g.ylabel.h + 3
	}
	wide := area.x1 - right - x - panelGap*float64(cols-1)
	for _, l := range left {
		wide -= l
	}
	if wide /= float64(cols); wide < 24 {
		return nil, fmt.Errorf("plot: figure: panels %.0f points wide, wanted at least 24: give it more Width", wide)
	}
	for j := range cols {
		x += left[j]
		g.left, g.right = append(g.left, x), append(g.right, x+wide)
		x += wide + panelGap
	}
	return g, nil
}

// stack divides the height: top and bottom are the room above and below each row.
func (g *grid) stack(top, bottom []float64) error {
	y := g.area.y1
	high := g.area.h() - panelGap*float64(g.rows-1)
	if g.xlabel.h > 0 {
		high -= g.xlabel.h + 3
	}
	for i := range g.rows {
		high -= top[i] + bottom[i]
	}
	if high /= float64(g.rows); high < 18 {
		return fmt.Errorf("plot: figure: panels %.0f points high, wanted at least 18: give it more Height", high)
	}
	for i := range g.rows {
		y -= top[i]
		g.upper, g.lower = append(g.upper, y), append(g.lower, y-high)
		y -= high + bottom[i] + panelGap
	}
	return nil
}

func (g *grid) panel(i, j int) rect { return rect{g.left[j], g.lower[i], g.right[j], g.upper[i]} }

// titles writes the labels of both axes, centred on the panels.
func (g *grid) titles() {
	x := (g.left[0] + g.right[g.cols-1]) / 2
	x = min(max(x, g.area.x0+g.xlabel.w/2), g.area.x1-g.xlabel.w/2)
	g.p.put(g.xlabel, x, g.area.y0, anchor{0.5, 0})
	y := (g.lower[g.rows-1] + g.upper[0]) / 2
	y = min(max(y, g.area.y0+g.ylabel.w/2), g.area.y1-g.ylabel.w/2)
	g.p.putUpright(g.ylabel, g.area.x0, y, atTop)
}

// stripRoom is the height of the strip with a facet's name.
func stripRoom(b block) float64 {
	if b.h == 0 {
		return 0
	}
	return b.h + 4
}

// nameAbove writes a facet's name in a strip on top of its panel.
func (p *pen) nameAbove(b block, r rect, high float64) {
	if b.h > 0 {
		s := rect{r.x0, r.y1, r.x1, r.y1 + high}
		p.box(s, strip, solid, stroke{hairPen, frame, solid, nil})
		p.put(b, s.cx(), s.cy(), atCentre)
	}
}

// ground draws a panel's background with lines at the ticks.
func (p *pen) ground(r rect, x scale, xt []Tick, y scale, yt []Tick) {
	line := stroke{hairPen, hair, solid, nil}
	for _, t := range xt {
		p.line(x.at(t.At), r.y0, x.at(t.At), r.y1, line)
	}
	for _, t := range yt {
		p.line(r.x0, y.at(t.At), r.x1, y.at(t.At), line)
	}
}

func (p *pen) border(r rect) { p.box(r, white, 0, stroke{0.6, frame, solid, nil}) }

// ticksLeft draws the ticks and labels of a vertical axis.
func (p *pen) ticksLeft(r rect, y scale, ticks []Tick) {
	for _, t := range ticks {
		at := y.at(t.At)
		p.line(r.x0-tickLength, at, r.x0, at, stroke{hairPen, muted, solid, nil})
		p.put(p.block(t.Label, tickStyle, 1e4), r.x0-tickRoom, at, atRight)
	}
}

// leftRoom is the width that ticksLeft takes up.
func (p *pen) leftRoom(ticks []Tick) float64 { return p.widest(ticks) + tickRoom + 1 }

// A tickRow is the ticks of a horizontal axis: labels side by side if they fit, else
// upright, else upright and pushed apart.
type tickRow struct {
	ticks   []Tick
	upright bool
	kink    bool
	high    float64
}

func (p *pen) tickRow(ticks []Tick, s scale) tickRow {
	row := tickRow{ticks: ticks, high: tickRoom + tickSize}
	if p.apart(ticks, s, 4) {
		return row
	}
	row.upright = true
	row.high = tickRoom + p.widest(ticks)
	for i := 1; i < len(ticks); i++ {
		row.kink = row.kink || s.at(ticks[i].At)-s.at(ticks[i-1].At) < tickSize*1.1
	}
	if row.kink {
		row.high += 6
	}
	return row
}

// draw draws the row below y from the scale's left end to its right.
func (row tickRow) draw(p *pen, y float64, s scale) {
	place := make([]float64, len(row.ticks))
	for i, t := range row.ticks {
		place[i] = s.at(t.At)
	}
	if row.kink {
		place = spread(place, tickSize*1.15, s.from, s.to)
	}
	pen := stroke{hairPen, muted, solid, nil}
	for i, t := range row.ticks {
		at, end := s.at(t.At), y-tickLength
		p.line(at, y, at, end, pen)
		if row.kink {
			p.line(at, end, place[i], end-6, pen)
			end -= 6
		}
		b := p.block(t.Label, tickStyle, 1e4)
		if row.upright {
			p.putUpright(b, place[i], end-2, atRight)
		} else {
			p.put(b, at, end-1, atTop)
		}
	}
}

// spread moves ascending positions so that neighbours are apart, within lo and hi if
// possible.
func spread(at []float64, apart, lo, hi float64) []float64 {
	out := append([]float64(nil), at...)
	for i := 1; i < len(out); i++ {
		out[i] = max(out[i], out[i-1]+apart)
	}
	for i := len(out) - 1; i >= 0; i-- {
		limit := hi
		if i+1 < len(out) {
			limit = out[i+1] - apart
		}
		out[i] = min(out[i], limit)
	}
	for i := range out { // too many for the room: keep them apart from the left on
		floor := lo
		if i > 0 {
			floor = out[i-1] + apart
		}
		out[i] = max(out[i], floor)
	}
	return out
}

// tiled returns the rows and columns in which n facets are arranged.
func tiled(n int) (rows, cols int) {
	switch {
	case n <= 3:
		cols = n
	case n == 4:
		cols = 2
	case n <= 9:
		cols = 3
	default:
		cols = 4
	}
	return (n + cols - 1) / cols, cols
}
