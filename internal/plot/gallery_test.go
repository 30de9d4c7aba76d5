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
	"strings"
	"testing"
)

var gallery = flag.String("gallery", "", "folder into which the test figures are written, to be looked at")

// TestGallery writes every figure of this test as PNG and SVG where -gallery asks for it.
func TestGallery(t *testing.T) {
	if *gallery == "" {
		t.Skip("no -gallery folder given")
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

const caption = "Gaussian kernel densities of the medians of 27 prompts a model, trimmed to the range. Stars: Welch, Bonferroni over the panels (*** p < .001, ** < .01, * < .05). n = 108 and 162."

// figures returns every kind of figure with usual and unusual data.
func figures(t *testing.T) map[string]*Figure {
	long := []string{"Skywork/Skywork-Reward-Gemma-2-27B-v0.2", "Ray2333/GRM-Llama3.2-3B-rewardmodel-ft"}
	all := map[string]*Figure{}
	add := func(name, title string, c Chart) { all[name] = &Figure{Title: title, Caption: caption, Chart: c} }

	if c := realViolins(t); c != nil {
		add("fig1", "Ranks of Big Two nouns by 10 reward models", c)
		swarmed := *c
		swarmed.Points, swarmed.Means, swarmed.Join = Beeswarm, MeanSD, false
		swarmed.Cells = nil
		for _, row := range c.Cells {
			var out []Cell
			for _, cell := range row {
				bare := Cell{Mark: cell.Mark}
				for _, s := range cell.Samples {
					bare.Samples = append(bare.Samples, Sample{Values: s.Values})
				}
				out = append(out, bare)
			}
			swarmed.Cells = append(swarmed.Cells, out)
		}
		add("figA1", "Medians of every model and prompt", &swarmed)
		named := *c
		named.ModelNames = true
		add("fig1_names", "Ranks of Big Two nouns by 10 reward models", &named)
		add("fig2_pretrained", "Ranks of Big Two nouns by log-probability, pretrained models", synthSplit(t, "pretrained"))
		add("fig2_instruct", "Ranks of Big Two nouns by log-probability, instruct models", synthSplit(t, "instruct"))
		add("fig3", "Freedom and Love in ten instruct models", realLollipop(t))
		add("fig4b", "Ablation: data size and source", ablation(t))
		add("fig5", "Words that moved most in training", changes(t, "llama"))
		add("figA6", "Words that moved most in training", changes(t, "llama", "gemma"))
	}
	foundations := []string{"Authority", "Care", "Fairness", "Loyalty", "Sanctity"}
	add("fig1_mfd", "Moral Foundations, 10 reward models", violins(foundations, 4, 6))
	add("fig1_two", "Two models", violins([]string{"Agency", "Communion"}, 1, 1))
	c := violins([]string{"Self-direction and autonomy", "Benevolence, universalism and care"}, 4, 6)
	c.Groups[0].Name, c.Groups[1].Name = long[0], long[1]
	c.Rows = []string{"positively framed prompts, all adjectives", "negatively framed prompts, all adjectives"}
	c.ModelNames = true
	add("fig1_long", "A long title that has to be wrapped because it says everything there is to say about the ranks of nouns by reward models", c)
	c = violins([]string{"Agency"}, 4, 6)
	c.Groups = []Group{{Name: "Gemma"}, {Name: "Llama"}, {Name: "Qwen"}}
	for i := range c.Cells {
		c.Cells[i][0].Samples = append(c.Cells[i][0].Samples, Sample{Values: made(77, 54, 110, 7)})
	}
	c.Box, c.Points = true, Beeswarm
	add("fig1_three", "Three families", c)

	ties := violins([]string{"Agency", "Communion"}, 2, 2)
	for i := range 54 {
		ties.Cells[0][0].Samples[0].Values[i] = 130
		ties.Cells[1][1].Samples[1].Values[i] = 100
	}
	ties.Cells[0][1].Samples[0] = Sample{Values: []float64{120}}
	ties.Cells[0][1].Samples[1] = Sample{Values: []float64{120, 140}}
	ties.Cells[1][0].Samples[0] = Sample{}
	ties.Cells[1][0].Samples[1].Values[3] = 900
	ties.Points, ties.Box = Beeswarm, true
	add("violin_odd", "Ties, two values, one, none, an outlier", ties)
	flat := violins([]string{"Agency", "Communion"}, 1, 1)
	for i := range 2 {
		for j := range 2 {
			for k := range 2 {
				flat.Cells[i][j].Samples[k] = Sample{Values: []float64{5, 5, 5}}
			}
		}
	}
	add("violin_flat", "All equal", flat)
	huge := violins([]string{"Agency", "Communion"}, 100, 100)
	for i := range 2 {
		for j := range 2 {
			for k := range 2 {
				huge.Cells[i][j].Samples[k].Models = nil
			}
		}
	}
	huge.Points, huge.Means, huge.Join = Beeswarm, MeanSD, false
	add("violin_huge", "2,700 values a violin", huge)
	split := violins([]string{"Agency", "Communion"}, 100, 100)
	for i := range 2 {
		for j := range 2 {
			for k := range 2 {
				split.Cells[i][j].Samples[k].Models = nil
				split.Cells[i][j].Mark = "***"
			}
		}
	}
	split.Split, split.Points, split.Cut, split.Bandwidth, split.Box, split.Join = true, Jitter, 2, Scott, true, false
	split.Means = NoMeans
	add("split_huge", "2,700 values a half", split)
	wide := synthLike(foundations)
	add("split_mfd", "Five categories", wide)

	add("fig3_two", "One pair", lollipop(1, false))
	add("fig3_long", "Long names", lollipop(21, true))
	add("fig4a", "Training", training([]string{"Gemma", "Llama"}, []string{"Agency", "Communion"}))
	add("figA5a", "Training", training([]string{"Gemma", "Llama", "Qwen"}, []string{"Agency", "Communion"}))
	add("lines_five", "Training, five foundations", training([]string{"Gemma", "Llama"}, foundations))
	add("lines_ten", "Training, ten models", training([]string{"Gemma", "Llama"}, strings.Fields("N-Gem-27B S-Gem-27B-v0.2 S-Gem-27B R-Gem-2B S-Lla-8B-v0.2 N-Lla-8B L-Lla-8B R-Lla-8B R-Lla-3B F-Lla-8B-v0.1")))
	near := training([]string{"meta-llama/Llama-3.2-3B-Instruct", "google/gemma-2b-it", "Qwen/Qwen2.5-3B-Instruct"}, []string{"Agency", "Communion"})
	for i := range near.Facets {
		for j := range near.Facets[i].Lines {
			for k := range near.Facets[i].Lines[j].Y {
				near.Facets[i].Lines[j].Y[k] = 700 + float64(j)
			}
		}
	}
	add("lines_near", "Lines upon each other", near)
	add("lines_point", "A single checkpoint", &Lines{XLabel: "step", YLabel: "rank", Groups: []Group{{Name: "Llama"}}, Facets: []LineFacet{{Lines: []Line{{X: []float64{0}, Y: []float64{0}, Label: "Llama"}}}}})
	add("power", "Power at 10 models × 54 prompts × 263 words", power([]string{"Welch over prompts", "paired over prompts", "exact over models", "mixed model (Satterthwaite)", "bootstrap of prompts × words"}))
	add("scatter", "Base model against reward", scatter(1500))
	add("scatter_huge", "Base model against reward", scatter(2700))
	add("scatter_two", "Two words", scatter(2))
	close := &Points{XLabel: "pairs", YLabel: "rank", Groups: []Group{{Name: "Llama"}}, Ticks: []Tick{{13, "13,000"}, {13.5, "13,500"}, {14, "14,000"}, {27, "27,000"}, {106, "106,000"}}}
	close.Facets = []PointFacet{{Name: "a", Points: []Point{{X: 13, Y: 1}, {X: 13.5, Y: 2}, {X: 14, Y: 1}, {X: 106, Y: 1e6}}}, {Name: "b", Points: []Point{{X: 13, Y: 1e-7}}}}
	add("points_close", "Ticks close to each other", close)
	tied := &Points{XLabel: "x", YLabel: "y", Groups: []Group{{Name: "Llama"}}, Facets: []PointFacet{{}}}
	for _, w := range strings.Fields("freedom love family power friendship success") {
		tied.Facets[0].Points = append(tied.Facets[0].Points, Point{X: 1, Y: 1, Label: w})
	}
	add("points_tied", "Six labels at one place", tied)
	bars := &Bars{XLabel: "log ratio, nats", Groups: []Group{{Name: "Agency"}, {Name: "Communion"}}, Facets: []BarFacet{
		{"meta-llama/Llama-3.2-3B-Instruct", []Bar{{Label: "self-determination and independence", Value: 0.123456}, {Label: "love", Value: -3.25, Group: 1}, {Label: "自由 <b>&", Value: 0, Gap: true}}},
		{"gemma", []Bar{{Label: "freedom", Value: 1e-9}}}}}
	add("bars_odd", "Long and odd words", bars)
	add("bars_zero", "No change", &Bars{XLabel: "change", Groups: []Group{{Name: "Agency"}}, Facets: []BarFacet{{Bars: []Bar{{Label: "a"}, {Label: "b"}}}}})
	add("forest", "Each model", forest(10, false))
	add("forest_two", "Two models", forest(2, false))
	add("forest_long", "Long names", forest(10, true))
	levels := &Intervals{XLabel: "Gemma − Llama, places of 263, 95 % interval", Groups: []Group{{Name: "effect"}}, XRange: [2]float64{-12, 12}}
	for _, panel := range []string{"Agency, positive", "Communion, positive"} {
		levels.Sections = append(levels.Sections, IntervalSection{panel, []IntervalRow{
			{"prompts independent (the paper)", "p = 4.9e-4", []Estimate{{0, 4.17, 1.84, 6.49}}},
			{"prompts paired", "p = 1e-12", []Estimate{{0, 4.17, 3.4, 4.94}}},
			{"models, Welch", "p = .23", []Estimate{{0, 4.17, -3.2, 11.5}}},
			{"models, exact permutation of 210", "p = .27", []Estimate{{0, 4.17, -25, 31}}},
			{"off to the right", "p = .5", []Estimate{{0, 14, 13, 15}}},
			{"a point", "", []Estimate{{0, -5, -5, -5}}},
		}})
	}
	add("levels", "Levels of inference", levels)
	return all
}

// synthLike is a split figure with made-up values for any categories.
func synthLike(columns []string) *Violins {
	c := violins(columns, 1, 1)
	c.Groups[0].Name, c.Groups[1].Name = "Gemma 2 IT 2B", "Llama 3.2 3B Instruct"
	c.Split, c.Points, c.Cut, c.Bandwidth, c.Box, c.Join, c.Means = true, Jitter, 2, Scott, true, true, MeanSE
	for i := range c.Cells {
		for j := range c.Cells[i] {
			for k := range 2 {
				c.Cells[i][j].Samples[k].Models = nil
			}
		}
	}
	return c
}
