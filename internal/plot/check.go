package plot

import (
	"fmt"
	"math"
)

// most is the greatest value that is drawn: ranges and densities of such values are finite.
const most = 1e150

// finite returns an error that names a value that is not finite or exceeds most.
func finite(chart, what string, values ...float64) error {
	for i, v := range values {
		if !(math.Abs(v) <= most) {
			if len(values) > 1 {
				what = fmt.Sprintf("%s[%d]", what, i)
			}
			return fmt.Errorf("plot: %s: %s is %v, wanted a number within ±%.0e", chart, what, v, most)
		}
	}
	return nil
}

// length returns an error if a slice has the wrong length.
func length(chart, what string, got, want int) error {
	if got != want {
		return fmt.Errorf("plot: %s: %s has length %d, wanted %d", chart, what, got, want)
	}
	return nil
}

// filled returns an error if there is nothing to draw.
func filled(chart, what string, n int) error {
	if n == 0 {
		return fmt.Errorf("plot: %s: %s is empty, wanted at least one", chart, what)
	}
	return nil
}

// within returns an error if an index is out of range.
func within(chart, what string, i, n int, of string) error {
	if i < 0 || i >= n {
		return fmt.Errorf("plot: %s: %s is %d, wanted an index into the %d %s", chart, what, i, n, of)
	}
	return nil
}

// ordered returns an error unless limits increase; {0, 0} means none.
func ordered(chart, what string, limits [2]float64) error {
	if err := finite(chart, what, limits[:]...); err != nil {
		return err
	}
	if limits != [2]float64{} && !(limits[0] < limits[1]) {
		return fmt.Errorf("plot: %s: %s is %v, wanted the lower limit first", chart, what, limits)
	}
	return nil
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
