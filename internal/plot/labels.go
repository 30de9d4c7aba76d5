package plot

import "math"

// A labeller finds room for labels beside points of a panel.
type labeller struct {
	panel rect
	taken []rect // by labels
	marks []xy   // that a label should not cover
	lines [][]xy // that a label should not cross, pointers to labels among them
}

// place finds room for a label near a point: beside it, else a little further away, else
// anywhere in the panel, else in a smaller size, without covering another label. If there is
// none, it takes the least bad place, or returns an empty block if the label can be spared.
func (l *labeller) place(p *pen, text string, s style, at xy, spare bool) (block, rect) {
	var best block
	var place rect
	least := math.Inf(1)
	for _, try := range []struct{ size, share float64 }{{s.size, 0.6}, {s.size, 0.95}, {leastSize, 0.95}} {
		s.size = try.size
		b := p.block(text, s, try.share*l.panel.w())
		if b.h == 0 {
			return b, rect{}
		}
		if r, cost := l.near(at, b.w, b.h); cost < least {
			best, place, least = b, r, cost
		}
		if least >= 1000 {
			if r, cost := l.anywhere(at, b.w, b.h); cost < least {
				best, place, least = b, r, cost
			}
		}
		if least < 1000 {
			break
		}
	}
	if spare && least >= 1000 {
		return block{}, rect{}
	}
	dx := max(l.panel.x0+1-place.x0, 0) - max(place.x1-l.panel.x1+1, 0)
	dy := max(l.panel.y0+1-place.y0, 0) - max(place.y1-l.panel.y1+1, 0)
	place = rect{place.x0 + dx, place.y0 + dy, place.x1 + dx, place.y1 + dy}
	l.taken = append(l.taken, place)
	l.lines = append(l.lines, pointer(at, place))
	return best, place
}

// near returns the best place about a point, and its cost.
func (l *labeller) near(at xy, w, h float64) (best rect, least float64) {
	least = math.Inf(1)
	for ring, gap := range []float64{3, 8, 14, 22, 32, 44, 60} {
		dx, dy := w/2+gap, h/2+gap
		for i, c := range []xy{
			{at.x, at.y + dy}, {at.x, at.y - dy}, {at.x + dx, at.y}, {at.x - dx, at.y},
			{at.x + dx, at.y + dy}, {at.x - dx, at.y + dy}, {at.x + dx, at.y - dy}, {at.x - dx, at.y - dy},
		} {
			r := rect{c.x - w/2, c.y - h/2, c.x + w/2, c.y + h/2}
			if cost := l.cost(r) + l.reach(at, r) + float64(8*ring+i)*0.1; cost < least {
				best, least = r, cost
			}
		}
		if least < 1 {
			break
		}
	}
	return best, least
}

// anywhere returns the best place in the panel, and its cost.
func (l *labeller) anywhere(at xy, w, h float64) (best rect, least float64) {
	least = math.Inf(1)
	for y := l.panel.y0 + h/2 + 1; y <= l.panel.y1-h/2-1; y += 2 {
		for x := l.panel.x0 + w/2 + 1; x <= l.panel.x1-w/2-1; x += 4 {
			r := rect{x - w/2, y - h/2, x + w/2, y + h/2}
			if cost := l.cost(r) + l.reach(at, r) + 0.1*math.Hypot(x-at.x, y-at.y); cost < least {
				best, least = r, cost
			}
		}
	}
	return best, least
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
		cost += 1000
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

// crosses reports whether a segment meets a rectangle (Liang and Barsky's clipping).
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

// pointer draws a line from a point to its label where that is far away.
func (p *pen) pointer(at xy, label rect) {
	if way := pointer(at, label); math.Hypot(way[1].x-at.x, way[1].y-at.y) > 6 {
		p.poly(way, stroke{0.5, muted, solid, nil})
	}
}
