package plot

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// The inks of everything but the data.
const (
	ink     Color = 0x1A1A1A // text, means
	muted   Color = 0x595959 // tick labels, captions
	frame   Color = 0xA6A6A6 // borders of panels
	hair    Color = 0xE8E8E8 // grid lines
	strip   Color = 0xF0F0F0 // behind the names of facets
	stem    Color = 0x9A9A9A // connectors
	white   Color = 0xFFFFFF
	solid         = 1.0
	hairPen       = 0.5
)

// A xy is a place on the page in points, from the lower left corner.
type xy struct{ x, y float64 }

// A rect is a part of the page.
type rect struct{ x0, y0, x1, y1 float64 }

func (r rect) w() float64  { return r.x1 - r.x0 }
func (r rect) h() float64  { return r.y1 - r.y0 }
func (r rect) cx() float64 { return (r.x0 + r.x1) / 2 }
func (r rect) cy() float64 { return (r.y0 + r.y1) / 2 }

// overlap returns the area that two rectangles share.
func (r rect) overlap(s rect) float64 {
	w := min(r.x1, s.x1) - max(r.x0, s.x0)
	h := min(r.y1, s.y1) - max(r.y0, s.y0)
	return max(w, 0) * max(h, 0)
}

func (r rect) inset(d float64) rect { return rect{r.x0 + d, r.y0 + d, r.x1 - d, r.y1 - d} }

// A stroke is how a line looks.
type stroke struct {
	width float64
	color Color
	alpha float64
	dash  []float64
}

// A pen draws on a canvas in points.
type pen struct {
	canvas        vg.Canvas
	regular, bold font.Face
}

func (c Color) with(alpha float64) color.Color {
	return color.NRGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: uint8(math.Round(255 * alpha))}
}

// mix returns the colour between c (0) and other (1).
func (c Color) mix(other Color, t float64) Color {
	part := func(shift uint) Color {
		a, b := float64(c>>shift&255), float64(other>>shift&255)
		return Color(math.Round(a+(b-a)*t)) << shift
	}
	return part(16) | part(8) | part(0)
}

// dark returns the colour in a shade that can be read as text on white.
func (c Color) dark() Color {
	for luminance(c) > 0.18 { // contrast 4.5 to 1 (WCAG 2, AA)
		c = c.mix(0, 0.08)
	}
	return c
}

// luminance is the relative luminance of WCAG 2, from 0 to 1.
func luminance(c Color) float64 {
	part := func(shift uint) float64 {
		v := float64(c>>shift&255) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

func point(x, y float64) vg.Point { return vg.Point{X: vg.Length(x), Y: vg.Length(y)} }

func (p *pen) set(s stroke) {
	p.canvas.SetColor(s.color.with(s.alpha))
	p.canvas.SetLineWidth(vg.Length(s.width))
	dash := make([]vg.Length, len(s.dash))
	for i, d := range s.dash {
		dash[i] = vg.Length(d)
	}
	p.canvas.SetLineDash(dash, 0)
}

func outline(at []xy, closed bool) vg.Path {
	path := make(vg.Path, 0, len(at)+1)
	for i, q := range at {
		if i == 0 {
			path.Move(point(q.x, q.y))
		} else {
			path.Line(point(q.x, q.y))
		}
	}
	if closed {
		path.Close()
	}
	return path
}

func (p *pen) line(x0, y0, x1, y1 float64, s stroke) {
	p.poly([]xy{{x0, y0}, {x1, y1}}, s)
}

func (p *pen) poly(at []xy, s stroke) {
	p.set(s)
	p.canvas.Stroke(outline(at, false))
}

// area fills a polygon and draws its border where edge has a width.
func (p *pen) area(at []xy, fill Color, alpha float64, edge stroke) {
	if alpha > 0 {
		p.canvas.SetColor(fill.with(alpha))
		p.canvas.Fill(outline(at, true))
	}
	if edge.width > 0 {
		p.set(edge)
		p.canvas.Stroke(outline(at, true))
	}
}

func (p *pen) box(r rect, fill Color, alpha float64, edge stroke) {
	p.area([]xy{{r.x0, r.y0}, {r.x1, r.y0}, {r.x1, r.y1}, {r.x0, r.y1}}, fill, alpha, edge)
}

// dots fills circles in one path, so that many make a small SVG; where they
// overlap the colour does not add up.
func (p *pen) dots(at []xy, radius float64, fill Color, alpha float64) {
	if len(at) == 0 {
		return
	}
	var path vg.Path
	for _, q := range at {
		path = append(path, circle(q, radius)...)
	}
	p.canvas.SetColor(fill.with(alpha))
	p.canvas.Fill(path)
}

func (p *pen) ring(at xy, radius float64, fill Color, s stroke) {
	path := circle(at, radius)
	p.canvas.SetColor(fill.with(solid))
	p.canvas.Fill(path)
	p.set(s)
	p.canvas.Stroke(path)
}

func circle(at xy, radius float64) vg.Path {
	var path vg.Path
	path.Move(point(at.x+radius, at.y))
	path.Arc(point(at.x, at.y), vg.Length(radius), 0, 2*math.Pi)
	path.Close()
	return path
}

// errorBar draws a line from y0 to y1 at x with caps as wide as cap.
func (p *pen) errorBar(x, y0, y1, cap float64, s stroke) {
	p.line(x, y0, x, y1, s)
	p.line(x-cap/2, y0, x+cap/2, y0, s)
	p.line(x-cap/2, y1, x+cap/2, y1, s)
}
