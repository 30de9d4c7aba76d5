package plot

// A labeller finds room for labels beside points of a panel.
type labeller struct {
	panel rect
	taken []rect // by labels
	marks []xy   // that a label should not cover
	lines [][]xy // that a label should not cross, pointers to labels among them
}

// place returns the middle of the best place for a label of the size w by h near a
// point: beside the point, else a little further away, over no other label.
func (l *labeller) place(at xy, w, h float64) xy {
	best, least := at, 1e300
	for ring, gap := range []float64{3, 8, 14, 22, 32, 44, 60} {
		dx, dy := w/2+gap, h/2+gap
		for i, c := range []xy{
			{at.x, at.y + dy}, {at.x, at.y - dy}, {at.x + dx, at.y}, {at.x - dx, at.y},
			{at.x + dx, at.y + dy}, {at.x - dx, at.y + dy}, {at.x + dx, at.y - dy}, {at.x - dx, at.y - dy},
		} {
			r := rect{c.x - w/2, c.y - h/2, c.x + w/2, c.y + h/2}
			if cost := l.cost(r) + l.reach(at, r) + float64(8*ring+i)*0.1; cost < least {
				best, least = c, cost
			}
		}
		if least < 1 {
			break
		}
	}
	r := rect{best.x - w/2, best.y - h/2, best.x + w/2, best.y + h/2}
	dx := max(l.panel.x0+1-r.x0, 0) - max(r.x1-l.panel.x1+1, 0)
	dy := max(l.panel.y0+1-r.y0, 0) - max(r.y1-l.panel.y1+1, 0)
	best = xy{best.x + dx, best.y + dy}
	r = rect{r.x0 + dx, r.y0 + dy, r.x1 + dx, r.y1 + dy}
	l.taken = append(l.taken, r)
	l.lines = append(l.lines, pointer(at, r))
	return best
}

// reach is the cost of the labels between a point and its label.
func (l *labeller) reach(at xy, r rect) float64 {
	var cost float64
	way := pointer(at, r)
	for _, t := range l.taken {
		if crosses(way[0], way[1], t) {
			cost += 30
		}
	}
	return cost
}

// pointer is the way from a point to the nearest place of its label.
func pointer(from xy, label rect) []xy {
	return []xy{from, {min(max(from.x, label.x0), label.x1), min(max(from.y, label.y0), label.y1)}}
}

func (l *labeller) cost(r rect) float64 {
	var cost float64
	if r.x0 < l.panel.x0 || r.x1 > l.panel.x1 || r.y0 < l.panel.y0 || r.y1 > l.panel.y1 {
		cost += 500
	}
	for _, t := range l.taken {
		if r.overlap(t.inset(-1)) > 0 {
			cost += 1000
		}
	}
	for _, m := range l.marks {
		if r.overlap(rect{m.x - 2, m.y - 2, m.x + 2, m.y + 2}) > 0 {
			cost += 0.4
		}
	}
	for _, line := range l.lines {
		for i := 1; i < len(line); i++ {
			if crosses(line[i-1], line[i], r) {
				cost += 5
			}
		}
	}
	return cost
}

// crosses says whether a segment meets a rectangle (Liang and Barsky's clipping).
func crosses(a, b xy, r rect) bool {
	t0, t1 := 0.0, 1.0
	for _, e := range [4][2]float64{
		{a.x - b.x, a.x - r.x0}, {b.x - a.x, r.x1 - a.x}, {a.y - b.y, a.y - r.y0}, {b.y - a.y, r.y1 - a.y},
	} {
		p, q := e[0], e[1]
		switch {
		case p == 0 && q < 0:
			return false
		case p < 0:
			t0 = max(t0, q/p)
		case p > 0:
			t1 = min(t1, q/p)
		}
	}
	return t0 <= t1
}
