package plot

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func svg(t *testing.T, f *Figure) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// small is one figure of each chart whose SVG is short enough to be kept.
func small() map[string]*Figure {
	two := violins([]string{"Agency", "Communion"}, 1, 1)
	two.Rows, two.Cells = two.Rows[:1], two.Cells[:1]
	two.Points = Beeswarm
	split := synthLike([]string{"Agency"})
	shift := &Points{XLabel: "pairs (thousands)", YLabel: "rank", Reverse: true, Join: true, Break: 121, Groups: []Group{{Name: "Gemma"}, {Name: "Llama"}},
		Shapes: []string{"uf", "skywork"}, Ticks: []Tick{{13, "13"}, {106, "106"}, {136, "632"}},
		Facets: []PointFacet{{Name: "Agency", Points: []Point{{13, 742.5, 0, 0, ""}, {13, 657.5, 1, 0, "Llama"}, {136, 720, 0, 1, ""}, {136, 678, 1, 1, ""}}}}}
	bars := &Bars{XLabel: "change", Groups: []Group{{Name: "Agency"}, {Name: "Communion"}}, Facets: []BarFacet{{"llama", []Bar{{"concern", 50, 1, false}, {"freedom", -36.5, 0, true}}}}}
	return map[string]*Figure{
		"violins":   {Title: "Violins", Caption: caption, Chart: two},
		"split":     {Title: "Split violins", Chart: split},
		"lollipop":  {Title: "Lollipop", Chart: lollipop(3, false)},
		"lines":     {Title: "Lines", Chart: training([]string{"Gemma", "Llama"}, []string{"Agency", "Communion"})},
		"power":     {Title: "Power", Chart: power([]string{"Welch", "exact"})},
		"points":    {Title: "Points", Chart: shift},
		"bars":      {Title: "Bars", Chart: bars},
		"intervals": {Title: "Intervals", Chart: forest(3, false)},
	}
}

// TestGolden compares SVGs with those under testdata, which were looked at.
func TestGolden(t *testing.T) {
	for name, f := range small() {
		got := svg(t, f)
		file := filepath.Join("testdata", name+".svg")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the SVG differs from %s; look at it, then run with -update", name, file)
		}
	}
}

// TestSameBytes draws figures twice.
func TestSameBytes(t *testing.T) {
	for name, f := range small() {
		if !bytes.Equal(svg(t, f), svg(t, f)) {
			t.Errorf("%s: two SVGs differ", name)
		}
		var a, b bytes.Buffer
		if err := errors.Join(f.WritePNG(&a), f.WritePNG(&b)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: two PNGs differ", name)
		}
	}
}

// TestRowOrder: the values of a sample may come in any order.
func TestRowOrder(t *testing.T) {
	draw := func(turn bool) []byte {
		c := violins([]string{"Agency"}, 2, 2)
		c.Points, c.Box = Beeswarm, true
		v := []float64{5, 3, 8, 1, 9, 4, 7.5, 6}
		if turn {
			v = []float64{6, 7.5, 4, 9, 1, 8, 3, 5}
		}
		for i := range c.Cells {
			c.Cells[i][0].Samples[0].Values = v
		}
		return svg(t, &Figure{Chart: c})
	}
	if !bytes.Equal(draw(false), draw(true)) {
		t.Error("the order of values changes the figure")
	}
}

// TestSVGText reads the SVGs as XML: every text stands within the view box, and so
// do title and description.
func TestSVGText(t *testing.T) {
	for name, f := range small() {
		f.Title += ` <&> "quoted" style="font-family:Liberation Sans" 自由`
		if got := svg(t, f); bytes.Contains(got, []byte(`"font-family`)) || bytes.Count(got, []byte("'Liberation Sans', Arimo, Arial")) != 1 ||
			bytes.Count(got, []byte("font-weight:bold")) < 1 {
			t.Errorf("%s: fonts are not those of the root alone", name)
		}
		d := xml.NewDecoder(bytes.NewReader(svg(t, f)))
		at := []matrix{{a: 1, d: 1}}
		var w, h float64
		texts, titles := 0, 0
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				m := at[len(at)-1]
				var x, y float64
				for _, a := range e.Attr {
					switch a.Name.Local {
					case "viewBox":
						if _, err := fmt.Sscanf(a.Value, "0 0 %g %g", &w, &h); err != nil {
							t.Fatal(err)
						}
					case "transform":
						m = m.then(transform(t, a.Value))
					case "x":
						x = num(a.Value)
					case "y":
						y = num(a.Value)
					}
				}
				at = append(at, m)
				switch e.Name.Local {
				case "text":
					texts++
					if p := m.apply(x, y); !(p.x >= 1 && p.x <= w-1 && p.y >= 1 && p.y <= h-1) {
						t.Errorf("%s: text at %v, beyond %g x %g", name, p, w, h)
					}
				case "title", "desc":
					titles++
				}
			case xml.EndElement:
				at = at[:len(at)-1]
			}
		}
		if want := 1 + min(len(f.Caption), 1); texts < 5 || titles != want {
			t.Errorf("%s: %d texts and %d titles, wanted at least 5 and %d", name, texts, titles, want)
		}
	}
}

// transform reads an SVG transform as vgsvg writes them.
func transform(t *testing.T, s string) matrix {
	t.Helper()
	m := matrix{a: 1, d: 1}
	for part := range strings.SplitSeq(s, ")") {
		name, args, _ := strings.Cut(strings.TrimSpace(part), "(")
		var v []float64
		for f := range strings.FieldsFuncSeq(args, func(r rune) bool { return r == ',' || r == ' ' }) {
			v = append(v, num(f))
		}
		switch name {
		case "":
		case "scale":
			m = m.then(matrix{a: v[0], d: v[1]})
		case "translate":
			m = m.then(matrix{1, 0, 0, 1, v[0], v[1]})
		case "rotate":
			sin, cos := math.Sincos(v[0] * math.Pi / 180)
			m = m.then(matrix{cos, sin, -sin, cos, 0, 0})
		default:
			t.Fatalf("transform %q", s)
		}
	}
	return m
}

// TestPNG: size and resolution are those asked for, and colours those given.
func TestPNG(t *testing.T) {
	for _, dpi := range []int{0, 96, 600} {
		f := small()["bars"]
		f.Width, f.Height, f.DPI = 5, 3, dpi
		var b bytes.Buffer
		if err := f.WritePNG(&b); err != nil {
			t.Fatal(err)
		}
		if dpi == 0 {
			dpi = 300
		}
		i := bytes.Index(b.Bytes(), []byte("pHYs"))
		if got := binary.BigEndian.Uint32(b.Bytes()[i+4:]); i < 0 || math.Abs(float64(got)*0.0254-float64(dpi)) > 0.1 {
			t.Errorf("%d dots per metre, wanted %d per inch", got, dpi)
		}
		m, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Bounds().Size(); s.X != 5*dpi || s.Y != 3*dpi {
			t.Errorf("%v pixels at %d dpi, wanted 5 x 3 inches", s, dpi)
		}
		if r, g, bl, a := m.At(1, 1).RGBA(); r&g&bl&a != 0xffff {
			t.Error("the page is not white")
		}
	}
}

// failing is a writer that fails.
type failing struct{}

var errFull = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	values := func(v ...float64) *Violins {
		return &Violins{Groups: []Group{{Name: "a"}}, Rows: []string{""}, Columns: []string{""}, Cells: [][]Cell{{{Samples: []Sample{{Values: v}}}}}}
	}
	with := func(c *Violins, change func(*Violins)) *Violins { change(c); return c }
	g := []Group{{Name: "a"}}
	line := func(l Line) *Lines { return &Lines{Groups: g, Facets: []LineFacet{{Lines: []Line{l}}}} }
	dot := func(p Point) *Points { return &Points{Groups: g, Facets: []PointFacet{{Points: []Point{p}}}} }
	bar := func(b Bar) *Bars { return &Bars{Groups: g, Facets: []BarFacet{{Bars: []Bar{b}}}} }
	row := func(e Estimate) *Intervals {
		return &Intervals{Groups: g, Sections: []IntervalSection{{Rows: []IntervalRow{{Estimates: []Estimate{e}}}}}}
	}
	for _, c := range []struct {
		f    Figure
		want string
	}{
		{Figure{}, "figure: no Chart"},
		{Figure{Chart: bar(Bar{}), Width: -1}, "figure: Width -1 and Height 0 inches, wanted 0 to 100"},
		{Figure{Chart: bar(Bar{}), Height: nan}, "figure: Width 0 and Height NaN inches"},
		{Figure{Chart: bar(Bar{}), Width: 0.5}, "Width 0.5 inches, wanted at least 1.2"},
		{Figure{Chart: bar(Bar{}), Height: 0.4}, "Height 0.4 inches leaves"},
		{Figure{Chart: bar(Bar{}), DPI: -3}, "DPI -3, wanted 30 to 2400"},
		{Figure{Chart: bar(Bar{}), Width: 100, Height: 100, DPI: 2400}, "pixels, wanted at most"},
		{Figure{Chart: (*Bars)(nil)}, "nil pointer"},
		{Figure{Chart: &Violins{}}, "violins: Groups is empty"},
		{Figure{Chart: values()}, "violins: every Sample is empty"},
		{Figure{Chart: values(1, nan)}, "violins: Cells[0][0].Samples[0].Values[1] is NaN"},
		{Figure{Chart: values(-inf)}, "Values is -Inf, wanted a number"},
		{Figure{Chart: values(1e200)}, "within ±1e+150"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Split = true })}, "Split with 1 groups, wanted 2"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Cut = -1 })}, "Cut is -1, wanted 0 to 10"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Points = 7 })}, "wanted one of the constants"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Rows = append(c.Rows, "x") })}, "Cells has length 1, wanted 2"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Columns = append(c.Columns, "x") })}, "Cells[0] has length 1, wanted 2"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Groups = append(c.Groups, Group{}) })}, "Samples has length 1, wanted 2"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Cells[0][0].Samples[0].Models = []Model{{"m", 1, -1}} })}, "Models[0].SE is -1"},
		{Figure{Chart: with(values(1), func(c *Violins) { c.Cells[0][0].Samples[0].Models = []Model{{"m", nan, 1}} })}, "Models[0][0] is NaN"},
		{Figure{Chart: &Lollipop{Groups: g}}, "lollipop: Rows is empty"},
		{Figure{Chart: &Lollipop{Groups: g, Rows: []LollipopRow{{"x", nil}}}}, "Rows[0].Values has length 0, wanted 1"},
		{Figure{Chart: &Lollipop{Groups: g, Rows: []LollipopRow{{"x", []float64{inf}}}}}, "lollipop: Rows[0].Values is +Inf"},
		{Figure{Chart: &Lollipop{Groups: g, Rows: make([]LollipopRow, 1)}, Height: 1}, "Values has length 0"},
		{Figure{Chart: lollipop(80, false), Height: 4}, "lollipop: rows 2.9 points high"},
		{Figure{Chart: &Lines{Groups: g}}, "lines: Facets is empty"},
		{Figure{Chart: line(Line{})}, "Facets[0].Lines[0].X is empty"},
		{Figure{Chart: line(Line{X: []float64{1}})}, "Lines[0].Y has length 0, wanted 1"},
		{Figure{Chart: line(Line{X: []float64{1}, Y: []float64{nan}})}, "Lines[0].Y is NaN"},
		{Figure{Chart: line(Line{X: []float64{1}, Y: []float64{1}, Group: 1})}, "Group is 1, wanted an index into the 1 Groups"},
		{Figure{Chart: line(Line{X: []float64{2, 1}, Y: []float64{1, 1}})}, "X[1] is 1 after 2, wanted ascending X"},
		{Figure{Chart: line(Line{X: []float64{1}, Y: []float64{1}, Lower: []float64{0}})}, "Upper has length 0"},
		{Figure{Chart: line(Line{X: []float64{1}, Y: []float64{1}, Lower: []float64{2}, Upper: []float64{1}})}, "Lower[0] is 2, wanted at most Upper 1"},
		{Figure{Chart: &Lines{Groups: g, YRange: [2]float64{1, 0}, Facets: []LineFacet{{}}}}, "YRange is [1 0], wanted the lower limit first"},
		{Figure{Chart: &Lines{Groups: g, Rules: []Rule{{nan, ""}}, Facets: []LineFacet{{}}}}, "Rules[0].At is NaN"},
		{Figure{Chart: &Points{Groups: g, Facets: []PointFacet{{}}}}, "points: every Facet is empty"},
		{Figure{Chart: dot(Point{Y: nan})}, "Points[0].Y is NaN"},
		{Figure{Chart: dot(Point{Shape: 1})}, "Shape is 1, wanted an index into the 1 Shapes"},
		{Figure{Chart: &Points{Groups: g, Ticks: []Tick{{2, ""}, {1, ""}}, Facets: []PointFacet{{}}}}, "Ticks[1].At is 1 after 2"},
		{Figure{Chart: bar(Bar{Group: -1})}, "bars: Facets[0].Bars[0].Group is -1"},
		{Figure{Chart: bar(Bar{Value: inf})}, "bars: Facets[0].Bars[0].Value is +Inf"},
		{Figure{Chart: row(Estimate{0, 1, 2, 3})}, "is 1 in [2, 3], wanted Lower <= Value <= Upper"},
		{Figure{Chart: row(Estimate{0, 1, -inf, 3})}, "Estimates[0].Lower is -Inf"},
		{Figure{Chart: &Intervals{Groups: g, Sections: []IntervalSection{{}}}}, "intervals: Sections[0].Rows is empty"},
		{Figure{Chart: forest(10, false), Height: 2}, "intervals:"},
		{Figure{Chart: violins([]string{"a", "b", "c", "d", "e", "f"}, 1, 1), Width: 2}, "give it more Width"},
	} {
		for _, write := range []func(io.Writer) error{c.f.WritePNG, c.f.WriteSVG} {
			var b bytes.Buffer
			err := write(&b)
			if c.f.DPI != 0 && err == nil {
				continue // DPI is the PNG's alone
			}
			if err == nil || !strings.HasPrefix(err.Error(), "plot: ") || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
				t.Errorf("%d bytes and error %q, wanted none and one with %q", b.Len(), err, c.want)
			}
		}
		if _, _, err := c.f.Size(); err != nil && !strings.HasPrefix(err.Error(), "plot: ") {
			t.Errorf("Size: %v", err)
		}
	}
	for _, write := range []func(io.Writer) error{small()["bars"].WritePNG, small()["bars"].WriteSVG} {
		if err := write(failing{}); !errors.Is(err, errFull) {
			t.Errorf("error %v of a writer that fails, wanted it wrapped", err)
		}
	}
}

func Example() {
	f := &Figure{
		Title:   "Freedom and Love",
		Caption: "Prompt greatest_ever_one.",
		Chart: &Lollipop{
			XLabel: "MWLR, nats (> 0: preferred by Llama)",
			Groups: []Group{{"Love", Vermillion}, {"Freedom", Blue}},
			Rows:   []LollipopRow{{"G2-2b → L3.2-3b", []float64{-0.02, 0.08}}, {"G2-9b → L3.2-3b", []float64{-0.06, 0.05}}},
		},
	}
	var b bytes.Buffer
	if err := f.WriteSVG(&b); err != nil {
		fmt.Println(err)
	}
	width, height, _ := f.Size()
	fmt.Printf("%.1f x %.1f inches, %v\n", width, height, strings.Contains(b.String(), "<title>Freedom and Love</title>"))
	// Output: 6.2 x 1.7 inches, true
}
