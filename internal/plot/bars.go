package plot

// Bars draws horizontal bars from 0 in facets beside each other, coloured by
// category: the words whose rank changed most (the paper's figures 5 and A6).
type Bars struct {
	XLabel string
	Groups []Group // what the colours stand for
	Facets []BarFacet
}

// A BarFacet is one panel of Bars.
type BarFacet struct {
	Name string
	Bars []Bar // top to bottom
}

// A Bar is a labelled value.
type Bar struct {
	Label string
	Value float64
	Group int  // index into Groups
	Gap   bool // leaves room above, between the 10 largest and the 10 smallest
}

func (c *Bars) check() error { return nil }
