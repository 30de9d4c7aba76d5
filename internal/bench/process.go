package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running worker, ours or a peer's.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	err   *tail
	ready ready
}

// launch starts a worker and waits until its model is loaded.
func launch(ctx context.Context, name string, argv []string) (*process, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	p := &process{name: name, cmd: cmd, err: &tail{}}
	cmd.Stderr = p.err
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := p.read(&p.ready); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// ask sends a command and waits for its answer.
func (p *process) ask(command string) (answer, error) {
	var a answer
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return a, fmt.Errorf("%s: %s: %w: %s", p.name, command, err, p.err)
	}
	return a, p.read(&a)
}

func (p *process) read(v any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.cmd.Wait() // so that all of its errors are there
		return fmt.Errorf("%s: ended without an answer: %s", p.name, p.err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("%s: answer %q: %w", p.name, line, err)
	}
	return nil
}

// close ends the worker.
func (p *process) close() error {
	p.in.Close()
	return p.cmd.Wait()
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 2000
	t.b = append(t.b, b...)
	if len(t.b) > most {
		t.b = t.b[len(t.b)-most:]
	}
	return len(b), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }

// run is one run of a process from start to end.
type run struct {
	wall, cpu  time.Duration
	peak, anon int64 // most resident memory at a time, bytes: all of it, and without files that are mapped
	out        []byte
}

// whole runs a command to its end, with stdin as its input. Memory is looked at every few
// milliseconds, all of it by the kernel's own record, anonymous memory by its value then.
func whole(ctx context.Context, argv []string, stdin string) (run, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out bytes.Buffer
	errs := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, errs
	var s run
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for ticks := time.NewTicker(5 * time.Millisecond); ; {
			peak, anon := memory(cmd.Process.Pid)
			s.peak, s.anon = max(s.peak, peak), max(s.anon, anon)
			select {
			case <-done:
				ticks.Stop()
				return
			case <-ticks.C:
			}
		}
	}()
	err := cmd.Wait()
	s.wall = time.Since(start)
	close(done)
	<-watched
	s.out = out.Bytes()
	if err != nil {
		return s, fmt.Errorf("%s: %w: %s", argv[0], err, errs)
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && s.peak == 0 { // no /proc
		s.peak = r.Maxrss * 1024
	}
	return s, nil
}

// memory is VmHWM and RssAnon of a process, 0 where there is no /proc.
func memory(pid int) (peak, anon int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	return statusField(string(b), "VmHWM"), statusField(string(b), "RssAnon")
}

// statusField is the bytes that a line such as "VmHWM:  1068208 kB" tells, 0 without it.
func statusField(status, name string) int64 {
	_, rest, ok := strings.Cut("\n"+status, "\n"+name+":")
	if !ok {
		return 0
	}
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n * 1024
}

// machineLoad is the load average of the last minute, "?" where the system does not say.
func machineLoad() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// processor is the name of the machine's, with the vectors and matrix units that matter here; "" where
// the system does not say.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	name := ""
	var with []string
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "flags":
			with = nil // the same for each processor
			for _, f := range [][2]string{{"avx2", "AVX2"}, {"avx512f", "AVX-512"}, {"avx512_bf16", "its bfloat16"}, {"amx_bf16", "AMX"}} {
				if slices.Contains(strings.Fields(value), f[0]) {
					with = append(with, f[1])
				}
			}
		}
	}
	if len(with) > 0 {
		name += " with " + strings.Join(with, ", ")
	}
	return name
}
