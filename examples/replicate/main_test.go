package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/replicate"
)

// Exit codes are 0 for help, 2 for wrong use.
func TestExit(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"-h", 0, ""},
		{"", 2, "replicate: flag -out is missing"},
		{"-out x -pairs 3", 2, "-pairs 64 or more"},
		{"-out " + t.TempDir(), 2, "exists, wanted a new folder, or -resume"},
	} {
		var out, errs bytes.Buffer
		code := cli.Report("replicate", run(t.Context(), nil, &out, &errs, strings.Fields(c.args)), &errs)
		if code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%q: code %d, %s, wanted %d, %s", c.args, code, errs.String(), c.code, c.want)
		}
	}
}

// With agency first, 16 words have the mean rank 8.5 and the others 24.5.
func TestLean(t *testing.T) {
	var all []ranked
	for i := range 32 {
		category := "agency"
		if i >= 16 {
			category = "communion"
		}
		all = append(all, ranked{"best_ever_one", category, float64(i + 1)}, ranked{"most_ever", category, float64(i + 1)}, ranked{"bad_ever_one", category, float64(32 - i)})
	}
	if got, want := leanOf(all), (lean{16, -16, 8.5, 24.5}); got != want {
		t.Errorf("%v, wanted %v", got, want)
	}
}

// Where the ten come first of 50, all are among the first ten and the AUC is 1; last, 0.
func TestFind(t *testing.T) {
	for _, c := range []struct {
		first    int
		top, auc float64
	}{{1, 10, 1}, {41, 0, 0}, {6, 5, 0.875}} {
		var all []ranked
		for range 3 {
			for i := range 50 {
				category := "things"
				if i+1 >= c.first && i+1 < c.first+10 {
					category = "authority"
				}
				all = append(all, ranked{"p", category, float64(i + 1)})
			}
		}
		if got := find("m", all, 50, 3); got.Top != c.top || math.Abs(got.AUC-c.auc) > 1e-12 {
			t.Errorf("from rank %d: %v, wanted %g and %g", c.first, got, c.top, c.auc)
		}
	}
}

// planted is an experiment whose runs have given values: of a base that leans to agency up, of one that leans to
// communion down, and noise by seed.
func planted(t *testing.T, effect float64) *lab {
	t.Helper()
	l := &lab{o: options{Pretraining: 10, Pairs: 64, Seeds: 2, Repeats: 2}, dir: t.TempDir(), stderr: io.Discard}
	l.plan()
	if err := l.lists(); err != nil {
		t.Fatal(err)
	}
	value := func(b *base, effect float64) lean {
		v := effect * map[replicate.Lean]float64{replicate.Agency: 1, replicate.Communion: -1}[b.Lean]
		v += float64(b.Seed) + float64(len(b.Family))/10
		return lean{v, -v, 16.5 - v/2, 16.5 + v/2}
	}
	for _, b := range l.bases {
		b.Words = value(b, effect)
	}
	for _, r := range l.runs {
		r.Steps, r.Accuracy = []int{0, 1, 2}, 0.75
		of := effect
		if r.Shuffled {
			of = 0
		}
		r.Words = value(r.base, of)
		r.Words.Positive += float64(r.Seed) - 1.5
		r.Series = []lean{value(r.base, 0), value(r.base, 0), r.Words}
	}
	for _, b := range l.boosts {
		for _, m := range measures {
			b.Found = append(b.Found, found{m.name, 9, 0.9})
		}
	}
	return l
}

// The page says what was planted, and what was not.
func TestPage(t *testing.T) {
	for _, c := range []struct {
		effect         float64
		says, shuffled string
	}{
		{5, "Reward models trained on helpfulness differ by the lean of their bases, as inheritance has it: +10.0 places of 32", "Reward models trained on shuffled labels are not shown to differ"},
		{0, "Reward models trained on helpfulness are not shown to differ by the lean of their bases: +0.0 places of 32", "Reward models trained on shuffled labels are not shown to differ"},
		{-5, "Reward models trained on helpfulness differ against the lean of their bases: -10.0 places of 32", "Reward models trained on shuffled labels are not shown to differ"},
	} {
		l := planted(t, c.effect)
		var positive, negative []contrast
		for _, k := range conditions {
			p, err := l.contrast(k, false)
			if err != nil {
				t.Fatal(err)
			}
			n, err := l.contrast(k, true)
			if err != nil {
				t.Fatal(err)
			}
			positive, negative = append(positive, p), append(negative, n)
		}
		page := l.page(positive, negative)
		for _, want := range []string{c.says, c.shuffled, "4 against 4 bases; the least possible p is 0.029", "| log-ratio | 9.0 | 0.900 |"} {
			if !strings.Contains(page, want) {
				t.Errorf("effect %g: wanted %q in\n%s", c.effect, want, page)
			}
		}
		for _, f := range []interface{ WritePNG(io.Writer) error }{l.training(), differences(positive)} {
			if err := f.WritePNG(io.Discard); err != nil {
				t.Error(err)
			}
		}
	}
}

// Jobs are all done; the first error ends those that wait.
func TestParallel(t *testing.T) {
	l := &lab{workers: 3}
	var n atomic.Int64
	var jobs []func(context.Context) error
	for range 20 {
		jobs = append(jobs, func(context.Context) error { n.Add(1); return nil })
	}
	if err := l.parallel(t.Context(), jobs); err != nil || n.Load() != 20 {
		t.Errorf("%d jobs, %v, wanted 20", n.Load(), err)
	}
	fault := errors.New("fault")
	l.workers, n = 1, atomic.Int64{}
	jobs[3] = func(context.Context) error { return fault }
	if err := l.parallel(t.Context(), jobs); !errors.Is(err, fault) || n.Load() != 3 {
		t.Errorf("%d jobs, %v, wanted 3 and the fault", n.Load(), err)
	}
}
