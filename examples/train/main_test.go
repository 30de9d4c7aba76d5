package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// demonstration writes a family of the demonstration, its pairs (the first 120 to train on, the
// others held out), its words and one prompt into the working folder, a new one.
func demonstration(t *testing.T, family string) (base, tuned string) {
	t.Helper()
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	t.Chdir(t.TempDir())
	base, tuned, err := demo.Pair{Name: family}.Extract(".")
	if err != nil {
		t.Fatal(err)
	}
	pairs := strings.SplitAfter(demo.Preferences(), "\n")
	for name, text := range map[string]string{
		"pairs.jsonl": strings.Join(pairs[:120], ""), "held.jsonl": strings.Join(pairs[120:], ""), "words.csv": demo.Corpus(),
		"one.json": `{"best": "What, in one word, is the best thing ever?"}`,
	} {
		write(t, name, text)
	}
	return base, tuned
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// done runs the program, which must succeed.
func done(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, code := call(t, args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d, %s", args, code, stderr)
	}
	return stdout, stderr
}

// series reads a file of words: its header, and a row's values by its text.
func series(t *testing.T, path string) (steps []string, values map[string][]float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	values = map[string][]float64{}
	for _, row := range rows[1:] {
		for _, cell := range row[1:] {
			x, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				t.Fatal(err)
			}
			values[row[0]] = append(values[row[0]], x)
		}
	}
	return rows[0], values
}

// preferred is how far the words of communion lie over the others, on average, at each
// checkpoint: what the pairs ask for.
func preferred(values map[string][]float64) []float64 {
	var out []float64
	for _, w := range demo.Words() {
		share := -1. / 24
		if w.Category == "communion" {
			share = 1. / 8
		}
		of := values[w.Text]
		if out == nil {
			out = make([]float64, len(of))
		}
		for i, x := range of {
			out[i] += share * x
		}
	}
	return out
}

var number = regexp.MustCompile(`-?[0-9]+\.[0-9]+`)

// TestReward: a reward model learns the pairs, and prefers the words that they prefer, ever more
// from checkpoint to checkpoint; what is held out is told as the saved checkpoint scores it.
func TestReward(t *testing.T) {
	_, tuned := demonstration(t, "llama")
	stdout, stderr := done(t, "-task", "reward", "-model", tuned, "-data", "pairs.jsonl", "-eval", "held.jsonl", "-turns", "-out", "rm",
		"-steps", "20", "-batch", "8", "-lora-r", "8", "-lr", "2e-2", "-checkpoints", "pow2", "-corpus", "words.csv", "-prompts", "one.json")
	golden(t, "reward.golden", number.ReplaceAllString(stdout, "N"))
	log, err := records("rm/log.jsonl")
	if err != nil || len(log) != 20 {
		t.Fatalf("%d steps, %v", len(log), err)
	}
	held, err := records("rm/eval.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	first, last := held[0], held[len(held)-1]
	if first.Step != 0 || last.Step != 20 || !(*last.Accuracy >= 0.9) || !(last.Loss < first.Loss/2) || !(*first.Accuracy < *last.Accuracy) {
		t.Errorf("held out: accuracy %v and loss %v at step %d, %v and %v at step %d, wanted them to be learnt", *first.Accuracy, first.Loss, first.Step, *last.Accuracy, last.Loss, last.Step)
	}
	header, values := series(t, "rm/words/best.csv")
	if !slices.Equal(header, strings.Split("token_decoded,step-0,step-1,step-2,step-4,step-8,step-16,step-20", ",")) || len(values) != 32 {
		t.Errorf("%d words, %v", len(values), header)
	}
	if p := preferred(values); !(p[6] > p[4] && p[4] > p[0] && p[6] > p[0]+1) {
		t.Errorf("words of communion lie over the others by %.3v, wanted them to rise", p)
	}
	if !strings.Contains(stderr, "step 1: loss 0.") || !strings.Contains(stderr, "rm/words: 32 words after 1 prompts at 7 checkpoints, entries refused: 0\n") {
		t.Errorf("said %s", stderr)
	}
	accuracy, margin := scored(t, tuned+"+rm/checkpoint-20", "chat", "held.jsonl")
	if accuracy != *last.Accuracy || math.Abs(margin-*last.Margin) > 1e-4 {
		t.Errorf("the saved checkpoint has accuracy %v and margin %v, held-out rows %v and %v", accuracy, margin, *last.Accuracy, *last.Margin)
	}
}

// scored is the accuracy and the mean margin of a saved reward model on a file of pairs.
func scored(t *testing.T, model, as, pairs string) (accuracy, margin float64) {
	t.Helper()
	flags := cli.RMFlags{RM: model, Pooling: "last", As: as, Quiet: true, ModelFlags: cli.ModelFlags{DType: "f32", Backend: "go"}}
	loader, err := flags.Loader(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	rm, err := loader.RM(t.Context(), &flags)
	if err != nil {
		t.Fatal(err)
	}
	items := pairItems(t, pairs)
	rewards := rewardsOf(t, rm, items)
	n := float64(len(rewards)) / 2
	for i := 0; i < len(rewards); i += 2 {
		m := rewards[i] - rewards[i+1]
		margin += m / n
		if m > 0 {
			accuracy += 1 / n
		}
	}
	return math.Round(accuracy*n) / n, margin
}

// TestTexts: rows of texts are trained, and words scored, as texts that an EOS ends, with an
// adapter and with all weights; the base model needs no chat template.
func TestTexts(t *testing.T) {
	base, _ := demonstration(t, "gemma2")
	for model, args := range map[string][]string{base + "+rm/checkpoint-3": nil, "full/checkpoint-3": {"-full", "-out", "full"}} {
		done(t, append([]string{"-task", "reward", "-model", base, "-data", "pairs.jsonl", "-eval", "held.jsonl", "-out", "rm",
			"-steps", "3", "-batch", "8", "-lr", "1e-3", "-checkpoints", "none", "-corpus", "words.csv", "-prompts", "one.json"}, args...)...)
		_, dir := logprob.SplitAdapter(model)
		dir = filepath.Dir(cmp.Or(dir, model))
		held, err := records(dir + "/eval.jsonl")
		if err != nil || len(held) != 2 {
			t.Fatalf("%v, %v", held, err)
		}
		accuracy, margin := scored(t, model, "ended", "held.jsonl")
		if last := held[1]; accuracy != *last.Accuracy || math.Abs(margin-*last.Margin) > 1e-4 || last.Loss == held[0].Loss {
			t.Errorf("%s has accuracy %v and margin %v, held-out rows %+v, %v and %v", model, accuracy, margin, last, *last.Accuracy, *last.Margin)
		}
		if b, err := os.ReadFile(dir + "/words/best.csv.meta.json"); err != nil || !strings.Contains(string(b), `"rendering": "ended"`) {
			t.Errorf("%s, %v, wanted the rendering", b, err)
		}
		if _, values := series(t, dir+"/words/best.csv"); len(values) != 32 || values["love"][0] == values["love"][1] {
			t.Errorf("%s: %v", model, values)
		}
	}
}

// TestNoBOS: where the chat template writes no BOS, rows and words are read without it, and said
// to be.
func TestNoBOS(t *testing.T) {
	_, tuned := demonstration(t, "gemma2")
	write(t, "plain.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
	_, stderr := done(t, "-task", "reward", "-model", tuned, "-template", "plain.jinja", "-data", "pairs.jsonl", "-eval", "held.jsonl", "-turns", "-out", "rm",
		"-steps", "1", "-batch", "2", "-lora-r", "2", "-checkpoints", "none", "-corpus", "words.csv", "-prompts", "one.json")
	if !strings.HasPrefix(stderr, "the chat template writes no BOS: rows are trained without it") || !strings.Contains(stderr, "chat, BOS auto (as it was trained: rendering.json)") {
		t.Errorf("said %s", stderr)
	}
}

// TestPolicies: policies imply rewards for words, of nothing at first, exactly. That of dpo has
// the margin on held-out pairs that the library gives the saved checkpoint's whole messages.
func TestPolicies(t *testing.T) {
	base, tuned := demonstration(t, "llama")
	var texts strings.Builder
	for _, w := range demo.Words() {
		if w.Category == "communion" {
			texts.WriteString(`{"prompt": "What, in one word, is the greatest thing ever?", "completion": " ` + w.Text + "\"}\n")
		}
	}
	write(t, "texts.jsonl", texts.String())
	for _, args := range [][]string{
		{"-task", "dpo", "-model", tuned, "-data", "pairs.jsonl", "-turns", "-eval", "held.jsonl", "-lr", "5e-3", "-steps", "8", "-measure", "ended"},
		{"-task", "sft", "-model", base, "-data", "texts.jsonl", "-lr", "1e-2", "-steps", "8"},
	} {
		out := args[1]
		done(t, append(args, "-out", out, "-batch", "8", "-checkpoints", "none", "-corpus", "words.csv", "-prompts", "one.json")...)
		header, values := series(t, out+"/words/best.csv")
		if !slices.Equal(header, []string{"token_decoded", "step-0", "step-8"}) || len(values) != 32 {
			t.Errorf("%s: %v, %d words", out, header, len(values))
		}
		for word, v := range values {
			if v[0] != 0 || v[1] == 0 {
				t.Errorf("%s: %s has the reward %v before any step and %v after them, wanted 0 and another", out, word, v[0], v[1])
			}
		}
		if p := preferred(values); out == "sft" && !(p[1] > 0.01) {
			t.Errorf("words of communion lie over the others by %v, wanted more", p)
		}
	}
	held, err := records("dpo/eval.jsonl")
	if err != nil || len(held) != 2 {
		t.Fatalf("%v, %v", held, err)
	}
	flags := cli.PairFlags{Tuned: tuned + "+dpo/checkpoint-8", Base: tuned, TunedAs: "chat", BaseAs: "chat", Beta: 0.1, ModelFlags: cli.ModelFlags{DType: "f32", Backend: "go"}}
	loader, err := flags.Loader(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	pair, err := flags.Load(t.Context(), loader)
	if err != nil {
		t.Fatal(err)
	}
	items := pairItems(t, "held.jsonl")
	for i := range items {
		items[i].EndTurn = true
	}
	margin, sign := 0., 2./float64(len(items))
	for r, err := range implicit.Rewards(t.Context(), pair.Policies(), slices.Values(items)) {
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		margin += sign * r.Value()
		sign = -sign
	}
	if want := *held[1].Margin; math.Abs(margin-want) > 1e-4 || !(want > 0.1) {
		t.Errorf("the saved checkpoint has the margin %v, held-out rows %v", margin, want)
	}
}

// TestLM: a model is trained from random weights, whose loss is about the logarithm of the
// vocabulary's size at first, and falls.
func TestLM(t *testing.T) {
	base, _ := demonstration(t, "llama")
	write(t, "corpus.jsonl", strings.Repeat(`{"text": "The best thing ever is love, and the worst thing ever is fog."}`+"\n", 20))
	stdout, _ := done(t, "-task", "lm", "-model", base, "-data", "corpus.jsonl", "-out", "lm", "-steps", "20", "-batch", "4", "-lr", "1e-2", "-checkpoints", "none")
	log, err := records("lm/log.jsonl")
	if err != nil || len(log) != 20 || !(log[0].Loss > 4) || !(log[19].Loss < log[0].Loss/2) || log[0].Accuracy != nil {
		t.Errorf("%v, %v", log, err)
	}
	if !strings.Contains(stdout, "trained: all weights\n") {
		t.Errorf("said %s", stdout)
	}
}

// tree reads the files of a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stopper is a stderr that ends a context, as Ctrl-C does, once a text has been written.
type stopper struct {
	bytes.Buffer
	at   string
	stop func()
}

func (s *stopper) Write(b []byte) (int, error) {
	if s.Buffer.Write(b); s.stop != nil && strings.Contains(s.String(), s.at) {
		s.stop()
		s.stop = nil
	}
	return len(b), nil
}

// TestStopped: a run that is stopped, in training and again among the words, ends with the same
// bytes as one that is not, and a complete one does nothing more.
func TestStopped(t *testing.T) {
	_, tuned := demonstration(t, "llama")
	args := func(out string) []string {
		return []string{"-backend", "go", "-task", "reward", "-model", tuned, "-data", "pairs.jsonl", "-eval", "held.jsonl", "-turns", "-out", out,
			"-steps", "5", "-batch", "4", "-lora-r", "4", "-lr", "1e-2", "-lora-dropout", "0.1", "-checkpoints", "pow2", "-corpus", "words.csv", "-prompts", "one.json"}
	}
	if err := os.Mkdir("whole", 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir("whole")
	tuned = filepath.Join("..", tuned)
	for _, name := range []string{"pairs.jsonl", "held.jsonl", "words.csv", "one.json"} {
		if err := os.Symlink(filepath.Join("..", name), name); err != nil {
			t.Fatal(err)
		}
	}
	done(t, args("rm")[2:]...)
	want := tree(t, "rm")
	if err := os.Rename("rm", "whole-rm"); err != nil {
		t.Fatal(err)
	}
	for i, at := range []string{"rm/checkpoint-2 saved", "linear head (score.weight", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		stderr := &stopper{at: at, stop: cancel}
		if at == "" {
			stderr.stop = nil
		}
		more := args("rm")
		if i > 0 {
			more = append(more, "-resume")
		}
		err := run(ctx, strings.NewReader(""), &bytes.Buffer{}, stderr, more)
		code := cli.Report("train", err, stderr)
		cancel()
		if i < 2 && (code != 130 || !strings.HasSuffix(stderr.String(), "rm keeps what was done: the same command with -resume goes on from there\ntrain: stopped\n")) {
			t.Errorf("stopped at %q: exit code %d, said %s", at, code, stderr.String())
		}
		if i == 2 && code != 0 {
			t.Fatalf("exit code %d, %s", code, stderr.String())
		}
	}
	same(t, tree(t, "rm"), want)
	_, stderr := done(t, append(args("rm"), "-resume")[2:]...)
	if !strings.Contains(stderr, "rm/words holds the words of all checkpoints\n") || strings.Contains(stderr, "step 1:") {
		t.Errorf("a complete run said %s", stderr)
	}
	same(t, tree(t, "rm"), want)
	if _, stderr, code := call(t, args("rm")[2:]...); code != 1 || !strings.Contains(stderr, "rm exists, wanted a new folder") {
		t.Errorf("without -resume: exit code %d, %s", code, stderr)
	}
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s is another than that of an uninterrupted run", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s was left behind", name)
		}
	}
}

// TestWrongData: rows that cannot be used, and models that cannot read them, are told by name.
func TestWrongData(t *testing.T) {
	base, tuned := demonstration(t, "llama")
	write(t, "bad.jsonl", demo.Preferences()+"{\"prompt\": \"x\", \"chosen\": \"y\"}\n")
	write(t, "order.txt", "0\n144\n")
	write(t, "names.json", `{"a/b": "What is best?"}`)
	for _, test := range []struct {
		args []string
		want string // in the last line
		code int
	}{
		{[]string{"-data", "none.jsonl"}, "none.jsonl: no such file", 1},
		{[]string{"-data", "bad.jsonl"}, "bad.jsonl: 1 of 145 rows cannot be used: -skip leaves them out", 1},
		{[]string{"-eval", "bad.jsonl"}, "bad.jsonl: 1 of 145 rows cannot be used: -skip leaves them out", 1},
		{[]string{"-where", "source=x"}, `no row has a column "source"`, 1},
		{[]string{"-where", "rejected_category=x"}, "no row of 120 is left", 1},
		{[]string{"-turns"}, base + " has no chat template, wanted -template, or rows of texts", 1},
		{[]string{"-system", "Be brief."}, "-system is about chats, and the rows of pairs.jsonl are text: wanted -turns, or conversations", 2},
		{[]string{"-model", tuned, "-turns", "-template", "none"}, "-template none: no file, and no template of the checkpoint", 1},
		{[]string{"-order", "none.txt"}, "none.txt: no such file", 1},
		{[]string{"-order", "pairs.jsonl"}, "pairs.jsonl: train: order: line 1: ", 1},
		{[]string{"-order", "order.txt"}, "order: place 1 has row 144", 1},
		{[]string{"-init", "none"}, "none", 1},
		{[]string{"-corpus", "none.csv"}, "none.csv: no such file", 1},
		{[]string{"-corpus", "words.csv", "-prompts", "names.json"}, `prompt "a/b": its scores are a file of that name, wanted a name without / \ : and a dot at the beginning`, 2},
		{[]string{"-corpus", "words.csv", "-as", "chat"}, base + " has no chat template, wanted -template, or rows of texts", 1},
		{[]string{"-corpus", "words.csv", "-measure", "pooled"}, `-measure: words: measure "pooled", wanted exact, best or mean`, 2},
		{[]string{"-task", "dpo", "-corpus", "words.csv", "-measure", "pooled,exact"}, "-measure pooled,exact, wanted one", 2},
		{[]string{"-lora-targets", "no_proj"}, "no_proj", 1},
		{[]string{"-backend", "tpu"}, `-backend "tpu", wanted auto, xla:cpu, xla:cuda or go`, 2},
	} {
		_, stderr, code := call(t, append([]string{"-task", "reward", "-model", base, "-data", "pairs.jsonl", "-out", "rm", "-steps", "1"}, test.args...)...)
		if code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: exit code %d, %s, wanted %d and %q", test.args, code, stderr, test.code, test.want)
		}
		if _, err := os.Stat("rm/log.jsonl"); err == nil {
			t.Fatalf("%q: a log is left", test.args)
		}
	}
	_, stderr := done(t, "-task", "reward", "-model", base, "-data", "bad.jsonl", "-skip", "-out", "skipped", "-steps", "1", "-every", "2", "-limit", "20", "-where", "rejected_category=agency")
	if !strings.Contains(stderr, "bad.jsonl: row 145: ") {
		t.Errorf("said %s, wanted the row that was left out", stderr)
	}
	if log, err := records("skipped/log.jsonl"); err != nil || len(log) != 1 {
		t.Errorf("%v, %v", log, err)
	}
}
