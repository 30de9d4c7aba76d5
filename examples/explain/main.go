// Explain shows how one reply is scored: the texts that the models read, the tokens,
// where the reply begins, and what each token adds to the reward.
//
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
the reply differently, it goes by the pieces that are whole tokens in both.`

const examples = `  explain -tuned google/gemma-2-2b-it -base google/gemma-2-2b -prompt "What is the best thing ever?" -reply "Love"`

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("explain", purpose, examples)
	var models cli.PairFlags
	prompt := f.String("prompt", "", "`text` of the prompt")
	reply := f.String("reply", "", "`text` of the reply")
	certify := f.Bool("certify", false, "also compare both models' numbers with a computation in float64, on texts of its own: do the promised bounds hold here? Exit code 1 if not")
	models.Register(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := f.Need("tuned", "base", "prompt", "reply"); err != nil {
		return err
	}
	if err := models.Check(f); err != nil {
		return err
	}
	loader, pair, err := models.Open(ctx, "-", stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	item := implicit.Item{Prompt: *prompt, Reply: *reply}
	for r, err := range implicit.Rewards(ctx, pair.Policies(), slices.Values([]implicit.Item{item})) {
		if err = cmp.Or(err, r.Err); err != nil {
			return err
		}
		if err := explain(stdout, pair, r); err != nil {
			return err
		}
	}
	if *certify {
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
