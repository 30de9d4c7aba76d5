package plot

import "math"

const violinHalf = 0.43 // greatest half width of a violin; the violins of a panel are 1 apart

// profiles returns what is drawn of each sample, by row, column and group.
func (c *Violins) profiles() ([][][]profile, error) {
	out := make([][][]profile, len(c.Rows))
	for i, row := range c.Cells {
		out[i] = make([][]profile, len(c.Columns))
		for j, cell := range row {
			for _, s := range cell.Samples {
				q, err := c.profile(s.Values)
				if err != nil {
					return nil, err
				}
				out[i][j] = append(out[i][j], q)
			}
		}
	}
	return out, nil
}

// above says whether marks stand over the violins rather than between them.
func (c *Violins) above() bool { return c.Split || len(c.Groups) != 2 }

func (c *Violins) marks(row int) bool {
	for _, cell := range c.Cells[row] {
		if cell.Mark != "" {
			return true
		}
	}
	return false
}

// extents returns the y axis of each row, and for the marks that of its values alone.
func (c *Violins) extents(all [][][]profile, high float64) (axes, values []extent) {
	axes, values = make([]extent, len(c.Rows)), make([]extent, len(c.Rows))
	var shared, sharedValues extent
	for i, row := range c.Cells {
		for j, cell := range row {
			for k, s := range cell.Samples {
				q := all[i][j][k]
				values[i].add(s.Values...)
				axes[i].add(s.Values...)
				axes[i].add(q.at...)
				if c.Means != NoMeans && len(s.Values) > 0 {
					axes[i].add(q.mean-q.bar, q.mean+q.bar)
				}
				for _, m := range s.Models {
					axes[i].add(m.Mean-m.SE, m.Mean+m.SE)
				}
			}
		}
		if axes[i].any {
			shared.add(axes[i].lo, axes[i].hi)
		}
		if values[i].any {
			sharedValues.add(values[i].lo, values[i].hi)
		}
	}
	for i := range axes {
		if c.SharedY || !axes[i].any {
			axes[i], values[i] = shared, sharedValues
		}
		if !values[i].any {
			values[i] = axes[i]
		}
		values[i] = values[i].padded(0.05, 0.05)
		room := 0.05
		if c.above() && c.marks(i) { // over the data, on top of the page
			room += min(15/max(high-15, 1), 1)
		}
		if c.Reverse {
			axes[i] = axes[i].padded(room, 0.05)
		} else {
			axes[i] = axes[i].padded(0.05, room)
		}
	}
	return axes, values
}

// panels returns how many panels stand in a row and how many violins in each.
func (c *Violins) panels() (cols, slots int) {
	if c.Split {
		return 1, len(c.Columns)
	}
	return len(c.Columns), len(c.Groups)
}

func (c *Violins) size(*pen) float64 {
	cols, slots := c.panels()
	slot := min(max(430/float64(cols*slots), 36), 80)
	return 60 + float64(cols)*(float64(slots)*slot+panelGap)
}

func (c *Violins) height(*pen, float64) float64 {
	return float64(len(c.Rows))*145 + 45
}

func (c *Violins) legend() []entry {
	var out []entry
	colors := palette(c.Groups)
	models := false
	for i, g := range c.Groups {
		if len(c.Groups) > 1 && (c.Split || !c.ModelNames) {
			out = append(out, patch(g.Name, colors[i]))
		}
		names := c.modelNames(i)
		models = models || len(names) > 0
		if c.ModelNames {
			for k, name := range names {
				out = append(out, marked(name, k, colors[i].mix(0, 0.2)))
			}
		}
	}
	if models {
		out = append(out, entry{"one model, mean ± SE", 8, func(p *pen, at xy) {
			p.errorBar(at.x, at.y-4, at.y+4, 0, stroke{0.7, muted, solid, nil})
			p.dots([]xy{at}, 2, muted, solid)
		}})
	}
	if c.Means != NoMeans {
		name := map[MeanStyle]string{MeanSE: "mean ± SE of all values", MeanSD: "mean ± SD of all values"}[c.Means]
		out = append(out, entry{name, 8, func(p *pen, at xy) { p.mean(at, at.y-4.5, at.y+4.5) }})
	}
	if c.Box {
		out = append(out, entry{"quartiles", 8, func(p *pen, at xy) {
			p.quartiles(at.x, 5, at.y-5, at.y-2.5, at.y, at.y+2.5, at.y+5)
		}})
	}
	return out
}

// modelNames returns the names of a group's models in the order in which they first occur.
func (c *Violins) modelNames(group int) []string {
	var names []string
	seen := map[string]bool{}
	for _, row := range c.Cells {
		for _, cell := range row {
			for _, m := range cell.Samples[group].Models {
				if !seen[m.Name] {
					seen[m.Name] = true
					names = append(names, m.Name)
				}
			}
		}
	}
	return names
}

func (p *pen) mean(at xy, y0, y1 float64) {
	p.errorBar(at.x, y0, y1, 5, stroke{0.9, ink, solid, nil})
	p.area(polygon(at, 2.8, 4, math.Pi/2), ink, solid, stroke{0.4, white, solid, nil})
}

func (p *pen) quartiles(x, wide, low, q1, q2, q3, high float64) {
	pen := stroke{0.7, ink, 0.85, nil}
	p.line(x, low, x, q1, pen)
	p.line(x, q3, x, high, pen)
	p.box(rect{x - wide/2, q1, x + wide/2, q3}, white, 0.8, pen)
	p.line(x-wide/2, q2, x+wide/2, q2, stroke{1.3, ink, solid, nil})
}

func (c *Violins) draw(p *pen, area rect) error {
	all, err := c.profiles()
	if err != nil {
		return err
	}
	cols, slots := c.panels()
	rows := len(c.Rows)
	high := area.h()/float64(rows) - 30
	axes, values := c.extents(all, high)
	ticks := make([][]Tick, rows)
	left := make([]float64, cols)
	right := 1.0
	names := make([]block, rows)
	for i := range rows {
		ticks[i] = ticksY(axes[i], high)
		left[0] = max(left[0], p.leftRoom(ticks[i]))
		names[i] = p.block(c.Rows[i], labelStyle, max(high, 20))
		right = max(right, stripRoom(names[i])+1)
	}
	g, err := p.columns(area, rows, cols, "", c.YLabel, left, right)
	if err != nil {
		return err
	}
	tops, bottoms := make([]float64, rows), make([]float64, rows)
	feet, heads := make([][]block, cols), make([]block, cols)
	for j := range cols {
		slot := (g.right[j] - g.left[j]) / float64(slots)
		for k := range slots {
			b := p.block(c.foot(k), tickStyle, max(slot-4, 12))
			feet[j] = append(feet[j], b)
			bottoms[rows-1] = max(bottoms[rows-1], b.h+tickRoom)
		}
		if !c.Split {
			heads[j] = p.block(c.Columns[j], labelStyle, g.right[j]-g.left[j]-4)
			tops[0] = max(tops[0], stripRoom(heads[j]))
		}
	}
	if err := g.stack(tops, bottoms); err != nil {
		return err
	}
	for i := range rows {
		for j := range cols {
			r := g.panel(i, j)
			x := scale{0.5, float64(slots) + 0.5, r.x0, r.x1}
			y := axes[i].vertical(r, c.Reverse)
			p.ground(r, x, nil, y, ticks[i])
			if c.Split {
				for k := range slots {
					c.cell(p, c.Cells[i][k], all[i][k], float64(k+1), x, y, values[i])
				}
			} else {
				c.cell(p, c.Cells[i][j], all[i][j], 1, x, y, values[i])
			}
			p.border(r)
			if i == 0 && !c.Split {
				p.nameAbove(heads[j], r, tops[0])
			}
			if j == 0 {
				p.ticksLeft(r, y, ticks[i])
			}
			if i == rows-1 {
				p.feet(feet[j], x, r.y0)
			}
			if j == cols-1 && names[i].h > 0 {
				p.nameBeside(names[i], rect{r.x1, r.y0, r.x1 + right - 1, r.y1})
			}
		}
	}
	g.titles()
	return nil
}

// foot is the name below the violin at a place of a panel.
func (c *Violins) foot(slot int) string {
	if c.Split {
		return c.Columns[slot]
	}
	return c.Groups[slot].Name
}

// feet writes the names below the violins of a panel, each with its tick.
func (p *pen) feet(names []block, x scale, y float64) {
	for k, b := range names {
		at := x.at(float64(k + 1))
		p.line(at, y-tickLength, at, y, stroke{hairPen, muted, solid, nil})
		p.put(b, at, y-tickRoom, atTop)
	}
}

// nameBeside writes the name of a row of panels, turned, in the strip on its right.
func (p *pen) nameBeside(name block, s rect) {
	p.box(s, strip, solid, stroke{hairPen, frame, solid, nil})
	p.putUpright(name, s.cx(), s.cy(), atCentre)
}
