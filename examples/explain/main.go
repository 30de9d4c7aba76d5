// Explain shows how one reply is scored by a pair of models, an explicit reward model or
// both: the texts that the models read, the tokens, where the reply begins, and what each
// token, or each output of the head, adds to the reward.
//
//	explain -rm RLHFlow/ArmoRM-Llama3-8B-v0.1 -prompt "What is the best thing ever?" -reply "Love"
//	explain -tuned ./tuned -base ./base -prompt "What is the best thing ever?" -reply "Love"
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
)

func main() { cli.Main("explain", run) }

const purpose = `shows what is computed for one prompt and reply: the rendered texts, token ids and pieces,
where the reply begins, ln p of every reply token under both models, their difference, and
its running sum, which ends at the implicit reward (beta = 1). Where the two tokenizers cut
the reply differently, it goes by the pieces that are whole tokens in both.

Of an explicit reward model (-rm) it shows the text, which token's state the head reads and
which one transformers would read, the head's outputs by name, and, where the head weighs
them, by a gate or as URM's, the weights, what each adds to the reward, and their quantiles.`

const examples = `  explain -tuned google/gemma-2-2b-it -base google/gemma-2-2b -prompt "What is the best thing ever?" -reply "Love"
  explain -rm RLHFlow/ArmoRM-Llama3-8B-v0.1 -prompt "What is the best thing ever?" -reply "Love"`

// flags are the program's own.
type flags struct {
	cli.PairFlags
	rm            cli.RMFlags
	prompt, reply string
	certify       bool
}

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("explain", purpose, examples)
	var o flags
	f.StringVar(&o.prompt, "prompt", "", "`text` of the prompt")
	f.StringVar(&o.reply, "reply", "", "`text` of the reply")
	f.BoolVar(&o.certify, "certify", false, "also compare both models' numbers with a computation in float64, on texts of its own: do the promised bounds hold here? Exit code 1 if not")
	o.Register(f)
	o.RegisterDevices(f)
	o.rm.RegisterRM(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := o.check(f); err != nil {
		return err
	}
	loader, err := o.Loader(stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	item := implicit.Item{Prompt: o.prompt, Reply: o.reply}
	if o.pair() {
		if err := o.explainPair(ctx, loader, item, stdout); err != nil {
			return err
		}
	}
	if o.rm.RM == "" {
		return nil
	}
	rm, err := loader.RM(ctx, &o.rm)
	if err != nil {
		return err
	}
	if o.pair() {
		fmt.Fprintln(stdout)
	}
	return explainRM(ctx, stdout, rm, item)
}

// pair reports whether a pair is to be explained.
func (o *flags) pair() bool { return o.Tuned != "" || o.Base != "" }

// check is a UsageError if a flag is missing or the flags do not fit together.
func (o *flags) check(f *cli.Flags) error {
	needed := []string{"prompt", "reply"}
	if o.rm.RM == "" || o.pair() {
		needed = []string{"tuned", "base", "prompt", "reply"}
	}
	if err := f.Need(needed...); err != nil {
		return err
	}
	if err := o.rm.Check(f); err != nil {
		return err
	}
	switch given := f.Given("tuned-as", "base-as", "base-bos"); {
	case o.certify && o.rm.RM != "":
		return cli.Usagef("-certify with -rm: what is promised are log-probabilities, of which a reward model has none, wanted -tuned and -base alone")
	case !o.pair() && given != "":
		return cli.Usagef("-%s without -tuned and -base, wanted them", given)
	case !o.pair():
		return o.CheckChat(f, o.rm.As)
	case o.rm.RM == "":
		return o.Check(f)
	}
	return o.Check(f, o.rm.As)
}

// explainPair prints how the pair scores an item.
func (o *flags) explainPair(ctx context.Context, loader *cli.Loader, item implicit.Item, stdout io.Writer) error {
	pair, err := o.Load(ctx, loader)
	if err != nil {
		return err
	}
	for r, err := range implicit.Rewards(ctx, pair.Policies(), slices.Values([]implicit.Item{item})) {
		if err = cmp.Or(err, r.Err); err != nil {
			return err
		}
		if err := explain(stdout, pair, r); err != nil {
			return err
		}
	}
	if o.certify {
		return certificates(ctx, stdout, pair.Tuned, pair.Base)
	}
	return nil
}

// certificates prints one of each model, and is an error where one does not hold.
func certificates(ctx context.Context, w io.Writer, models ...*cli.Model) error {
	var failed []string
	for i, m := range models {
		if i > 0 && m.Model == models[0].Model {
			continue // the same again
		}
		fmt.Fprintln(w)
		holds, err := cli.Certify(ctx, w, m.Name, m.Model)
		if err != nil {
			return err
		}
		if !holds {
			failed = append(failed, m.Name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("the promised bounds do not hold here for %s", strings.Join(failed, " and "))
	}
	return nil
}
