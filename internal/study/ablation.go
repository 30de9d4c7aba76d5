package study

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
)

// Ablation is a file of median ranks over the checkpoints of models trained on one
// data set.
type Ablation struct {
	File   string
	Size   float64 // thousands of pairs
	Source string
	Method string
	Rows   []RunRow

	hash [sha256.Size]byte
}

// RunRow is a line of such a file.
type RunRow struct {
	Model, Family, Category string
	Checkpoint              int
	Median                  float64
}

// published are the paper's files: what they hold is in the names only, and in the
// scripts that draw them. The sizes are those of the script; the GRM file says 85.
var published = map[string]Ablation{
	"rank_results_uf_13.csv":   {Size: 13, Source: "uf", Method: "BT"},
	"rank_results_uf_27.csv":   {Size: 27, Source: "uf", Method: "BT"},
	"rank_results_uf_54.csv":   {Size: 53, Source: "uf", Method: "BT"},
	"rank_results_uf_100.csv":  {Size: 106, Source: "uf", Method: "BT"},
	"rank_results_sky_80k.csv": {Size: 77, Source: "skywork", Method: "BT"},
	"rank_results_grm_80k.csv": {Size: 550, Source: "uf+skywork", Method: "GRM"},
}

// ReadAblation reads the columns model_id, Category, checkpoint, base_model and
// sum_value (the median rank), and data_size, data_source and method, which the
// paper's files, known by name, may lack. Where base_model is NA the family is told
// from the model's name.
func ReadAblation(path string) (*Ablation, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	a := published[filepath.Base(path)]
	a.File, a.hash = path, sha256.Sum256(data)
	if err := a.read(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &a, nil
}

func (a *Ablation) read(data []byte) error {
	in := table.NewCSVReader(bytes.NewReader(data))
	header, err := in.Header()
	if err != nil {
		return err
	}
	column := func(name string) int { return slices.Index(header, name) }
	for _, name := range []string{"model_id", "Category", "checkpoint", "base_model", "sum_value"} {
		if column(name) < 0 {
			return fmt.Errorf("line 1: no column %s, wanted model_id, Category, checkpoint, base_model and sum_value", name)
		}
	}
	known := a.Method != ""
	for first := true; ; first = false {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		text := func(name string) string {
			if i := column(name); i >= 0 {
				return string(rec[i])
			}
			return ""
		}
		if first && !known {
			a.Source, a.Method = text("data_source"), text("method")
			if a.Size, err = strconv.ParseFloat(text("data_size"), 64); err != nil || a.Source == "" || a.Method == "" {
				return fmt.Errorf("line %d: wanted data_size (a number), data_source and method in columns of these names", in.Line(0))
			}
		}
		r := RunRow{Model: text("model_id"), Family: familyName(text("base_model")), Category: text("Category")}
		if r.Family == "" || r.Family == "NA" {
			for family, part := range map[string]string{"Gemma": "gemma", "Llama": "llama", "Qwen": "qwen"} {
				if strings.Contains(strings.ToLower(r.Model), part) {
					r.Family = family
				}
			}
			if r.Family == "" || r.Family == "NA" {
				return in.Errorf(column("base_model"), "model %s without a family", r.Model)
			}
		}
		if r.Checkpoint, err = strconv.Atoi(text("checkpoint")); err != nil {
			return in.Errorf(column("checkpoint"), "%q, wanted a number of steps", text("checkpoint"))
		}
		if r.Median, err = strconv.ParseFloat(text("sum_value"), 64); err != nil || !(r.Median >= 1) {
			return in.Errorf(column("sum_value"), "%q, wanted a median rank", text("sum_value"))
		}
		a.Rows = append(a.Rows, r)
	}
	if len(a.Rows) == 0 {
		return errors.New("no rows")
	}
	return nil
}

// EndRow is the median rank at the end of one training run.
type EndRow struct {
	Size       float64 `parquet:"data_size"` // thousands of pairs
	Source     string  `parquet:"data_source"`
	Method     string  `parquet:"method"`
	Family     string  `parquet:"base_model"`
	Category   string  `parquet:"Category"`
	Checkpoint int64   `parquet:"checkpoint"`
	Median     float64 `parquet:"sum_value"`
	Rows       int64   `parquet:"n_rows"` // equal rows in the file
	X          float64 `parquet:"x_plot"`
}

// RunGapRow is the difference of two families at the end of training.
type RunGapRow struct {
	Size     float64 `parquet:"data_size"`
	Source   string  `parquet:"data_source"`
	Method   string  `parquet:"method"`
	Category string  `parquet:"Category"`
	Gemma    float64 `parquet:"Gemma"`
	Llama    float64 `parquet:"Llama"`
	Gap      float64 `parquet:"llama_minus_gemma"`
}

// Fig4b draws the ends of training runs against the size of their data.
func Fig4b(files []*Ablation, o *Options) (*Result, error) {
	res := &Result{Analysis: "fig4b", Name: "fig4b", Title: "Ablation: ranks at the end of training (Figures 4b and A5b)",
		About: []string{"Median ranks at the last checkpoint of each run, as the files have them. Few runs and no test, as in the paper."}}
	if slices.ContainsFunc(files, func(a *Ablation) bool { return filepath.Base(a.File) == "rank_results_grm_80k.csv" }) {
		res.About = append(res.About, "The size of the GRM run is 85 in its file, 550 in the paper's script and 632 thousand on the paper's axis; here it is 550 in tables and stands behind the break of the axis with the paper's label.")
	}
	var rows []EndRow
	for _, a := range files {
		res.Inputs = append(res.Inputs, a.File)
		if twin := a.twin(files); twin != nil {
			note := fmt.Sprintf("%s and %s have the same bytes", filepath.Base(a.File), filepath.Base(twin.File))
			if !o.Compat && !a.rightful(twin) {
				res.Differs = append(res.Differs, note+": the first is left out, since its models are named after the second's data. The paper draws both.")
				continue
			}
			if o.Compat && a.Size < twin.Size {
				res.doubt(note + ": both are drawn, as in the paper.")
			}
		}
		end, err := a.ends()
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
		return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Method, b.Method), cmp.Compare(slices.Index(categories, a.Category), slices.Index(categories, b.Category)), cmp.Compare(a.Family, b.Family))
	})
	res.Tables = []Table{{"points", "Median ranks at the end of training", rows, 0}, {"gaps", "Llama less Gemma", runGaps(rows), 0}}
	res.Figures = []Figure{endFigure("fig4b", rows, func(r EndRow) bool { return r.Family != "Qwen" })}
	if slices.ContainsFunc(rows, func(r EndRow) bool { return r.Family == "Qwen" }) {
		res.Figures = append(res.Figures, endFigure("a5b", rows, func(r EndRow) bool { return r.Method == "BT" }))
	}
	return res, nil
}

// twin is another file with the same bytes.
func (a *Ablation) twin(files []*Ablation) *Ablation {
	for _, b := range files {
		if b != a && b.hash == a.hash {
			return b
		}
	}
	return nil
}

// rightful says whether a's models are named after its size, or not after its twin's.
func (a *Ablation) rightful(twin *Ablation) bool {
	named := func(size float64) bool { return strings.Contains(a.Rows[0].Model, fmt.Sprintf("%gk", size)) }
	return named(a.Size) || !named(twin.Size)
}

// ends are the rows of the last checkpoint in the file; equal rows are one.
func (a *Ablation) ends() ([]EndRow, error) {
	last := 0
	for _, r := range a.Rows {
		last = max(last, r.Checkpoint)
	}
	var rows []EndRow
	for _, r := range a.Rows {
		if r.Checkpoint != last {
			continue
		}
		i := slices.IndexFunc(rows, func(e EndRow) bool { return e.Family == r.Family && e.Category == r.Category })
		if i >= 0 && rows[i].Median != r.Median {
			return nil, fmt.Errorf("%s: %s, %s, checkpoint %d: %v and %v, wanted one median", a.File, r.Family, r.Category, last, rows[i].Median, r.Median)
		}
		if i >= 0 {
			rows[i].Rows++
			continue
		}
		x := a.Size
		if a.Method == "GRM" {
			x = beyondBreak
		}
		rows = append(rows, EndRow{a.Size, a.Source, a.Method, r.Family, r.Category, int64(last), r.Median, 1, x})
	}
	return rows, nil
}

// The GRM run stands after a break of the axis, labelled with its own size.
const (
	axisBreak   = 121
	beyondBreak = 136
)

func runGaps(rows []EndRow) []RunGapRow {
	var gaps []RunGapRow
	for _, g := range rows {
		for _, l := range rows {
			if g.Family == "Gemma" && l.Family == "Llama" && g.Size == l.Size && g.Source == l.Source && g.Method == l.Method && g.Category == l.Category {
				gaps = append(gaps, RunGapRow{g.Size, g.Source, g.Method, g.Category, g.Median, l.Median, l.Median - g.Median})
			}
		}
	}
	return gaps
}

func endFigure(name string, rows []EndRow, use func(EndRow) bool) Figure {
	c := &plot.Points{XLabel: "preference pairs (thousands)", YLabel: "median rank (1 = best)", Reverse: true, SharedY: true, Join: true}
	group := map[string]int{}
	shape := map[string]int{}
	facet := map[string]int{}
	for _, r := range rows {
		if !use(r) {
			continue
		}
		if _, ok := group[r.Family]; !ok {
			group[r.Family] = len(c.Groups)
			c.Groups = append(c.Groups, plot.Group{Name: r.Family})
		}
		if _, ok := shape[r.Source]; !ok {
			shape[r.Source] = len(c.Shapes)
			c.Shapes = append(c.Shapes, r.Source)
		}
		if _, ok := facet[r.Category]; !ok {
			facet[r.Category] = len(c.Facets)
			c.Facets = append(c.Facets, plot.PointFacet{Name: r.Category})
		}
		f := &c.Facets[facet[r.Category]]
		f.Points = append(f.Points, plot.Point{X: r.X, Y: r.Median, Group: group[r.Family], Shape: shape[r.Source]})
		label := strconv.FormatFloat(r.Size, 'g', -1, 64)
		if r.Method == "GRM" {
			label, c.Break = "GRM 632", axisBreak // the paper's axis says 632
		}
		if !slices.ContainsFunc(c.Ticks, func(t plot.Tick) bool { return t.At == r.X }) {
			c.Ticks = append(c.Ticks, plot.Tick{At: r.X, Label: label})
		}
	}
	return Figure{name, &plot.Figure{Title: "Ranks at the end of training", Chart: c, Caption: "Each point is one run; dotted lines join the families of one run."}}
}
