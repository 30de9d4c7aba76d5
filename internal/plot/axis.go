package plot

import (
	"math"
	"strconv"
	"strings"
)

// A scale maps values to positions on the page.
type scale struct{ lo, hi, from, to float64 }

func (s scale) at(v float64) float64 { return s.from + (v-s.lo)/(s.hi-s.lo)*(s.to-s.from) }

// An extent is the range of values that an axis has to show.
type extent struct {
	lo, hi float64
	any    bool
}

func (e *extent) add(values ...float64) {
	for _, v := range values {
		if !e.any {
			e.lo, e.hi, e.any = v, v, true
		}
		e.lo, e.hi = min(e.lo, v), max(e.hi, v)
	}
}

// padded widens the extent by a share of its range at both ends; a single value gets room on
// both sides.
func (e extent) padded(below, above float64) extent {
	d := e.hi - e.lo
	if !(d > 1e-9*max(math.Abs(e.lo), math.Abs(e.hi))) {
		d = max(math.Abs(e.hi)*0.1, 1e-9)
		if e.hi == 0 {
			d = 1
		}
		e.lo, e.hi = e.lo-d/2, e.hi+d/2
	}
	return extent{e.lo - below*d, e.hi + above*d, true}
}

// vertical returns the scale of a panel's height, upside down if reverse.
func (e extent) vertical(r rect, reverse bool) scale {
	if reverse {
		return scale{e.lo, e.hi, r.y1, r.y0}
	}
	return scale{e.lo, e.hi, r.y0, r.y1}
}

func (e extent) horizontal(r rect) scale { return scale{e.lo, e.hi, r.x0, r.x1} }

// ticks returns about n round values within the extent, at least two, 1, 2 or 5 times a
// power of ten apart, with their labels.
func (e extent) ticks(n int) []Tick {
	for ; ; n++ {
		var out []Tick
		step := e.step(n)
		first := math.Ceil(e.lo/step - 1e-9)
		for i := range 4*n + 4 {
			v := (first + float64(i)) * step
			if v > e.hi+1e-9*step {
				break
			}
			out = append(out, Tick{v, number(v, step, max(math.Abs(e.lo), math.Abs(e.hi)))})
		}
		if len(out) >= 2 || n > 20 {
			return out
		}
	}
}

// step returns the round step that divides the extent into at most about n parts.
func (e extent) step(n int) float64 {
	rough := (e.hi - e.lo) / float64(max(n, 1))
	unit := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 5} {
		if rough <= m*unit*(1+1e-9) {
			return m * unit
		}
	}
	return 10 * unit
}

// number formats a multiple of step with as many digits as the step needs; numbers of an
// axis whose greatest is most have the same number of digits, or the same exponent.
func number(v, step, most float64) string {
	if math.Abs(v) < step*1e-6 {
		return "0"
	}
	exponent := ""
	if most >= 1e6 || step < 1e-4 {
		e := math.Floor(math.Log10(most) + 1e-9)
		v, step = v/math.Pow(10, e), step/math.Pow(10, e)
		exponent = "e" + strconv.Itoa(int(e))
	}
	s := strconv.FormatFloat(v, 'f', max(0, int(-math.Floor(math.Log10(step)+1e-9))), 64)
	return strings.ReplaceAll(s+exponent, "-", "−")
}

// ticksX returns the ticks of a horizontal axis, as many as fit side by side.
func (p *pen) ticksX(e extent, width float64) []Tick {
	for n := max(2, min(8, int(width/20))); ; n-- {
		ticks := e.ticks(n)
		if n <= 1 || p.apart(ticks, scale{e.lo, e.hi, 0, width}, 6) {
			return ticks
		}
	}
}

// apart reports whether the labels of ticks fit side by side with a gap between.
func (p *pen) apart(ticks []Tick, s scale, gap float64) bool {
	for i := 1; i < len(ticks); i++ {
		room := s.at(ticks[i].At) - s.at(ticks[i-1].At)
		if need := (p.width(ticks[i].Label, tickStyle) + p.width(ticks[i-1].Label, tickStyle)) / 2; need+gap > room {
			return false
		}
	}
	return true
}

// ticksY returns the ticks of a vertical axis of the height.
func ticksY(e extent, height float64) []Tick { return e.ticks(max(2, min(7, int(height/22)))) }

// widest returns the width of the widest label.
func (p *pen) widest(ticks []Tick) float64 {
	var w float64
	for _, t := range ticks {
		w = max(w, p.width(t.Label, tickStyle))
	}
	return w
}
