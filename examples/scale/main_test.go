package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/cli/clitest"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/tokenize"
)

// call runs the program and returns what it says and its exit code. Models run on the pure-Go
// backend.
func call(t *testing.T, args ...string) (stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), strings.NewReader(""), &out, &errs, args)
	code = cli.Report("scale", err, &errs)
	return errs.String(), code
}

// must runs the program without an error.
func must(t *testing.T, args ...string) string {
	t.Helper()
	stderr, code := call(t, args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d: %s", args, code, stderr)
	}
	return stderr
}

// checkpoints are a base model and two that were tuned from it, as a training run names them.
func checkpoints(t *testing.T) (base string, tuned []string) {
	t.Helper()
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	dir := t.TempDir()
	base, of, err := demo.Pair{Name: "llama"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	for step, from := range map[int]string{1: base, 2: of} {
		to := filepath.Join(dir, fmt.Sprintf("checkpoint-%d", step))
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return base, []string{filepath.Join(dir, "checkpoint-1"), filepath.Join(dir, "checkpoint-2")}
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	corpus  = "category,word\nagency,power\ncommunion,tenderness\nweather,rain\nagency,a longer phrase\n"
	prompts = `{"best": "What is the best thing?", "worst": "What is the worst thing?", "one": "One word:"}`
)

// planned is a folder with a plan of two checkpoints, three prompts and a corpus.
func planned(t *testing.T, more ...string) (dir string) {
	t.Helper()
	base, tuned := checkpoints(t)
	dir = filepath.Join(t.TempDir(), "work")
	must(t, append([]string{"-plan", "-backend", "go", "-tuned", tuned[0], "-tuned", tuned[1], "-base", base, "-tuned-as", "raw",
		"-corpus", write(t, "words.csv", corpus), "-prompts", write(t, "prompts.json", prompts), "-out", dir}, more...)...)
	return dir
}

// TestWhole: plan, shards, merge: each row is that of words.Rewards, which score writes; a second
// run of a share loads nothing, and a second plan changes nothing.
func TestWhole(t *testing.T) {
	dir := planned(t)
	if got := must(t, "-shard", "0/2", "-out", dir); !strings.Contains(got, "part 0 of 2: shards scored: 1, there already: 0, models loaded: 1\n") {
		t.Error(got)
	}
	if stderr, code := call(t, "-merge", "-out", dir); code != 1 || !strings.Contains(stderr, "is missing: score shard 1") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	must(t, "-shard", "1/2", "-out", dir)
	if got := must(t, "-shard", "0/1", "-out", dir); !strings.Contains(got, "shards scored: 0, there already: 2, models loaded: 0\n") {
		t.Error(got)
	}
	one := filepath.Join(t.TempDir(), "all.parquet")
	if got := must(t, "-merge", "-out", dir, "-one", one); !strings.HasSuffix(got, "manifest.json: 24 rows in 2 parts\n") {
		t.Error(got)
	}
	m, err := shard.ReadManifest(t.Context(), shard.Folder{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	var all []words.Record
	for i := range m.Models {
		var rows []words.Record
		for r, err := range m.Records(t.Context(), i) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
		for _, r := range rows {
			if (i == 0) != (r.Reward == 0) || r.Rank == 0 || r.Measure != "pooled" {
				t.Errorf("model %d: %+v", i, r) // the first checkpoint is the base model
			}
		}
		all = append(all, rows...)
	}
	b, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	merged, _, err := words.ReadRecords(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(merged) != 24 || !slices.Equal(merged, all) {
		t.Errorf("one file has %d rows, %v, wanted the 24 of the parts", len(merged), err)
	}
}

// TestReplies: replies are read where they lie; those that cannot be scored make the exit code 3
// and are counted; a reward model and a file of models do as flags do.
func TestReplies(t *testing.T) {
	base, tuned := checkpoints(t)
	dir := filepath.Join(t.TempDir(), "work")
	replies := write(t, "replies.jsonl", "{\"reply\": \"power\"}\n{\"reply\": \"\"}\n{\"reply\": \" rain\"}\n")
	models := write(t, "models.jsonl", fmt.Sprintf("{\"tuned\": %q, \"base\": %q}\n{\"tuned\": %q}\n", tuned[1], base, tuned[0]))
	must(t, "-plan", "-backend", "go", "-models", models, "-base", base, "-tuned-as", "raw", "-replies", replies, "-prompts", write(t, "prompts.json", prompts), "-items", "2", "-out", dir)
	if got := must(t, "-shard", "0/1", "-out", dir); !strings.Contains(got, "shards scored: 10, there already: 0, models loaded: 2, replies refused: 6\n") {
		t.Error(got)
	}
	stderr, code := call(t, "-merge", "-out", dir)
	if code != 3 || !strings.Contains(stderr, "manifest.json: 12 rows in 10 parts\n") || !strings.Contains(stderr, "empty, wanted text") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	rm, err := demo.Pair{Name: "llama"}.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "rm")
	must(t, "-plan", "-backend", "go", "-rm", rm, "-corpus", write(t, "words.csv", corpus), "-prompts", write(t, "prompts.json", prompts), "-measure", "mean,exact", "-forms", "all", "-out", dir)
	must(t, "-shard", "0/1", "-out", dir)
	must(t, "-merge", "-out", dir, "-one", filepath.Join(t.TempDir(), "all.parquet"))
	m, err := shard.ReadManifest(t.Context(), shard.Folder{Path: dir})
	if err != nil || m.Models[0].Name() != rm {
		t.Fatalf("%+v, %v", m.Models, err)
	}
	n := 0
	for r, err := range m.Scores(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; r.Rank == 0 {
			t.Errorf("%+v", r)
		}
	}
	if n != m.Rows || n == 0 {
		t.Errorf("%d rows, wanted %d", n, m.Rows)
	}
}

// TestData: preferences are planned, scored and merged; the base model reads what the tuned one's
// rendering writes.
func TestData(t *testing.T) {
	base, tuned := checkpoints(t)
	dir := filepath.Join(t.TempDir(), "work")
	data := write(t, "data.jsonl", "{\"prompt\": \"What?\", \"chosen\": \"power\", \"rejected\": \"rain\"}\n{\"prompt\": \"What?\", \"chosen\": \"rain\", \"rejected\": \"power\"}\n")
	must(t, "-plan", "-backend", "go", "-tuned", tuned[1], "-base", base, "-tuned-as", "raw", "-data", data, "-items", "1", "-out", dir)
	must(t, "-shard", "0/1", "-out", dir)
	one := filepath.Join(t.TempDir(), "all.parquet")
	if got := must(t, "-merge", "-out", dir, "-one", one); !strings.HasSuffix(got, "manifest.json: 4 rows in 2 parts\n") {
		t.Error(got)
	}
	m, err := shard.ReadManifest(t.Context(), shard.Folder{Path: dir})
	if err != nil || !slices.Contains(m.Args, "-base-as=same") {
		t.Fatalf("%q, %v", m.Args, err)
	}
	var all []shard.Reply
	for r, err := range m.Replies(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != 4 || all[0].Reward != all[3].Reward || all[1].Reward != all[2].Reward || all[0].Reward == all[1].Reward || len(all[0].Tuned) == 0 {
		t.Errorf("%+v", all)
	}
}

// TestWrongUse: flags that do not fit together, and folders with another plan.
func TestWrongUse(t *testing.T) {
	dir := planned(t)
	base, tuned := checkpoints(t)
	words := write(t, "words.csv", corpus)
	pair := []string{"-plan", "-backend", "go", "-tuned", tuned[1], "-base", base, "-out", dir}
	for want, args := range map[string][]string{
		"wanted -plan, -shard i/n or -merge, one of them": {"-plan", "-merge", "-out", dir},
		"flag -out is missing":                            {"-merge"},
		"-corpus without -plan, wanted it there":          {"-shard", "0/1", "-corpus", words, "-out", dir},
		"-shard \"2\", wanted i/n":                        {"-shard", "2", "-out", dir},
		"-shard: part \"2\" of 2, wanted 0 to 1":          {"-shard", "2/2", "-out", dir},
		"-shard /4 with 0 of SLURM_ARRAY_TASK_ID":         {"-shard", "/4", "-out", dir},
		"no models, wanted -tuned and -base":              {"-plan", "-corpus", words, "-out", dir},
		"without a base model, wanted -base":              {"-plan", "-tuned", tuned[0], "-corpus", words, "-out", dir},
		"pairs and reward models, wanted one of them":     {"-plan", "-tuned", tuned[0], "-base", base, "-rm", "x", "-corpus", words, "-out", dir},
		"wanted -corpus, -replies or -data, one of them":  pair,
		"another plan is there: choose another folder":    append(slices.Clone(pair), "-corpus", words),
		"-measure: words: measure \"most\"":               append(slices.Clone(pair), "-corpus", words, "-measure", "most"),
		"plan.json: no such file or directory":            {"-shard", "0/1", "-out", t.TempDir()},
		"backend is":                                      nil,
	} {
		if args == nil { // last: another dtype than planned
			args = []string{"-shard", "0/1", "-dtype", "bf16", "-out", dir}
			want = "dtype is bf16 here, wanted f32 as planned"
		}
		if stderr, code := call(t, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d: %s, wanted %q", args, code, stderr, want)
		}
	}
}

// TestShare: the index of a worker comes from the flag or from one launcher.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		flag string
		env  map[string]string
		i, n int
	}{
		{"3/8", map[string]string{"SLURM_ARRAY_TASK_ID": "1"}, 3, 8},
		{"/8", map[string]string{"SLURM_ARRAY_TASK_ID": "1"}, 1, 8},
		{"/8", map[string]string{"JOB_COMPLETION_INDEX": "7"}, 7, 8},
		{"/8", map[string]string{"JOB_COMPLETION_INDEX": "7", "SLURM_ARRAY_TASK_ID": "1"}, -1, 0},
		{"/8", map[string]string{"JOB_COMPLETION_INDEX": "8"}, -1, 0},
		{"-1/8", nil, -1, 0},
	} {
		i, n, err := share(c.flag, func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		if (err != nil) != (c.i < 0) || err == nil && (i != c.i || n != c.n) {
			t.Errorf("%+v: %d of %d, %v", c, i, n, err)
		}
	}
}

// TestMore: models that are added to a plan leave its parts as they are.
func TestMore(t *testing.T) {
	dir := planned(t)
	must(t, "-shard", "0/1", "-out", dir)
	before := clitest.Files(t, dir)
	plan, err := shard.ReadPlan(t.Context(), shard.Folder{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	m := plan.Models
	corpusFile, promptsFile := write(t, "words.csv", corpus), write(t, "prompts.json", prompts)
	args := []string{"-plan", "-backend", "go", "-tuned", m[0].Tuned.Model, "-tuned", m[1].Tuned.Model, "-tuned", m[0].Base.Model, "-base", m[0].Base.Model,
		"-tuned-as", "raw", "-corpus", corpusFile, "-prompts", promptsFile, "-out", dir}
	if stderr, code := call(t, args...); code != 1 || !strings.Contains(stderr, "another plan is there") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	must(t, append(args, "-force")...)
	if got := must(t, "-shard", "0/1", "-out", dir); !strings.Contains(got, "shards scored: 1, there already: 2, models loaded: 1\n") {
		t.Error(got)
	}
	for name, content := range clitest.Files(t, dir) {
		if was, ok := before[name]; ok && strings.HasPrefix(name, "part-") && was != content {
			t.Errorf("%s was changed", name)
		}
	}
}
