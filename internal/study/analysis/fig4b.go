package analysis

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// EndRow is the median rank at the end of one training run.
type EndRow struct {
	DataSize           float64 // thousands of pairs
	DataSource, Method string
	Family             string `parquet:"base_model"`
	Category           string `parquet:"Category"`
	Checkpoint         int64
	SumValue           float64 // the median
	NRows              int64   // equal rows in the file
	XPlot              float64
}

// RunGapRow is the difference of two families at the end of training.
type RunGapRow struct {
	DataSize           float64
	DataSource, Method string
	Category           string  `parquet:"Category"`
	Gemma              float64 `parquet:"Gemma"`
	Llama              float64 `parquet:"Llama"`
	LlamaMinusGemma    float64
}

// Fig4b draws the ends of training runs against the size of their data.
func Fig4b(files []*cube.Ablation, o *Options) (*Result, error) {
	res := &Result{Analysis: "fig4b", Name: "fig4b", Title: say("fig4b.title"), About: paragraphs("fig4b.about")}
	grm := func(a *cube.Ablation) bool { return filepath.Base(a.File) == "rank_results_grm_80k.csv" }
	if slices.ContainsFunc(files, grm) {
		res.About = append(res.About, say("fig4b.grm"))
	}
	var rows []EndRow
	for _, a := range files {
		res.Inputs = append(res.Inputs, a.File)
		if twin := twinOf(a, files); twin != nil {
			note := say("fig4b.twins", filepath.Base(a.File), filepath.Base(twin.File))
			if !o.Paper() && !rightful(a, twin) {
				res.Differs = append(res.Differs, note+say("fig4b.left"))
				continue
			}
			if o.Paper() && a.Size < twin.Size {
				res.doubt(note + say("fig4b.both"))
			}
		}
		end, err := ends(a)
		if err != nil {
			return nil, err
		}
		rows = append(rows, end...)
	}
	var categories []string // in the order of the files
	for _, r := range rows {
		if !slices.Contains(categories, r.Category) {
			categories = append(categories, r.Category)
		}
	}
	slices.SortStableFunc(rows, func(a, b EndRow) int {
		place := func(r EndRow) int { return slices.Index(categories, r.Category) }
		return cmp.Or(cmp.Compare(a.DataSize, b.DataSize), cmp.Compare(a.Method, b.Method),
			cmp.Compare(place(a), place(b)), cmp.Compare(a.Family, b.Family))
	})
	res.Tables = []Table{{"points", "Median ranks at the end of training", rows, 0},
		{"gaps", "Llama less Gemma", runGaps(rows), 0}}
	qwen := func(r EndRow) bool { return r.Family == "Qwen" }
	res.Figures = []Figure{endFigure("fig4b", slices.DeleteFunc(slices.Clone(rows), qwen))}
	if slices.ContainsFunc(rows, qwen) {
		other := func(r EndRow) bool { return r.Method != "BT" }
		res.Figures = append(res.Figures, endFigure("a5b", slices.DeleteFunc(slices.Clone(rows), other)))
	}
	return res, nil
}

// twinOf is another file with the same bytes.
func twinOf(a *cube.Ablation, files []*cube.Ablation) *cube.Ablation {
	for _, b := range files {
		if b != a && b.Hash == a.Hash {
			return b
		}
	}
	return nil
}

// rightful says whether a's models are named after its size, or not after its twin's.
func rightful(a, twin *cube.Ablation) bool {
	named := func(size float64) bool { return strings.Contains(a.Rows[0].Model, fmt.Sprintf("%gk", size)) }
	return named(a.Size) || !named(twin.Size)
}

// The GRM run is after a break of the axis, labelled with its own size.
const (
	axisBreak   = 121
	beyondBreak = 136
)

// ends are the rows of the last checkpoint in the file; equal rows are one.
func ends(a *cube.Ablation) ([]EndRow, error) {
	last, x := 0, a.Size
	if a.Method == "GRM" {
		x = beyondBreak
	}
	for _, r := range a.Rows {
		last = max(last, r.Checkpoint)
	}
	var rows []EndRow
	for _, r := range a.Rows {
		if r.Checkpoint != last {
			continue
		}
		i := slices.IndexFunc(rows, func(e EndRow) bool { return e.Family == r.Family && e.Category == r.Category })
		switch {
		case i < 0:
			rows = append(rows, EndRow{a.Size, a.Source, a.Method, r.Family, r.Category, int64(last), r.Median, 1, x})
		case rows[i].SumValue != r.Median:
			return nil, fmt.Errorf("%s: %s, %s, checkpoint %d: %v and %v, wanted one median",
				a.File, r.Family, r.Category, last, rows[i].SumValue, r.Median)
		default:
			rows[i].NRows++
		}
	}
	return rows, nil
}

func runGaps(rows []EndRow) []RunGapRow {
	var gaps []RunGapRow
	for _, g := range rows {
		for _, l := range rows {
			same := g.DataSize == l.DataSize && g.DataSource == l.DataSource && g.Method == l.Method && g.Category == l.Category
			if same && g.Family == "Gemma" && l.Family == "Llama" {
				gaps = append(gaps, RunGapRow{g.DataSize, g.DataSource, g.Method, g.Category,
					g.SumValue, l.SumValue, l.SumValue - g.SumValue})
			}
		}
	}
	return gaps
}

func endFigure(name string, rows []EndRow) Figure {
	c := &plot.Points{XLabel: "preference pairs (thousands)", YLabel: "median rank (1 = best)",
		Reverse: true, SharedY: true, Join: true}
	group, shape, facet := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range rows {
		if _, ok := group[r.Family]; !ok {
			group[r.Family] = len(c.Groups)
			c.Groups = append(c.Groups, plot.Group{Name: r.Family})
		}
		if _, ok := shape[r.DataSource]; !ok {
			shape[r.DataSource] = len(c.Shapes)
			c.Shapes = append(c.Shapes, r.DataSource)
		}
		if _, ok := facet[r.Category]; !ok {
			facet[r.Category] = len(c.Facets)
			c.Facets = append(c.Facets, plot.PointFacet{Name: r.Category})
		}
		f := &c.Facets[facet[r.Category]]
		f.Points = append(f.Points, plot.Point{X: r.XPlot, Y: r.SumValue, Group: group[r.Family], Shape: shape[r.DataSource]})
		label := strconv.FormatFloat(r.DataSize, 'g', -1, 64)
		if r.Method == "GRM" {
			label, c.Break = "GRM 632", axisBreak // the paper's axis says 632
		}
		if !slices.ContainsFunc(c.Ticks, func(t plot.Tick) bool { return t.At == r.XPlot }) {
			c.Ticks = append(c.Ticks, plot.Tick{At: r.XPlot, Label: label})
		}
	}
	return Figure{name, &plot.Figure{Title: "Ranks at the end of training", Chart: c, Caption: say("fig4b.caption")}}
}
