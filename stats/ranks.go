package stats

import "slices"

// Ranks returns the midranks of x in ascending order: the smallest value has
// rank 1, the greatest len(x), and equal values share the mean of the ranks
// they take up. The ranks sum to n(n+1)/2 and are multiples of 1/2. As R's
// rank(x) and scipy's rankdata. An empty x, NaN or infinities are an error.
func Ranks(x []float64) ([]float64, error) {
	if err := check("Ranks", "x", x, 1); err != nil {
		return nil, err
	}
	r, _ := midranks(x)
	return r, nil
}

// RanksDescending returns the midranks of x in descending order, that is the
// Ranks of -x: the greatest value has rank 1, as the word that a model likes
// best.
func RanksDescending(x []float64) ([]float64, error) {
	if err := check("RanksDescending", "x", x, 1); err != nil {
		return nil, err
	}
	r, _ := midranks(x)
	top := float64(len(x) + 1)
	for i := range r {
		r[i] = top - r[i]
	}
	return r, nil
}

// midranks returns the ascending midranks of x and the sizes of its groups of
// equal values, those of one value included.
func midranks(x []float64) (ranks []float64, ties []int) {
	type entry struct {
		value float64
		at    int
	}
	sorted := make([]entry, len(x))
	for i, v := range x {
		sorted[i] = entry{v, i}
	}
	slices.SortFunc(sorted, func(a, b entry) int {
		if a.value < b.value { // no NaN here, and twice as fast as cmp.Compare
			return -1
		}
		if a.value > b.value {
			return 1
		}
		return 0
	})
	ranks = make([]float64, len(x))
	for i := 0; i < len(sorted); {
		j := i + 1
		for j < len(sorted) && sorted[j].value == sorted[i].value {
			j++
		}
		for _, e := range sorted[i:j] {
			ranks[e.at] = float64(i+j+1) / 2
		}
		ties = append(ties, j-i)
		i = j
	}
	return ranks, ties
}

// hasTies says whether any two values are equal.
func hasTies(sizes []int) bool {
	return slices.ContainsFunc(sizes, func(t int) bool { return t > 1 })
}

// tieSum returns the sum of f over the sizes of the groups of ties.
func tieSum(sizes []int, f func(t float64) float64) float64 {
	var s float64
	for _, t := range sizes {
		s += f(float64(t))
	}
	return s
}
