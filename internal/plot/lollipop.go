package plot

import "fmt"

// Lollipop draws one row a pair of models (or whatever Rows are): an open circle a
// group at its value, joined by a grey line, and a vertical line at 0 (the
// paper's figure 3).
type Lollipop struct {
	XLabel string
	Groups []Group
	Rows   []LollipopRow // top to bottom
}

// A LollipopRow is a label and one value a group.
type LollipopRow struct {
	Label  string
	Values []float64
}

func (c *Lollipop) check() error {
	const name = "lollipop"
	if err := first(filled(name, "Groups", len(c.Groups)), filled(name, "Rows", len(c.Rows))); err != nil {
		return err
	}
	for i, r := range c.Rows {
		at := fmt.Sprintf("Rows[%d].Values", i)
		if err := first(length(name, at, len(r.Values), len(c.Groups)), finite(name, at, r.Values...)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Lollipop) size(*pen) float64 { return 430 }

func (c *Lollipop) height(p *pen, w float64) float64 {
	h := 34.0
	for _, r := range c.Rows {
		h += rowHeight(p.block(r.Label, labelStyle, 0.45*w))
	}
	return h
}

func (c *Lollipop) legend() []entry {
	var out []entry
	for i, color := range palette(c.Groups) {
		out = append(out, entry{c.Groups[i].Name, 9, func(p *pen, at xy) { p.ring(at, 3, white, stroke{1.4, color, solid, nil}) }})
	}
	return out
}

func (c *Lollipop) draw(p *pen, area rect) error {
	labels := make([]block, len(c.Rows))
	left := []float64{0}
	var x extent
	x.add(0)
	for i, r := range c.Rows {
		labels[i] = p.block(r.Label, labelStyle, 0.45*area.w())
		left[0] = max(left[0], labels[i].w+tickRoom)
		x.add(r.Values...)
	}
	g, err := p.columns(area, 1, 1, c.XLabel, "", left, 2)
	if err != nil {
		return err
	}
	x = x.padded(0.04, 0.04)
	ticks := p.ticksX(x, g.right[0]-g.left[0])
	if err := g.stack([]float64{0}, []float64{tickRoom + tickSize}); err != nil {
		return err
	}
	r := g.panel(0, 0)
	places, err := p.shelves("lollipop", labels, r)
	if err != nil {
		return err
	}
	xs := x.horizontal(r)
	ys := scale{0, 1, 0, 1}
	var at []Tick
	for _, y := range places {
		at = append(at, Tick{At: y.cy()})
	}
	p.ground(r, xs, ticks, ys, at)
	p.line(xs.at(0), r.y0, xs.at(0), r.y1, stroke{0.9, ink, 0.8, nil})
	colors := palette(c.Groups)
	for i, row := range c.Rows {
		y := places[i].cy()
		p.put(p.shrunk(labels[i], places[i].h()), r.x0-tickRoom, y, atRight)
		var of extent
		of.add(row.Values...)
		p.line(xs.at(of.lo), y, xs.at(of.hi), y, stroke{1.5, stem, solid, nil})
		for k, v := range row.Values {
			p.ring(xy{xs.at(v), y}, min(3, 0.4*places[i].h()), white, stroke{1.4, colors[k], solid, nil})
		}
	}
	p.border(r)
	p.tickRow(ticks, xs).draw(p, r.y0, xs)
	g.titles()
	return nil
}

// rowHeight is the room for a label of one line or more.
func rowHeight(b block) float64 { return max(13.5, b.h+2+3*float64(min(len(b.lines)-1, 1))) }

// shelves divides the height of a panel into rows, the higher the more lines their
// labels have.
func (p *pen) shelves(chart string, labels []block, r rect) ([]rect, error) {
	var sum float64
	weight := make([]float64, len(labels))
	for i, b := range labels {
		weight[i] = rowHeight(b)
		sum += weight[i]
	}
	out := make([]rect, len(labels))
	y := r.y1
	for i := range out {
		h := weight[i] / sum * r.h()
		if h < leastSize {
			return nil, fmt.Errorf("plot: %s: rows %.1f points high, wanted at least %v: give the figure more Height", chart, h, leastSize)
		}
		out[i] = rect{r.x0, y - h, r.x1, y}
		y -= h
	}
	return out, nil
}
