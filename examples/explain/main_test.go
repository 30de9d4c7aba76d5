package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
)

var update = flag.Bool("update", false, "write testdata anew")

func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), nil, &out, &errs, append([]string{"-backend", "go"}, args...))
	code = cli.Report("explain", err, &errs)
	return out.String(), errs.String(), code
}

// compare holds got to a golden file, up to float32 sums.
func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !alike(got, string(want)) {
		t.Errorf("%s: got\n%s\nwanted\n%s", golden, got, want)
	}
}

// TestExplain compares the whole output with a golden file, for a pair that cuts the
// reply alike and for one that does not.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	llamaBase, llama, err := demo.Pair{Name: "llama"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, gemma, err := demo.Pair{Name: "gemma2"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ golden, tuned, base, reply string }{
		{"testdata/pair.golden", llama, llamaBase, " tenderness\n"},
		{"testdata/families.golden", gemma, llamaBase, " friendships"},
		{"testdata/spans.golden", llama, gemma, " は friends<|eot_id|> of powers"},
		{"testdata/special.golden", llama, llamaBase, "rain<|eot_id|>"},
	} {
		stdout, stderr, code := call(t, "-tuned", test.tuned, "-base", test.base, "-prompt", "What is best? é", "-reply", test.reply)
		if code != 0 || stderr != "" {
			t.Fatalf("exit code %d, stderr %q", code, stderr)
		}
		compare(t, test.golden, strings.ReplaceAll(stdout, dir, "DIR"))
	}
}

// TestCertify: both models get a certificate, a model that is both gets one.
func TestCertify(t *testing.T) {
	if testing.Short() {
		t.Skip("long: computes in float64")
	}
	base, tuned, err := demo.Pair{Name: "gemma2"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{base, tuned} {
		stdout, stderr, code := call(t, "-tuned", tuned, "-base", base, "-prompt", "What is best?", "-reply", " rain", "-certify")
		if code != 0 || stderr != "" {
			t.Fatalf("exit code %d, stderr %q", code, stderr)
		}
		for _, name := range []string{tuned, base} {
			if n := strings.Count(stdout, "certificate of "+name+": the promised bounds hold here\n"); n != 1 {
				t.Errorf("%d certificates of %s, wanted one in\n%s", n, name, stdout)
			}
		}
	}
}

// alike compares word by word, numbers within what another processor's float32 sums may
// change in the last digit printed.
func alike(got, want string) bool {
	a, b := strings.Fields(got), strings.Fields(want)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, errX := strconv.ParseFloat(a[i], 64)
		y, errY := strconv.ParseFloat(b[i], 64)
		numbers := errX == nil && errY == nil && strings.Contains(b[i], ".")
		if a[i] != b[i] && !(numbers && math.Abs(x-y) < 1.5e-4) {
			return false
		}
	}
	return true
}

// TestNoRoom: an output that cannot be written is an error.
func TestNoRoom(t *testing.T) {
	base, tuned, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	full, w := io.Pipe()
	full.CloseWithError(errors.New("no space"))
	err = run(t.Context(), nil, w, io.Discard, []string{"-tuned", tuned, "-base", base, "-prompt", "x", "-reply", "y"})
	if err == nil || err.Error() != "no space" {
		t.Errorf("error %v, wanted no space", err)
	}
}

func TestWrong(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{nil, "explain: flag -tuned is missing: tuned `model`: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter\nexplain -h lists the flags\n", 2},
		{[]string{"-tuned", "./x", "-base", "./x", "-prompt", "p", "-reply", "r"}, "explain: checkpoint: \"./x\": no such folder\n", 1},
		{[]string{"-tuned", "./x", "-base", "./x", "-prompt", "p", "-reply", "r", "-base-as", "sung"}, "explain: -base-as \"sung\", wanted raw or chat\nexplain -h lists the flags\n", 2},
	} {
		stdout, stderr, code := call(t, test.args...)
		if stderr != test.want || code != test.code || stdout != "" {
			t.Errorf("%v: exit code %d, stderr %q, wanted %d, %q", test.args, code, stderr, test.code, test.want)
		}
	}
	stdout, stderr, code := call(t, "-h")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "Examples:") {
		t.Errorf("-h: exit code %d, stderr %q, stdout %q", code, stderr, stdout)
	}
}
