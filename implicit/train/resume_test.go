package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// resumable are options of a run that is stopped and goes on.
func resumable(task Task, out string) Options {
	o := fakeOptions(task, out)
	o.Resume = true
	return o
}

// killer ends the process, as kill -9 does, at an event of a folder.
func killer(at int) func(string) {
	n := 0
	return func(string) {
		if n++; n == at {
			p, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = p.Kill()
			}
			panic(fmt.Sprint("alive after ", err))
		}
	}
}

// TestKilled is the run that TestKill has killed: with TRAIN_KILL=TASK,EVENT,FOLDER.
func TestKilled(t *testing.T) {
	job := strings.SplitN(os.Getenv("TRAIN_KILL"), ",", 3)
	if len(job) < 3 {
		return // a part of TestKill
	}
	at, err := strconv.Atoi(job[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fakeRun(t.Context(), resumable(Task(job[0]), job[2]), killer(at)); err != nil {
		t.Fatal(err)
	}
}

// TestKill: a run that is killed between any two changes of its folder, or in the middle of
// one, and goes on, again and again, ends with the same bytes in the same files as one that is
// not.
func TestKill(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "run")
	events := 0
	if _, err := fakeRun(t.Context(), fakeOptions(Reward, whole), func(string) { events++ }); err != nil {
		t.Fatal(err)
	}
	want := contents(t, whole)
	if len(want["log.jsonl"]) == 0 || len(want["checkpoint-4/weights"]) == 0 || events < 100 {
		t.Fatalf("%d events, files %d", events, len(want))
	}
	stride := 2 // changes come in threes
	if testing.Short() {
		stride = 7
	}
	for at := 1; at <= events; at += stride {
		dir := filepath.Join(t.TempDir(), "run")
		for kills := 0; kills < 1+at%4/3; kills++ { // some of them again, in what goes on
			child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
			child.Env = append(os.Environ(), fmt.Sprintf("TRAIN_KILL=%s,%d,%s", Reward, at, dir))
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if kills == 0 && !(errors.As(err, &exit) && exit.ExitCode() == -1) {
				t.Fatalf("event %d: the run was not killed: %v: %s", at, err, out)
			}
			if strings.Contains(string(out), "FAIL") {
				t.Fatalf("event %d: %s", at, out)
			}
		}
		if _, err := fakeRun(t.Context(), resumable(Reward, dir), nil); err != nil {
			t.Fatalf("event %d: %v", at, err)
		}
		compare(t, fmt.Sprint("event ", at), contents(t, dir), want)
		if t.Failed() {
			return
		}
	}
}

// TestInterrupted: a run whose context ends keeps what it has, and goes on.
func TestInterrupted(t *testing.T) {
	for _, task := range tasks {
		whole := filepath.Join(t.TempDir(), "run")
		first, err := fakeRun(t.Context(), fakeOptions(task, whole), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := contents(t, whole)
		dir := filepath.Join(t.TempDir(), "run")
		for steps := 0; ; steps++ {
			if steps > 20 {
				t.Fatal("a run that ends after each step does not end")
			}
			ctx, cancel := context.WithCancel(t.Context())
			o := resumable(task, dir)
			done := 0
			o.Step = func(Record) { done++; cancel() }
			summary, err := fakeRun(ctx, o, nil)
			cancel()
			if err == nil {
				if fmt.Sprint(summary) != fmt.Sprint(first) {
					t.Errorf("%s: %+v, wanted %+v", task, summary, first)
				}
				break
			}
			if !errors.Is(err, context.Canceled) || done > 1 {
				t.Fatalf("%s: %v after %d steps", task, err, done)
			}
		}
		compare(t, string(task), contents(t, dir), want)
		// A run that is complete has nothing to go on with.
		o := resumable(task, dir)
		o.Step = func(Record) { t.Error("a step after the end") }
		summary, err := fakeRun(t.Context(), o, nil)
		if err != nil || fmt.Sprint(summary) != fmt.Sprint(first) {
			t.Errorf("%s: %+v, %v, wanted %+v", task, summary, err, first)
		}
		compare(t, string(task)+", once more", contents(t, dir), want)
	}
}

// TestResumeRefused: a folder is not gone on with if it is another run's, or nobody's.
func TestResumeRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	o := fakeOptions(Reward, dir)
	if _, err := fakeRun(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	refused := func(what, want string, o Options) {
		t.Helper()
		if _, err := fakeRun(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, wanted %q", what, err, want)
		}
	}
	refused("without resume", "exists, wanted a new folder, or to resume", o)
	o.Resume, o.LR = true, 0.06
	refused("another learning rate", "lr is 0.06, and the run began with 0.05", o)
	o.LR = 0.05
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	o.Out = foreign
	refused("nobody's folder", "has notes.txt and no train.json", o)
	if len(contents(t, foreign)) != 1 {
		t.Error("nobody's folder was changed")
	}
	o.Out = dir
	running := &folder{path: dir}
	defer running.close()
	now := &manifest{Settings: settings{Steps: 6, Task: Reward, LR: 0.05, Rows: hashRows(testSamples(Reward, 10))}}
	if _, err := running.open(now, true); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		refused("a run that is running", "another process is writing it", o)
	}
	running.close()
	if err := os.Truncate(filepath.Join(dir, logFile), 10); err != nil {
		t.Fatal(err)
	}
	refused("a log cut short", "log.jsonl has 10 bytes, wanted at least", o)
}
