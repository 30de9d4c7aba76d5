package plot

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"sort"
	"strings"
	"testing"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// A trace is a canvas that remembers where text was written and how far the drawing reaches.
type trace struct {
	at    []matrix
	texts []written
	reach extent2
}

type written struct {
	text string
	rect
}

type extent2 struct{ x, y extent }

// A matrix maps (x, y) to (a x + c y + e, b x + d y + f).
type matrix struct{ a, b, c, d, e, f float64 }

func (m matrix) apply(x, y float64) xy { return xy{m.a*x + m.c*y + m.e, m.b*x + m.d*y + m.f} }

// then returns the matrix that applies n first.
func (m matrix) then(n matrix) matrix {
	o := m.apply(n.e, n.f)
	return matrix{m.a*n.a + m.c*n.b, m.b*n.a + m.d*n.b, m.a*n.c + m.c*n.d, m.b*n.c + m.d*n.d, o.x, o.y}
}

func newTrace() *trace { return &trace{at: []matrix{{a: 1, d: 1}}} }

func (t *trace) top() *matrix                       { return &t.at[len(t.at)-1] }
func (t *trace) SetLineWidth(vg.Length)             {}
func (t *trace) SetLineDash([]vg.Length, vg.Length) {}
func (t *trace) SetColor(color.Color)               {}
func (t *trace) Push()                              { t.at = append(t.at, *t.top()) }
func (t *trace) Pop()                               { t.at = t.at[:len(t.at)-1] }
func (t *trace) DrawImage(vg.Rectangle, image.Image) {
	panic("an image was drawn")
}
func (t *trace) Rotate(r float64) {
	sin, cos := math.Sincos(r)
	*t.top() = t.top().then(matrix{cos, sin, -sin, cos, 0, 0})
}
func (t *trace) Translate(p vg.Point) {
	*t.top() = t.top().then(matrix{1, 0, 0, 1, float64(p.X), float64(p.Y)})
}
func (t *trace) Scale(x, y float64) { *t.top() = t.top().then(matrix{a: x, d: y}) }
func (t *trace) Stroke(p vg.Path)   { t.path(p) }
func (t *trace) Fill(p vg.Path)     { t.path(p) }

func (t *trace) path(p vg.Path) {
	for _, c := range p {
		if c.Type == vg.CloseComp {
			continue
		}
		r := float64(c.Radius)
		for _, d := range []float64{-r, r} {
			q := t.top().apply(float64(c.Pos.X)+d, float64(c.Pos.Y)+d)
			t.reach.x.add(q.x)
			t.reach.y.add(q.y)
		}
	}
}

func (t *trace) FillString(f font.Face, p vg.Point, s string) {
	x, y, size := float64(p.X), float64(p.Y), float64(f.Font.Size)
	a := t.top().apply(x, y-0.18*size)
	b := t.top().apply(x+float64(f.Width(s)), y+0.7*size)
	t.texts = append(t.texts, written{s, rect{min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y)}})
}

// traced draws a figure on a trace.
func traced(f *Figure) (*trace, error) {
	t := newTrace()
	err := f.render(func(w, h float64) (vg.Canvas, error) { return t, nil })
	return t, err
}

// faults lists the text that leaves the page or covers other text, and drawing
// that leaves the page.
func faults(f *Figure) ([]string, error) {
	t, err := traced(f)
	if err != nil {
		return nil, err
	}
	w, h, err := f.Size()
	if err != nil {
		return nil, err
	}
	page := rect{0, 0, w * 72, h * 72}
	var out []string
	for i, a := range t.texts {
		if a.x0 < 1 || a.y0 < 1 || a.x1 > page.x1-1 || a.y1 > page.y1-1 {
			out = append(out, fmt.Sprintf("%q at %.0f is outside the page %.0f", a.text, a.rect, page))
		}
		for _, b := range t.texts[i+1:] {
			if a.text == b.text && a.rect == b.rect { // written again over its own ground
				continue
			}
			if a.overlap(b.rect) > 0.5 {
				out = append(out, fmt.Sprintf("%q at %.1f covers %q at %.1f", a.text, a.rect, b.text, b.rect))
			}
		}
	}
	if t.reach.x.lo < 0 || t.reach.y.lo < 0 || t.reach.x.hi > page.x1 || t.reach.y.hi > page.y1 {
		out = append(out, fmt.Sprintf("the drawing reaches %v, beyond the page %v", t.reach, page))
	}
	return out, nil
}

// TestLabels holds every figure, at several sizes, to this: no text leaves the page
// or covers other text.
func TestLabels(t *testing.T) {
	all := figures(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	drawn := 0
	for _, name := range names {
		for _, size := range [][2]float64{{0, 0}, {3.5, 0}, {3, 3.5}, {5.5, 3.5}, {6.5, 0}, {10, 4}, {0, 12}} {
			if strings.HasSuffix(name, "_huge") && size != [2]float64{} {
				continue // as the others, only slower
			}
			f := *all[name]
			f.Width, f.Height = size[0], size[1]
			wrong, err := faults(&f)
			if err != nil {
				// Too little room is an error, never an unreadable figure; the natural height always does.
				if size[1] == 0 && size[0] != 3.5 || !strings.Contains(err.Error(), "more Width") && !strings.Contains(err.Error(), "Height") {
					t.Errorf("%s at %v inches: %v", name, size, err)
				}
				continue
			}
			drawn++
			for i, w := range wrong {
				if i < 5 {
					t.Errorf("%s at %v inches: %s", name, size, w)
				}
			}
		}
	}
	if drawn < 5*len(names) {
		t.Errorf("%d of %d figures could be drawn, wanted five sizes of seven at least", drawn, 7*len(names))
	}
}
