package plot

// Lines draws curves in facets beside each other: medians over the checkpoints
// of a training run (the paper's figures 4a and A5a), the rate at which tests reject
// against a planted shift.
type Lines struct {
	XLabel, YLabel string
	Reverse        bool       // the smallest value on top, as for ranks
	SharedY        bool       // one y axis for all facets
	YRange         [2]float64 // limits of y, widened where the data go beyond; {0, 0}: those of the data
	Groups         []Group    // what the colours stand for
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

	Label   string  // beside the line in its colour; "": none
	LabelAt float64 // the x whose nearest point is labelled
}

func (c *Lines) check() error { return nil }
