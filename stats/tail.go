package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// TailNormal returns P(Z > z) for a standard normal Z, with a relative error
// below 1e-12 down to 1e-300. TailNormal(+Inf) = 0, TailNormal(-Inf) = 1.
func TailNormal(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }

// TailT returns P(T > t) for Student's t with df > 0 degrees of freedom, not
// necessarily whole; df = +Inf is the normal distribution.
//
//	P(T > t) = I_x(df/2, 1/2) / 2,  x = df/(df+t²),  t >= 0
//
// The relative error is below 1e-12 down to 1e-300 (see testdata/tails.py);
// the result is 0 only where it underflows. NaN for df <= 0 and for NaN.
func TailT(t, df float64) float64 {
	switch {
	case math.IsNaN(t) || !(df > 0):
		return math.NaN()
	case math.IsInf(df, 1):
		return TailNormal(t)
	case math.IsInf(t, 0):
		if t > 0 {
			return 0
		}
		return 1
	case t < 0:
		return 1 - TailT(-t, df)
	}
	u := t / math.Sqrt(df)
	if u > 1e140 {
		return 0.5 * betaFar(df/2, 0.5, 2*math.Log(u))
	}
	r := u * u
	return 0.5 * betaInc(df/2, 0.5, 1/(1+r), r/(1+r))
}

// TailF returns P(F > f) for Fisher's F with d1 and d2 > 0 degrees of
// freedom, not necessarily whole; d2 = +Inf is chi-squared(d1)/d1.
//
//	P(F > f) = I_x(d2/2, d1/2),  x = d2/(d2 + d1 f)
//
// Accuracy as TailT. 1 for f <= 0; NaN for d1, d2 <= 0, d1 = +Inf and for NaN.
func TailF(f, d1, d2 float64) float64 {
	switch {
	case math.IsNaN(f) || !(d1 > 0) || !(d2 > 0) || math.IsInf(d1, 1):
		return math.NaN()
	case f <= 0:
		return 1
	case math.IsInf(f, 1):
		return 0
	case math.IsInf(d2, 1):
		return mathext.GammaIncRegComp(d1/2, d1*f/2)
	}
	r := f * (d1 / d2)
	if r > 1e280 {
		return betaFar(d2/2, d1/2, math.Log(f)+math.Log(d1/d2))
	}
	return betaInc(d2/2, d1/2, 1/(1+r), r/(1+r))
}

// QuantileT returns the t with P(T <= t) = p for Student's t with df > 0
// degrees of freedom: 0 < p < 1, else ∓Inf at 0 and 1 and NaN outside.
// The inverse of TailT, by safeguarded Newton steps on its logarithm.
func QuantileT(p, df float64) float64 {
	switch {
	case !(p >= 0 && p <= 1) || !(df > 0):
		return math.NaN()
	case p == 0:
		return math.Inf(-1)
	case p == 1:
		return math.Inf(1)
	case p == 0.5:
		return 0
	case p < 0.5:
		return quantileTail(p, df)
	}
	return -quantileTail(1-p, df)
}

// quantileTail returns the t < 0 with P(T < t) = a, a < 1/2.
func quantileTail(a, df float64) float64 {
	z := mathext.NormalQuantile(a)
	if math.IsInf(df, 1) {
		return z
	}
	// In s = ln|t| the log tail is concave and falls: Newton's steps, kept
	// within a bracket, cannot miss.
	lo, hi := math.Inf(-1), math.Inf(1)
	s, target := math.Log(math.Abs(z)), math.Log(a)
	for range 200 {
		t := math.Exp(s)
		tail := TailT(t, df)
		g := math.Log(tail) - target
		if g > 0 {
			lo = s
		} else {
			hi = s
		}
		if hi-lo < 2*epsilon*math.Abs(s) {
			break
		}
		step := g * tail / (t * densityT(t, df))
		next := s + step
		if !(next > lo && next < hi) || math.IsNaN(next) {
			switch {
			case math.IsInf(hi, 1):
				next = s + 1
			case math.IsInf(lo, -1):
				next = s - 1
			default:
				next = (lo + hi) / 2
			}
		}
		if math.Abs(next-s) <= 2*epsilon {
			s = next
			break
		}
		s = next
	}
	return -math.Exp(s)
}

func densityT(t, df float64) float64 {
	return math.Exp(lgamma((df+1)/2)-lgamma(df/2)-(df+1)/2*math.Log1p(t/df*t)) / math.Sqrt(df*math.Pi)
}

// betaInc returns the regularised incomplete beta function I_x(a, b), given
// both x and y = 1-x so that neither loses digits near its end: a
// continued fraction times a factor that is
// computed as Loader's saddle-point form of the binomial density ("Fast and
// accurate computation of binomial probabilities", 2000): the logarithms of
// gamma functions would cancel for large a.
func betaInc(a, b, x, y float64) float64 {
	switch {
	case x <= 0:
		return 0
	case y <= 0:
		return 1
	case x > (a+1)/(a+b+2):
		return 1 - betaInc(b, a, y, x)
	}
	n := a + b
	front := math.Sqrt(a*b/(2*math.Pi*n)) *
		math.Exp(stirlingError(n)-stirlingError(a)-stirlingError(b)-deviance(a, n*x)-deviance(b, n*y))
	return front * betaFraction(a, b, x, y)
}

// betaFraction is the continued fraction of I_x(a, b) in the form that needs
// 1-x and not x where x is near 1 (DiDonato and Morris, TOMS 708, BFRAC). The
// factor x^a y^b / B(a, b) is the caller's.
func betaFraction(a, b, x, y float64) float64 {
	c := 1 + (a+b)*y - b
	if x < y {
		c = 1 + a - (a+b)*x
	}
	c0, c1 := b/a, 1+1/a
	p, s := 1.0, a+1
	an, bn := 0.0, 1.0
	anp1, bnp1 := 1.0, c/c1
	r := c1 / c
	for n := 1.0; n < 1e7; n++ {
		t := n / a
		w := n * (b - n) * x
		e := a / s
		alpha := p * (p + c0) * e * e * w * x
		e = (1 + t) / (c1 + t + t)
		beta := n + w/s + e*(c+n*(1+y))
		p = 1 + t
		s += 2
		an, anp1 = anp1, alpha*an+beta*anp1
		bn, bnp1 = bnp1, alpha*bn+beta*bnp1
		last := r
		r = anp1 / bnp1
		if math.Abs(r-last) <= epsilon*r {
			break
		}
		an, bn, anp1, bnp1 = an/bnp1, bn/bnp1, r, 1
	}
	return r
}

// betaFar is betaInc for an x so small that it is known by its logarithm
// only, ln x = -logRatio: the first term of its series.
func betaFar(a, b, logRatio float64) float64 {
	return math.Exp(lgamma(a+b) - lgamma(a+1) - lgamma(b) - a*logRatio)
}

func lgamma(x float64) float64 { l, _ := math.Lgamma(x); return l }

// stirlingError returns ln Γ(x+1) - [(x+1/2) ln x - x + ln(2π)/2].
func stirlingError(x float64) float64 {
	if x <= 15 {
		return lgamma(x+1) - (x+0.5)*math.Log(x) + x - 0.5*math.Log(2*math.Pi)
	}
	q := 1 / (x * x)
	return (1.0/12 - q*(1.0/360-q*(1.0/1260-q*(1.0/1680-q*(1.0/1188-q*691.0/360360))))) / x
}

// deviance returns x ln(x/m) + m - x, by its series where x is near m.
func deviance(x, m float64) float64 {
	if math.Abs(x-m) >= 0.1*(x+m) {
		return x*math.Log(x/m) + m - x
	}
	v := (x - m) / (x + m)
	s := (x - m) * v
	e := 2 * x * v
	for j := 3.0; ; j += 2 {
		e *= v * v
		next := s + e/j
		if next == s {
			return s
		}
		s = next
	}
}
