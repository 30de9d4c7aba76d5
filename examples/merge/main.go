// Merge writes a LoRA adapter into the weights of its model: a checkpoint folder that computes
// without the adapter what the model does with it, for programs that know no adapters. Without an
// adapter it decodes the weights, for programs that do not know how they are quantised.
//
//	merge -model HuggingFaceTB/SmolLM2-135M-Instruct+./my-adapter -out ./merged
//	merge -model ./model.Q4_1.gguf -dtype bf16 -out ./decoded
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
)

func main() { cli.Main("merge", run) }

const purpose = `writes a checkpoint folder of a model with a LoRA adapter merged into its weights, or of one
without an adapter whose weights are quantised or in a GGUF file, decoded.
The adapter is one that peft has saved. Each weight is W + s B A, with DoRA its row times
magnitude / norm, computed in float64 and rounded once to its type. The folder holds
config.json, the weights as safetensors, in shards if they are large, and the tokenizer, which
may be a GGUF file's own; of a reward model's adapter it is a ForSequenceClassification checkpoint with its head. A model
need not be merged to be scored: the other programs take BASE+ADAPTER too.`

const examples = `  merge -model ./base+./adapter -out ./merged
  merge -model org/base+org/reward-adapter -dtype f32 -out ./reward-model
  merge -model ./model.Q4_1.gguf -dtype bf16 -out ./decoded`

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("merge", purpose, examples)
	name := f.String("model", "", "`model`, or model and adapter, BASE+ADAPTER: each a folder, or org/name[@revision] on the hub; the model may be a GGUF file")
	out := f.String("out", "", "`folder` to write")
	kind := f.String("dtype", "auto", "`type` of the weights: auto (each tensor's in the base; decoded ones f32, or what config.json says), f32, bf16 or f16")
	force := f.Bool("force", false, "replace the files of a checkpoint in a folder that is there")
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := f.Need("model", "out"); err != nil {
		return err
	}
	dtype, ok := map[string]dtypes.DType{"auto": 0, "f32": dtypes.Float32, "bf16": dtypes.BFloat16, "f16": dtypes.Float16}[*kind]
	if !ok {
		return cli.Usagef("-dtype %q, wanted auto, f32, bf16 or f16", *kind)
	}
	base, adapter := logprob.SplitAdapter(*name)
	var err error
	if base, err = cli.Folder(ctx, stderr, base, logprob.Find); err != nil {
		return err
	}
	did := "decoded"
	if adapter != "" {
		did = "merged"
		if adapter, err = cli.Folder(ctx, stderr, adapter, logprob.FindAdapter); err != nil {
			return err
		}
	}
	progress := cli.NewProgress(stderr, "merging", true)
	warnings, err := logprob.Merge(ctx, base, adapter, *out, &logprob.MergeOptions{DType: dtype, Force: *force, Progress: progress.Set})
	progress.Done()
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "%s: %v\n", *name, w)
	}
	fmt.Fprintf(stderr, "%s: %s, %s\n", *out, *name, did)
	return nil
}
