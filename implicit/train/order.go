package train

import (
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

// newOrder checks a given order against the number of rows.
func newOrder(o *Options, rows int) (*order, error) {
	for i, row := range o.Order {
		if row < 0 || row >= rows {
			return nil, fmt.Errorf("order: place %d has row %d, wanted one of 0 to %d", i, row, rows-1)
		}
	}
	if o.Order != nil && len(o.Order) == 0 || rows == 0 {
		return nil, fmt.Errorf("no rows to train on")
	}
	return &order{rows: rows, batch: o.Batch, seed: o.Seed, given: o.Order}, nil
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
