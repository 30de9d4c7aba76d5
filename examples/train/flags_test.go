package main

import (
	"io"
	"reflect"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit/train"
)

// TestOptions: what flags ask for is what the package is asked for, the defaults of each task
// included.
func TestOptions(t *testing.T) {
	defaults := func(task train.Task) train.Options {
		return train.Options{Task: task, Out: "o", Schedule: "cosine", Warmup: 0.03, Batch: 16, MicroBatch: 2048, Clip: 1, MaxTokens: 1024,
			Seed: 1, Beta: 0.1, DType: dtypes.Float32, Checkpoints: train.Cadence{Pow2: true, Every: 100}}
	}
	for _, test := range []struct {
		name string
		args []string
		want func(*train.Options)
	}{
		{"reward", nil, func(o *train.Options) { // the paper's recipe
			o.LoRA, o.LR, o.Epochs, o.Long = &train.LoRA{R: 32, Alpha: 64}, 1e-5, 2, "drop"
		}},
		{"reward", []string{"-full", "-epochs", "0.5"}, func(o *train.Options) { o.LR, o.Epochs, o.Long = 1e-5, 0.5, "drop" }},
		{"dpo", []string{"-beta", "0.5", "-lora-r", "4"}, func(o *train.Options) {
			o.LoRA, o.LR, o.Epochs, o.Long, o.Beta = &train.LoRA{R: 4, Alpha: 8}, 1e-5, 1, "drop", 0.5
		}},
		{"dpo", []string{"-full"}, func(o *train.Options) { o.LR, o.Epochs, o.Long = 1e-6, 1, "drop" }},
		{"sft", []string{"-steps", "50"}, func(o *train.Options) { // the paper's positive control
			o.LoRA, o.LR, o.Steps, o.Long = &train.LoRA{R: 32, Alpha: 64}, 2e-4, 50, "cut"
		}},
		{"sft", []string{"-full", "-long", "drop"}, func(o *train.Options) { o.LR, o.Epochs, o.Long = 2e-5, 1, "drop" }},
		{"lm", nil, func(o *train.Options) { o.LR, o.Epochs, o.Long = 1e-3, 1, "cut" }},
		{"reward", []string{"-lora-r", "8", "-lora-alpha", "8", "-lora-targets", "q_proj,gate_proj", "-lora-dropout", "0.05", "-lora-rslora",
			"-lr", "3e-4", "-schedule", "linear", "-warmup", "0", "-batch", "4", "-micro-batch", "512", "-steps", "9", "-clip", "0",
			"-weight-decay", "0.1", "-max-tokens", "64", "-long", "cut", "-seed", "7", "-center", "0.01", "-sft", "0.02",
			"-checkpoints", "every=5", "-resume", "-dtype", "bf16", "-memory", "1GiB"}, func(o *train.Options) {
			*o = train.Options{Task: "reward", Out: "o", LoRA: &train.LoRA{R: 8, Alpha: 8, Targets: []string{"q_proj", "gate_proj"}, Dropout: 0.05, RSLoRA: true},
				LR: 3e-4, Schedule: "linear", Batch: 4, MicroBatch: 512, Steps: 9, Clip: -1, WeightDecay: 0.1, MaxTokens: 64, Long: "cut", Seed: 7,
				Beta: 0.1, Center: 0.01, SFT: 0.02, Checkpoints: train.Cadence{Every: 5}, Resume: true, DType: dtypes.BFloat16, MemoryLimit: 1 << 30}
		}},
		{"lm", []string{"-checkpoints", "none"}, func(o *train.Options) {
			o.LR, o.Epochs, o.Long, o.Checkpoints = 1e-3, 1, "cut", train.Cadence{}
		}},
	} {
		o, err := parse(append([]string{"-task", test.name, "-model", "m", "-data", "d", "-out", "o"}, test.args...), io.Discard)
		if err != nil {
			t.Errorf("%s %q: %v", test.name, test.args, err)
			continue
		}
		want := defaults(train.Task(test.name))
		test.want(&want)
		if !reflect.DeepEqual(o.Options, want) {
			t.Errorf("%s %q: got\n%+v (LoRA %+v), wanted\n%+v (LoRA %+v)", test.name, test.args, o.Options, o.LoRA, want, want.LoRA)
		}
		if o.model != "m" || o.file != "d" || o.selection.Every != 1 || o.prompts != "paper" {
			t.Errorf("%s %q: %+v", test.name, test.args, o)
		}
	}
}
