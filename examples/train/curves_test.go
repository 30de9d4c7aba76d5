package main

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/train"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// testdata is the folder, also for tests that work in another.
var testdata = func() string {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		panic(err)
	}
	return dir
}()

// golden holds got to a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(testdata, name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwanted\n%s", path, got, want)
	}
}

// TestHelp: the help that -h prints.
func TestHelp(t *testing.T) {
	stdout, stderr, code := call(t, "-h")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	golden(t, "help.golden", stdout)
}

// lines writes a log of a made-up run.
func lines(t *testing.T, path string, steps []int, pairs bool) {
	t.Helper()
	var b strings.Builder
	for _, n := range steps {
		x := float64(n)
		fmt.Fprintf(&b, `{"step":%d,"loss":%.4f,"grad_norm":%.3f,`, n, 0.7*math.Exp(-x/40)+0.05*math.Sin(x), 2+math.Cos(x))
		if pairs {
			fmt.Fprintf(&b, `"accuracy":%.3f,"margin":%.3f,"reward_mean":%.3f,`, 1-0.5*math.Exp(-x/20), x/50, math.Sin(x/30)/5)
		}
		fmt.Fprintf(&b, `"lr":%g,"epoch":%g,"tokens":%d}`+"\n", 1e-5*(1-x/100), x/50, 512*n)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCurves: the figure has a panel for each quantity of the log, the same bytes each time.
func TestCurves(t *testing.T) {
	every, some := []int{}, []int{0, 1, 2, 4, 8, 16, 32, 64, 100}
	for n := 1; n <= 100; n++ {
		every = append(every, n)
	}
	for _, test := range []struct {
		task   train.Task
		held   bool
		panels []string
	}{
		{train.Reward, true, []string{"loss", "accuracy", "margin", "mean reward", "norm of the gradients", "learning rate"}},
		{train.SFT, false, []string{"loss", "norm of the gradients", "learning rate"}},
	} {
		dir := t.TempDir()
		lines(t, filepath.Join(dir, "log.jsonl"), every, test.task == train.Reward)
		if test.held {
			lines(t, filepath.Join(dir, "eval.jsonl"), some, true)
		}
		var first [2][]byte
		for range 2 {
			if _, _, err := writeCurves(dir, test.task); err != nil {
				t.Fatal(err)
			}
			for i, name := range []string{"curves.png", "curves.svg"} {
				b, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if first[i] != nil && !bytes.Equal(first[i], b) {
					t.Errorf("%s: other bytes the second time", name)
				}
				first[i] = b
			}
		}
		svg := string(first[1])
		at := 0
		for _, panel := range test.panels {
			i := strings.Index(svg[at:], ">"+panel+"<")
			if i < 0 {
				t.Errorf("%s: no panel %q after those before it", test.task, panel)
				continue
			}
			at += i
		}
		if got := strings.Contains(svg, ">held out<"); got != test.held {
			t.Errorf("%s: held out in the legend: %v, wanted %v", test.task, got, test.held)
		}
	}
}

// TestNoCurves: a log that is none is an error that names file and line.
func TestNoCurves(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.jsonl")
	if err := os.WriteFile(path, []byte(`{"step":1,"loss":1}`+"\n{\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := writeCurves(dir, train.LM); err == nil || !strings.HasPrefix(err.Error(), path+": line 2: ") {
		t.Errorf("%v, wanted an error about %s", err, path)
	}
}
