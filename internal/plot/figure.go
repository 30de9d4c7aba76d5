package plot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"html"
	"image"
	"image/png"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Figure is one page: a title, a legend, a chart and a caption, from top to bottom.
type Figure struct {
	Title   string // wrapped at the width; may be empty
	Caption string // wrapped like Title; the meaning of the marks, n, the source
	Chart   Chart

	// Width and Height of the page in inches. 0 means the natural size of the chart with its
	// labels, which grows with rows, facets and groups.
	Width, Height float64

	// DPI is the resolution of the PNG in dots per inch, written into the
	// file; 0 is 300. Text has 6 to 11 points at any resolution.
	DPI int
}

// A Chart is *Violins, *Lollipop, *Lines, *Points, *Bars or *Intervals.
type Chart interface {
	check() error                     // what is wrong with the data
	legend() []entry                  // drawn above the chart
	size(p *pen) (w float64)          // natural width of the drawing in points
	height(p *pen, w float64) float64 // natural height at a width
	draw(p *pen, area rect) error
}

const (
	margin     = 7.0 // around the page
	between    = 6.0 // parts of the page
	leastWide  = 4.4 * 72
	mostInches = 100.0
	mostDots   = 2e8
)

// A page is a figure after layout.
type page struct {
	w, h           float64
	title, caption block
	legend         legend
	chart          rect
}

// Size returns the width and height of the page in inches, for placing the picture in a
// document: Width and Height if they are set. Its errors are those of WritePNG.
func (f *Figure) Size() (width, height float64, err error) {
	defer recovered(&err)
	g, err := f.layout(newPen(nil))
	return g.w / 72, g.h / 72, err
}

// WritePNG draws the figure as a PNG. Data that cannot be drawn are an error that names
// chart and field, and nothing is written.
func (f *Figure) WritePNG(w io.Writer) (err error) {
	defer recovered(&err)
	dpi := f.DPI
	if dpi == 0 {
		dpi = 300
	}
	if dpi < 30 || dpi > 2400 {
		return fmt.Errorf("plot: figure: DPI %d, wanted 30 to 2400", dpi)
	}
	var canvas *vgimg.Canvas
	err = f.render(func(wide, high float64) (vg.Canvas, error) {
		if dots := wide * high / 72 / 72 * float64(dpi*dpi); dots > mostDots {
			return nil, fmt.Errorf("plot: figure: %.1g pixels, wanted at most %.0g", dots, mostDots)
		}
		canvas = vgimg.NewWith(vgimg.UseWH(vg.Length(wide), vg.Length(high)), vgimg.UseDPI(dpi))
		return canvas, nil
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, compact(canvas.Image())); err != nil {
		return fmt.Errorf("plot: figure: %w", err)
	}
	if _, err := w.Write(withResolution(b.Bytes(), dpi)); err != nil {
		return fmt.Errorf("plot: figure: %w", err)
	}
	return nil
}

// compact returns the picture with a palette if it has few colours.
func compact(m image.Image) image.Image {
	if full, ok := m.(*image.RGBA); ok {
		if few, ok := indexed(full); ok {
			return few
		}
	}
	return m
}

// withResolution puts the chunk pHYs, dots per metre, after the header of a PNG.
func withResolution(file []byte, dpi int) []byte {
	const header = 8 + 25 // signature and IHDR
	perMetre := uint32(math.Round(float64(dpi) / 0.0254))
	chunk := binary.BigEndian.AppendUint32([]byte("pHYs"), perMetre)
	chunk = append(binary.BigEndian.AppendUint32(chunk, perMetre), 1)
	out := append([]byte(nil), file[:header]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(chunk)-4))
	out = append(out, chunk...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
	return append(out, file[header:]...)
}

// WriteSVG draws the figure as an SVG, with Title and Caption as its accessible title and
// description. Its errors are those of WritePNG.
func (f *Figure) WriteSVG(w io.Writer) (err error) {
	defer recovered(&err)
	var canvas *vgsvg.Canvas
	err = f.render(func(wide, high float64) (vg.Canvas, error) {
		canvas = vgsvg.New(vg.Length(wide), vg.Length(high))
		return canvas, nil
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return fmt.Errorf("plot: figure: %w", err)
	}
	if _, err := io.WriteString(w, f.accessible(b.String())); err != nil {
		return fmt.Errorf("plot: figure: %w", err)
	}
	return nil
}

// accessible adds title and description to an SVG, and fonts of the same widths to its font.
// In text a quotation mark or < is escaped, so only mark-up is matched.
func (f *Figure) accessible(svg string) string {
	const family = "style=\"font-family:Liberation Sans;font-variant:normal;"
	svg = strings.NewReplacer(family+"font-weight:normal;font-style:normal;", "style=\"",
		family+"font-weight:bold;font-style:normal;", "style=\"font-weight:bold;").Replace(svg)
	tag := strings.Index(svg, "<svg")
	end := tag + strings.IndexByte(svg[tag:], '>')
	p := newPen(nil)
	head := ` role="img" font-family="'Liberation Sans', Arimo, Arial, Helvetica, sans-serif">` + "\n"
	for _, part := range []struct{ tag, text string }{{"title", f.Title}, {"desc", f.Caption}} {
		if part.text != "" {
			head += "<" + part.tag + ">" + html.EscapeString(p.visible(part.text)) + "</" + part.tag + ">\n"
		}
	}
	head += `<rect width="100%" height="100%" fill="#FFFFFF"/>`
	return svg[:end] + head + svg[end+1:]
}

// recovered turns a panic of the drawing library into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("plot: figure: %v", r)
	}
}

// render lays the figure out and draws it on a canvas of that size.
func (f *Figure) render(canvas func(w, h float64) (vg.Canvas, error)) error {
	g, err := f.layout(newPen(nil))
	if err != nil {
		return err
	}
	c, err := canvas(g.w, g.h)
	if err != nil {
		return err
	}
	p := newPen(c)
	p.put(g.title, margin, g.h-margin, topLeft)
	g.legend.draw(p, margin, g.chart.y1+between+g.legend.h)
	if err := f.Chart.draw(p, g.chart); err != nil {
		return err
	}
	p.put(g.caption, margin, margin+g.caption.h, topLeft)
	return nil
}

func (f *Figure) layout(p *pen) (page, error) {
	g := page{w: f.Width * 72, h: f.Height * 72}
	if f.Chart == nil {
		return page{}, errors.New("plot: figure: no Chart")
	}
	if !(f.Width >= 0 && f.Width <= mostInches && f.Height >= 0 && f.Height <= mostInches) {
		return page{}, fmt.Errorf("plot: figure: Width %v and Height %v inches, wanted 0 to %v", f.Width, f.Height, mostInches)
	}
	if err := f.Chart.check(); err != nil {
		return page{}, err
	}
	if g.w == 0 {
		g.w = math.Ceil(max(f.Chart.size(p), leastWide) + 2*margin)
	}
	wide := g.w - 2*margin
	if wide < 72 {
		return page{}, fmt.Errorf("plot: figure: Width %v inches, wanted at least 1.2", f.Width)
	}
	g.title = p.block(f.Title, titleStyle, wide)
	g.caption = p.block(f.Caption, captionStyle, wide)
	g.legend = p.legend(f.Chart.legend(), wide)
	above, below := 0.0, 0.0
	if g.title.h > 0 {
		above += g.title.h + between
	}
	if g.legend.h > 0 {
		above += g.legend.h + between
	}
	if g.caption.h > 0 {
		below = g.caption.h + between
	}
	if g.h == 0 {
		g.h = math.Ceil(f.Chart.height(p, wide) + above + below + 2*margin)
	}
	g.chart = rect{margin, margin + below, margin + wide, g.h - margin - above}
	if g.chart.h() < 36 {
		return page{}, fmt.Errorf("plot: figure: Height %v inches leaves %.1f for the chart, wanted at least 0.5", f.Height, max(g.chart.h(), 0)/72)
	}
	return g, nil
}
