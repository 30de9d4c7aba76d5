package train

import (
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	o, err := newOrder(&Options{Batch: 4, Seed: 7}, testSamples(Reward, 10))
	if err != nil {
		t.Fatal(err)
	}
	if o.perEpoch() != 3 || o.steps(0, 2) != 6 || o.steps(0, 0.5) != 2 || o.steps(4, 9) != 4 {
		t.Errorf("steps: %d an epoch, %d of two, %d of half, %d asked for", o.perEpoch(), o.steps(0, 2), o.steps(0, 0.5), o.steps(4, 9))
	}
	var epochs [2][]int
	for step := 1; step <= 6; step++ {
		rows := o.step(step)
		if want := []int{4, 4, 2}[(step-1)%3]; len(rows) != want {
			t.Errorf("step %d has %d rows, wanted %d", step, len(rows), want)
		}
		epochs[(step-1)/3] = append(epochs[(step-1)/3], rows...)
	}
	for i, rows := range epochs {
		if sorted := slices.Sorted(slices.Values(rows)); !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("epoch %d has %v", i, rows)
		}
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("two epochs in the same order")
	}
	// A run that goes on begins anywhere. The order must never change: runs depend on it.
	again, _ := newOrder(&Options{Batch: 4, Seed: 7}, testSamples(Reward, 10))
	if got := again.step(5); !slices.Equal(got, epochs[1][4:8]) {
		t.Errorf("step 5 has %v, wanted %v", got, epochs[1][4:8])
	}
	if got, want := permutation(10, 7, 0), []int{6, 4, 5, 3, 7, 0, 9, 1, 8, 2}; !slices.Equal(got, want) {
		t.Errorf("the permutation is %v, wanted %v", got, want)
	}
}

// TestOrderUniform: each of the 24 permutations of four rows comes as often.
func TestOrderUniform(t *testing.T) {
	count := map[[4]int]int{}
	const n = 24000
	for seed := range uint64(n) {
		count[[4]int(permutation(4, seed, 1))]++
	}
	for p, c := range count {
		if c < 850 || c > 1150 { // 1,000 within 4.8 standard deviations
			t.Errorf("%v came %d times of %d", p, c, n)
		}
	}
	if len(count) != 24 {
		t.Errorf("%d permutations, wanted 24", len(count))
	}
}

func TestGivenOrder(t *testing.T) {
	rows := testSamples(Reward, 5)
	rows = append(rows[:2], rows[3:]...) // row 2 was too long
	o, err := newOrder(&Options{Batch: 2, Order: []int{4, 4, 2, 1}}, rows)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.step(1); !slices.Equal(got, []int{3, 3}) { // its place
		t.Errorf("step 1 has %v", got)
	}
	if got := o.step(4); !slices.Equal(got, []int{1}) { // of the second epoch
		t.Errorf("step 4 has %v", got)
	}
	if got := o.uses(9); !slices.Equal(got, []bool{false, true, false, true}) {
		t.Errorf("rows %v are used", got)
	}
	for _, bad := range [][]int{{5}, {-1}, {}, {2}} {
		if _, err := newOrder(&Options{Batch: 2, Order: bad}, rows); err == nil {
			t.Errorf("order %v, and no error", bad)
		}
	}
}
