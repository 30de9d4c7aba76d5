package plot

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// The sizes of text in points, the same in every figure.
const (
	titleSize = 11.0
	labelSize = 9.0 // axes, facets, legend, labels of rows
	tickSize  = 8.0 // ticks, captions, notes
	leastSize = 6.0 // to which a label that does not fit may shrink

	leading = 1.22 // distance of base lines, in sizes
	ascent  = 0.78 // of letters above the base line, in sizes
	descent = 0.22
	middle  = 0.35 // height of the middle of letters and digits above the base line
)

type style struct {
	size  float64
	bold  bool
	color Color
}

var (
	titleStyle   = style{titleSize, true, ink}
	labelStyle   = style{labelSize, false, ink}
	tickStyle    = style{tickSize, false, muted}
	captionStyle = style{tickSize, false, muted}
)

// A block is text broken into lines.
type block struct {
	lines []string
	style style
	w, h  float64
}

func newPen(canvas vg.Canvas) *pen {
	cache := font.NewCache(liberation.Collection())
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	heavy := sans
	heavy.Weight = xfont.WeightBold
	return &pen{canvas: canvas, regular: cache.Lookup(sans, 10), bold: cache.Lookup(heavy, 10)}
}

func (p *pen) face(s style) font.Face {
	face := p.regular
	if s.bold {
		face = p.bold
	}
	face.Font.Size = vg.Length(s.size)
	return face
}

func (p *pen) width(text string, s style) float64 {
	face := p.face(s)
	return float64(face.Width(text))
}

// visible writes the characters that the font lacks, and control characters
// other than the line feed, as their code.
func (p *pen) visible(text string) string {
	var buf sfnt.Buffer
	var out strings.Builder
	for _, r := range text {
		if r == '\n' {
			out.WriteRune(r)
			continue
		}
		if i, err := p.regular.Face.GlyphIndex(&buf, r); err == nil && i != 0 && !unicode.IsControl(r) {
			out.WriteRune(r)
		} else if r < 0x10000 {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	return out.String()
}

// block breaks text into lines no wider than most: between words, then after - / _ .
// and their like, then in a smaller size, and last anywhere.
func (p *pen) block(text string, s style, most float64) block {
	text = p.visible(text)
	if strings.TrimSpace(text) == "" {
		return block{style: s}
	}
	for {
		if lines, ok := p.wrap(text, s, most, s.size <= leastSize); ok {
			b := block{lines: lines, style: s, h: s.size * (leading*float64(len(lines)-1) + ascent + descent)}
			for _, line := range lines {
				b.w = max(b.w, p.width(line, s))
			}
			return b
		}
		s.size = max(s.size-0.5, leastSize)
	}
}

// wrap breaks text into lines, and fails where a part is too wide that may not be
// broken anywhere.
func (p *pen) wrap(text string, s style, most float64, anywhere bool) ([]string, bool) {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.FieldsFuncSeq(paragraph, isSpace) {
			if joined := strings.TrimLeft(line+" "+word, " "); p.width(joined, s) <= most {
				line = joined
				continue
			}
			if p.width(word, s) <= most {
				lines, line = append(lines, line), word
				continue
			}
			if line != "" {
				line += " "
			}
			for _, part := range pieces(word, anywhere) {
				if p.width(line+part, s) <= most {
					line += part
					continue
				}
				if !anywhere && p.width(part, s) > most {
					return nil, false
				}
				if line != "" {
					lines = append(lines, strings.TrimRight(line, " "))
				}
				line = part
			}
		}
		lines = append(lines, line)
	}
	return lines, true
}

// isSpace says where lines break; not at a non-breaking space.
func isSpace(r rune) bool { return r == ' ' }

// pieces cuts a word after punctuation, or between all of its characters.
func pieces(word string, anywhere bool) []string {
	var out []string
	from := 0
	for i, r := range word {
		end := i + len(string(r))
		if anywhere || strings.ContainsRune("-/_.:,→|+", r) {
			out = append(out, word[from:end])
			from = end
		}
	}
	if from < len(word) {
		out = append(out, word[from:])
	}
	return out
}

// An anchor is the place in a block that a position means: 0 its left, lower edge, 1 the
// right, upper one.
type anchor struct{ x, y float64 }

var (
	atCentre = anchor{0.5, 0.5}
	atLeft   = anchor{0, 0.5}
	atRight  = anchor{1, 0.5}
	atTop    = anchor{0.5, 1}
	topLeft  = anchor{0, 1}
)

// put writes a block with the anchor at (x, y), its lines aligned as the anchor
// says, and returns the rectangle that it takes up.
func (p *pen) put(b block, x, y float64, a anchor) rect {
	return p.write(b, x, y, a, false)
}

// putUpright is put for text turned by a quarter, read from below.
func (p *pen) putUpright(b block, x, y float64, a anchor) rect {
	return p.write(b, x, y, a, true)
}

func (p *pen) write(b block, x, y float64, a anchor, upright bool) rect {
	r := rect{x - a.x*b.w, y - a.y*b.h, x + (1-a.x)*b.w, y + (1-a.y)*b.h}
	if upright {
		r = rect{x - (1-a.y)*b.h, y - a.x*b.w, x + a.y*b.h, y + (1-a.x)*b.w}
	}
	if len(b.lines) == 0 {
		return r
	}
	p.canvas.SetColor(b.style.color.with(solid))
	face := p.face(b.style)
	if upright {
		p.canvas.Push()
		defer p.canvas.Pop()
		p.canvas.Translate(point(x, y))
		p.canvas.Rotate(math.Pi / 2)
		x, y = 0, 0
	}
	base := y + (1-a.y)*b.h - b.style.size*ascent
	if a.y == 0.5 { // centred on the letters, not on the room below the base line
		base = y + (b.h-b.style.size*(ascent+descent))/2 - b.style.size*middle
	}
	for i, line := range b.lines {
		left := x - a.x*p.width(line, b.style)
		p.canvas.FillString(face, point(left, base-float64(i)*leading*b.style.size), line)
	}
	return r
}
