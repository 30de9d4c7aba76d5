package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// job is a command line of a program of ours.
type job struct {
	name  string
	needs string   // path without which it is left out
	args  []string // the program's name first; OUT is a fresh folder
	goal  string
}

const (
	paper = "../shared/data/paper"
	synth = "SYNTH" // the made-up inputs of internal/testdata/synth, unpacked
	model = ".deps/models/smollm2-135m-instruct"
)

var jobs = []job{
	{"study: Figure 1 of 10 reward models on the Moral Foundations corpus (1,652 words x 54 prompts)", paper,
		[]string{"study", "-data", paper, "-compat", "paper", "-only", "fig1", "-out", "OUT/report"}, "under 2 s, 500 MB"},
	{"study: all analyses of the made-up inputs", synth,
		[]string{"study", "-data", synth, "-out", "OUT/report"}, "under 15 s"},
	{"explain: start to first number, SmolLM2-135M, bf16", model,
		[]string{"explain", "-tuned", model, "-base", model, "-base-as", "chat", "-prompt", "What is the best thing ever?", "-reply", "Love"}, ""},
	{"tabulate: 54 chat prompts, SmolLM2-135M, bf16", model,
		[]string{"tabulate", "-model", model, "-as", "chat", "-out", "OUT/t.parquet"}, ""},
	{"tabulate: the same, f32", model,
		[]string{"tabulate", "-model", model, "-as", "chat", "-dtype", "f32", "-out", "OUT/t.parquet"}, ""},
}

// programs times the command lines above, in turn, so that a slow minute hits all of them.
func (b *bench) programs(ctx context.Context) error {
	inputs := filepath.Join(b.dir, "synth")
	if err := unpack("internal/testdata/synth/inputs.tar.gz", inputs); err != nil {
		return err
	}
	var todo []job
	for _, j := range jobs {
		if j.needs != synth {
			if _, err := os.Stat(j.needs); err != nil {
				b.leftOut("%s: there is no %s", j.name, j.needs)
				continue
			}
		}
		todo = append(todo, j)
	}
	before := machineLoad()
	measured := make([][]run, len(todo))
	for round := range b.rounds {
		for i, j := range todo {
			waitQuiet(ctx)
			s, err := j.measure(ctx, inputs, filepath.Join(b.dir, "out"))
			if err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
			measured[i] = append(measured[i], s)
			fmt.Fprintf(b.stderr, "round %d: %s: %.2f s\n", round+1, j.name, s.wall.Seconds())
		}
	}
	t := table{head: []string{"job", "best, s", "median, s", "processor, s", "peak memory, MB", "goal"}}
	for i, j := range todo {
		m := measuredOf(measured[i])
		t.add(j.name, figure(m.best), figure(m.median), figure(m.cpu), fmt.Sprintf("%.0f", m.peak/1e6), j.goal)
	}
	b.section("The programs, from start to end", "Load average %s before, %s after.", before, machineLoad())
	b.table(t)
	return nil
}

// measured sums up the runs of a process: seconds, and the most bytes.
type measured struct{ best, median, cpu, peak, anon float64 }

func measuredOf(runs []run) measured {
	var wall, cpu []float64
	var m measured
	for _, r := range runs {
		wall, cpu = append(wall, r.wall.Seconds()), append(cpu, r.cpu.Seconds())
		m.peak, m.anon = max(m.peak, float64(r.peak)), max(m.anon, float64(r.anon))
	}
	m.best, m.median, m.cpu = best(wall), median(wall), median(cpu)
	return m
}

func (j job) measure(ctx context.Context, inputs, out string) (run, error) {
	if err := os.RemoveAll(out); err != nil {
		return run{}, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return run{}, err
	}
	argv := []string{filepath.Join("bin", j.args[0])}
	for _, a := range j.args[1:] {
		argv = append(argv, strings.NewReplacer("OUT", out, synth, inputs).Replace(a))
	}
	return whole(ctx, argv, "")
}

// unpack writes the files of a .tar.gz of our own below dir.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		to, err := os.Create(path)
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, r); err != nil {
			to.Close()
			return err
		}
		if err := to.Close(); err != nil {
			return err
		}
	}
}
