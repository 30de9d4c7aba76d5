package plot

// cell draws one cell; its first violin, or the middle of its only one, is at place.
func (c *Violins) cell(p *pen, cell Cell, all []profile, place float64, x, y scale, axis extent) {
	colors := palette(c.Groups)
	unit := x.at(1) - x.at(0)
	top := 0.0
	for _, q := range all {
		for _, d := range q.density {
			top = max(top, d)
		}
	}
	var means []xy
	for k, s := range cell.Samples {
		v := violin{p: p, chart: c, sample: s, profile: all[k], color: colors[k], unit: unit, y: y, top: top, left: 1, right: 1}
		v.x = x.at(place + float64(k))
		if c.Split {
			v.x = x.at(place)
			v.left, v.right = float64(1-k), float64(k)
		}
		v.draw(c.modelNames(k))
		if c.Means != NoMeans && len(s.Values) > 0 {
			means = append(means, xy{v.meanAt(), y.at(all[k].mean)})
		}
	}
	if c.Join && len(means) > 1 {
		p.poly(means, stroke{0.9, ink, 0.9, []float64{1.2, 1.8}})
	}
	c.meanMarks(p, cell, all, means, y)
	c.mark(p, cell, all, place, x, y, axis)
}

func (c *Violins) meanMarks(p *pen, cell Cell, all []profile, means []xy, y scale) {
	i := 0
	for k, s := range cell.Samples {
		if c.Means != NoMeans && len(s.Values) > 0 {
			p.mean(means[i], y.at(all[k].mean-all[k].bar), y.at(all[k].mean+all[k].bar))
			i++
		}
	}
}

// mark writes the result of the cell's test.
func (c *Violins) mark(p *pen, cell Cell, all []profile, place float64, x, y scale, axis extent) {
	b := p.block(cell.Mark, style{labelSize, true, ink}, x.to-x.from)
	if b.h == 0 {
		return
	}
	at := xy{x.at(place + float64(len(cell.Samples)-1)/2), 0}
	if c.Split {
		at.x = x.at(place)
	}
	var values []float64
	var drawn extent
	for k, s := range cell.Samples {
		values = append(values, all[k].values...)
		drawn.add(s.Values...)
		drawn.add(all[k].at...)
		if c.Means != NoMeans && len(s.Values) > 0 {
			drawn.add(all[k].mean-all[k].bar, all[k].mean+all[k].bar)
		}
		for _, m := range s.Models {
			drawn.add(m.Mean-m.SE, m.Mean+m.SE)
		}
	}
	if !drawn.any {
		return
	}
	if c.above() {
		at.y = max(y.at(drawn.lo), y.at(drawn.hi)) + 2 + b.h/2
	} else {
		low, high := min(y.from, y.to)+b.h/2+1, max(y.from, y.to)-b.h/2-1
		at.y = max(min(y.at(markAt(values, axis)), high), low)
		half := rect{at.x - b.w/2 - 1, at.y - b.h/2, at.x + b.w/2 + 1, at.y + b.h/2}
		p.box(half, white, 0.75, stroke{})
	}
	p.put(b, at.x, at.y, atCentre)
}

// A violin is one sample being drawn, to both sides of x or one.
type violin struct {
	p           *pen
	chart       *Violins
	sample      Sample
	profile     profile
	color       Color
	x, unit     float64
	y           scale
	top         float64 // greatest density of the cell
	left, right float64 // 0 or 1: the sides drawn
}

// side is -1, 0 or 1: where the violin lies of its x.
func (v violin) side() float64 { return v.right - v.left }

// middle is where the box stands, and the mean; half a violin with a box has it further out.
func (v violin) middle() float64 { return v.x + v.side()*0.06*v.unit }

func (v violin) meanAt() float64 {
	if v.chart.Box {
		return v.x + v.side()*0.15*v.unit
	}
	return v.middle()
}

func (v violin) draw(names []string) {
	p, q := v.p, v.profile
	edge := stroke{0.7, v.color.mix(0, 0.25), solid, nil}
	half := violinHalf * v.unit
	if q.flat {
		at := v.y.at(q.values[0])
		p.line(v.x-v.left*half, at, v.x+v.right*half, at, stroke{1.6, edge.color, solid, nil})
	}
	if len(q.at) > 0 {
		var path []xy
		for i, at := range q.at {
			path = append(path, xy{v.x + v.right*half*q.density[i]/v.top, v.y.at(at)})
		}
		for i := len(q.at) - 1; i >= 0; i-- {
			path = append(path, xy{v.x - v.left*half*q.density[i]/v.top, v.y.at(q.at[i])})
		}
		p.area(path, v.color, 0.4, edge)
	}
	v.points()
	if v.chart.Box && len(v.sample.Values) > 0 {
		y := func(i int) float64 { return v.y.at(q.quartiles[i]) }
		low, q1, q3, high := v.y.at(q.whiskers[0]), y(0), y(2), v.y.at(q.whiskers[1])
		if low > high {
			low, q1, q3, high = high, q3, q1, low
		}
		wide := min(0.1*v.unit, 8)
		p.quartiles(v.middle(), wide, low, q1, y(1), q3, high)
	}
	v.models(names)
}

func (v violin) points() {
	values := v.profile.values
	at := make([]xy, len(values))
	radius := 1.5
	switch {
	case v.chart.Points == NoPoints:
		return
	case v.chart.Points == Jitter:
		centre, wide := v.x+v.side()*0.24*v.unit, 0.13*v.unit
		heights := make([]float64, len(values))
		for i, value := range values {
			heights[i] = v.y.at(value)
		}
		offsets := jitter(heights)
		if len(values) > 150 { // a column of even width would be a solid block
			radius, wide = 0.6, 0.18*v.unit
			offsets = crowdedJitter(heights, 4)
		}
		for i, d := range offsets {
			at[i] = xy{centre + d*wide, heights[i]}
		}
	default:
		centre, wide := v.x+v.side()*0.24*v.unit, 0.22*v.unit
		if v.side() == 0 {
			wide = violinHalf * v.unit
		}
		for i, value := range values {
			at[i] = xy{centre, v.y.at(value)}
		}
		heights := make([]float64, len(at))
		for i := range at {
			heights[i] = at[i].y
		}
		var offsets []float64
		offsets, radius = swarm(heights, radius, wide)
		for i := range at {
			at[i].x += offsets[i]
		}
	}
	v.p.dots(at, radius, v.color.mix(0, 0.2), 0.75)
}

func (v violin) models(names []string) {
	n := len(v.sample.Models)
	step := min(0.13, 0.6/float64(max(n, 1)))
	centre, gap := v.x, 0.0
	if v.chart.Means != NoMeans || v.chart.Box { // these keep the middle to themselves
		gap = 0.06
	}
	if v.side() != 0 {
		centre, step, gap = v.x+v.side()*0.25*v.unit, step/2, 0
	}
	for i, m := range v.sample.Models {
		aside := (float64(i) - float64(n-1)/2) * step
		if aside > 0 || aside == 0 && n > 1 {
			aside += gap
		} else {
			aside -= gap
		}
		x := centre + aside*v.unit
		kind := 0
		if v.chart.ModelNames {
			for k, name := range names {
				if name == m.Name {
					kind = k
				}
			}
		}
		c := v.color.mix(0, 0.3)
		v.p.line(x, v.y.at(m.Mean-m.SE), x, v.y.at(m.Mean+m.SE), stroke{0.8, c, 0.8, nil})
		v.p.shape(kind, xy{x, v.y.at(m.Mean)}, 2.8, white, 0.8)
		v.p.shape(kind, xy{x, v.y.at(m.Mean)}, 2.2, c, 0.85)
	}
}
