package plot

// An entry is one sample of the legend.
type entry struct {
	name string
	wide float64 // of the mark
	mark func(p *pen, at xy)
}

const entryGap = 14.0

// legend is the entries in lines as wide as the page.
type legend struct {
	entries []entry
	blocks  []block
	at      []rect // relative to the upper left corner of the legend
	h       float64
}

func (p *pen) legend(entries []entry, wide float64) legend {
	l := legend{}
	var x, y, line float64
	for _, e := range entries {
		b := p.block(e.name, labelStyle, max(wide-e.wide-4, leastSize))
		if len(b.lines) == 0 {
			continue
		}
		w := e.wide + 4 + b.w
		if x > 0 && x+w > wide {
			x, y, line = 0, y+line+2, 0
		}
		h := b.h + 1
		l.entries, l.blocks = append(l.entries, e), append(l.blocks, b)
		l.at = append(l.at, rect{x, -y - h, x + w, -y})
		x, line, l.h = x+w+entryGap, max(line, h), y+max(line, h)
	}
	return l
}

// draw writes the legend with its upper left corner at (x, y).
func (l legend) draw(p *pen, x, y float64) {
	for i, e := range l.entries {
		r := l.at[i]
		mid := y + r.cy()
		e.mark(p, xy{x + r.x0 + e.wide/2, mid})
		p.put(l.blocks[i], x+r.x0+e.wide+4, mid, atLeft)
	}
}

// palette fills in the colours of groups.
func palette(groups []Group) []Color {
	automatic := []Color{Blue, Vermillion, Green, Purple, Orange, Sky, Grey, Yellow}
	out := make([]Color, len(groups))
	for i, g := range groups {
		out[i] = g.Color
		if g.Color == 0 {
			out[i] = automatic[i%len(automatic)]
		}
	}
	return out
}

// patch is a legend entry for an area of a colour.
func patch(name string, c Color) entry {
	return entry{name, 11, func(p *pen, at xy) {
		p.box(rect{at.x - 5, at.y - 3.5, at.x + 5, at.y + 3.5}, c, 0.75, stroke{0.6, c.mix(0, 0.25), solid, nil})
	}}
}

// marked is a legend entry for a shape.
func marked(name string, kind int, c Color) entry {
	return entry{name, 8, func(p *pen, at xy) { p.shape(kind, at, 3, c, solid) }}
}
