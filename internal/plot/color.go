package plot

import "image/color"

// A Color is 0xRRGGBB. 0 lets the chart choose: groups get the colours of Okabe and Ito in
// the order Blue, Vermillion, Green, Purple, Orange, Sky, Grey, Yellow.
type Color uint32

// The colours of Okabe and Ito (2008), which are distinguishable with any common colour
// blindness.
const (
	Blue       Color = 0x0072B2
	Vermillion Color = 0xD55E00
	Green      Color = 0x009E73
	Purple     Color = 0xCC79A7
	Orange     Color = 0xE69F00
	Sky        Color = 0x56B4E9
	Grey       Color = 0x999999
	Yellow     Color = 0xF0E442
)

// The paper's own colours, for a reader who compares figures. Red and blue of the
// lollipops, green and yellow of the rank changes.
const (
	PaperLove      Color = 0xD62728
	PaperFreedom   Color = 0x1F77B4
	PaperAgency    Color = 0x3CB371
	PaperCommunion Color = 0xFFCE1B
)

// RGBA makes a Color a color.Color; it is opaque.
func (c Color) RGBA() (r, g, b, a uint32) {
	return color.NRGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: 255}.RGBA()
}

// A Group is the meaning of a colour, for the legend: a family of models, a category of
// words, a test. Data refer to their group by its index; groups without data are not in the
// legend, except in Violins.
type Group struct {
	Name  string
	Color Color // 0: the next of the palette
}

// A Rule is a line across a panel at a value, such as alpha in a power curve.
type Rule struct {
	At    float64
	Label string // beside the line; may be empty
}
