package stats

import (
	"fmt"
	"math"
)

// Density returns the Gaussian kernel density estimate of the sample x at the
// points at,
//
//	f(v) = 1/(n h sqrt(2π)) Σ exp(-((v - x[i])/h)²/2)
//
// summed directly: R's density() bins first and differs by up to 0.3 %. The
// bandwidth h > 0 is in the units of x: see BandwidthNRD0, BandwidthScott and
// BandwidthSilverman. It integrates to 1 over the whole line, so a grid should
// reach some h beyond the values.
func Density(x, at []float64, bandwidth float64) ([]float64, error) {
	if err := check("Density", "x", x, 1); err != nil {
		return nil, err
	}
	if err := check("Density", "at", at, 0); err != nil {
		return nil, err
	}
	if !(bandwidth > 0) || math.IsInf(bandwidth, 1) {
		return nil, fmt.Errorf("stats: Density: %w: bandwidth %v, wanted above 0", ErrOption, bandwidth)
	}
	f := make([]float64, len(at))
	scale := 1 / (float64(len(x)) * bandwidth * math.Sqrt(2*math.Pi))
	for i, v := range at {
		var s float64
		for _, w := range x {
			u := (v - w) / bandwidth
			s += math.Exp(-0.5 * u * u)
		}
		f[i] = s * scale
	}
	return f, nil
}

// BandwidthNRD0 returns Silverman's rule of thumb as R's bw.nrd0, ggplot2's
// default,
//
//	h = 0.9 min(sd, IQR/1.34) n^(-1/5)
//
// with sd alone where the IQR is 0. Two values (ErrSampleSize) and some variance
// (ErrZeroVariance) are needed.
func BandwidthNRD0(x []float64) (float64, error) {
	s, err := spread("BandwidthNRD0", x)
	if err != nil {
		return 0, err
	}
	q, err := IQR(x)
	if err != nil {
		return 0, err
	}
	if q > 0 {
		s = min(s, q/1.34)
	}
	return 0.9 * s * math.Pow(float64(len(x)), -0.2), nil
}

// BandwidthScott returns Scott's rule as scipy's and seaborn's gaussian_kde,
// h = sd n^(-1/5). (R's bw.nrd has a factor 1.06 and the IQR.) Errors as
// BandwidthNRD0.
func BandwidthScott(x []float64) (float64, error) {
	s, err := spread("BandwidthScott", x)
	return s * math.Pow(float64(len(x)), -0.2), err
}

// BandwidthSilverman returns Silverman's rule as scipy's gaussian_kde,
// h = sd (3n/4)^(-1/5). Errors as BandwidthNRD0.
func BandwidthSilverman(x []float64) (float64, error) {
	s, err := spread("BandwidthSilverman", x)
	return s * math.Pow(0.75*float64(len(x)), -0.2), err
}

func spread(name string, x []float64) (float64, error) {
	if err := check(name, "x", x, 2); err != nil {
		return 0, err
	}
	m, ss := meanVar(x)
	s := sd(ss, len(x))
	if constant(s, m) {
		return 0, fmt.Errorf("stats: %s: %w: x is constant", name, ErrZeroVariance)
	}
	return s, nil
}
