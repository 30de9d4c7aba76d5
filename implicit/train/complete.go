package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// complete returns the options with their defaults, if they go together.
func (o Options) complete() (Options, error) {
	o.Schedule = cmp.Or(o.Schedule, "cosine")
	o.LR, o.Clip, o.Epochs, o.Beta = cmp.Or(o.LR, 1e-5), cmp.Or(o.Clip, 1), cmp.Or(o.Epochs, 1), cmp.Or(o.Beta, 0.1)
	o.Batch, o.MicroBatch = cmp.Or(o.Batch, 16), cmp.Or(o.MicroBatch, 2048)
	o.Beta1, o.Beta2, o.Epsilon = cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.999), cmp.Or(o.Epsilon, 1e-8)
	if o.DType == dtypes.InvalidDType {
		o.DType = dtypes.Float32
	}
	if o.LoRA != nil {
		l := *o.LoRA
		l.R = cmp.Or(l.R, 32)
		l.Alpha = cmp.Or(l.Alpha, 2*float64(l.R))
		o.LoRA = &l
	}
	for _, check := range []func() error{o.checkNumbers, o.checkTask, o.checkWeights} {
		if err := check(); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *Options) checkNumbers() error {
	for _, n := range []struct {
		name      string
		x         float64
		low, high float64 // from low, and less than high
	}{
		{"LR", o.LR, 0, math.Inf(1)},
		{"Warmup", o.Warmup, 0, math.Nextafter(1, 2)},
		{"Epochs", o.Epochs, math.SmallestNonzeroFloat64, 1e9},
		{"Clip", o.Clip, math.Inf(-1), math.Inf(1)},
		{"WeightDecay", o.WeightDecay, 0, math.Inf(1)},
		{"Beta1", o.Beta1, 0, 1},
		{"Beta2", o.Beta2, 0, 1},
		{"Epsilon", o.Epsilon, 0, math.Inf(1)},
		{"Beta", o.Beta, math.SmallestNonzeroFloat64, math.Inf(1)},
		{"Center", o.Center, 0, math.Inf(1)},
		{"SFT", o.SFT, 0, 1},
		{"Batch", float64(o.Batch), 1, math.Inf(1)},
		{"MicroBatch", float64(o.MicroBatch), 1, math.Inf(1)},
		{"Steps", float64(o.Steps), 0, math.Inf(1)},
		{"MaxTokens", float64(o.MaxTokens), 0, math.Inf(1)},
		{"Checkpoints.Every", float64(o.Checkpoints.Every), 0, math.Inf(1)},
	} {
		if !(n.x >= n.low && n.x < n.high) {
			return fmt.Errorf("%s is %v, wanted a number from %v and less than %v", n.name, n.x, n.low, n.high)
		}
	}
	return nil
}

func (o *Options) checkTask() error {
	switch {
	case !slices.Contains([]Task{Reward, DPO, SFT, LM}, o.Task):
		return fmt.Errorf("task %q, wanted reward, dpo, sft or lm", o.Task)
	case o.Model == "":
		return errors.New("no Model, wanted the folder of the base checkpoint")
	case o.Out == "":
		return errors.New("no Out, wanted a folder to write")
	case (o.Center != 0 || o.SFT != 0) && o.Task != Reward:
		return fmt.Errorf("task %s, and Center or SFT, which are parts of the loss of reward", o.Task)
	case o.SFT > 0 && (o.LoRA == nil || o.Init != ""):
		return errors.New("GRM's regulariser (SFT) needs the vocabulary head beside the score row: wanted a new adapter, LoRA without Init")
	}
	return nil
}

func (o *Options) checkWeights() error {
	switch {
	case o.DType != dtypes.Float32 && o.DType != dtypes.BFloat16:
		return fmt.Errorf("dtype %s, wanted float32 or bfloat16", o.DType)
	case o.LoRA == nil && o.DType != dtypes.Float32:
		return errors.New("all weights are trained, wanted float32")
	case o.Task == LM && o.LoRA != nil:
		return errors.New("lm begins with random weights, wanted all of them trained, without LoRA")
	case o.Task == LM && o.Init != "":
		return errors.New("lm begins with random weights, wanted no Init (sft goes on with a checkpoint's)")
	case o.LoRA != nil && !(o.LoRA.Dropout >= 0 && o.LoRA.Dropout < 1):
		return fmt.Errorf("LoRA.Dropout is %v, wanted a number from 0 and less than 1", o.LoRA.Dropout)
	}
	return nil
}
