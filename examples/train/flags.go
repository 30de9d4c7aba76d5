package main

import (
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// flags are the command line's. Its models are names as they stand there, those of the options
// folders.
type flags struct {
	train.Options
	model, init       string
	file, eval, order string
	selection         train.Select
	corpus, prompts   string
	as, measure       string
	models            cli.ModelFlags
	aboutChats        string // a flag that is given and is about chats

	data *train.Data
}

// preset are the defaults that depend on what is trained.
type preset struct {
	lr, loraLR float64 // of all weights, and of low-rank paths beside them
	epochs     float64
	long       string
}

// Those of reward are the paper's; of sft, TRL's for all weights and the paper's positive
// control's for LoRA.
var presets = map[train.Task]preset{
	train.Reward: {1e-5, 1e-5, 2, "drop"},
	train.DPO:    {1e-6, 1e-5, 1, "drop"},
	train.SFT:    {2e-5, 2e-4, 1, "cut"},
	train.LM:     {1e-3, 0, 1, "cut"},
}

// parse reads the flags and refuses those that do not go together.
func parse(args []string, stdout io.Writer) (*flags, error) {
	f := cli.NewFlags("train", purpose, examples)
	o := &flags{Options: train.Options{LoRA: &train.LoRA{}}}
	task := f.String("task", "", "`objective`: reward, dpo, sft or lm")
	f.StringVar(&o.model, "model", "", "base `model`: a folder, or org/name[@revision] on the hub; of lm one with config.json and a tokenizer")
	f.StringVar(&o.Out, "out", "", "`folder` to write")
	full := o.registerWeights(f)
	o.registerData(f)
	checkpoints := o.registerSteps(f)
	f.Float64Var(&o.Beta, "beta", 0.1, "`factor` of the implicit reward in the loss of dpo")
	f.Float64Var(&o.Center, "center", 0, "`weight` in the loss of reward of the mean of (r(chosen) + r(rejected))^2, which centres rewards (TRL suggests 0.01)")
	f.Float64Var(&o.SFT, "sft", 0, "`weight` w in the loss of reward of GRM's text regulariser: (1-w) BT + w (-ln sigmoid(0.1 ln p(chosen))) (GRM's is 0.01)")
	f.StringVar(&o.models.DType, "dtype", "f32", "`type` of the products' operands, f32 or bf16; what is trained is float32")
	f.StringVar(&o.models.Backend, "backend", "auto", "`backend` that computes: auto, xla:cpu, xla:cuda or go")
	f.StringVar(&o.models.Memory, "memory", "", "`size` that weights and buffers may take on the device, such as 2GiB: a larger model is read block by block; default: what the machine has")
	f.StringVar(&o.corpus, "corpus", "", "`file` of words, as score takes, to score at every checkpoint")
	f.StringVar(&o.prompts, "prompts", "paper", "`prompts` of -corpus, as score takes")
	f.StringVar(&o.measure, "measure", "", "`measure` of the words of -corpus, as score has them: of reward exact (the word in lower case), best or mean; else pooled, ended, exact or paper; default: exact, else pooled")
	f.StringVar(&o.as, "as", "", "`rendering` of the prompts of -corpus: chat, raw, or ended, raw with an EOS at the end; default: as the rows of -data are read")
	o.models.RegisterTexts(f)
	if err := f.Parse(args, stdout); err != nil {
		return nil, err
	}
	if err := f.Need("task", "model", "data", "out"); err != nil {
		return nil, err
	}
	o.Task = train.Task(*task)
	if _, ok := presets[o.Task]; !ok {
		return nil, cli.Usagef("-task %q, wanted reward, dpo, sft or lm", *task)
	}
	if *full || o.Task == train.LM {
		o.LoRA = nil
	}
	for _, check := range []func(*cli.Flags) error{o.together, o.preset, o.numbers, o.choices} {
		if err := check(f); err != nil {
			return nil, err
		}
	}
	var err error
	o.Checkpoints, err = cadence(*checkpoints)
	return o, err
}

// registerWeights adds the flags about what is trained.
func (o *flags) registerWeights(f *cli.Flags) (full *bool) {
	full = f.Bool("full", false, "train all weights, in float32, and no adapter; -task lm does")
	f.IntVar(&o.LoRA.R, "lora-r", 32, "`rank` of the adapter")
	f.Float64Var(&o.LoRA.Alpha, "lora-alpha", 0, "`alpha` of the adapter, whose scale is alpha/r; default: twice the rank")
	f.Func("lora-targets", "`names` of the linear layers with an adapter, comma-separated, or all-linear; default: those of attention, as q_proj,k_proj,v_proj,o_proj", func(list string) error {
		o.LoRA.Targets = strings.Split(list, ",")
		return nil
	})
	f.Float64Var(&o.LoRA.Dropout, "lora-dropout", 0, "`share` of the adapter's inputs that are dropped")
	f.BoolVar(&o.LoRA.RSLoRA, "lora-rslora", false, "the scale is alpha/sqrt(r)")
	f.StringVar(&o.init, "init", "", "`adapter` to begin with, or with -full a checkpoint: a folder, or org/name[@revision] on the hub; default: A random and B 0, or -model")
	return full
}

// registerData adds the flags about rows.
func (o *flags) registerData(f *cli.Flags) {
	f.StringVar(&o.file, "data", "", "`file` to train on: JSON Lines, JSON (also .gz) or Parquet")
	f.StringVar(&o.eval, "eval", "", "`file` of held-out rows, likewise, evaluated at every checkpoint")
	f.BoolVar(&o.selection.Refused, "skip", false, "leave out rows that cannot be read or rendered, which otherwise are an error")
	f.Func("where", "`column=value`: train on the rows with that value alone, such as source=skywork; repeatable", func(condition string) error {
		if column, _, ok := strings.Cut(condition, "="); !ok || column == "" {
			return errors.New("wanted column=value, such as source=skywork")
		}
		o.selection.Where = append(o.selection.Where, condition)
		return nil
	})
	f.IntVar(&o.selection.Every, "every", 1, "train on every `k`-th row, of those of -where: the first, the k+1-th ...")
	f.IntVar(&o.selection.Limit, "limit", 0, "train on that `number` of rows at most, the first ones")
	f.IntVar(&o.MaxTokens, "max-tokens", 1024, "`length` of a text in tokens, at most")
	f.StringVar(&o.Long, "long", "", "`what` becomes of rows with a longer text: drop, or cut it on the right; default: of reward and dpo drop, else cut")
	f.BoolVar(&o.Turns, "turns", false, "read rows of texts with a prompt as conversations: prompt and reply as the turns of the chat template")
	f.StringVar(&o.order, "order", "", "`file` with the numbers of rows, from 0, in the order of training, one a line, of those that -where, -every and -limit choose; default: shuffled by -seed for each epoch")
	f.Uint64Var(&o.Seed, "seed", 1, "`seed` of initial weights, order and dropout")
}

// registerSteps adds the flags about optimiser and checkpoints.
func (o *flags) registerSteps(f *cli.Flags) (checkpoints *string) {
	f.Float64Var(&o.LR, "lr", 0, "peak of the learning `rate`; default: of reward 1e-5; of dpo 1e-5, with -full 1e-6; of sft 2e-4, with -full 2e-5; of lm 1e-3")
	f.StringVar(&o.Schedule, "schedule", "cosine", "`course` of the learning rate after the warm-up: constant, linear or cosine, to 0")
	f.Float64Var(&o.Warmup, "warmup", 0.03, "`share` of the steps in which the learning rate rises from 0")
	f.IntVar(&o.Batch, "batch", 16, "`rows` a step")
	f.IntVar(&o.MicroBatch, "micro-batch", 2048, "`tokens` computed at a time; gradients add up over a step, so that it can show in last bits alone")
	f.Float64Var(&o.Epochs, "epochs", 0, "`passes` through the data; default: of reward 2, else 1")
	f.IntVar(&o.Steps, "steps", 0, "`number` of steps, in place of -epochs")
	f.Float64Var(&o.Clip, "clip", 1, "`bound` of the global norm of a step's gradients; 0: none")
	f.Float64Var(&o.WeightDecay, "weight-decay", 0, "decoupled `decay` of matrices, as AdamW's")
	f.BoolVar(&o.Resume, "resume", false, "go on with what -out holds of a run with the same flags")
	return f.String("checkpoints", "pow2,every=100", "`steps` at which checkpoints are saved beside 0 and the last: pow2 (1, 2, 4, 8 ...), every=N, both with a comma, or none")
}

// together refuses flags that mean nothing with the task or with each other.
func (o *flags) together(f *cli.Flags) error {
	for _, of := range []struct {
		ok     bool
		names  []string
		wanted string
	}{
		{o.LoRA != nil, []string{"lora-r", "lora-alpha", "lora-targets", "lora-dropout", "lora-rslora"}, "all weights are trained, wanted it without -full and -task lm"},
		{o.Task != train.LM, []string{"init"}, "lm begins with random weights, wanted -task sft -full, which goes on with those that are there"},
		{o.Task == train.DPO, []string{"beta"}, "wanted it with -task dpo"},
		{o.Task == train.Reward, []string{"center", "sft"}, "wanted it with -task reward"},
		{o.LoRA != nil && o.init == "", []string{"sft"}, "wanted it with a new adapter, without -full and -init: the score row is trained beside the vocabulary head"},
		{o.Task != train.LM, []string{"corpus"}, "lm has no model that training began with, wanted score -tuned with -base"},
		{o.corpus != "", []string{"prompts", "as", "measure"}, "wanted it with -corpus, whose words follow the prompts"},
		{f.Given("steps") == "", []string{"epochs"}, "-steps is given too, wanted one of them"},
	} {
		if name := f.Given(of.names...); name != "" && !of.ok {
			return cli.Usagef("-%s: %s", name, of.wanted)
		}
	}
	return nil
}

// preset fills in the defaults that depend on the task.
func (o *flags) preset(f *cli.Flags) error {
	of := presets[o.Task]
	if f.Given("lr") == "" {
		if o.LR = of.lr; o.LoRA != nil {
			o.LR = of.loraLR
		}
	}
	if o.Long == "" {
		o.Long = of.long
	}
	if f.Given("epochs") == "" && f.Given("steps") == "" {
		o.Epochs = of.epochs
	}
	if o.LoRA != nil && f.Given("lora-alpha") == "" {
		o.LoRA.Alpha = 2 * float64(o.LoRA.R)
	}
	return nil
}

// numbers refuses numbers that mean nothing.
func (o *flags) numbers(f *cli.Flags) error {
	lora := train.LoRA{R: 1, Alpha: 1}
	if o.LoRA != nil {
		lora = *o.LoRA
	}
	finite := func(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) }
	above := func(x float64) bool { return x > 0 && finite(x) }
	for _, n := range []struct {
		name   string
		ok     bool
		wanted string
	}{
		{"lora-r", lora.R >= 1, "1 or more"},
		{"lora-alpha", above(lora.Alpha), "a number above 0"},
		{"lora-dropout", lora.Dropout >= 0 && lora.Dropout < 1, "0 or more, and less than 1"},
		{"lr", above(o.LR), "a number above 0"},
		{"warmup", o.Warmup >= 0 && o.Warmup <= 1, "a share, 0 to 1"},
		{"batch", o.Batch >= 1, "1 or more"},
		{"micro-batch", o.MicroBatch >= 1, "1 or more"},
		{"epochs", o.Steps > 0 || f.Given("steps") != "" || above(o.Epochs), "a number above 0"},
		{"steps", f.Given("steps") == "" || o.Steps >= 1, "1 or more"},
		{"clip", o.Clip >= 0 && finite(o.Clip), "0 or more"},
		{"weight-decay", o.WeightDecay >= 0 && finite(o.WeightDecay), "0 or more"},
		{"max-tokens", o.MaxTokens >= 2, "2 or more"},
		{"every", o.selection.Every >= 1, "1 or more"},
		{"limit", f.Given("limit") == "" || o.selection.Limit >= 1, "1 or more"},
		{"beta", above(o.Beta), "a number above 0"},
		{"center", o.Center >= 0 && finite(o.Center), "0 or more"},
		{"sft", o.SFT >= 0 && o.SFT < 1, "0 or more, and less than 1"},
	} {
		if !n.ok {
			return cli.Usagef("-%s %s, wanted %s", n.name, f.Lookup(n.name).Value, n.wanted)
		}
	}
	if o.Clip == 0 {
		o.Clip = -1 // none: 0 is the default of the options
	}
	return nil
}

// choices reads the flags that are words.
func (o *flags) choices(f *cli.Flags) error {
	for _, c := range []struct {
		name, value, wanted string
	}{
		{"schedule", o.Schedule, "constant, linear or cosine"},
		{"long", o.Long, "drop or cut"},
		{"dtype", o.models.DType, "f32 or bf16"},
	} {
		if !slices.Contains(strings.Fields(strings.NewReplacer(",", "", " or ", " ").Replace(c.wanted)), c.value) {
			return cli.Usagef("-%s %q, wanted %s", c.name, c.value, c.wanted)
		}
	}
	if o.LoRA == nil && o.models.DType != "f32" {
		return cli.Usagef("-dtype %s: all weights are trained, wanted f32", o.models.DType)
	}
	o.DType = map[string]dtypes.DType{"f32": dtypes.Float32, "bf16": dtypes.BFloat16}[o.models.DType]
	if !slices.Contains([]string{"", "chat", "raw", "ended"}, o.as) {
		return cli.Usagef("-as %q, wanted chat, raw or ended", o.as)
	}
	if _, err := o.models.ChatOptions(nil); err != nil {
		return err
	}
	o.aboutChats = f.Given("system", "var", "template", "date")
	if o.LoRA != nil && slices.Contains(o.LoRA.Targets, "") {
		return cli.Usagef("-lora-targets %q, wanted names with commas between them", strings.Join(o.LoRA.Targets, ","))
	}
	if o.models.Memory != "" {
		var err error
		if o.MemoryLimit, err = cli.ParseSize(o.models.Memory); err != nil {
			return cli.Usagef("-memory: %v", err)
		}
	}
	return nil
}

// cadence reads the flag -checkpoints.
func cadence(list string) (c train.Cadence, err error) {
	if list == "none" {
		return c, nil
	}
	for _, part := range strings.Split(list, ",") {
		every, isEvery := strings.CutPrefix(part, "every=")
		n, err := strconv.Atoi(every)
		switch {
		case part == "pow2" && !c.Pow2:
			c.Pow2 = true
		case isEvery && err == nil && n >= 1 && c.Every == 0:
			c.Every = n
		default:
			return c, cli.Usagef("-checkpoints %q, wanted pow2, every=N, both with a comma between them, or none", list)
		}
	}
	return c, nil
}
