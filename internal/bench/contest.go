package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// side is a worker that takes part in a contest.
type side struct {
	name  string // ours, or the peer's job
	shown string // in the results
	argv  []string
	items float64 // how much one run of its job is
}

// contest has several workers do the same job in turn, each with its model loaded.
type contest struct {
	name  string
	sides []side
}

// timing is what a contest found of one side.
type timing struct {
	side
	ready   ready
	first   float64   // the first run, which compiles or packs, s; not counted
	seconds []float64 // of each counted run
	encode  []float64 // what ours spent making tokens
	others  float64   // processors that others used in a counted round, at most
	numbers []float32 // of the last run
	peak    int64     // most resident memory, bytes; 0 where there is no /proc
}

// best and median are of the seconds that one item takes.
func (t *timing) best() float64   { return best(t.seconds) / t.items }
func (t *timing) median() float64 { return median(t.seconds) / t.items }

// hold starts the workers, lets each do the job once, and then times n rounds in which
// they take turns, or up to 2n until n were undisturbed.
func (c *contest) hold(ctx context.Context, n int, dir string, stderr io.Writer) (all []*timing, err error) {
	ctx, stop := context.WithCancel(ctx)
	var workers []*process
	defer func() {
		if err != nil {
			stop() // kills what still computes
		}
		for _, w := range workers {
			if closed := w.close(); err == nil && closed != nil {
				err = fmt.Errorf("%s: %s: %w: %s", c.name, w.name, closed, w.err)
			}
		}
		stop()
	}()
	var pids []int
	for _, s := range c.sides {
		w, err := launch(ctx, s.name, s.argv)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		workers = append(workers, w)
		pids = append(pids, w.cmd.Process.Pid)
		all = append(all, &timing{side: s, ready: w.ready})
	}
	var rounds []round
	for tried := 0; tried <= n || tried <= 2*n && quiet(rounds) < n; tried++ {
		if tried > 0 {
			waitQuiet(ctx, pids...)
		}
		r, err := c.round(workers, pids, tried, stderr)
		if err != nil {
			return nil, err
		}
		if tried == 0 {
			for i := range all {
				all[i].first = r.answers[i].Seconds
			}
			continue
		}
		rounds = append(rounds, r)
	}
	for _, r := range counted(rounds, n) {
		for i := range all {
			all[i].seconds = append(all[i].seconds, r.answers[i].Seconds)
			all[i].encode = append(all[i].encode, r.answers[i].Encode)
			all[i].others = max(all[i].others, r.others)
		}
	}
	for i, pid := range pids {
		all[i].peak, _ = memory(pid)
	}
	return all, collectNumbers(workers, all, dir)
}

// round has every worker do the job once.
func (c *contest) round(workers []*process, pids []int, number int, stderr io.Writer) (round, error) {
	r := round{answers: make([]answer, len(workers))}
	for i, w := range workers {
		others := watchForeign(pids...)
		var err error
		if r.answers[i], err = w.ask("go"); err != nil {
			return r, fmt.Errorf("%s: %w", c.name, err)
		}
		r.others = max(r.others, others.processors())
		fmt.Fprintf(stderr, "%s: round %d: %s: %.2f s\n", c.name, number, w.name, r.answers[i].Seconds)
	}
	return r, nil
}

// collectNumbers reads the numbers of each worker's last run.
func collectNumbers(workers []*process, all []*timing, dir string) (err error) {
	for i, w := range workers {
		path := filepath.Join(dir, "numbers")
		if _, err := w.ask("numbers " + path); err != nil {
			return err
		}
		if all[i].numbers, err = readNumbers(path); err != nil {
			return err
		}
	}
	return nil
}

// round is one turn of every worker.
type round struct {
	answers []answer
	others  float64 // processors that others used meanwhile
}

// quiet counts the rounds that nobody disturbed.
func quiet(rounds []round) int {
	n := 0
	for _, r := range rounds {
		if r.others < quietProcessors {
			n++
		}
	}
	return n
}

// counted are the rounds to report: the n that were disturbed least.
func counted(rounds []round, n int) []round {
	s := slices.Clone(rounds)
	slices.SortStableFunc(s, func(a, b round) int { return cmp.Compare(a.others, b.others) })
	return s[:min(n, len(s))]
}
