// Bench times the programs of bin/ as whole processes, several runs of each in turn,
// and prints best and median wall time, processor time and peak memory as a Markdown
// table. make bench builds the programs and runs it.
//
// A job whose input is not there is left out with a line that says what is missing.
package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli"
)

func main() { cli.Main("bench", run) }

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

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("bench", "times the programs of bin/ as whole processes.", "")
	runs := f.Int("n", 3, "`number` of counted runs of each job")
	date := f.String("date", "", "`date` for the heading")
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if *runs < 1 {
		return cli.Usagef("-n %d, wanted at least 1", *runs)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	inputs := filepath.Join(dir, "synth")
	if err := unpack("internal/testdata/synth/inputs.tar.gz", inputs); err != nil {
		return err
	}

	var todo []job
	for _, j := range jobs {
		if j.needs != synth {
			if _, err := os.Stat(j.needs); err != nil {
				fmt.Fprintf(stderr, "left out: %s: there is no %s\n", j.name, j.needs)
				continue
			}
		}
		todo = append(todo, j)
	}
	measured := make([][]sample, len(todo))
	for round := range *runs {
		for i, j := range todo { // in turn, so that a slow minute hits all of them
			s, err := j.measure(ctx, inputs, filepath.Join(dir, "out"))
			if err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
			measured[i] = append(measured[i], s)
			fmt.Fprintf(stderr, "round %d: %s: %.2f s\n", round+1, j.name, s.wall.Seconds())
		}
	}
	fmt.Fprintf(stdout, "%s %s/%s, %d processors, %s, best and median of %d runs\n\n", *date, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), *runs)
	fmt.Fprintln(stdout, "| job | best, s | median, s | processor, s | peak memory, MB | goal |")
	fmt.Fprintln(stdout, "|---|---|---|---|---|---|")
	for i, j := range todo {
		by := func(of func(sample) float64) []float64 {
			var x []float64
			for _, s := range measured[i] {
				x = append(x, of(s))
			}
			slices.Sort(x)
			return x
		}
		wall := by(func(s sample) float64 { return s.wall.Seconds() })
		cpu := by(func(s sample) float64 { return s.cpu.Seconds() })
		memory := by(func(s sample) float64 { return float64(s.memory) / 1e6 })
		fmt.Fprintf(stdout, "| %s | %.2f | %.2f | %.2f | %.0f | %s |\n", j.name, wall[0], wall[len(wall)/2], cpu[len(cpu)/2], memory[len(memory)-1], j.goal)
	}
	return nil
}

// sample is one run of a process.
type sample struct {
	wall, cpu time.Duration
	memory    int64 // peak resident, bytes
}

func (j job) measure(ctx context.Context, inputs, out string) (sample, error) {
	if err := os.RemoveAll(out); err != nil {
		return sample{}, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return sample{}, err
	}
	var args []string
	for _, a := range j.args[1:] {
		args = append(args, strings.NewReplacer("OUT", out, synth, inputs).Replace(a))
	}
	cmd := exec.CommandContext(ctx, filepath.Join("bin", j.args[0]), args...)
	start := time.Now()
	text, err := cmd.CombinedOutput()
	wall := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(text)))
	}
	s := sample{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.memory = r.Maxrss * 1024 // Linux counts kilobytes
	}
	return s, nil
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
