package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
// one bit; so are sums.
func TestMeasured(t *testing.T) {
	e := open(t, "olmoe-clip")
	for _, head := range []bool{false, true} {
		if ok, err := e.alikeRows(16, head); err != nil {
			t.Fatal(ok, err)
		}
		compute := map[string]func(int) ([]float32, bool, error){
			fmt.Sprint("sums of ", head): func(rows int) ([]float32, bool, error) { return e.sumsAlike(e.sums(head), rows) },
		}
		for _, p := range e.store.products(head) {
			compute[fmt.Sprint("rows of ", p)] = func(rows int) ([]float32, bool, error) { return e.productAlike(p, rows) }
		}
		if len(compute) < 2 {
			t.Fatal("no products")
		}
		for of, compute := range compute {
			if _, same, err := compute(defaultBatchTokens); err != nil || !same && strings.HasPrefix(of, "rows") {
				t.Skipf("needs a processor where the pure-Go backend's rows are alike in all places: %v", err)
			} else if !same {
				t.Fatalf("%s: other sums in other places", of)
			}
			for _, changed := range []bool{false, true} {
				of := fmt.Sprint(t.Name(), " ", of, changed) // measured by this test alone
				for _, rows := range []int{defaultBatchTokens, 192} {
					ok, err := e.once(of, rows, defaultBatchTokens, func(int) ([]float32, bool, error) {
						first, same, err := compute(defaultBatchTokens)
						if last := &first[len(first)-1]; changed && rows < defaultBatchTokens {
							*last = math.Nextafter32(*last, 1000)
						}
						return first, same, err
					})
					if want := !changed || rows == defaultBatchTokens; err != nil || ok != want {
						t.Errorf("%s, %d rows: alike %v (%v), wanted %v", of, rows, ok, err, want)
					}
				}
			}
		}
	}
}

// TestMeasuredSums: rows of all numbers have the sums of the largest.
func TestMeasuredSums(t *testing.T) {
	e := open(t, "olmoe-clip")
	for _, head := range []bool{false, true} {
		for _, rows := range []int{16, 24, defaultBatchTokens} {
			if ok, err := e.alikeSums(rows, head); err != nil || !ok {
				t.Fatalf("%d rows, head %v: alike %v (%v)", rows, head, ok, err)
			}
		}
	}
}

// TestMeasuredOnce: what one engine measured, no other measures; an error is no verdict.
func TestMeasuredOnce(t *testing.T) {
	times := 0
	measured := func(e *Engine, of string, err error) bool {
		t.Helper()
		before := times
		if ok, got := e.once(t.Name()+of, 16, 32, func(rows int) ([]float32, bool, error) {
			times++
			return []float32{1}, rows == 32, err
		}); ok || got != err {
			t.Errorf("alike %v (%v), wanted neither, %v", ok, got, err)
		}
		return times > before
	}
	a, b := open(t, "llama-mha"), open(t, "gpt2-plain")
	if !measured(a, "x", os.ErrInvalid) || !measured(a, "x", nil) {
		t.Error("an error was taken for a verdict")
	}
	if measured(a, "x", nil) || measured(b, "x", nil) || !measured(b, "y", nil) {
		t.Error("measured twice, or another's verdict taken")
	}
	defer func(products bool) { arch.BF16Products = products }(arch.BF16Products)
	arch.BF16Products = !arch.BF16Products
	if !measured(a, "x", nil) {
		t.Error("not measured for other products of bfloat16")
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
