package plot

import (
	"io"
	"testing"
)

// BenchmarkFigure draws figures of about 2,700 points.
func BenchmarkFigure(b *testing.B) {
	beeswarm := violins([]string{"Authority", "Care", "Fairness", "Loyalty", "Sanctity"}, 4, 6) // as A1 on the Moral Foundations: 2,700 medians
	beeswarm.Points, beeswarm.Means = Beeswarm, MeanSD
	split := violins([]string{"Agency", "Communion"}, 25, 25) // 8 x 675 values
	for i := range split.Cells {
		for j := range split.Cells[i] {
			for k := range split.Cells[i][j].Samples {
				split.Cells[i][j].Samples[k].Models = nil
			}
		}
	}
	split.Split, split.Points, split.Cut, split.Box = true, Jitter, 2, true
	for _, c := range []struct {
		name  string
		chart Chart
	}{
		{"beeswarm", beeswarm}, {"split", split}, {"scatter", scatter(2700)}, {"lollipop", lollipop(21, true)}, {"forest", forest(10, true)},
		{"lines", training([]string{"Gemma", "Llama", "Qwen"}, []string{"Agency", "Communion"})},
	} {
		f := &Figure{Title: c.name, Caption: caption, Chart: c.chart}
		b.Run(c.name+"/png", func(b *testing.B) {
			for b.Loop() {
				if err := f.WritePNG(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/svg", func(b *testing.B) {
			for b.Loop() {
				if err := f.WriteSVG(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
