// Package plot draws the figures of a study: numbers and labels in, PNG and SVG
// out. A Figure is a title, a caption and a Chart, which is one of
//
//	*Violins    densities of samples in facets, split or side by side, with boxes, points, means and stars
//	*Lollipop   two or more values a row, joined, against a line at 0
//	*Lines      curves in facets: training runs, power
//	*Points     scattered points in facets: ablations with a broken axis, one score against another
//	*Bars       horizontal bars: the words that moved most
//	*Intervals  an estimate with its interval a row (a forest plot)
//
// and all of them are plain data: nothing is computed here but densities,
// quartiles, means and their errors, as each field says.
//
// The page is white, the colours are those of Okabe and Ito, which colour-blind
// readers can tell apart, the legend stands above the data, and a label that does
// not fit is wrapped, then shrunk, never cut. The same figure gives the same bytes:
// nothing depends on clocks, map order or installed fonts. The SVG names Liberation
// Sans and fonts of the same widths (Arimo, Arial, Helvetica) rather than embedding
// one. A character that the font lacks is written as its code, \u4e2d.
//
// NaN, infinities, empty data, lengths that differ and a page too small for its
// labels are errors, which name the chart and the field.
package plot
