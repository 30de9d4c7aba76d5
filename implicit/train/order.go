package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// order says which rows a step trains on. An epoch is given, or a permutation of all rows,
// another for each epoch; its last step has what rows are left.
type order struct {
	rows, batch int
	seed        uint64
	given       []int

	epoch int   // whose rows are at hand, from 0
	at    []int // nil at first
}

// newOrder makes the order of the rows that are there. Of a given one those that are not, as they
// are too long, are left out.
func newOrder(o *Options, samples []*sample) (*order, error) {
	out := &order{rows: len(samples), batch: o.Batch, seed: o.Seed}
	if o.Order == nil {
		return out, nil
	}
	places, rows := map[int]int{}, 0
	for place, s := range samples {
		places[s.index] = place
		rows = max(rows, s.index+1)
	}
	for i, row := range o.Order {
		if row < 0 || row >= max(rows, o.rows) {
			return nil, fmt.Errorf("order: place %d has row %d, wanted one of 0 to %d", i, row, max(rows, o.rows)-1)
		}
		if place, ok := places[row]; ok {
			out.given = append(out.given, place)
		}
	}
	if len(out.given) == 0 {
		return nil, errors.New("order: no row to train on")
	}
	return out, nil
}

// perEpoch is the number of steps of an epoch.
func (o *order) perEpoch() int {
	n := o.rows
	if o.given != nil {
		n = len(o.given)
	}
	return (n + o.batch - 1) / o.batch
}

// steps is the number of steps of a run: as many as asked for, or those of the epochs, the last
// of which need not be whole.
func (o *order) steps(asked int, epochs float64) int {
	if asked > 0 {
		return asked
	}
	return int(math.Ceil(epochs * float64(o.perEpoch())))
}

// step is the rows of a step, from 1.
func (o *order) step(step int) []int {
	epoch, place := (step-1)/o.perEpoch(), (step-1)%o.perEpoch()
	switch {
	case o.given != nil:
		o.at = o.given
	case o.at == nil || o.epoch != epoch:
		o.at, o.epoch = permutation(o.rows, o.seed, uint64(epoch)), epoch
	}
	return o.at[place*o.batch : min((place+1)*o.batch, len(o.at))]
}

// uses tells of each row whether it comes in the first steps.
func (o *order) uses(steps int) []bool {
	used := make([]bool, o.rows)
	for step := range min(steps, o.perEpoch()) {
		for _, row := range o.step(step + 1) {
			used[row] = true
		}
	}
	return used
}

// permutation is 0 to n-1 in an order that depends on the arguments alone, and on no release of
// Go: Fisher and Yates's shuffle by PCG.
func permutation(n int, seed, stream uint64) []int {
	source := rand.NewPCG(seed, stream)
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := below(source, uint64(i)+1)
		at[i], at[j] = at[j], at[i]
	}
	return at
}

// below draws one of the numbers less than n, all as likely.
func below(source rand.Source, n uint64) uint64 {
	for whole := math.MaxUint64 - math.MaxUint64%n; ; {
		if x := source.Uint64(); x < whole {
			return x % n
		}
	}
}
