// Command gotest runs go test with its arguments, prints what go test prints, and counts
// the tests that were skipped: how many for which reason. A skip without a good reason
// fails, such as one that "needs ../shared" where ../shared is.
//
//	go run ./setup/gotest ./...
//
// The counts come before the last line, which is go test's own.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// needs are the reasons for which a test may be skipped, as its message begins after
// "needs ", and whether what it needs is here all the same.
var needs = []struct {
	what string
	here func(message string) bool
}{
	{"../shared", exists("../shared")},
	{"the real model", exists(".deps/models/smollm2-135m-instruct/model.safetensors")},
	{"the Rust tokenizers", func(string) bool { return !strings.Contains(strings.Join(os.Args, " "), "nodaulet") }},
	{"make deps", exists(".deps/lib/libtokenizers.a")},
	{"XLA's plugin", exists("$HOME/.local/lib/go-xla/pjrt_c_api_cpu_*plugin.so")},
	{"the program ", func(message string) bool { // and its name
		name, _, _ := strings.Cut(strings.TrimPrefix(message, "the program "), ":")
		_, err := exec.LookPath(name)
		return err == nil
	}},
	{"another user than root", func(string) bool { return os.Getuid() != 0 }},
	{"the race detector off", func(string) bool { return !slices.Contains(os.Args, "-race") }},
	{"a processor", absent}, // one with vectors of 256 bits, say
	{"a system", absent},    // one with /proc, say
	{"-gallery", absent},    // a flag for those who look at pictures
}

func exists(pattern string) func(string) bool {
	return func(string) bool {
		found, err := filepath.Glob(os.ExpandEnv(pattern))
		return err == nil && len(found) > 0
	}
}

func absent(string) bool { return false }

// reason is the need for which a test was skipped, or what is wrong with its message.
func reason(message string) (need string, err error) {
	if strings.HasPrefix(message, "long: ") && slices.Contains(os.Args, "-short") {
		return "more time than -short gives", nil
	}
	need, ok := strings.CutPrefix(message, "needs ")
	for _, n := range needs {
		switch {
		case !ok || !strings.HasPrefix(need, n.what):
		case n.here(need):
			return "", fmt.Errorf("%q, which is here", message)
		case n.what == "the program ":
			return need, nil
		default:
			return n.what, nil
		}
	}
	return "", fmt.Errorf("%q, wanted a reason of setup/gotest", message)
}

// event is a line of go test -json.
type event struct{ Action, Package, Test, Output string }

// run is what is known of a package whose tests are running.
type run struct {
	order  []string            // tests, as they began; "" for the package
	output map[string][]string // of each
	ended  map[string]string   // passed, skipped or failed
}

func main() {
	c := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	c.Stderr = os.Stderr
	c.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1") // setup/pure.sh says why
	events, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	good := report(events, os.Stdout)
	err = c.Wait()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if err != nil || !good {
		fmt.Println("FAIL")
		os.Exit(1)
	}
}

// report prints what go test would print, and before its last line the skipped tests.
// It reports whether all of these were to be expected.
func report(events io.Reader, out io.Writer) bool {
	runs := map[string]*run{}
	counts := map[string]int{}
	var unexpected []string
	last := "" // not yet printed
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "build-output" {
			fmt.Fprint(out, last)
			if last = e.Output; last == "" {
				last = lines.Text() + "\n"
			}
			continue
		}
		r := runs[e.Package]
		if r == nil {
			r = &run{output: map[string][]string{}, ended: map[string]string{}}
			runs[e.Package] = r
		}
		switch e.Action {
		case "output":
			if r.output[e.Test] == nil {
				r.order = append(r.order, e.Test)
			}
			r.output[e.Test] = append(r.output[e.Test], e.Output)
		case "pass", "fail", "skip":
			r.ended[e.Test] = e.Action
			if e.Test != "" {
				if e.Action == "skip" {
					need, err := reason(r.message(e.Test))
					if err != nil {
						unexpected = append(unexpected, fmt.Sprintf("skipped: %s %s: %v\n", e.Package, e.Test, err))
					}
					counts[need]++
				}
				continue
			}
			fmt.Fprint(out, last)
			last = r.text()
			delete(runs, e.Package)
		}
	}
	delete(counts, "")
	list := []string{}
	for need, n := range counts {
		list = append(list, fmt.Sprintf("%d for want of %s", n, need))
	}
	slices.Sort(list)
	fmt.Fprintf(out, "skipped: %s\n", cmp.Or(strings.Join(list, ", "), "no test"))
	fmt.Fprint(out, strings.Join(unexpected, ""), last)
	return len(unexpected) == 0 && lines.Err() == nil
}

// place is where a message of a test was written.
var place = regexp.MustCompile(`^\s+\S+\.go:\d+: `)

// message is what a skipped test said of the reason.
func (r *run) message(test string) string {
	for _, line := range slices.Backward(r.output[test]) {
		if at := place.FindString(line); at != "" {
			return strings.TrimSpace(line[len(at):])
		}
	}
	return ""
}

// text is what go test prints of a package: a line, and the output of tests that did
// not end well, each after the line that says so.
func (r *run) text() string {
	var text strings.Builder
	failed := r.ended[""] == "fail"
	for _, test := range r.order {
		var heads, rest []string
		for _, line := range r.output[test] {
			switch {
			case strings.HasPrefix(line, "=== "):
			case strings.HasPrefix(strings.TrimSpace(line), "--- FAIL"):
				heads = append(heads, line)
			case failed, strings.HasPrefix(line, "ok  \t"), strings.HasPrefix(line, "?   \t"):
				rest = append(rest, line)
			}
		}
		if test == "" || r.ended[test] != "pass" && r.ended[test] != "skip" && failed {
			text.WriteString(strings.Join(append(heads, rest...), ""))
		}
	}
	return text.String()
}
