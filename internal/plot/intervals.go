package plot

// Intervals draws estimates with their intervals, a row each, and a vertical line
// at Zero: a forest plot. Rows stand in sections; a row of several estimates
// draws them below each other.
type Intervals struct {
	XLabel   string
	Zero     float64    // where there is no effect
	XRange   [2]float64 // limits of x: an interval beyond them ends in an arrow; {0, 0}: those of the data
	Groups   []Group    // what the colours stand for; a single one needs no legend and may have no name
	Sections []IntervalSection
}

// An IntervalSection is rows under a heading.
type IntervalSection struct {
	Name string // "": no heading
	Rows []IntervalRow
}

// An IntervalRow is a label and its estimates.
type IntervalRow struct {
	Label     string
	Note      string // at the right, such as "p = .27, n = 10"
	Estimates []Estimate
}

// An Estimate is a value and its interval. Lower <= Value <= Upper; where the
// three are equal only the point is drawn.
type Estimate struct {
	Group               int // index into Groups
	Value, Lower, Upper float64
}

func (c *Intervals) check() error { return nil }
