package plot

import (
	"errors"
	"io"
)

// A Figure is one page: a title, a legend, a chart and a caption, from top to
// bottom.
type Figure struct {
	Title   string // wrapped at the width; may be empty
	Caption string // as Title; what the marks stand for, n, the source
	Chart   Chart

	// Width and Height of the page in inches. 0 is the natural size of the chart
	// with its labels, which grows with rows, facets and groups.
	Width, Height float64

	// DPI is the resolution of the PNG in dots per inch, written into the
	// file; 0 is 300. Text has 7 to 11 points at any resolution.
	DPI int
}

// A Chart is *Violins, *Lollipop, *Lines, *Points, *Bars or *Intervals.
type Chart interface {
	check() error
}

// Size returns the width and height of the page in inches, for the size of the
// picture in a document: Width and Height where they are set.
func (f *Figure) Size() (width, height float64, err error) { return 0, 0, errors.New("plot: not drawn yet") }

// WritePNG draws the figure as a PNG.
func (f *Figure) WritePNG(w io.Writer) error { return errors.New("plot: not drawn yet") }

// WriteSVG draws the figure as an SVG, with Title and Caption as its accessible
// title and description.
func (f *Figure) WriteSVG(w io.Writer) error { return errors.New("plot: not drawn yet") }
