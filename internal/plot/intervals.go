package plot

import "fmt"

// Intervals draws estimates with their intervals, one row each, and a vertical line at Zero:
// a forest plot. Rows are grouped in sections; a row of several estimates draws them below
// each other.
type Intervals struct {
	XLabel   string
	Zero     float64    // where there is no effect
	XRange   [2]float64 // limits of x: an interval beyond them ends in an arrow; {0, 0}: those of the data
	Groups   []Group    // meaning of the colours; a single group needs no legend and may have no name
	Sections []IntervalSection
}

// An IntervalSection is rows under a heading.
type IntervalSection struct {
	Name string // "": no heading
	Rows []IntervalRow
}

// An IntervalRow is a label and its estimates.
type IntervalRow struct {
	Label     string
	Note      string // at the right, such as "p = .27, n = 10"
	Estimates []Estimate
}

// An Estimate is a value and its interval. Lower <= Value <= Upper; if the three are equal
// only the point is drawn.
type Estimate struct {
	Group               int // index into Groups
	Value, Lower, Upper float64
}

func (c *Intervals) check() error {
	const name = "intervals"
	err := first(filled(name, "Groups", len(c.Groups)), filled(name, "Sections", len(c.Sections)), finite(name, "Zero", c.Zero), ordered(name, "XRange", c.XRange))
	if err != nil {
		return err
	}
	for i, s := range c.Sections {
		if err := filled(name, fmt.Sprintf("Sections[%d].Rows", i), len(s.Rows)); err != nil {
			return err
		}
		for j, r := range s.Rows {
			at := fmt.Sprintf("Sections[%d].Rows[%d].Estimates", i, j)
			if err := filled(name, at, len(r.Estimates)); err != nil {
				return err
			}
			for k, e := range r.Estimates {
				if err := e.check(fmt.Sprintf("%s[%d]", at, k), len(c.Groups)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (e Estimate) check(at string, groups int) error {
	const name = "intervals"
	err := first(within(name, at+".Group", e.Group, groups, "Groups"), finite(name, at+".Value", e.Value),
		finite(name, at+".Lower", e.Lower), finite(name, at+".Upper", e.Upper))
	if err == nil && !(e.Lower <= e.Value && e.Value <= e.Upper) {
		err = fmt.Errorf("plot: intervals: %s is %v in [%v, %v], wanted Lower <= Value <= Upper", at, e.Value, e.Lower, e.Upper)
	}
	return err
}

func (c *Intervals) size(p *pen) float64 {
	label, note := c.sides(p, 1e4)
	return 250 + min(label, 200) + min(note, 150)
}

// sides returns the width of the labels and of the notes, each at most that.
func (c *Intervals) sides(p *pen, most float64) (label, note float64) {
	for _, s := range c.Sections {
		for _, r := range s.Rows {
			label = max(label, p.block(r.Label, labelStyle, most).w)
			note = max(note, p.block(r.Note, tickStyle, most).w)
		}
	}
	return label, note
}

func (c *Intervals) legend() []entry {
	if len(c.Groups) < 2 {
		return nil
	}
	used := make([]bool, len(c.Groups))
	for _, s := range c.Sections {
		for _, r := range s.Rows {
			for _, e := range r.Estimates {
				used[e.Group] = true
			}
		}
	}
	var out []entry
	for i, color := range palette(c.Groups) {
		if !used[i] {
			continue
		}
		out = append(out, entry{c.Groups[i].Name, 18, func(p *pen, at xy) {
			p.line(at.x-9, at.y, at.x+9, at.y, stroke{1.3, color, solid, nil})
			p.shape(i, at, 2.8, color, solid)
		}})
	}
	return out
}

// An intervalLine is a heading or a row with the room that it takes up.
type intervalLine struct {
	heading, label, note block
	row                  IntervalRow
	high                 float64
}

func (c *Intervals) lines(p *pen, w float64) []intervalLine {
	var out []intervalLine
	for _, s := range c.Sections {
		if h := p.block(s.Name, style{labelSize, true, ink}, w); h.h > 0 {
			out = append(out, intervalLine{heading: h, high: h.h + 8})
		}
		for _, r := range s.Rows {
			l := intervalLine{label: p.block(r.Label, labelStyle, 0.38*w), note: p.block(r.Note, tickStyle, 0.27*w), row: r}
			l.high = max(l.label.h+4, l.note.h+4, 7.5*float64(len(r.Estimates))+6)
			out = append(out, l)
		}
	}
	return out
}

func (c *Intervals) height(p *pen, w float64) float64 {
	h := 34.0
	for _, l := range c.lines(p, w) {
		h += l.high
	}
	return h
}

func (c *Intervals) draw(p *pen, area rect) error {
	lines := c.lines(p, area.w())
	var label, note, sum float64
	for _, l := range lines {
		label, note, sum = max(label, l.label.w), max(note, l.note.w), sum+l.high
	}
	if note > 0 {
		note += 6
	}
	g, err := p.columns(area, 1, 1, c.XLabel, "", []float64{label + 6}, note+2)
	if err != nil {
		return err
	}
	if err := g.stack([]float64{0}, []float64{tickRoom + tickSize}); err != nil {
		return err
	}
	r := g.panel(0, 0)
	if r.h() < 0.75*sum {
		return fmt.Errorf("plot: intervals: %.1f inches for the rows, wanted at least %.1f: give the figure more Height", r.h()/72, 0.75*sum/72)
	}
	x := c.axis()
	xs := x.horizontal(r)
	ticks := p.ticksX(x, r.w())
	y := r.y1
	for i := 0; i < len(lines); {
		if l := lines[i]; l.heading.h > 0 {
			h := l.high * r.h() / sum
			p.put(l.heading, area.x0, y-h/2-1, atLeft)
			y, i = y-h, i+1
		}
		section := rect{r.x0, y, r.x1, y}
		from := i
		for ; i < len(lines) && lines[i].heading.h == 0; i++ {
			section.y0 -= lines[i].high * r.h() / sum
		}
		p.ground(section, xs, ticks, scale{}, nil)
		if c.Zero >= x.lo && c.Zero <= x.hi {
			p.line(xs.at(c.Zero), section.y0, xs.at(c.Zero), section.y1, stroke{0.9, ink, 0.8, []float64{3, 2}})
		}
		for _, l := range lines[from:i] {
			h := l.high * r.h() / sum
			p.put(l.label, r.x0-5, y-h/2, atRight)
			p.put(l.note, r.x1+6, y-h/2, atLeft)
			c.estimates(p, l.row.Estimates, rect{r.x0, y - h, r.x1, y}, xs)
			y -= h
		}
		p.border(section)
	}
	p.tickRow(ticks, xs).draw(p, r.y0, xs)
	g.titles()
	return nil
}

func (c *Intervals) axis() extent {
	var x extent
	if c.XRange != [2]float64{} {
		return extent{c.XRange[0], c.XRange[1], true}
	}
	x.add(c.Zero)
	for _, s := range c.Sections {
		for _, r := range s.Rows {
			for _, e := range r.Estimates {
				x.add(e.Lower, e.Upper)
			}
		}
	}
	return x.padded(0.05, 0.05)
}

// estimates draws the estimates of a row below each other.
func (c *Intervals) estimates(p *pen, all []Estimate, r rect, x scale) {
	colors := palette(c.Groups)
	step := min(7.5, r.h()/float64(len(all)))
	for k, e := range all {
		y := r.cy() - (float64(k)-float64(len(all)-1)/2)*step
		color := colors[e.Group]
		pen := stroke{1.3, color, solid, nil}
		lo, hi := max(x.at(e.Lower), r.x0+3), min(x.at(e.Upper), r.x1-3)
		if e.Lower < e.Upper && lo <= hi {
			p.line(lo, y, hi, y, pen)
		}
		if x.at(e.Lower) < r.x0 {
			p.area([]xy{{r.x0 + 1, y}, {r.x0 + 5, y + 2.6}, {r.x0 + 5, y - 2.6}}, color, solid, stroke{})
		}
		if x.at(e.Upper) > r.x1 {
			p.area([]xy{{r.x1 - 1, y}, {r.x1 - 5, y + 2.6}, {r.x1 - 5, y - 2.6}}, color, solid, stroke{})
		}
		if at := x.at(e.Value); at >= r.x0 && at <= r.x1 {
			p.shape(e.Group, xy{at, y}, min(2.8, 0.38*step), color, solid)
		}
	}
}
