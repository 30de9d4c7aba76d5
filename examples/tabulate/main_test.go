package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
)

func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), nil, &out, &errs, append([]string{"-backend", "go"}, args...))
	code = cli.Report("tabulate", err, &errs)
	return out.String(), errs.String(), code
}

// TestTable: both files hold the same table, its columns are distributions, its rows
// are the vocabulary, and it says how it was made.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	_, model, err := demo.Pair{Name: "llama"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"t.csv", "t.parquet"} {
		stdout, stderr, code := call(t, "-model", model, "-as", "chat", "-out", filepath.Join(dir, name), "-date", "2024-07-26")
		want := filepath.Join(dir, name) + ": 627 tokens after 54 prompts, f32 on go\n"
		if code != 0 || stdout != "" || stderr != want {
			t.Fatalf("exit code %d, stdout %q, stderr %q, wanted %q", code, stdout, stderr, want)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "t.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := logprob.ReadParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "t.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other, err := logprob.ReadCSV(f)
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.Open(filepath.Join(dir, "t.csv.meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close()
	if other.Meta, err = logprob.ReadMeta(side); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(table, other) {
		t.Error("CSV and Parquet hold different tables")
	}
	m := table.Meta
	if m.Model != model || m.ModelType != "llama" || m.Rendering != "chat" || m.Date != "2024-07-26" || m.VocabRows != 627 ||
		len(m.WeightsHash) != 64 || len(m.TokenizerHash) != 64 || m.Version == "" || !strings.Contains(m.Rendered["greatest_ever_one"], "the greatest thing ever?<|eot_id|>") {
		t.Errorf("meta %+v", m)
	}
	for i, column := range table.LogProb {
		sum := 0.0
		for _, x := range column {
			sum += math.Exp(float64(x))
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("%s sums to %v", table.Prompts[i], sum)
		}
	}
	if got := table.Tokens[len(table.Tokens)-1]; got.ID != 626 || got.Name != "<|eot_id|>" {
		t.Errorf("last token %+v", got)
	}
}

func TestWrong(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{nil, "tabulate: flag -model is missing: `model`: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter\ntabulate -h lists the flags\n", 2},
		{[]string{"-model", "m", "-out", "t.txt"}, "tabulate: output \"t.txt\", wanted a name that ends in .csv or .parquet\ntabulate -h lists the flags\n", 2},
		{[]string{"-model", "m", "-out", "t.csv", "-as", "x"}, "tabulate: -as \"x\", wanted raw or chat\ntabulate -h lists the flags\n", 2},
		{[]string{"-model", "m", "-out", "t.csv", "-prompts", "."}, "tabulate: prompts: open .: a folder, wanted a regular file (or paper, for the 54 built-in ones)\n", 1},
	} {
		stdout, stderr, code := call(t, test.args...)
		if stderr != test.want || code != test.code || stdout != "" {
			t.Errorf("%v: exit code %d, stderr %q, wanted %d, %q", test.args, code, stderr, test.code, test.want)
		}
	}
}

// TestWrongPrompt: a name that a table cannot hold is found before anything is computed.
func TestWrongPrompt(t *testing.T) {
	dir := t.TempDir()
	_, model, err := demo.Pair{Name: "llama"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	prompts := filepath.Join(dir, "p.json")
	if err := os.WriteFile(prompts, []byte(`{"token_id": "What?"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := call(t, "-model", model, "-prompts", prompts, "-out", filepath.Join(dir, "t.csv"))
	const want = "tabulate: logprob: table: prompt 0: a second column \"token_id\", wanted a prompt's name\n"
	if code != 1 || stderr != want {
		t.Errorf("exit code %d, stderr %q, wanted %q", code, stderr, want)
	}
}

// TestPipe: prompts from standard input and the table to standard output, the same as of
// files.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	_, model, err := demo.Pair{Name: "gemma2"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	prompts := filepath.Join(dir, "p.csv")
	if err := os.WriteFile(prompts, []byte("name,prompt\nbest,What is best?\nworst,What is worst?\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := call(t, "-model", model, "-prompts", prompts, "-out", filepath.Join(dir, "t.csv")); code != 0 {
		t.Fatal(stderr)
	}
	want, err := os.ReadFile(filepath.Join(dir, "t.csv"))
	if err != nil {
		t.Fatal(err)
	}
	const lines = "{\"name\": \"best\", \"prompt\": \"What is best?\"}\n\n{\"name\": \"worst\", \"prompt\": \"What is worst?\", \"note\": 1}"
	pipe := func(in string, args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		err := run(t.Context(), strings.NewReader(in), &out, &errs, append([]string{"-backend", "go", "-model", model, "-prompts", "-", "-out", "-"}, args...))
		code := cli.Report("tabulate", err, &errs)
		return out.String(), errs.String(), code
	}
	stdout, stderr, code := pipe(lines)
	if code != 0 || stdout != string(want) || !strings.HasPrefix(stderr, "standard output: ") {
		t.Errorf("exit code %d, stderr %q, %d bytes, wanted %d", code, stderr, len(stdout), len(want))
	}
	stdout, stderr, code = pipe(lines, "-format", "parquet")
	table, err := logprob.ReadParquet(strings.NewReader(stdout), int64(len(stdout)))
	if code != 0 || err != nil || len(table.Prompts) != 2 || table.Meta.ModelType != "gemma2" {
		t.Errorf("exit code %d, stderr %q, %v", code, stderr, err)
	}
	for in, want := range map[string]string{
		"":                                  "tabulate: standard input: no prompts, wanted lines {\"name\": ..., \"prompt\": ...}\n",
		"name,prompt":                       "tabulate: standard input: line 1: byte 0: no JSON, wanted an object {\"name\": ..., \"prompt\": ...}\n",
		`{"best": "What is best?"}`:         "tabulate: standard input: line 1: wanted {\"name\": ..., \"prompt\": ...}, both text and not empty\n",
		`{"name": "", "prompt": "x"}`:       "tabulate: standard input: line 1: wanted {\"name\": ..., \"prompt\": ...}, both text and not empty\n",
		lines + "\n" + lines:                "tabulate: standard input: line 4: the name \"best\" stands twice\n",
		`{"name": "x", "prompt": "\ud83d"}`: "tabulate: standard input: line 1: byte 25: prompt: half of a surrogate pair, wanted text\n",
	} {
		var out, errs bytes.Buffer
		err := run(t.Context(), strings.NewReader(in), &out, &errs, []string{"-backend", "go", "-model", model, "-prompts", "-", "-out", "-"})
		if code := cli.Report("tabulate", err, &errs); code != 1 || errs.String() != want || out.Len() > 0 {
			t.Errorf("%s: exit code %d, stderr %q, wanted %q", in, code, errs.String(), want)
		}
	}
	if _, stderr, code := pipe(lines, "-format", "json"); code != 2 || stderr != "tabulate: -format \"json\", wanted csv or parquet\ntabulate -h lists the flags\n" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if _, stderr, code := call(t, "-model", model, "-out", filepath.Join(dir, "t.csv"), "-format", "parquet"); code != 2 || !strings.Contains(stderr, "with -format parquet, wanted a name that ends in .parquet") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}
