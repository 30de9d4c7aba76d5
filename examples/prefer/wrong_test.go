package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// TestWrongUse gives the program wrong flags and files: one line that names the thing, exit
// code 2 for wrong use, 1 otherwise, and nothing is written.
func TestWrongUse(t *testing.T) {
	tuned, base := models(t, "llama")
	rm := rewardModel(t, "llama")
	const usage = "prefer -h lists the flags\n"
	good := write(t, "pairs.jsonl", `{"prompt": "x", "chosen": "love", "rejected": "rain"}`)
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.parquet")
	if err := parquet.WriteFile(broken, []struct {
		Prompt string `parquet:"prompt"`
		Chosen string `parquet:"chosen"`
	}{{"x", "y"}}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(broken)
	if err != nil {
		t.Fatal(err)
	}
	torn := write(t, "torn.parquet", string(whole[:len(whole)/2]))
	binary := filepath.Join(dir, "binary.parquet")
	if err := parquet.WriteFile(binary, []struct {
		Prompt   string `parquet:"prompt"`
		Chosen   string `parquet:"chosen"`
		Rejected string `parquet:"rejected"`
	}{{"x", "\xff", "z"}}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{"no model", []string{"-tuned", "", "-base", ""}, "prefer: no model, wanted -tuned, -rm or both, or -scored\n" + usage, 2},
		{"a base model alone", []string{"-tuned", "", "-rm", rm}, "prefer: -base without -tuned, wanted both\n" + usage, 2},
		{"a rendering alone", []string{"-tuned", "", "-base", "", "-rm", "x", "-tuned-as", "raw"}, "prefer: -tuned-as without -tuned, wanted both\n" + usage, 2},
		{"a reward model's flag alone", []string{"-pooling", "hf"}, "prefer: -pooling is about a reward model, wanted -rm\n" + usage, 2},
		{"pooling", []string{"-rm", "x", "-pooling", "first"}, "prefer: -pooling \"first\", wanted last, hf or hf-old\n" + usage, 2},
		{"rendering of the reward model", []string{"-rm", "x", "-rm-as", "same"}, "prefer: -rm-as \"same\", wanted chat, raw or ended\n" + usage, 2},
		{"a system message for raw text", []string{"-tuned", "", "-base", "", "-rm", "x", "-rm-as", "raw", "-system", "y"}, "prefer: -system is about chats, and every prompt is read raw: wanted a rendering as chat\n" + usage, 2},
		{"no such reward model", []string{"-rm", "no/such/model"}, "prefer: ", 1},
		{"a reward model without a head", []string{"-rm", tuned}, "wanted score.weight [n 64] or another head of a reward model", 1},
		{"an output that is not there", []string{"-rm", rm, "-output", "help"}, "no output \"help\", wanted one of \"LABEL_0\" (column=0)\n", 1},
		{"no data", []string{"-data", ""}, "prefer: flag -data is missing: ", 2},
		{"rendering", []string{"-tuned-as", "same"}, "prefer: -tuned-as \"same\", wanted raw or chat\n" + usage, 2},
		{"rendering of the base model", []string{"-base-as", "x"}, "prefer: -base-as \"x\", wanted same, chat or raw\n" + usage, 2},
		{"rendering of no base model", []string{"-base", "", "-base-as", "raw"}, "prefer: -base-as without -base, wanted both\n" + usage, 2},
		{"output ending", []string{"-out", "m.parquet"}, "prefer: output \"m.parquet\", wanted a name that ends in .csv or .jsonl\n" + usage, 2},
		{"output folder", []string{"-out", "no/such/m.csv"}, "prefer: output no/such/m.csv: there is no folder no/such\n", 1},
		{"output is the data", []string{"-out", good}, " would replace the input ", 2},
		{"missing data", []string{"-data", "no.jsonl"}, "prefer: data: open no.jsonl: no such file or directory\n", 1},
		{"empty data", []string{"-data", write(t, "e.jsonl", "\n\n")}, "e.jsonl: preference: empty, wanted rows {\"prompt\": ..., \"chosen\": ..., \"rejected\": ...}\n", 1},
		{"no column", []string{"-data", broken}, "broken.parquet: preference: no column rejected, wanted prompt, chosen, rejected, found ", 1},
		{"half a file", []string{"-data", torn}, "torn.parquet: ", 1},
		{"a footer of 4 GB", []string{"-data", write(t, "f.parquet", "PAR1\xff\xff\xff\xffPAR1")}, "f.parquet: preference: 4294967295 bytes of metadata in a file of 12 bytes\n", 1},
		{"bytes", []string{"-data", binary}, "binary.parquet: none of the 1 pairs could be scored; the first: 1: column chosen: not valid UTF-8\n", 1},
		{"base without a template", []string{"-base-as", "chat"}, " as chat: tokenize: no chat template in the checkpoint ", 1},
		{"missing model", []string{"-base", "./no-model"}, "prefer: checkpoint: \"./no-model\": no such folder\n", 1},
		{"all refused", []string{"-data", write(t, "r.jsonl", `{"prompt": "x", "chosen": "", "rejected": "rain"}`)},
			"r.jsonl: none of the 1 pairs could be scored; the first: 1: chosen: empty, wanted text\n", 1},
	} {
		out := filepath.Join(t.TempDir(), "m.csv")
		stdout, stderr, code := call(t, "", append([]string{"-tuned", tuned, "-base", base, "-data", good, "-out", out}, test.args...)...)
		if code != test.code || !strings.Contains(stderr, test.want) || stdout != "" || strings.Count(strings.TrimSuffix(stderr, usage), "\n") != 1 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, wanted %q", test.name, code, stdout, stderr, test.want)
		}
		if left, _ := filepath.Glob(filepath.Dir(out) + "/*"); len(left) > 0 {
			t.Errorf("%s: left %v", test.name, left)
		}
	}
	stdout, _, code := call(t, "", "-h")
	if code != 0 || !strings.Contains(stdout, "Wilson's 95 % interval") {
		t.Errorf("help: exit code %d, %s", code, stdout)
	}
}

// TestWrongData gives the program pairs that only a model refuses: the reason is counted and
// told, and the exit code says it.
func TestWrongData(t *testing.T) {
	tuned, base := models(t, "gemma2")
	for in, want := range map[string]string{
		`{"prompt": [{"role": "system", "content": "x"}, {"role": "user", "content": "x"}], "chosen": "y", "rejected": "z"}`: "chosen: tuned model: tokenize: chat template: ",
		`{"prompt": "x", "chosen": "y", "rejected": "\u0000"}`:                                                               "rejected: tuned model: tokenize: ",
		`{"prompt": "x", "chosen": "y<bos>", "rejected": "z"}`:                                                               "chosen: tuned model: tokenize: chat: 2 BOS tokens ",
		`{"prompt": "x", "chosen": "y", "rejected": ""}`:                                                                     "rejected: empty, wanted text",
	} {
		_, stderr, code := call(t, in+"\n"+`{"prompt": "x", "chosen": "y", "rejected": "z"}`, "-tuned", tuned, "-base", base, "-data", "-")
		if code != 3 || !strings.HasPrefix(stderr, "1 pairs scored, 1 refused\n  1: "+want) || !strings.HasSuffix(stderr, "\nprefer: standard input: 1 of 2 pairs refused\n") {
			t.Errorf("%s: exit code %d, %s", in, code, stderr)
		}
	}
	_, stderr, code := call(t, `{"prompt": "x", "chosen": "y<bos>", "rejected": "z"}`+"\n"+`{"prompt": "x", "chosen": "y", "rejected": "z"}`, "-rm", rewardModel(t, "gemma2"), "-data", "-")
	if want := "1 pairs scored, 1 refused\n  1: chosen: tokenize: chat: 2 BOS tokens "; code != 3 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s, wanted %s", code, stderr, want)
	}
	_, stderr, code = call(t, `{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}], "chosen": "y", "rejected": "z"}
{"prompt": "x", "chosen": "y", "rejected": "z"}`, "-tuned", tuned, "-base", base, "-data", "-", "-base-as", "raw")
	if want := "  1: chosen: base model: 3 messages, the first of the user, wanted one of the user, as the rendering is raw\n"; code != 3 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s, wanted %s", code, stderr, want)
	}
}

// TestResume: stopped after its first batches and started again, the program reuses them and
// writes the same bytes as in one go.
func TestResume(t *testing.T) {
	if testing.Short() {
		t.Skip("long: scores 300 pairs three times")
	}
	tuned, base := models(t, "llama")
	rm := rewardModel(t, "llama")
	var data strings.Builder
	for i := range 300 {
		fmt.Fprintf(&data, "{\"subset\": \"s%d\", \"prompt\": \"Number %d: what is best, and why is number %d not?\", \"chosen\": \"power %d\", \"rejected\": \"love and rain %d\"}\n", i%3, i, i*7, i, i*3)
	}
	pairs := write(t, "pairs.jsonl", data.String())
	whole, part := filepath.Join(t.TempDir(), "m.csv"), filepath.Join(t.TempDir(), "m.csv")
	args := func(out string) []string {
		return []string{"-backend", "go", "-tuned", tuned, "-base", base, "-rm", rm, "-data", pairs, "-out", out}
	}
	want, stderr, code := call(t, "", args(whole)...)
	if code != 0 {
		t.Fatal(stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if info, err := os.Stat(part + ".part"); err == nil && info.Size() > 100 { // a journal without a batch is smaller
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var stopped strings.Builder
	if err := run(ctx, nil, io.Discard, &stopped, args(part)); !errors.Is(err, context.Canceled) || !strings.Contains(stopped.String(), "keeps what was computed") {
		t.Fatalf("%v, %s", err, stopped.String())
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("an output of a run that was stopped")
	}
	got, stderr, code := call(t, "", args(part)...)
	if code != 0 || got != want {
		t.Errorf("exit code %d, %s, wanted %s", code, got, want)
	}
	if m := regexp.MustCompile(`of the earlier run's (\d+) batch(?:es)?, (\d+) reused; [1-9]\d* computed`).FindStringSubmatch(stderr); m == nil || m[1] != m[2] || m[1] == "0" {
		t.Errorf("stderr %q", stderr)
	}
	for _, name := range []string{"", ".meta.json"} {
		a, err := os.ReadFile(whole + name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(part + name)
		if err != nil || string(a) != string(b) {
			t.Errorf("m.csv%s is another than that of an uninterrupted run (%v)", name, err)
		}
	}
}
