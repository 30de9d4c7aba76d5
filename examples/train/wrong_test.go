package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
)

// call runs the program on the pure-Go backend and returns what it prints and its exit code.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), strings.NewReader(""), &out, &errs, append([]string{"-backend", "go"}, args...))
	code = cli.Report("train", err, &errs)
	return out.String(), errs.String(), code
}

// TestWrongUse: flags that are wrong, or that mean nothing together, are refused in a line.
func TestWrongUse(t *testing.T) {
	for _, test := range []struct {
		args []string // beside a task, a model, data and an output
		want string
	}{
		{[]string{"-modle", "x"}, "flag provided but not defined: -modle"},
		{[]string{"pairs.jsonl"}, `argument "pairs.jsonl", wanted flags only`},
		{[]string{"-task", ""}, "flag -task is missing: `objective`: reward, dpo, sft or lm"},
		{[]string{"-model", ""}, "flag -model is missing: base `model`: a folder, or org/name[@revision] on the hub; of lm one with config.json and a tokenizer"},
		{[]string{"-data", ""}, "flag -data is missing: `file` to train on: JSON Lines, JSON (also .gz) or Parquet"},
		{[]string{"-out", ""}, "flag -out is missing: `folder` to write"},
		{[]string{"-task", "ppo"}, `-task "ppo", wanted reward, dpo, sft or lm`},
		{[]string{"-full", "-lora-r", "8"}, "-lora-r: all weights are trained, wanted it without -full and -task lm"},
		{[]string{"-task", "lm", "-lora-targets", "all-linear"}, "-lora-targets: all weights are trained, wanted it without -full and -task lm"},
		{[]string{"-task", "lm", "-init", "x"}, "-init: lm begins with random weights, wanted -task sft -full, which goes on with those that are there"},
		{[]string{"-beta", "0.1"}, "-beta: wanted it with -task dpo"},
		{[]string{"-task", "dpo", "-center", "0.01"}, "-center: wanted it with -task reward"},
		{[]string{"-task", "sft", "-sft", "0.01"}, "-sft: wanted it with -task reward"},
		{[]string{"-full", "-sft", "0.01"}, "-sft: wanted it with a new adapter, without -full and -init: the score row is trained beside the vocabulary head"},
		{[]string{"-init", "x", "-sft", "0.01"}, "-sft: wanted it with a new adapter, without -full and -init: the score row is trained beside the vocabulary head"},
		{[]string{"-full", "-dtype", "bf16"}, "-dtype bf16: all weights are trained, wanted f32"},
		{[]string{"-task", "lm", "-corpus", "w.csv"}, "-corpus: lm has no model that training began with, wanted score -tuned with -base"},
		{[]string{"-prompts", "p.json"}, "-prompts: wanted it with -corpus, whose words follow the prompts"},
		{[]string{"-as", "raw"}, "-as: wanted it with -corpus, whose words follow the prompts"},
		{[]string{"-corpus", "w.csv", "-as", "poem"}, `-as "poem", wanted chat, raw or ended`},
		{[]string{"-steps", "3", "-epochs", "1"}, "-epochs: -steps is given too, wanted one of them"},
		{[]string{"-lora-r", "0"}, "-lora-r 0, wanted 1 or more"},
		{[]string{"-lora-alpha", "-1"}, "-lora-alpha -1, wanted a number above 0"},
		{[]string{"-lora-dropout", "1"}, "-lora-dropout 1, wanted 0 or more, and less than 1"},
		{[]string{"-lora-targets", "q_proj,,v_proj"}, `-lora-targets "q_proj,,v_proj", wanted names with commas between them`},
		{[]string{"-lr", "0"}, "-lr 0, wanted a number above 0"},
		{[]string{"-lr", "NaN"}, "-lr NaN, wanted a number above 0"},
		{[]string{"-warmup", "3"}, "-warmup 3, wanted a share, 0 to 1"},
		{[]string{"-batch", "0"}, "-batch 0, wanted 1 or more"},
		{[]string{"-micro-batch", "-1"}, "-micro-batch -1, wanted 1 or more"},
		{[]string{"-epochs", "0"}, "-epochs 0, wanted a number above 0"},
		{[]string{"-steps", "0"}, "-steps 0, wanted 1 or more"},
		{[]string{"-clip", "-1"}, "-clip -1, wanted 0 or more"},
		{[]string{"-weight-decay", "+Inf"}, "-weight-decay +Inf, wanted 0 or more"},
		{[]string{"-max-tokens", "1"}, "-max-tokens 1, wanted 2 or more"},
		{[]string{"-every", "0"}, "-every 0, wanted 1 or more"},
		{[]string{"-limit", "0"}, "-limit 0, wanted 1 or more"},
		{[]string{"-task", "dpo", "-beta", "0"}, "-beta 0, wanted a number above 0"},
		{[]string{"-center", "-1"}, "-center -1, wanted 0 or more"},
		{[]string{"-sft", "1"}, "-sft 1, wanted 0 or more, and less than 1"},
		{[]string{"-seed", "-1"}, `invalid value "-1" for flag -seed: parse error`},
		{[]string{"-schedule", "step"}, `-schedule "step", wanted constant, linear or cosine`},
		{[]string{"-long", "keep"}, `-long "keep", wanted drop or cut`},
		{[]string{"-dtype", "f16"}, `-dtype "f16", wanted f32 or bf16`},
		{[]string{"-memory", "much"}, `-memory: size "much", wanted one such as 2GiB, 512MiB, 1.5GB or a number of bytes`},
		{[]string{"-where", "skywork"}, `invalid value "skywork" for flag -where: wanted column=value, such as source=skywork`},
		{[]string{"-bos", "two"}, `-bos "two", wanted auto, add, none or extra`},
		{[]string{"-date", "today"}, `-date "today", wanted a date such as 2024-07-26`},
		{[]string{"-checkpoints", "pow3"}, `-checkpoints "pow3", wanted pow2, every=N, both with a comma between them, or none`},
		{[]string{"-checkpoints", "every=0"}, `-checkpoints "every=0", wanted pow2, every=N, both with a comma between them, or none`},
		{[]string{"-checkpoints", "pow2,pow2"}, `-checkpoints "pow2,pow2", wanted pow2, every=N, both with a comma between them, or none`},
		{[]string{"-checkpoints", "pow2,"}, `-checkpoints "pow2,", wanted pow2, every=N, both with a comma between them, or none`},
	} {
		stdout, stderr, code := call(t, append([]string{"-task", "reward", "-model", "m", "-data", "d", "-out", "o"}, test.args...)...)
		if want := "train: " + test.want + "\ntrain -h lists the flags\n"; stderr != want || code != 2 || stdout != "" {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q, wanted 2, nothing and %q", test.args, code, stdout, stderr, want)
		}
	}
}

// TestWrongTarget: a target that the model has not is one line, which says what it has, and leaves
// nothing that would be in the way of another try.
func TestWrongTarget(t *testing.T) {
	_, tuned := demonstration(t, "llama")
	_, stderr, code := call(t, "-task", "reward", "-model", tuned, "-data", "pairs.jsonl", "-turns", "-out", "rm", "-lora-targets", "foo")
	if code == 0 || !strings.Contains(stderr, `target "foo"`) || !strings.HasSuffix(stderr, "self_attn.q_proj, self_attn.v_proj\n") {
		t.Errorf("exit status %d, said %q", code, stderr)
	}
	if _, err := os.Stat("rm"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a run that did not begin: %v, wanted none", err)
	}
}
