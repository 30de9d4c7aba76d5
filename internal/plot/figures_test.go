package plot

import (
	"strings"
	"testing"
)

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
