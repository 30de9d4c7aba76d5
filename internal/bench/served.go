package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

const (
	servedProgram   = "bin/serve"
	servedClients   = 64
	servedPrompts   = 20
	servedForms     = 200
	servedSeed      = 6 // any number; fixed so that runs compare
	servedTolerance = 1e-5
	servedGoal      = 10
	servedSettled   = 30 * time.Second // after which memory is to be flat
	servedFlat      = 1.02             // how much more memory than until then is flat
)

// continuation is a request of the load: a prompt with a reply, and what it must get.
type continuation struct {
	text tokenize.Encoded
	pair pair
	want []float32 // ln p of the reply's tokens, scored without the server
}

// served puts a load of harness clients on the server program and holds it to lm-eval's hf
// model on the same continuations: a sample of them, before and after, while the server is
// idle.
func (b *bench) served(ctx context.Context) error {
	if _, err := os.Stat(servedProgram); err != nil {
		b.leftOut("the server under load: there is no %s (make build makes it)", servedProgram)
		return nil
	}
	all, err := b.continuations()
	if err != nil {
		return err
	}
	if err := b.scoreDirectly(ctx, all); err != nil {
		return err
	}
	rate := func() (float64, error) { return 0, nil }
	if b.python != "" {
		peer, err := b.servedPeer(ctx, all)
		if err != nil {
			return err
		}
		defer peer.close()
		rate = func() (float64, error) {
			waitQuiet(ctx, peer.cmd.Process.Pid)
			a, err := peer.ask("go")
			fmt.Fprintf(b.stderr, "served: lm-eval: %.1f s, load average %s\n", a.Seconds, machineLoad())
			return float64(min(sampleSize, len(all))) / a.Seconds, err
		}
		if _, err := rate(); err != nil { // the first run packs weights
			return err
		}
	}
	before, err := rate()
	if err != nil {
		return err
	}
	s, err := startServer(ctx, b.model)
	if err != nil {
		return err
	}
	defer s.stop()
	waitQuiet(ctx, s.cmd.Process.Pid)
	others, loadBefore := watchForeign(s.cmd.Process.Pid), machineLoad()
	l := &load{url: s.url, all: all, clients: servedClients, seed: servedSeed, pid: s.cmd.Process.Pid}
	if err := l.run(ctx, b.loadFor); err != nil {
		return err
	}
	busy := others.processors()
	if err := s.stop(); err != nil {
		return err
	}
	loadAfter := machineLoad()
	after, err := rate()
	if err != nil {
		return err
	}
	b.reportServed(l, max(before, after), busy, loadBefore+" to "+loadAfter)
	return nil
}

// continuations are the first prompts, each as a chat with each of a sample of the forms.
func (b *bench) continuations() ([]continuation, error) {
	tok, err := tokenize.Load(b.model)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	var all []continuation
	for p, prompt := range b.task.Prompts[:min(servedPrompts, len(b.task.Prompts))] {
		for _, f := range sampleOf(len(b.task.Forms), servedForms, servedSeed) {
			text, err := tok.Chat(prompt, b.task.Forms[f], nil)
			if err != nil {
				return nil, err
			}
			all = append(all, continuation{text: text, pair: pair{text.Rendered[:text.Start], b.task.Forms[f], p*len(b.task.Forms) + f}})
		}
	}
	return all, nil
}

// scoreDirectly fills in what the server must answer.
func (b *bench) scoreDirectly(ctx context.Context, all []continuation) error {
	loader, err := (&cli.ModelFlags{DType: "f32"}).Loader(io.Discard)
	if err != nil {
		return err
	}
	defer loader.Close()
	var m *logprob.Model
	if m, err = loader.Load(ctx, b.model); err != nil {
		return err
	}
	texts := func(yield func(tokenize.Encoded) bool) {
		for _, c := range all {
			if !yield(c.text) {
				return
			}
		}
	}
	n := 0
	for score, err := range logprob.Score(ctx, m, texts) {
		if err != nil {
			return err
		}
		all[n].want = score.LogProbs
		n++
	}
	return nil
}

// servedPeer is lm-eval's hf model with a sample of the continuations.
func (b *bench) servedPeer(ctx context.Context, all []continuation) (*process, error) {
	t := *b.task
	t.Sample = nil
	for _, n := range sampleOf(len(all), sampleSize, sampleSeed) {
		t.Sample = append(t.Sample, all[n].pair)
	}
	path := filepath.Join(b.dir, "served.json")
	if err := t.write(path); err != nil {
		return nil, err
	}
	return launch(ctx, "lm-eval", []string{b.python, "internal/bench/peers/peer.py", "lm-eval", "f32", path})
}

// reportServed writes what the load found. peer is lm-eval's continuations a second, 0 where
// it was not measured.
func (b *bench) reportServed(l *load, peer, others float64, loads string) {
	cold, all := l.latencies(true), l.latencies(false)
	rates := []struct {
		what    string
		rate    float64
		seconds []float64
	}{
		{"each continuation for the first time", l.coldRate(), cold},
		{"all", l.rate(), all},
	}
	t := table{head: []string{"requests", "number", "a second", "p50, ms", "p99, ms", "lm-eval, hf, batch 32", "ratio", "goal", ""}}
	for _, r := range rates {
		cells := []string{r.what, figureInt(len(r.seconds)), figure(r.rate), figure(1000 * quantile(r.seconds, 0.5)), figure(1000 * quantile(r.seconds, 0.99))}
		if peer > 0 {
			cells = append(cells, figure(peer)+" a second", figure(r.rate/peer), fmt.Sprint(servedGoal), mark(r.rate >= servedGoal*peer))
		}
		t.add(cells...)
	}
	b.section("The server under load", "%s with SmolLM2-135M-Instruct in float32: for %v, %d clients ask for %d continuations of %d prompts in random order, as lm-eval's local-completions does (token ids, echo, logprobs 1, max_tokens 1, one text a request), over and over. Others used %.2f processors meanwhile (load average %s).",
		servedProgram, b.loadFor, l.clients, len(l.all), servedPrompts, others, loads)
	b.table(t)
	flat := "not judged, for it did not take twice as long"
	if b.loadFor >= 2*servedSettled {
		flat = mark(float64(l.late) <= servedFlat*float64(l.early))
	}
	fmt.Fprintf(&b.text, "\n- answered with 429: %d; errors: %d\n- log-probabilities: %s, against those scored without the server: largest difference %.2g (wanted %g), wrong: %d\n- memory of the server (resident): at most %s MB in the first %v, %s MB after that: %s\n",
		l.busy, len(l.failed), figureInt(l.compared), l.most, servedTolerance, l.wrong, figure(float64(l.early)/1e6), servedSettled, figure(float64(l.late)/1e6), flat)
	if len(l.failed) > 0 {
		b.wrong = append(b.wrong, fmt.Sprintf("%d errors of the server, such as %v", len(l.failed), l.failed[0]))
	}
	if l.wrong > 0 {
		b.wrong = append(b.wrong, fmt.Sprintf("%d log-probabilities of the server, by up to %.2g", l.wrong, l.most))
	}
}

// server is the program, running.
type server struct {
	cmd     *exec.Cmd
	url     string
	errs    *tail
	stopped bool
}

// startServer starts the program on a free port and waits until it listens.
func startServer(ctx context.Context, model string) (*server, error) {
	s := &server{cmd: exec.CommandContext(ctx, servedProgram, "-model", model, "-dtype", "f32", "-listen", "127.0.0.1:0", "-log", "none"), errs: &tail{}}
	s.cmd.Stderr = s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "serve: ")
	if err != nil || !ok {
		s.stop()
		return nil, fmt.Errorf("%s: did not start: %s", servedProgram, s.errs)
	}
	s.url = url
	return s, nil
}

// stop ends the program in order; a second call does nothing.
func (s *server) stop() error {
	if s.stopped {
		return nil
	}
	s.stopped = true
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if waited := s.cmd.Wait(); err == nil && waited != nil {
		err = fmt.Errorf("%s: %w: %s", servedProgram, waited, s.errs)
	}
	return err
}

// differ is the largest difference between what came and what was wanted, relative to
// 1 where these are larger; +Inf where they are not as many, or no numbers.
func differ(got []*float32, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	most := 0.0
	for i, v := range got {
		if v == nil || *v != *v {
			return math.Inf(1)
		}
		d := math.Abs(float64(*v)-float64(want[i])) / max(1, math.Abs(float64(want[i])))
		most = max(most, d)
	}
	return most
}
