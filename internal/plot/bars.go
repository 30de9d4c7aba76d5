package plot

import (
	"fmt"
	"math"
)

// Bars draws horizontal bars from 0 in facets side by side, coloured by category: the words
// whose rank changed most (the paper's figures 5 and A6).
type Bars struct {
	XLabel string
	Groups []Group // meaning of the colours
	Facets []BarFacet
}

// A BarFacet is one panel of Bars.
type BarFacet struct {
	Name string
	Bars []Bar // top to bottom
}

// A Bar is a labelled value.
type Bar struct {
	Label string
	Value float64
	Group int  // index into Groups
	Gap   bool // leaves room above, between the 10 largest and the 10 smallest
}

func (c *Bars) check() error {
	const name = "bars"
	if err := first(filled(name, "Facets", len(c.Facets)), filled(name, "Groups", len(c.Groups))); err != nil {
		return err
	}
	for i, f := range c.Facets {
		if err := filled(name, fmt.Sprintf("Facets[%d].Bars", i), len(f.Bars)); err != nil {
			return err
		}
		for j, b := range f.Bars {
			at := fmt.Sprintf("Facets[%d].Bars[%d]", i, j)
			if err := first(finite(name, at+".Value", b.Value), within(name, at+".Group", b.Group, len(c.Groups), "Groups")); err != nil {
				return err
			}
		}
	}
	return nil
}

const barRow = 12.5

// rows returns the number of rows of a facet, each gap counted as half a row.
func (f BarFacet) rows() float64 {
	n := float64(len(f.Bars))
	for i, b := range f.Bars {
		if b.Gap && i > 0 {
			n += 0.6
		}
	}
	return n
}

func (c *Bars) longest() float64 {
	var most float64
	for _, f := range c.Facets {
		most = max(most, f.rows())
	}
	return most
}

func (c *Bars) tiled() (rows, cols int) {
	cols = min(len(c.Facets), 3)
	return (len(c.Facets) + cols - 1) / cols, cols
}

func (c *Bars) size(p *pen) float64 {
	_, cols := c.tiled()
	var labels float64
	for _, f := range c.Facets {
		for _, b := range f.Bars {
			labels = max(labels, min(p.width(p.visible(b.Label), labelStyle), 130))
		}
	}
	return max(float64(cols)*(labels+150), 330)
}

func (c *Bars) height(*pen, float64) float64 {
	rows, _ := c.tiled()
	return float64(rows)*(c.longest()*barRow+36) + 18
}

func (c *Bars) legend() []entry {
	used := make([]bool, len(c.Groups))
	for _, f := range c.Facets {
		for _, b := range f.Bars {
			used[b.Group] = true
		}
	}
	var out []entry
	for i, color := range palette(c.Groups) {
		if !used[i] {
			continue
		}
		out = append(out, patch(c.Groups[i].Name, color))
	}
	return out
}

func (c *Bars) draw(p *pen, area rect) error {
	rows, cols := c.tiled()
	most := min(130, area.w()/float64(cols)*0.45)
	left := make([]float64, cols)
	var x extent
	x.add(0)
	labels := make([][]block, len(c.Facets))
	for i, f := range c.Facets {
		for _, b := range f.Bars {
			label := p.block(b.Label, labelStyle, most)
			labels[i] = append(labels[i], label)
			left[i%cols] = max(left[i%cols], label.w+tickRoom)
			x.add(b.Value)
		}
	}
	g, err := p.columns(area, rows, cols, c.XLabel, "", left, 2)
	if err != nil {
		return err
	}
	wide := g.right[0] - g.left[0]
	below, above := 4.0, 4.0 // room for the values at the ends of the bars
	values := make([][]block, len(c.Facets))
	for i, f := range c.Facets {
		values[i] = p.values(f.Bars)
		for j, b := range f.Bars {
			if b.Value < 0 {
				below = max(below, values[i][j].w+5)
			} else {
				above = max(above, values[i][j].w+5)
			}
		}
	}
	x = x.padded(0, 0)
	within := max(wide-below-above, wide/4)
	x = x.padded(below/within, above/within)
	ticks := p.ticksX(x, wide)
	tops, bottoms := make([]float64, rows), make([]float64, rows)
	names := make([]block, len(c.Facets))
	for i, f := range c.Facets {
		names[i] = p.block(f.Name, labelStyle, wide-4)
		tops[i/cols] = max(tops[i/cols], stripRoom(names[i]))
		bottoms[i/cols] = tickRoom + tickSize
	}
	if err := g.stack(tops, bottoms); err != nil {
		return err
	}
	for i, f := range c.Facets {
		r := g.panel(i/cols, i%cols)
		xs := x.horizontal(r)
		p.ground(r, xs, ticks, scale{}, nil)
		p.nameAbove(names[i], r, tops[i/cols])
		p.tickRow(ticks, xs).draw(p, r.y0, xs)
		if err := c.facet(p, f, labels[i], values[i], r, xs); err != nil {
			return err
		}
		p.border(r)
	}
	g.titles()
	return nil
}

func (c *Bars) facet(p *pen, f BarFacet, labels, values []block, r rect, x scale) error {
	colors := palette(c.Groups)
	row := r.h() / (c.longest() + 0.4)
	if row < leastSize {
		return fmt.Errorf("plot: bars: rows %.1f points high, wanted at least %v: give the figure more Height", row, leastSize)
	}
	y := r.y1 - 0.2*row
	for i, b := range f.Bars {
		if b.Gap && i > 0 {
			y -= 0.3 * row
			p.line(r.x0, y, r.x1, y, stroke{hairPen, frame, solid, []float64{2, 2}})
			y -= 0.3 * row
		}
		mid := y - row/2
		zero, end := x.at(0), x.at(b.Value)
		color := colors[b.Group]
		p.box(rect{min(zero, end), mid - 0.36*row, max(zero, end), mid + 0.36*row}, color, 0.85, stroke{0.5, color.mix(0, 0.25), solid, nil})
		p.put(p.shrunk(labels[i], row), r.x0-tickRoom, mid, atRight)
		value := p.shrunk(values[i], row)
		if b.Value < 0 {
			p.put(value, end-2, mid, atRight)
		} else {
			p.put(value, end+2, mid, atLeft)
		}
		y -= row
	}
	p.line(x.at(0), r.y0, x.at(0), r.y1, stroke{0.8, ink, 0.8, nil})
	return nil
}

// shrunk returns a block reduced to at most the height of a row.
func (p *pen) shrunk(b block, row float64) block {
	if b.h <= row {
		return b
	}
	f := row / b.h
	b.style.size *= f
	b.w, b.h = b.w*f, b.h*f
	return b
}

// values formats the values of bars with a sign: whole and half numbers exactly, others to
// two digits of the greatest.
func (p *pen) values(bars []Bar) []block {
	var most float64
	whole, half := true, true
	for _, b := range bars {
		most = max(most, abs(b.Value))
		whole = whole && b.Value == math.Trunc(b.Value)
		half = half && 2*b.Value == math.Trunc(2*b.Value)
	}
	step := 1.0
	switch {
	case most == 0 || whole && most < 1e6:
	case half && most < 1e6:
		step = 0.1
	default:
		step = extent{0, most, true}.step(100)
	}
	out := make([]block, len(bars))
	for i, b := range bars {
		text := number(b.Value, step, most)
		if b.Value > 0 {
			text = "+" + text
		}
		out[i] = p.block(text, style{tickSize - 1, false, muted}, 1e4)
	}
	return out
}
