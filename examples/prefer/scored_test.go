package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// TestScored: preferences that were scored in shards are counted as those of loaded models, to
// the last digit of the margins; another file is refused.
func TestScored(t *testing.T) {
	tuned, base := models(t, "llama")
	dir := t.TempDir()
	data := filepath.Join(dir, "data.jsonl")
	text := strings.Repeat(`{"prompt": "What is best?", "chosen": "power", "rejected": "rain", "subset": "a"}
{"prompt": "What is worst?", "chosen": "rain and power", "rejected": "tenderness"}
{"prompt": "What?", "chosen": "", "rejected": "x"}
`, 3)
	if err := os.WriteFile(data, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "want.csv")
	table, said, code := call(t, "", "-tuned", tuned, "-base", base, "-tuned-as", "raw", "-data", data, "-out", want)
	if code != 3 {
		t.Fatalf("exit code %d: %s", code, said)
	}

	models := cli.PairFlags{Same: true, Tuned: tuned, Base: base, TunedAs: "raw", BaseAs: "same", Beta: 1, ModelFlags: cli.ModelFlags{Backend: "go"}}
	loader, pair, err := models.Open(t.Context(), "-", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	of, from, err := pair.Meta(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := shard.Model{Tuned: &of, Base: &from}
	folder := shard.Folder{Path: dir}
	plan, err := shard.New(t.Context(), folder, shard.Spec{Models: []shard.Model{made}, Preferences: true, Input: "data.jsonl", Items: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Shards {
		load := func(context.Context, shard.Model) (shard.Scorer, error) {
			return shard.Scorer{Pair: pair.Policies(), Made: made}, nil
		}
		if _, err := shard.Score(t.Context(), folder, plan, s, load); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shard.Merge(t.Context(), folder, plan); err != nil {
		t.Fatal(err)
	}

	scored := func(args ...string) (stdout, stderr string, code int) {
		var out, errs bytes.Buffer
		err := run(t.Context(), strings.NewReader(""), &out, &errs, append([]string{"-scored", filepath.Join(dir, shard.ManifestFile)}, args...))
		code = cli.Report("prefer", err, &errs)
		return out.String(), errs.String(), code
	}
	got := filepath.Join(dir, "got.csv")
	stdout, stderr, code := scored("-data", data, "-out", got)
	if code != 3 || stdout != table || stderr != said {
		t.Errorf("exit code %d:\n%s%s\nwanted\n%s%s", code, stdout, stderr, table, said)
	}
	a, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(got); err != nil || !bytes.Equal(a, b) {
		t.Errorf("margins\n%s\nwanted\n%s (%v)", b, a, err)
	}
	other := filepath.Join(dir, "other.jsonl")
	if err := os.WriteFile(other, []byte(text[:strings.Index(text, "\n")+1]), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"is not the file that":           {"-data", other},
		"wanted one of the models":       {"-data", data, "-of", "x"},
		"-tuned with -scored, wanted it": {"-data", data, "-tuned", tuned},
	} {
		if _, stderr, code := scored(args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d: %s, wanted %q", args, code, stderr, want)
		}
	}
}
