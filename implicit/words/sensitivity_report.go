package words

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/stats"
)

// SensitivityReport is the result of a sensitivity analysis.
type SensitivityReport struct {
	Default    string         // the choices of the default: "rendering=raw/chat forms=all ..."
	Variants   []VariantRanks // the first is the default
	Categories []string       // of the corpus
}

// VariantRanks are the ranks of all words and of each category under a variant.
type VariantRanks struct {
	Variant
	Err error // why the variant was not computed; the ranks are then empty
	stats.Sensitivity
}

// each yields the ranks of all words (category "") and of each category of every variant.
func (r *SensitivityReport) each(yield func(v VariantRanks, category string, s stats.RankSummary)) {
	for _, v := range r.Variants {
		yield(v, "", v.All)
		for g, s := range v.Groups {
			yield(v, r.Categories[g], s)
		}
	}
}

// WriteCSV writes a row per variant and category, under the header
// variant,category,words,median_rank,correlation,lowest,why. The numbers are those of
// stats.RankSummary, empty where there is none; category is empty for all words. A variant
// that was not computed has one row, with the reason.
func (r *SensitivityReport) WriteCSV(w io.Writer) error {
	b := bufio.NewWriter(w)
	line := table.AppendRecord(nil, "variant", "category", "words", "median_rank", "correlation", "lowest", "why")
	b.Write(line) // an error stays, and Flush returns it
	r.each(func(v VariantRanks, category string, s stats.RankSummary) {
		fields := []string{v.Name, category, strconv.Itoa(s.N), figure(s.MedianRank), figure(s.Correlation), figure(s.Lowest), ""}
		if v.Err != nil {
			fields = []string{v.Name, "", "", "", "", "", v.Err.Error()}
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

// WriteText writes the ranks as a table, and whether the order of the categories survives.
// file is where WriteCSV's output is.
func (r *SensitivityReport) WriteText(w io.Writer, file string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Sensitivity, one change at a time from the default, %s (base/tuned); also in %s\n", r.Default, file)
	fmt.Fprintf(b, "median rank: 0 is the most rewarded word of a prompt, 100 the least; correlation: of ranks with the default's; both medians over prompts\n\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "variant\tcategory\twords\tmedian rank\tcorrelation\tlowest of a prompt\t")
	r.each(func(v VariantRanks, category string, s stats.RankSummary) {
		if v.Err != nil {
			fmt.Fprintf(t, "%s\tnot computed\t-\t-\t-\t-\t\n", v.Name)
			return
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t\n", v.Name, cmp.Or(category, "(all words)"), s.N, rounded(s.MedianRank, 1), rounded(s.Correlation, 3), rounded(s.Lowest, 3))
	})
	t.Flush()
	for _, v := range r.Variants {
		if v.Err != nil {
			fmt.Fprintf(b, "not computed: %s: %s\n", v.Name, v.Err)
		}
	}
	fmt.Fprintln(b)
	r.writeFinding(b)
	return b.Flush()
}

// rounded is a number with few digits, "-" for NaN.
func rounded(x float64, digits int) string {
	if math.IsNaN(x) {
		return "-"
	}
	s := strconv.FormatFloat(x, 'f', digits, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}
