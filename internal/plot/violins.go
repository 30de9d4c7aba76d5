package plot

import "fmt"

// Violins draws samples as densities, in facets of rows and columns: two
// families of models side by side (the paper's figures 1 and A1), or the two halves of one
// violin (figure 2).
//
// A density is a Gaussian kernel estimate (stats.Density), of equal area within a
// cell before it is trimmed. A sample whose values are all equal, or of one
// value, has no density and is drawn as a line at its value.
type Violins struct {
	YLabel  string
	Reverse bool     // the smallest value on top, as for ranks
	SharedY bool     // one y axis for all rows; otherwise each row has its own
	Groups  []Group  // the samples of a cell, left to right
	Rows    []string // names of the rows of facets, top to bottom; one, maybe "", at least
	Columns []string // names of the columns, left to right; one, maybe "", at least
	Cells   [][]Cell // Cells[row][column]

	// Split joins two groups, left and right, to one violin, and puts the columns
	// side by side in one panel a row. It wants exactly two groups.
	Split bool

	Bandwidth Bandwidth // NRD0 (of ggplot2) or Scott (of seaborn)
	Cut       float64   // how many bandwidths a violin reaches beyond its extreme values; 0 trims it to them

	Box    bool       // a box inside: quartiles (type 7), median, whiskers to the last value within 1.5 IQR
	Points PointStyle // every value as a dot
	Means  MeanStyle  // the mean as a black diamond with a bar
	Join   bool       // a dotted line joins the means of a cell

	// ModelNames gives each model of a group its own shape (the first ten; then they
	// repeat) and lists them in the legend. A model is known by its Name and group.
	ModelNames bool
}

// A Cell is one facet of Violins.
type Cell struct {
	Samples []Sample // one a group

	// Mark is the result of the cell's test, such as "**" or "n.s.". Side by side it
	// stands between the violins, where the density of all values is low but near the
	// middle of the axis (the paper's rule: the least of density/max + 0.3 |y - centre| /
	// half range over 50 values of y); over the violin when Split.
	Mark string
}

// A Sample is the values of one group in one cell.
type Sample struct {
	Values []float64 // may be empty: no violin
	Models []Model   // drawn as translucent points with error bars; may be empty
}

// A Model is the mean of one model's share of a sample, and its standard error.
type Model struct {
	Name     string // for the legend, see ModelNames
	Mean, SE float64
}

// Bandwidth is the rule for the width of the density's kernel.
type Bandwidth int

// The rules: stats.BandwidthNRD0 and stats.BandwidthScott.
const (
	NRD0 Bandwidth = iota
	Scott
)

// PointStyle says how the single values of a sample are drawn.
type PointStyle int

// Jittered points are spread by a fixed low-discrepancy sequence, those of a
// beeswarm no further than keeps them apart (or as the violin is wide).
const (
	NoPoints PointStyle = iota
	Jitter
	Beeswarm
)

// MeanStyle says how the mean of a sample is drawn.
type MeanStyle int

// The bar at the mean reaches one standard error sd/sqrt(n) or one standard
// deviation sd (of n-1) to both sides.
const (
	NoMeans MeanStyle = iota
	MeanSE
	MeanSD
)

func (c *Violins) check() error {
	const name = "violins"
	err := first(filled(name, "Groups", len(c.Groups)), filled(name, "Rows", len(c.Rows)), filled(name, "Columns", len(c.Columns)),
		length(name, "Cells", len(c.Cells), len(c.Rows)), finite(name, "Cut", c.Cut))
	if err != nil {
		return err
	}
	if c.Split && len(c.Groups) != 2 {
		return fmt.Errorf("plot: violins: Split with %d groups, wanted 2", len(c.Groups))
	}
	if c.Cut < 0 || c.Cut > 10 {
		return fmt.Errorf("plot: violins: Cut is %v, wanted 0 to 10", c.Cut)
	}
	if c.Bandwidth < NRD0 || c.Bandwidth > Scott || c.Points < NoPoints || c.Points > Beeswarm || c.Means < NoMeans || c.Means > MeanSD {
		return fmt.Errorf("plot: violins: Bandwidth %d, Points %d, Means %d, wanted one of the constants", c.Bandwidth, c.Points, c.Means)
	}
	drawn := 0
	for i, row := range c.Cells {
		if err := length(name, fmt.Sprintf("Cells[%d]", i), len(row), len(c.Columns)); err != nil {
			return err
		}
		for j, cell := range row {
			at := fmt.Sprintf("Cells[%d][%d].Samples", i, j)
			if err := length(name, at, len(cell.Samples), len(c.Groups)); err != nil {
				return err
			}
			for k, s := range cell.Samples {
				drawn += len(s.Values) + len(s.Models)
				if err := s.check(fmt.Sprintf("%s[%d]", at, k)); err != nil {
					return err
				}
			}
		}
	}
	return filled(name, "every Sample", drawn)
}

func (s Sample) check(at string) error {
	if err := finite("violins", at+".Values", s.Values...); err != nil {
		return err
	}
	for m, v := range s.Models {
		if err := finite("violins", fmt.Sprintf("%s.Models[%d]", at, m), v.Mean, v.SE); err != nil {
			return err
		}
		if v.SE < 0 {
			return fmt.Errorf("plot: violins: %s.Models[%d].SE is %v, wanted at least 0", at, m, v.SE)
		}
	}
	return nil
}
