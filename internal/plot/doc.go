// Package plot draws the figures of a study as PNG and SVG from numbers and labels. A Figure
// is a title, a caption and a Chart, which is one of
//
//	*Violins    densities of samples in facets, split or side by side, with boxes, points, means and stars
//	*Lollipop   two or more values per row, joined, and a line at 0
//	*Lines      curves in facets: training runs, power
//	*Points     scattered points in facets: ablations with a broken axis, one score against another
//	*Bars       horizontal bars: the words whose rank changed most
//	*Intervals  an estimate with its interval per row (a forest plot)
//
// Charts are plain data: only densities, quartiles, means and their errors are computed
// here, as each field says.
//
// The page is white, the colours are those of Okabe and Ito, which are distinguishable with
// colour blindness, the legend is above the data, and a label that does not fit is wrapped,
// then shrunk, never cut. The same figure gives the same bytes: nothing depends on clocks,
// map order or installed fonts. The SVG names Liberation Sans and fonts of the same widths
// (Arimo, Arial, Helvetica) rather than embedding one. A character that the font lacks is
// written as its code, \u4e2d.
//
// NaN, infinities, empty data, lengths that differ and a page too small for its labels are
// errors, which name the chart and the field.
package plot
