package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// wholeJob is a job that two processes do from start to end.
type wholeJob struct {
	name         string
	ours, theirs []string
	stdin        string
}

// wholeTable runs them in turn; weights is a file whose size is what the model takes.
func (b *bench) wholeTable(ctx context.Context, jobs []wholeJob, weights string) error {
	before := machineLoad()
	ours, theirs := make([][]run, len(jobs)), make([][]run, len(jobs))
	for round := range b.rounds {
		for i, j := range jobs {
			waitQuiet(ctx)
			r, err := whole(ctx, j.ours, j.stdin)
			if err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
			ours[i] = append(ours[i], r)
			fmt.Fprintf(b.stderr, "whole processes: round %d: %s: %.2f s", round+1, j.name, r.wall.Seconds())
			if b.python != "" {
				if r, err = whole(ctx, j.theirs, j.stdin); err != nil {
					return fmt.Errorf("%s: %w", j.name, err)
				}
				theirs[i] = append(theirs[i], r)
				fmt.Fprintf(b.stderr, ", transformers %.2f s", r.wall.Seconds())
			}
			fmt.Fprintln(b.stderr)
		}
	}
	b.section("Whole processes", "From the start of a process to its end: ours, and Python with transformers. Peak memory is the kernel's VmHWM, which counts the pages of mapped files; anonymous memory (RssAnon), which does not, was read every 5 ms. Load average %s before, %s after.", before, machineLoad())
	t := table{head: []string{"job", "ours, s", "transformers, s", "ratio", "peak memory, ours, MB", "transformers, MB", "anonymous, ours, MB", "transformers, MB"}}
	mb := func(x float64) string { return fmt.Sprintf("%.0f", x/1e6) }
	for i, j := range jobs {
		o := measuredOf(ours[i])
		if len(theirs[i]) == 0 {
			t.add(j.name, both(o.best, o.median), "", "", mb(o.peak), "", mb(o.anon))
			continue
		}
		p := measuredOf(theirs[i])
		t.add(j.name, both(o.best, o.median), both(p.best, p.median), both(p.best/o.best, p.median/o.median), mb(o.peak), mb(p.peak), mb(o.anon), mb(p.anon))
	}
	b.table(t)

	size, err := os.Stat(weights)
	if err != nil {
		return err
	}
	first, memory := measuredOf(ours[0]), measuredOf(ours[1])
	goals := table{head: []string{"goal", "reached", ""}}
	goals.add("start to first number: under 2.5 s", figure(first.best)+" s", mark(first.best < 2.5))
	most := float64(size.Size()) + 400<<20
	goals.add(fmt.Sprintf("peak memory of the 54 prompts, bf16: at most weights + 400 MiB = %s MB", mb(most)), mb(memory.peak)+" MB", mark(memory.peak <= most))
	if b.python != "" {
		first2, memory2 := measuredOf(theirs[0]), measuredOf(theirs[1])
		goals.add("start to first number: at least 4 times as fast as transformers", figure(first2.best/first.best)+" times", mark(first2.best/first.best >= 4))
		goals.add("peak memory of the 54 prompts, bf16: at most a third of transformers'", fmt.Sprintf("1/%s", figure(memory2.peak/memory.peak)), mark(memory2.peak/memory.peak >= 3))
		if err := b.sameFirst(ours[0][0].out, theirs[0][0].out); err != nil {
			return err
		}
	}
	b.text.WriteByte('\n')
	b.table(goals)
	return nil
}

// sameFirst compares the first numbers, ln p of the likeliest token, which must be within
// what bfloat16 may differ (transformers is 0.44 off float32 at most: the README). Which
// token it is may differ: transformers' two likeliest have the same value there.
func (b *bench) sameFirst(ours, theirs []byte) error {
	type first struct {
		Token int     `json:"token"`
		LnP   float64 `json:"lnp"`
	}
	var o, p first
	if err := json.Unmarshal(ours, &o); err != nil {
		return fmt.Errorf("ours: %q: %w", ours, err)
	}
	if err := json.Unmarshal(theirs, &p); err != nil {
		return fmt.Errorf("transformers: %q: %w", theirs, err)
	}
	if !(math.Abs(o.LnP-p.LnP) < 0.5) {
		b.wrong = append(b.wrong, fmt.Sprintf("the first number: token %d with ln p %g, transformers %d with %g", o.Token, o.LnP, p.Token, p.LnP))
	}
	return nil
}

// bigLimit is the memory that the big model is given.
const bigLimit = "1GiB"

// big is the paper's job on a model larger than its memory, against the same without limit.
func (b *bench) big(ctx context.Context) error {
	dir := filepath.Join(".deps", "models", "random-3b")
	c := bigConfig()
	if err := writeRandom(ctx, dir, b.model, c, b.stderr); err != nil {
		return err
	}
	t := *b.task
	var err error
	if t.Model, err = filepath.Abs(dir); err != nil {
		return err
	}
	path := filepath.Join(b.dir, "big.json")
	if err := t.write(path); err != nil {
		return err
	}
	before := machineLoad()
	sides := [2][]string{b.oursArgv(path, "next", "bf16", "-memory", bigLimit), b.oursArgv(path, "next", "bf16")}
	var runs [2][]run
	var rows [2][]float32
	var seconds [2][]float64
	for round := range b.rounds {
		for i, argv := range sides {
			out := filepath.Join(b.dir, "rows"+strconv.Itoa(i))
			waitQuiet(ctx)
			r, err := whole(ctx, argv, "go\nnumbers "+out+"\n")
			if err != nil {
				return fmt.Errorf("big: %w", err)
			}
			runs[i] = append(runs[i], r)
			job, err := secondLine(r.out)
			if err != nil {
				return fmt.Errorf("big: %w", err)
			}
			seconds[i] = append(seconds[i], job.Seconds)
			if rows[i], err = readNumbers(out); err != nil {
				return err
			}
			fmt.Fprintf(b.stderr, "big: round %d: limit %v: %.1f s, of it the job %.1f s; anonymous memory %d MB\n", round+1, i == 0, r.wall.Seconds(), job.Seconds, r.anon/1e6)
		}
	}
	b.section("A model larger than its memory", "%s million random parameters in bfloat16, 54 chat prompts, `-memory %s` against no limit; whole processes, taking turns. Load average %s before, %s after.", figureInt(c.parameters()/1e6), bigLimit, before, machineLoad())
	table1 := table{head: []string{"", "whole process, s", "of it the job, s", "peak memory, MB", "peak anonymous memory, MB"}}
	m := [2]measured{measuredOf(runs[0]), measuredOf(runs[1])}
	for i, name := range []string{"-memory " + bigLimit, "no limit"} {
		table1.add(name, both(m[i].best, m[i].median), both(best(seconds[i]), median(seconds[i])), fmt.Sprintf("%.0f", m[i].peak/1e6), fmt.Sprintf("%.0f", m[i].anon/1e6))
	}
	b.table(table1)
	goals := table{head: []string{"goal", "reached", ""}}
	goals.add("peak anonymous memory under 1.5 GiB", fmt.Sprintf("%.2f GiB", m[0].anon/(1<<30)), mark(m[0].anon < 1.5*(1<<30)))
	goals.add("at most 1.5 times the time", figure(m[0].best/m[1].best)+" times", mark(m[0].best <= 1.5*m[1].best))
	same := len(rows[0]) > 0 && slices.Equal(rows[0], rows[1])
	goals.add("the same numbers to the last bit", figureInt(len(rows[0]))+" numbers", mark(same))
	if !same {
		b.wrong = append(b.wrong, "the model that streams gives other numbers than without a limit")
	}
	b.text.WriteByte('\n')
	b.table(goals)
	return nil
}

// secondLine is a worker's answer to its first command.
func secondLine(out []byte) (answer, error) {
	var a answer
	lines := slices.Collect(bytes.Lines(out))
	if len(lines) < 2 {
		return a, fmt.Errorf("a worker said %q, wanted a line more", out)
	}
	return a, json.Unmarshal(lines[1], &a)
}
