package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/tokenize"
)

var update = flag.Bool("update", false, "write the golden file")

const golden = "testdata/quickstart.golden"

// The output is the same to the byte on every backend: two decimals are far from what they differ in.
func TestGolden(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	for _, backend := range []string{"go", "xla:cpu"} {
		t.Run(backend, func(t *testing.T) {
			var out, errs bytes.Buffer
			err := run(context.Background(), nil, &out, &errs, []string{"-backend", backend})
			if err != nil && backend != "go" && strings.Contains(err.Error(), "XLA plugins found") {
				t.Skip("needs XLA's plugin: ", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if errs.Len() > 0 {
				t.Errorf("on stderr: %s", errs.String())
			}
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("got\n%s\nwanted (-update writes it)\n%s", out.Bytes(), want)
			}
		})
	}
}

// Exit codes are 0 for help, 2 for wrong use, 1 for what fails.
func TestExit(t *testing.T) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for _, c := range []struct {
		ctx    context.Context
		args   []string
		code   int
		stdout string // its beginning
		stderr string
	}{
		{t.Context(), []string{"-h"}, 0, "quickstart: scores two embedded families", ""},
		{t.Context(), []string{"-x"}, 2, "", "quickstart: flag provided but not defined: -x\n"},
		{t.Context(), []string{"x"}, 2, "", "quickstart: argument \"x\", wanted flags only\n"},
		{t.Context(), []string{"-backend", "cpu"}, 2, "", "quickstart: -backend \"cpu\", wanted auto, xla:cpu, xla:cuda or go\n"},
		{stopped, []string{"-backend", "go"}, 130, "", "quickstart: stopped\n"},
	} {
		var out, errs bytes.Buffer
		code := cli.Report("quickstart", run(c.ctx, nil, &out, &errs, c.args), &errs)
		if code != c.code || !strings.HasPrefix(out.String(), c.stdout) || !strings.HasPrefix(errs.String(), c.stderr) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q; wanted %d, %q, %q", c.args, code, out.String(), errs.String(), c.code, c.stdout, c.stderr)
		}
	}
}

// Nothing is left behind, after success or failure.
func TestNoLitter(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out, errs bytes.Buffer
	if err := run(t.Context(), nil, &out, &errs, []string{"-backend", "go"}); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := run(stopped, nil, &out, &errs, []string{"-backend", "go"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, wanted context canceled", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
