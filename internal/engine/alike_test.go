package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// TestRows: an invariant batch takes the usual number of rows where that is alike the largest,
// and otherwise the next one that is.
func TestRows(t *testing.T) {
	e := &Engine{executables: &Executables{}}
	e.executables.alike.verdicts = map[string]bool{}
	for _, size := range rowSizes { // as measured on a processor with AVX2 alone
		e.executables.alike.verdicts[fmt.Sprint(false, " ", size)] = size == 96 || size > 128
		e.executables.alike.verdicts[fmt.Sprint(true, " ", size)] = size != 32 && size != 128
	}
	for _, test := range []struct {
		n, usual int
		head     bool
		want     int
	}{
		{1, 1, false, 96}, {60, 64, false, 96}, {70, 128, false, 96}, {97, 128, false, 192}, {150, 192, false, 192}, {256, 256, false, 256},
		{1, 1, true, 16}, {20, 32, true, 48}, {100, 128, true, 192},
		{300, 320, false, 320},
	} {
		got, err := e.rows(test.n, test.usual, test.head)
		if err != nil || got != test.want {
			t.Errorf("%d rows, usually %d, head %v: %d (%v), wanted %d", test.n, test.usual, test.head, got, err, test.want)
		}
	}
}

// TestOtherProcessors computes as on processors where other numbers of rows are alike, where
// and where none is: the numbers are the same but for rounding.
func TestOtherProcessors(t *testing.T) {
	for _, name := range some("gemma2-base", "gpt2-plain") {
		e := open(t, name)
		texts := randomTexts(rand.New(rand.NewPCG(9, 9)), 60, min(e.model.Context, 60), e.model.V)
		want, err := run(t.Context(), e, texts)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name      string
			not       []string
			invariant bool
		}{
			{"all", nil, true},
			{"96 rows", []string{"false 16", "false 32", "false 48", "false 64", "false 128", "true 16", "true 32"}, true},
			{"not blocks", []string{"false 256"}, false},
			{"not the head", []string{"true 256"}, false},
		} {
			verdicts := map[string]bool{}
			for _, size := range rowSizes {
				verdicts[fmt.Sprint(false, " ", size)], verdicts[fmt.Sprint(true, " ", size)] = true, true
			}
			for _, key := range test.not {
				verdicts[key] = false
			}
			e.executables.alike.verdicts = verdicts
			e.invariant, e.measured = true, false
			got, err := run(t.Context(), e, texts)
			if err != nil {
				t.Fatal(err)
			}
			if e.invariant != test.invariant {
				t.Errorf("%s, %s: invariant %v, wanted %v", name, test.name, e.invariant, test.invariant)
			}
			for i := range want {
				for j, v := range got[i].LogProbs {
					if d := math.Abs(float64(v - want[i].LogProbs[j])); !(d <= 1e-5) {
						t.Errorf("%s, %s: text %d, token %d: %v, wanted %v", name, test.name, i, j, v, want[i].LogProbs[j])
					}
				}
			}
		}
	}
}

// TestMeasuredTogether: the two models of a pair, which share executables and what is measured,
// may compute at the same time (the race detector looks).
func TestMeasuredTogether(t *testing.T) {
	dir := filepath.Join(families, "llama-gqa-tied")
	first := open(t, "llama-gqa-tied")
	config, err := checkpoint.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m, err := arch.New(config, func(name string) bool { _, ok := w.Get(name); return ok })
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(t.Context(), first.backend, m, w, Options{DType: first.dtype})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if first.executables != second.executables {
		t.Fatal("the engines share nothing")
	}
	var group errgroup.Group
	for _, e := range []*Engine{first, second} {
		e.invariant, e.measured = true, false // as on XLA
		group.Go(func() error {
			_, err := run(t.Context(), e, []Request{{IDs: []int32{1, 2, 3}, From: 1}})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestMeasured: a product is alike itself, and is not alike a row that differs from its own in
// one bit.
func TestMeasured(t *testing.T) {
	e := open(t, "llama-gqa-tied")
	for _, head := range []bool{false, true} {
		products := e.store.products(head)
		if len(products) == 0 {
			t.Fatal("no products")
		}
		if ok, err := e.alikeRows(16, head); err != nil {
			t.Fatal(ok, err)
		}
		a := &e.executables.alike
		last := products[len(products)-1]
		a.verdicts, a.first = nil, nil
		if ok, err := e.alikeRows(defaultBatchTokens, head); err != nil || !ok {
			t.Skipf("needs a processor where the pure-Go backend's rows are alike in all places: %v", err)
		}
		row := a.first[last]
		row[len(row)-1] = math.Nextafter32(row[len(row)-1], 1000)
		delete(a.verdicts, fmt.Sprint(head, " ", defaultBatchTokens))
		if ok, err := e.alikeRows(defaultBatchTokens, head); err != nil || ok {
			t.Errorf("head %v: a bit that differs is not seen: %v", head, err)
		}
	}
}

// TestMeasuredSums: the same of sums.
func TestMeasuredSums(t *testing.T) {
	e := open(t, "olmoe-clip")
	a := &alike{sums: map[rowSum][]float32{}}
	for _, head := range []bool{false, true} {
		for _, rows := range []int{16, 24, defaultBatchTokens} {
			if ok, err := e.alikeSums(a, rows, head); err != nil || !ok {
				t.Fatalf("%d rows, head %v: alike %v (%v)", rows, head, ok, err)
			}
		}
		for _, s := range e.sums(head) {
			sum := a.sums[s]
			last := sum[len(sum)-1]
			for _, v := range []float32{math.Nextafter32(last, 1000), last} {
				sum[len(sum)-1] = v
				if ok, err := e.alikeSums(a, 48, head); err != nil || ok != (v == last) {
					t.Errorf("head %v, %+v: %v of %v: alike %v (%v)", head, s, v, last, ok, err)
				}
			}
		}
	}
}

// TestSums: of which sums the rows are compared, by family.
func TestSums(t *testing.T) {
	for name, want := range map[string][2][]rowSum{
		"llama-gqa-tied": {{{1, 32, 1, false}, {4, 8, 1, false}, {2, 8, 1, false}}, {{1, 32, 1, false}, {1, 101, 1, true}}},
		"gpt2-plain":     {{{1, 32, 1, false}, {1, 96, 1, false}, {1, 128, 1, false}, {4, 8, 1, false}}, {{1, 32, 1, false}, {1, 113, 1, true}}},
		"olmoe-clip": {{{1, 32, 1, false}, {1, 16, 1, false}, {4, 8, 1, false}, {2, 8, 1, false}, {1, 8, 1, true}, {1, 3, 1, false}, {1, 3, 32, false}},
			{{1, 32, 1, false}, {1, 91, 1, true}}},
	} {
		e := open(t, name)
		for i, head := range []bool{false, true} {
			if got := e.sums(head); !slices.Equal(got, want[i]) {
				t.Errorf("%s, head %v: %v, wanted %v", name, head, got, want[i])
			}
		}
	}
}
