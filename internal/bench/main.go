// Bench measures this library side by side with the programs that do the same work:
// transformers, lm-eval, minicons and trl, each in a process of its own with its model
// loaded, taking turns (contest.go, train.go, peers/). It compares their numbers, too
// (compare.go): a disagreement is reported and makes bench fail. It also times the
// programs of bin/ as whole processes (programs.go), and with -big a model that is larger
// than the memory it is given (big.go).
//
// make bench builds what it needs and runs it. What cannot be measured, for want of an
// input or of the peers, is left out with a line that says so. The results go to
// RESULTS.md, goals that were missed as they are.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
)

func main() { cli.Main("bench", start) }

// bench is a run of it.
type bench struct {
	rounds  int
	loadFor time.Duration // how long the server is under load
	model   string
	python  string // of the peers; "" without them
	dir     string // for temporary files
	task    *task
	path    string           // of the task's file
	mixes   map[string]*task // of mixtures, by name
	words   string           // what the corpus is called
	nouns   string           // and its words, each in one form
	exe     string           // this program, which is also our worker
	stderr  io.Writer
	text    strings.Builder // the results
	notes   []string        // what was left out
	wrong   []string        // numbers that disagree
	numbers numbers
	times   map[string]map[string]*timing // contest, side
	peers   map[string]string             // versions
	results []result                      // for the history
}

// parts are what bench measures, in order; -only chooses.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"programs", (*bench).programs},
	{"next", (*bench).next},
	{"corpus", (*bench).corpus},
	{"reward", (*bench).rewards},
	{"long", (*bench).long},
	{"train", (*bench).trained},
	{"whole", (*bench).wholeProcesses},
	{"serve", (*bench).served},
	{"olmoe", func(b *bench, ctx context.Context) error { return b.mixed(ctx, mixtures()[0]) }},
	{"qwen3_moe", func(b *bench, ctx context.Context) error { return b.mixed(ctx, mixtures()[1]) }},
	{"big", (*bench).big},
}

func start(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	switch {
	case len(args) > 0 && args[0] == "work":
		return runWork(ctx, stdin, stdout, args[1:])
	case len(args) > 0 && args[0] == "train":
		return runTrain(ctx, stdin, stdout, args[1:])
	case len(args) == 2 && args[0] == "first":
		return runFirst(ctx, stdout, args[1])
	}
	return measure(ctx, stdout, stderr, args)
}

// measure runs the parts that are asked for, each side of a contest in a process of its own.
func measure(ctx context.Context, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("bench", "measures the library and its programs, beside others that do the same.", "")
	b := &bench{stderr: stderr, numbers: numbers{}, times: map[string]map[string]*timing{}, peers: map[string]string{}, mixes: map[string]*task{}}
	f.IntVar(&b.rounds, "n", 2, "`number` of counted runs of each job")
	f.StringVar(&b.model, "model", model, "`folder` of the checkpoint, a Llama with a chat template")
	f.StringVar(&b.python, "python", ".deps/venv-peers/bin/python", "`program` that runs the peers, where it is there")
	f.DurationVar(&b.loadFor, "load", 2*time.Minute, "`time` for which the server is under load")
	date := f.String("date", "", "`date` for the heading")
	big := f.Bool("big", false, "also run 3 billion random parameters, which are written to .deps/models (6 GB), in 1 GiB")
	only := f.String("only", "", "`parts` to run, with commas between them: programs, next, corpus, reward, long, train, whole, serve, olmoe, qwen3_moe, big")
	out := f.String("o", "", "`file` that the results also go to")
	history := f.String("history", "", "`file` of earlier runs' ratios, which this run's are compared with and added to")
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if b.loadFor <= 0 {
		return cli.Usagef("-load %v, wanted a time above 0", b.loadFor)
	}
	if b.rounds < 1 {
		return cli.Usagef("-n %d, wanted at least 1", b.rounds)
	}
	chosen, err := choose(*only, *big)
	if err != nil {
		return err
	}
	before, err := readHistory(*history) // before hours of measuring
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(); err != nil {
		return err
	}
	for _, p := range parts {
		if !slices.Contains(chosen, p.name) || b.task == nil && p.name != "programs" {
			continue
		}
		began := time.Now()
		if err := p.run(b, ctx); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "%s: %.0f s in all\n", p.name, time.Since(began).Seconds())
	}
	rest := b.text.String()
	b.text.Reset()
	if err := b.report(); err != nil { // needs all contests, and is read first
		return err
	}
	if *history != "" {
		if err := b.remember(before, *history, *date); err != nil {
			return err
		}
	}
	results := b.heading(*date) + b.text.String() + rest
	fmt.Fprint(stdout, results)
	if *out != "" {
		if err := output.WriteFile(*out, func(w io.Writer) error { _, err := io.WriteString(w, results); return err }); err != nil {
			return err
		}
	}
	if len(b.wrong) > 0 {
		return fmt.Errorf("numbers disagree: %s", strings.Join(b.wrong, "; "))
	}
	return nil
}

// choose reads -only. Without it, everything but what -big asks for.
func choose(only string, big bool) ([]string, error) {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	if only == "" {
		if !big {
			names = slices.DeleteFunc(names, func(n string) bool { return n == "big" })
		}
		return names, nil
	}
	chosen := strings.Split(only, ",")
	for _, c := range chosen {
		if !slices.Contains(names, c) {
			return nil, cli.Usagef("-only %q, wanted some of %s", c, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// prepare looks for what the parts need and makes the task.
func (b *bench) prepare() (err error) {
	if _, err := os.Stat(b.python); err != nil {
		b.leftOut("transformers, lm-eval, minicons and trl: there is no %s (setup/peers.sh makes it)", b.python)
		b.python = ""
	}
	if _, err := os.Stat(b.model); err != nil {
		b.leftOut("everything that needs a model: there is no %s (make real makes it)", b.model)
		return nil
	}
	if b.exe, err = os.Executable(); err != nil {
		return err
	}
	words, name, err := corpusWords()
	if err != nil {
		return err
	}
	if b.task, err = makeTask(b.model, ".", words); err != nil {
		return err
	}
	b.words = fmt.Sprintf("%s forms of the %s after %d prompts", figureInt(len(b.task.Forms)), name, len(b.task.Prompts))
	b.nouns = "the " + name
	b.path = filepath.Join(b.dir, "task.json")
	return b.task.write(b.path)
}

// leftOut notes what could not be measured.
func (b *bench) leftOut(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	b.notes = append(b.notes, note)
	fmt.Fprintf(b.stderr, "left out: %s\n", note)
}

// section begins a part of the results.
func (b *bench) section(title, format string, args ...any) {
	fmt.Fprintf(&b.text, "\n## %s\n\n", title)
	if format != "" {
		b.text.WriteString(wrap(fmt.Sprintf(format, args...), 140) + "\n\n")
	}
}

func (b *bench) table(t table) { b.text.WriteString(t.String()) }

// heading says where and with what the results were made.
func (b *bench) heading(date string) string {
	var peers []string
	for name, version := range b.peers {
		peers = append(peers, name+" "+version)
	}
	slices.Sort(peers)
	s := fmt.Sprintf("%s, %s/%s, %d processors (%s), %s. Best and, in brackets, median of %d runs.", date, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), runtime.Version(), b.rounds)
	if len(peers) > 0 {
		s += " Peers: " + strings.Join(peers, ", ") + "."
	}
	s = "# Results of make bench\n\n" + wrap(s, 140) + "\n"
	for _, n := range b.notes {
		s += "\nLeft out: " + n + ".\n"
	}
	return s
}
