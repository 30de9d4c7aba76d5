package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/stats"
)

// varyReport is what -vary answers.
type varyReport struct {
	base       string    // what the default is
	variants   []variant // the first is the default
	categories []string
	results    []stats.Sensitivity // a variant, empty for those that could not be computed
}

// each calls row for all words and each category of every variant.
func (r *varyReport) each(row func(v variant, category string, s stats.RankSummary)) {
	for i, v := range r.variants {
		row(v, "", r.results[i].All)
		if v.why != "" {
			continue
		}
		for g, c := range r.categories {
			row(v, c, r.results[i].Groups[g])
		}
	}
}

// writeCSV writes a row a variant and category, under the header
// variant,category,words,median_rank,correlation,lowest,why. The fields are those of
// stats.RankSummary, category is empty for all words, and a variant that could not be
// computed has one row that says why. What has no value is empty.
func (r *varyReport) writeCSV(w io.Writer) error {
	b := bufio.NewWriter(w)
	line := table.AppendRecord(nil, "variant", "category", "words", "median_rank", "correlation", "lowest", "why")
	b.Write(line) // an error stays, and Flush returns it
	r.each(func(v variant, category string, s stats.RankSummary) {
		fields := []string{v.name, category, strconv.Itoa(s.N), figure(s.MedianRank), figure(s.Correlation), figure(s.Lowest), v.why}
		if v.why != "" {
			fields = []string{v.name, "", "", "", "", "", v.why}
		}
		line = table.AppendRecord(line[:0], fields...)
		b.Write(line)
	})
	return b.Flush()
}

// figure is a number with all its digits, "" for NaN.
func figure(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// print writes the table and what it says.
func (r *varyReport) print(w io.Writer, path string) {
	fmt.Fprintf(w, "Sensitivity, one change at a time from the default, %s (base/tuned); also in %s\n", r.base, path)
	fmt.Fprintf(w, "median rank: 0 is the most rewarded word of a prompt, 100 the least; correlation: of ranks with the default's; both medians over prompts\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "variant\tcategory\twords\tmedian rank\tcorrelation\tlowest of a prompt\t")
	r.each(func(v variant, category string, s stats.RankSummary) {
		switch {
		case v.why != "":
			fmt.Fprintf(t, "%s\tnot computed\t-\t-\t-\t-\t\n", v.name)
		default:
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t\n", v.name, cmp.Or(category, "(all words)"), s.N, short(s.MedianRank, 1), short(s.Correlation, 3), short(s.Lowest, 3))
		}
	})
	t.Flush()
	for _, v := range r.variants {
		if v.why != "" {
			fmt.Fprintf(w, "not computed: %s: %s\n", v.name, v.why)
		}
	}
	fmt.Fprintln(w)
	r.printFinding(w)
}

// short is a number with few digits, "-" for NaN.
func short(x float64, digits int) string {
	if math.IsNaN(x) {
		return "-"
	}
	s := strconv.FormatFloat(x, 'f', digits, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}

// difference is how two categories stand to each other, the first before the second in
// the default or level with it.
type difference struct {
	first, second string
	byDefault     float64 // median rank of the second less that of the first, at least 0
	compared      int     // variants besides the default in which both have words
	least, most   float64 // of these, NaN of none
	where         [2]string
	changed       []string // variants in which the sign is another
}

// differences compares each two categories that the default has words of.
func (r *varyReport) differences() []difference {
	var order []int
	for g := range r.categories {
		if !math.IsNaN(r.results[0].Groups[g].MedianRank) {
			order = append(order, g)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(r.results[0].Groups[a].MedianRank, r.results[0].Groups[b].MedianRank)
	})
	var all []difference
	for k, a := range order {
		for _, b := range order[k+1:] {
			d := difference{first: r.categories[a], second: r.categories[b], least: math.NaN(), most: math.NaN()}
			for i, v := range r.variants {
				if v.why != "" {
					continue
				}
				by := r.results[i].Groups[b].MedianRank - r.results[i].Groups[a].MedianRank
				if math.Abs(by) < 1e-9 {
					by = 0 // medians of the same ranks, rounded
				}
				switch {
				case i == 0:
					d.byDefault = by
					continue
				case math.IsNaN(by):
					continue
				}
				d.compared++
				if !(by >= d.least) {
					d.least, d.where[0] = by, v.name
				}
				if !(by <= d.most) {
					d.most, d.where[1] = by, v.name
				}
				if (by > 0) != (d.byDefault > 0) || (by < 0) != (d.byDefault < 0) {
					d.changed = append(d.changed, v.name)
				}
			}
			all = append(all, d)
		}
	}
	return all
}

// maxPairs bounds the pairs of categories that are printed whether or not they change.
const maxPairs = 6

// printFinding answers whether the order of the categories survives.
func (r *varyReport) printFinding(w io.Writer) {
	pairs := r.differences()
	if len(pairs) == 0 {
		fmt.Fprintln(w, "Does the finding survive? There are no two categories with words to compare: see the correlations.")
		return
	}
	computed := 0
	for _, v := range r.variants[1:] {
		if v.why == "" {
			computed++
		}
	}
	variants, changed, missing := map[string]bool{}, 0, 0
	for _, d := range pairs {
		if len(d.changed) > 0 {
			changed++
		}
		missing += computed - d.compared
		for _, name := range d.changed {
			variants[name] = true
		}
		if len(d.changed) == 0 && len(pairs) > maxPairs {
			continue
		}
		stand := "before"
		if d.byDefault == 0 {
			stand = "level with"
		}
		fmt.Fprintf(w, "%s %s %s: by %s points in the default", d.first, stand, d.second, short(d.byDefault, 1))
		if d.compared > 0 {
			fmt.Fprintf(w, ", by %s (%s) to %s (%s) in %s", short(d.least, 1), d.where[0], short(d.most, 1), d.where[1], plural(d.compared, "variant"))
		}
		if len(d.changed) > 0 {
			fmt.Fprintf(w, "; not so in %s", strings.Join(d.changed, ", "))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "Does the finding survive? ")
	switch {
	case missing == computed*len(pairs):
		fmt.Fprintln(w, "No variant could be compared with the default.")
	case changed == 0:
		fmt.Fprintf(w, "Yes: none of %s changes the order of two categories.\n", plural(computed, "variant"))
	default:
		fmt.Fprintf(w, "Not every variant: in %d of %d, %d of %s of categories change their order.\n", len(variants), computed, changed, plural(len(pairs), "pair"))
	}
	if missing > 0 && missing < computed*len(pairs) {
		fmt.Fprintf(w, "%s of two categories in a variant could not be made: one of them has no words there.\n", plural(missing, "comparison"))
	}
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}
