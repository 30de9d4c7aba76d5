package plot

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

var gallery = flag.String("gallery", "", "folder into which the test figures are written, to be looked at")

// TestGallery writes every figure of this test as PNG and SVG where -gallery asks for it.
func TestGallery(t *testing.T) {
	if *gallery == "" {
		t.Skip("needs -gallery, a folder to write pictures to")
	}
	for name, f := range figures(t) {
		for ending, write := range map[string]func(*os.File) error{
			"png": func(w *os.File) error { return f.WritePNG(w) },
			"svg": func(w *os.File) error { return f.WriteSVG(w) },
		} {
			file, err := os.Create(filepath.Join(*gallery, name+"."+ending))
			if err != nil {
				t.Fatal(err)
			}
			if err := write(file); err != nil {
				t.Errorf("%s.%s: %v", name, ending, err)
			}
			file.Close()
		}
	}
}

// golden reads a file of ../shared/golden as rows by column name.
func golden(t *testing.T, name string) []map[string]string {
	t.Helper()
	file, err := os.Open(filepath.Join("../../../shared/golden", name))
	if err != nil {
		return nil
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = r[i]
		}
		out = append(out, row)
	}
	return out
}

func num(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// made returns n made-up values about a mean.
func made(seed uint64, n int, mean, sd float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Round(4*(mean+sd*r.NormFloat64())) / 4
	}
	return out
}

func share(values []float64, models int) []Model {
	var out []Model
	per := len(values) / models
	for i := range models {
		part := values[i*per : (i+1)*per]
		var m, ss float64
		for _, v := range part {
			m += v / float64(per)
		}
		for _, v := range part {
			ss += (v - m) * (v - m)
		}
		out = append(out, Model{fmt.Sprintf("Model-%d-27B-v0.%d", i, i), m, math.Sqrt(ss / float64(per-1) / float64(per))})
	}
	return out
}

// violins is the layout of figure 1 with made-up values.
func violins(columns []string, gemmas, llamas int) *Violins {
	c := &Violins{
		YLabel: "median rank (#1 = best, #263 = worst)", Reverse: true,
		Groups: []Group{{"Gemma", Vermillion}, {"Llama", Blue}},
		Rows:   []string{"positive", "negative"}, Columns: columns, Means: MeanSE, Join: true,
	}
	for i := range c.Rows {
		var row []Cell
		for j := range columns {
			a := made(uint64(10*i+j), 27*gemmas, 130-30*float64(i)+40*float64(j*i), 9)
			b := made(uint64(10*i+j+5), 27*llamas, 128-25*float64(i)+36*float64(j*i), 11)
			row = append(row, Cell{Samples: []Sample{{a, share(a, gemmas)}, {b, share(b, llamas)}}, Mark: []string{"***", "n.s.", "*", "**", "n.s."}[(i+j)%5]})
		}
		c.Cells = append(c.Cells, row)
	}
	return c
}

// realViolins is figure 1 of the paper, from the golden medians.
func realViolins(t *testing.T) *Violins {
	medians, models, tests := golden(t, "real/fig1_big2_medians.csv"), golden(t, "real/fig1_big2_per_model.csv"), golden(t, "real/fig1_big2_panel_tests.csv")
	if medians == nil {
		return nil
	}
	c := &Violins{
		YLabel: "median rank of the category's words (#1 = best, #263 = worst)", Reverse: true,
		Groups: []Group{{"Gemma", Vermillion}, {"Llama", Blue}},
		Rows:   []string{"positive", "negative"}, Columns: []string{"Agency", "Communion"}, Means: MeanSE, Join: true,
	}
	for _, framing := range c.Rows {
		var row []Cell
		for _, category := range c.Columns {
			cell := Cell{}
			for _, family := range c.Groups {
				var s Sample
				for _, r := range medians {
					if r["prompt_framing"] == framing && r["Category"] == category && r["base_model"] == family.Name {
						s.Values = append(s.Values, num(r["sum_value"]))
					}
				}
				for _, r := range models {
					if r["prompt_framing"] == framing && r["Category"] == category && r["base_model"] == family.Name {
						s.Models = append(s.Models, Model{r["model_id"], num(r["mean"]), num(r["se"])})
					}
				}
				cell.Samples = append(cell.Samples, s)
			}
			for _, r := range tests {
				if r["prompt_framing"] == framing && r["Category"] == category {
					cell.Mark = r["stars"]
				}
			}
			row = append(row, cell)
		}
		c.Cells = append(c.Cells, row)
	}
	return c
}

// synthSplit is figure 2, from the golden medians of the made-up tables.
func synthSplit(t *testing.T, pair string) *Violins {
	medians, tests := golden(t, "synth/expected/fig2_"+pair+"_medians.csv"), golden(t, "synth/expected/fig2_"+pair+"_welch.csv")
	if medians == nil {
		return nil
	}
	var models []string
	for _, r := range medians {
		if len(models) == 0 || len(models) == 1 && models[0] != r["model"] {
			models = append(models, r["model"])
		}
	}
	c := &Violins{
		YLabel: "median rank (#1 = best)", Reverse: true, Split: true, Bandwidth: Scott, Cut: 2, Box: true, Points: Jitter,
		Groups: []Group{{models[0], Vermillion}, {models[1], Blue}}, Rows: []string{"good", "bad"}, Columns: []string{"Agency", "Communion"},
	}
	for _, valence := range c.Rows {
		var row []Cell
		for _, category := range c.Columns {
			cell := Cell{}
			for _, m := range models {
				var s Sample
				for _, r := range medians {
					if r["valence"] == valence && r["Category"] == category && r["model"] == m {
						s.Values = append(s.Values, num(r["rank"]))
					}
				}
				cell.Samples = append(cell.Samples, s)
			}
			for _, r := range tests {
				if r["cell"] == category+"_"+valence {
					cell.Mark = r["stars"]
				}
			}
			row = append(row, cell)
		}
		c.Cells = append(c.Cells, row)
	}
	return c
}

func lollipop(rows int, long bool) *Lollipop {
	c := &Lollipop{XLabel: "MWLR, nats (> 0: preferred by Llama)", Groups: []Group{{"Love", PaperLove}, {"Freedom", PaperFreedom}}}
	for i := range rows {
		label := fmt.Sprintf("G2-%db → L3.%d-%db", 2+i%3*7, i/6, 1+i)
		if long {
			label = fmt.Sprintf("google/gemma-2-%db-it → meta-llama/Meta-Llama-3.%d-%dB-Instruct", 2+i%3*7, i/6, 1+i)
		}
		v := made(uint64(i), 2, 0, 8)
		c.Rows = append(c.Rows, LollipopRow{label, []float64{-abs(v[0]) / 1000, abs(v[1]) / 1000}})
	}
	return c
}

func realLollipop(t *testing.T) *Lollipop {
	c := lollipop(0, false)
	for _, r := range golden(t, "synth/expected/fig3_lollipop.csv") {
		c.Rows = append([]LollipopRow{{r["gemma_label"] + " → " + r["llama_label"], []float64{num(r["love_mwlr"]), num(r["freedom_mwlr"])}}}, c.Rows...)
	}
	return c
}

func training(families []string, facets []string) *Lines {
	c := &Lines{XLabel: "training step", YLabel: "median rank (#1 = best, #1365 = worst)", Reverse: true, Last: true, SharedY: true}
	for _, f := range families {
		c.Groups = append(c.Groups, Group{Name: f})
	}
	for i, name := range facets {
		f := LineFacet{Name: name}
		for g := range families {
			l := Line{Group: g, Label: families[g], LabelAt: 7500}
			noise := made(uint64(10*i+g), 11, 0, 15)
			for k := range 10 {
				l.X = append(l.X, min(float64(k+1)*1000, 9578))
				l.Y = append(l.Y, 700+80*float64(g-1)*(1-0.06*float64(k))*float64(1-2*(i%2))+noise[k])
			}
			f.Lines = append(f.Lines, l)
		}
		c.Facets = append(c.Facets, f)
	}
	return c
}

func power(tests []string) *Lines {
	c := &Lines{XLabel: "planted shift, places of 263", YLabel: "share of simulations with p < 0.05", Markers: true, YRange: [2]float64{0, 1},
		Rules: []Rule{{0.05, "α = 0.05"}}}
	f := LineFacet{}
	for i, name := range tests {
		c.Groups = append(c.Groups, Group{Name: name})
		l := Line{Group: i}
		for k := range 9 {
			x := float64(k)
			y := 1 - 0.95*math.Exp(-x*x/float64(4+6*i))
			e := 1.96 * math.Sqrt(y*(1-y)/500)
			l.X, l.Y = append(l.X, x), append(l.Y, y)
			l.Lower, l.Upper = append(l.Lower, max(y-e, 0)), append(l.Upper, min(y+e, 1))
		}
		f.Lines = append(f.Lines, l)
	}
	c.Facets = []LineFacet{f}
	return c
}

func ablation(t *testing.T) *Points {
	rows := golden(t, "real/fig4b_points.csv")
	if rows == nil {
		return nil
	}
	c := &Points{XLabel: "preference pairs (thousands)", YLabel: "median rank at the last checkpoint (#1 = best)", Reverse: true, SharedY: true, Join: true, Break: 121,
		Groups: []Group{{"Gemma", Vermillion}, {"Llama", Blue}}, Shapes: []string{"UltraFeedback", "Skywork", "both (GRM)"},
		Ticks: []Tick{{13, "13"}, {27, "27"}, {53, "53"}, {77, "77"}, {106, "106"}, {136, "632"}}}
	for _, category := range []string{"Agency", "Communion"} {
		f := PointFacet{Name: category}
		for _, r := range rows {
			if r["Category"] == category {
				f.Points = append(f.Points, Point{X: num(r["x_plot"]), Y: num(r["sum_value"]),
					Group: map[string]int{"Gemma": 0, "Llama": 1}[r["base_model"]],
					Shape: map[string]int{"uf": 0, "skywork": 1, "uf+skywork": 2}[r["data_source"]]})
			}
		}
		c.Facets = append(c.Facets, f)
	}
	return c
}

func scatter(n int) *Points {
	x, y := made(1, n, -9, 3), made(2, n, 0, 1.5)
	c := &Points{XLabel: "ln p under the base model, nats", YLabel: "reward", ZeroY: true, Groups: []Group{{Name: "Agency"}, {Name: "Communion"}}}
	f := PointFacet{Name: "S-Lla-8B-v0.2", Note: fmt.Sprintf("r = 0.31, n = %d", n)}
	for i := range n {
		q := Point{X: x[i], Y: y[i] + 0.2*x[i], Group: i % 2}
		if i < 12 {
			q.Label = []string{"freedom", "love", "family", "power", "friendship", "success"}[i%6]
		}
		f.Points = append(f.Points, q)
	}
	c.Facets = []PointFacet{f}
	return c
}

func changes(t *testing.T, models ...string) *Bars {
	rows := golden(t, "synth/expected/fig5_rank_changes.csv")
	if rows == nil {
		return nil
	}
	c := &Bars{XLabel: "change of rank, first − last checkpoint (> 0: preferred late)", Groups: []Group{{"Agency", PaperAgency}, {"Communion", PaperCommunion}}}
	for _, m := range models {
		var all []Bar
		for _, r := range rows {
			if r["model"] == m {
				all = append(all, Bar{Label: r["token_norm"], Value: num(r["rank_change"]), Group: map[string]int{"Agency": 0, "Communion": 1}[r["category"]]})
			}
		}
		n := min(10, len(all)/2)
		f := BarFacet{Name: m, Bars: append(append([]Bar(nil), all[:n]...), all[len(all)-n:]...)}
		f.Bars[n].Gap = true
		c.Facets = append(c.Facets, f)
	}
	return c
}

func forest(models int, long bool) *Intervals {
	c := &Intervals{XLabel: "Communion − Agency, places of 263 (> 0: prefers Agency)", Groups: []Group{{"positive prompts", Blue}, {"negative prompts", Vermillion}}}
	names := []string{"S-Lla-8B-v0.2", "N-Lla-8B", "L-Lla-8B", "R-Lla-8B", "R-Lla-3B", "F-Lla-8B-v0.1", "N-Gem-27B", "S-Gem-27B-v0.2", "S-Gem-27B", "R-Gem-2B"}
	sections := []string{"Llama", "Gemma"}
	for s, name := range sections {
		section := IntervalSection{Name: name}
		for i := range names {
			if i < models && (i >= 6) == (s == 1) {
				v := made(uint64(i), 4, 5, 10)
				row := IntervalRow{Label: names[i], Note: "p = .27, n = 27"}
				if long {
					row.Label = "organisation/" + names[i] + "-Reward-Model-Instruct-Preview"
					row.Note = "t(256.6) = 3.53, p = 4.9e-4, g = 0.42 [0.17, 0.66]"
				}
				row.Estimates = []Estimate{{0, v[0], v[0] - 4, v[0] + 5}, {1, v[1] + 10, v[1] + 8, v[1] + 15}}
				section.Rows = append(section.Rows, row)
			}
		}
		if len(section.Rows) > 0 {
			c.Sections = append(c.Sections, section)
		}
	}
	return c
}
