package plot

import "fmt"

// Lines draws curves in facets side by side: medians over the checkpoints of a training run
// (the paper's figures 4a and A5a), the rejection rate of tests against a planted shift.
type Lines struct {
	XLabel, YLabel string
	Reverse        bool       // the smallest value on top, as for ranks
	SharedY        bool       // one y axis for all facets
	YRange         [2]float64 // limits of y, widened if the data exceed them; {0, 0}: those of the data
	Groups         []Group    // meaning of the colours
	Markers        bool       // every point is marked, with a shape for each group; a line of one point always is
	Last           bool       // the last point of every line is marked
	Rules          []Rule     // horizontal lines in every facet
	Facets         []LineFacet
}

// A LineFacet is one panel of Lines.
type LineFacet struct {
	Name  string
	Lines []Line
}

// A Line is one curve, its points in ascending X.
type Line struct {
	Group        int // index into Groups
	X, Y         []float64
	Lower, Upper []float64 // a band about the line; nil: none

	Label   string  // beside the line in its colour; "": none. The group's name is left to the legend where there is no room for it
	LabelAt float64 // the x whose nearest point is labelled
}

func (c *Lines) check() error {
	const name = "lines"
	if err := first(filled(name, "Facets", len(c.Facets)), filled(name, "Groups", len(c.Groups)), ordered(name, "YRange", c.YRange)); err != nil {
		return err
	}
	for i, r := range c.Rules {
		if err := finite(name, fmt.Sprintf("Rules[%d].At", i), r.At); err != nil {
			return err
		}
	}
	for i, f := range c.Facets {
		if err := filled(name, fmt.Sprintf("Facets[%d].Lines", i), len(f.Lines)); err != nil {
			return err
		}
		for j, l := range f.Lines {
			if err := l.check(fmt.Sprintf("Facets[%d].Lines[%d]", i, j), len(c.Groups)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l Line) check(at string, groups int) error {
	const name = "lines"
	err := first(within(name, at+".Group", l.Group, groups, "Groups"), filled(name, at+".X", len(l.X)), length(name, at+".Y", len(l.Y), len(l.X)),
		finite(name, at+".X", l.X...), finite(name, at+".Y", l.Y...), finite(name, at+".LabelAt", l.LabelAt))
	if err != nil {
		return err
	}
	for i := 1; i < len(l.X); i++ {
		if l.X[i] < l.X[i-1] {
			return fmt.Errorf("plot: lines: %s.X[%d] is %v after %v, wanted ascending X", at, i, l.X[i], l.X[i-1])
		}
	}
	if l.Lower == nil && l.Upper == nil {
		return nil
	}
	err = first(length(name, at+".Lower", len(l.Lower), len(l.X)), length(name, at+".Upper", len(l.Upper), len(l.X)),
		finite(name, at+".Lower", l.Lower...), finite(name, at+".Upper", l.Upper...))
	if err != nil {
		return err
	}
	for i := range l.Lower {
		if l.Lower[i] > l.Upper[i] {
			return fmt.Errorf("plot: lines: %s.Lower[%d] is %v, wanted at most Upper %v", at, i, l.Lower[i], l.Upper[i])
		}
	}
	return nil
}

func (c *Lines) plane() *plane {
	f := &plane{xlabel: c.XLabel, ylabel: c.YLabel, reverse: c.Reverse, sharedY: c.SharedY}
	for _, facet := range c.Facets {
		var y extent
		if c.YRange != [2]float64{} {
			y.add(c.YRange[:]...)
		}
		for _, l := range facet.Lines {
			f.x.add(l.X...)
			y.add(l.Y...)
			y.add(l.Lower...)
			y.add(l.Upper...)
		}
		for _, r := range c.Rules {
			y.add(r.At)
		}
		f.names, f.y = append(f.names, facet.Name), append(f.y, y.padded(0.06, 0.06))
	}
	f.x = f.x.padded(0.04, 0.04)
	return f
}

func (c *Lines) size(*pen) float64 { return c.plane().width() }

func (c *Lines) height(*pen, float64) float64 { return c.plane().height() }

// lineDash tells lines apart beside their colours.
func lineDash(group int) []float64 {
	return [][]float64{nil, {5, 2}, {1.5, 1.8}, {6, 2, 1.5, 2}, {3, 1.5}, {8, 2}, {4, 1.5, 1.2, 1.5, 1.2, 1.5}, {1, 3}}[group%8]
}

func (c *Lines) legend() []entry {
	colors := palette(c.Groups)
	used := make([]bool, len(c.Groups))
	for _, f := range c.Facets {
		for _, l := range f.Lines {
			used[l.Group] = true
		}
	}
	var out []entry
	for i, g := range c.Groups {
		if !used[i] {
			continue
		}
		out = append(out, entry{g.Name, 20, func(p *pen, at xy) {
			p.line(at.x-10, at.y, at.x+10, at.y, stroke{1.3, colors[i], solid, lineDash(i)})
			if c.Markers {
				p.shape(i, at, 2.4, colors[i], solid)
			}
		}})
	}
	for _, r := range c.Rules {
		out = append(out, entry{r.Label, 20, func(p *pen, at xy) {
			p.line(at.x-10, at.y, at.x+10, at.y, ruleStroke)
		}})
	}
	return out
}

var ruleStroke = stroke{0.8, ink, 0.8, []float64{1, 1.6}}

func (c *Lines) draw(p *pen, area rect) error {
	panels, err := c.plane().draw(p, area)
	if err != nil {
		return err
	}
	for i, f := range c.Facets {
		c.facet(p, f, panels[i])
	}
	return nil
}

func (c *Lines) facet(p *pen, f LineFacet, to panel) {
	colors := palette(c.Groups)
	labels := labeller{panel: to.rect}
	for _, r := range c.Rules {
		p.line(to.x0, to.y.at(r.At), to.x1, to.y.at(r.At), ruleStroke)
		labels.lines = append(labels.lines, []xy{{to.x0, to.y.at(r.At)}, {to.x1, to.y.at(r.At)}})
	}
	paths := make([][]xy, len(f.Lines))
	for j, l := range f.Lines {
		for k := range l.X {
			paths[j] = append(paths[j], xy{to.x.at(l.X[k]), to.y.at(l.Y[k])})
		}
		if l.Lower != nil {
			var band []xy
			for k := range l.X {
				band = append(band, xy{to.x.at(l.X[k]), to.y.at(l.Upper[k])})
			}
			for k := len(l.X) - 1; k >= 0; k-- {
				band = append(band, xy{to.x.at(l.X[k]), to.y.at(l.Lower[k])})
			}
			p.area(band, colors[l.Group], 0.18, stroke{})
		}
	}
	labels.lines = append(labels.lines, paths...)
	for j, l := range f.Lines {
		p.poly(paths[j], stroke{1.3, colors[l.Group], solid, lineDash(l.Group)})
		last := len(paths[j]) - 1
		for k, at := range paths[j] {
			if c.Markers || last == 0 || c.Last && k == last {
				kind := 0
				if c.Markers {
					kind = l.Group
				}
				p.shape(kind, at, 2.4, colors[l.Group], solid)
				labels.marks = append(labels.marks, at)
			}
		}
	}
	for j, l := range f.Lines {
		near := 0
		for k, x := range l.X {
			if abs(x-l.LabelAt) < abs(l.X[near]-l.LabelAt) {
				near = k
			}
		}
		// The legend has the names of groups.
		b, at := labels.place(p, l.Label, style{tickSize, true, colors[l.Group].dark()}, paths[j][near], l.Label == c.Groups[l.Group].Name)
		if b.h > 0 {
			p.pointer(paths[j][near], at)
			p.put(b, at.cx(), at.cy(), atCentre)
		}
	}
}

func abs(v float64) float64 { return max(v, -v) }
