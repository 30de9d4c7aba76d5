package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// trainPairs is the number of pairs of a step.
const trainPairs = 8

// trainJob is a reward model that is trained by both.
type trainJob struct {
	name, shown string
	kind        pairKind
	plain       bool    // also against the peer without checkpointing
	goal        float64 // how many times as fast ours is to be
}

var trainJobs = []trainJob{
	{"short", "short prompts, replies of 120 to 270 tokens", pairKind{[2]int{20, 30}, [2]int{120, 270}}, true, 1},
	// Without checkpointing the peer would want 20 GB for these.
	{"shared", "prompts of 512 tokens, replies of 64", pairKind{[2]int{505, 520}, [2]int{60, 68}}, false, 2},
}

// trained measures training of a reward model, in steps a second and peak memory.
func (b *bench) trained(ctx context.Context) error {
	t := table{head: []string{"pairs", "ours", "against", "theirs", "ratio", "goal", "", "ours: peak memory", "theirs", "", "losses differ by up to", "others"}}
	for _, job := range trainJobs {
		all, err := b.trainContest(ctx, job)
		if err != nil {
			return err
		}
		b.trainRows(&t, job, all)
	}
	b.section("Training a reward model", "SmolLM2-135M-Instruct in float32 with a LoRA of rank 32 on q, k, v and o and a score row, from the same initial weights: %d pairs a step, the same at every step, AdamW at a constant rate. Processes take turns, a step at a time; the first is not counted, in which ours compiles, one or two seconds for each shape that it meets for the first time. Steps a second, best and, in brackets, median; memory is the most that was resident from start to end. The losses of all steps are wanted within %g.", trainPairs, f32Tolerance)
	b.table(t)
	return nil
}

// trainContest has ours and trl's trainer take turns.
func (b *bench) trainContest(ctx context.Context, job trainJob) ([]*timing, error) {
	steps := 2*b.rounds + 1 // as many as hold may ask for
	data, out := filepath.Join(b.dir, job.name+".jsonl"), filepath.Join(b.dir, job.name)
	tok, err := tokenize.Load(b.model)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	if err := output.WriteFile(data, func(w io.Writer) error { return writePairs(w, tok, trainPairs, job.kind, 1) }); err != nil {
		return nil, err
	}
	c := contest{name: "train " + job.name, sides: []side{{oursName, "implicitreward", []string{b.exe, "train", "-model", b.model, "-data", data, "-o", out, "-steps", strconv.Itoa(steps)}, 1}}}
	if b.python != "" {
		modes := []string{"checkpointing"}
		if job.plain {
			modes = append(modes, "plain")
		}
		for _, mode := range modes {
			// Ours writes what training begins with before it says that it is ready.
			c.sides = append(c.sides, side{mode, "trl, RewardTrainer, " + mode, []string{b.python, "internal/bench/peers/train.py", b.model, data,
				filepath.Join(out, "checkpoint-0"), padToken, strconv.Itoa(steps), strconv.Itoa(trainPairs), mode}, 1})
		}
	}
	all, err := c.hold(ctx, b.rounds, b.dir, b.stderr)
	for _, t := range all {
		if t.name != oursName {
			maps.Copy(b.peers, t.ready.Versions)
		}
	}
	return all, err
}

func (b *bench) trainRows(t *table, job trainJob, all []*timing) {
	rate := func(x *timing) string { return both(1/x.best(), 1/x.median()) + " steps/s" }
	memory := func(x *timing) string { return fmt.Sprintf("%s MB", figure(float64(x.peak)/1e6)) }
	ours := all[0]
	if len(all) == 1 {
		t.add(job.shown, rate(ours), "", "", "", fmt.Sprintf("%g", job.goal), "not measured", memory(ours), "", "", "", fmt.Sprintf("%.2f", ours.others))
	}
	for _, theirs := range all[1:] {
		b.compared("train "+job.name, ours, theirs)
		ratio := theirs.best() / ours.best()
		d := compare(ours.numbers, theirs.numbers)
		if !(d.max <= f32Tolerance) {
			b.wrong = append(b.wrong, "losses of training on "+job.shown+" and "+theirs.shown)
		}
		t.add(job.shown, rate(ours), theirs.shown, rate(theirs), both(ratio, theirs.median()/ours.median()), fmt.Sprintf("%g", job.goal), mark(ratio >= job.goal),
			memory(ours), memory(theirs), mark(ours.peak < theirs.peak), fmt.Sprintf("%.2g", d.max), fmt.Sprintf("%.2f", ours.others))
	}
}

// runTrain is our side: the peers' protocol, of which peers/train.py tells, over package train.
func runTrain(ctx context.Context, stdin io.Reader, stdout io.Writer, args []string) error {
	f := cli.NewFlags("bench train", "trains a reward model, a step whenever bench asks for one.", "")
	model, data, out := f.String("model", "", "`folder` of the base"), f.String("data", "", "`file` of pairs"), f.String("o", "", "`folder` to write")
	steps := f.Int("steps", 0, "`number` of steps at most")
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	file, err := os.Open(*data)
	if err != nil {
		return err
	}
	defer file.Close()
	rows, err := train.Read(ctx, file, train.Reward)
	if err != nil {
		return err
	}
	backend, err := cli.Backend("auto", io.Discard)
	if err != nil {
		return err
	}
	defer backend.Finalize()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p := &trainProtocol{start: time.Now(), lines: bufio.NewScanner(stdin), out: json.NewEncoder(stdout), stop: stop}
	order := make([]int, *steps*trainPairs)
	for i := range order {
		order[i] = i % trainPairs
	}
	_, err = train.Run(ctx, rows, train.Options{
		Task: train.Reward, Model: *model, Out: *out, LoRA: &train.LoRA{R: 32, Alpha: 64, Targets: []string{"q_proj", "k_proj", "v_proj", "o_proj"}},
		LR: 1e-4, Schedule: "constant", Batch: trainPairs, Steps: *steps, Order: order, Seed: 1,
		Backend: backend, DType: dtypes.Float32,
		Saved: func(step int, _ string) error { return p.saved(step) },
		Step:  p.step,
	})
	if p.done {
		return p.err // bench has seen enough
	}
	return err
}

// trainProtocol holds training between steps until the next one is asked for.
type trainProtocol struct {
	start, begin time.Time
	lines        *bufio.Scanner
	out          *json.Encoder
	stop         func() // ends training
	losses       []float32
	done         bool
	err          error
}

// saved tells, once what training begins with is written, that it can begin.
func (p *trainProtocol) saved(step int) error {
	if step > 0 {
		return nil
	}
	p.say(ready{Load: time.Since(p.start).Seconds(), Versions: map[string]string{"implicitreward": logprob.Version, "go": runtime.Version()}})
	p.wait()
	return nil
}

func (p *trainProtocol) step(r train.Record) {
	p.losses = append(p.losses, float32(r.Loss))
	p.say(answer{Seconds: time.Since(p.begin).Seconds()})
	p.wait()
}

func (p *trainProtocol) say(v any) {
	if err := p.out.Encode(v); err != nil && p.err == nil {
		p.err = err
	}
}

// wait returns when a step is asked for, or has training stop.
func (p *trainProtocol) wait() {
	for p.err == nil && p.lines.Scan() {
		command, rest, _ := strings.Cut(p.lines.Text(), " ")
		switch command {
		case "go":
			p.begin = time.Now()
			return
		case "numbers":
			if p.err = writeNumbers(rest, p.losses); p.err == nil {
				p.say(answer{Count: len(p.losses)})
			}
		default:
			p.err = fmt.Errorf("command %q, wanted go or numbers", command)
		}
	}
	p.done = true
	p.stop()
}
