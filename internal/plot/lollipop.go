package plot

// Lollipop draws one row a pair of models (or whatever Rows are): an open circle a
// group at its value, joined by a grey line, and a vertical line at 0 (the
// paper's figure 3).
type Lollipop struct {
	XLabel string
	Groups []Group
	Rows   []LollipopRow // top to bottom
}

// A LollipopRow is a label and one value a group.
type LollipopRow struct {
	Label  string
	Values []float64
}

func (c *Lollipop) check() error { return nil }
