// Prefer measures how often a pair of models prefers the reply that people preferred: the
// accuracy of their implicit reward on a file of preferences, as RewardBench has them.
//
//	prefer -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M -data rewardbench.parquet -out margins.csv
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
)

func main() { cli.Main("prefer", run) }

const purpose = `counts how often the implicit reward of a pair of models, ln p_tuned(reply | conversation) -
ln p_base(reply | conversation), is greater for the reply that was chosen than for the one that
was rejected. The file holds one pair a line (JSON Lines) or row (Parquet), as RewardBench does:

  prompt             text, the user's only message; or the messages so far, [{"role", "content"} ...],
                     the user's last
  chosen, rejected   the two replies: text, or messages that end with the reply; where more than
                     that is in them, it is the conversation, and there need be no prompt
  subset, id         text, or not there

It prints, for each subset and all together, the share of pairs with the greater value for the
chosen reply, a tie counting as half, and Wilson's 95 % interval, by each of

  reward     the implicit reward: a sum over the reply's tokens
  reward_per_token, reward_per_byte      the same by length: other quantities, whose
             differences do not depend on how long the replies are
  tuned, tuned_per_token, tuned_per_byte ln p_tuned alone, without a reference: all that is
             printed without -base

A conversation is rendered once, by the tuned model's chat template, up to where the
assistant's reply begins; the base model reads the same text (-base-as same). The reply is
scored as it stands, without an end of turn. Nothing is cut: a pair of which a text is longer
than a model's context, or that cannot be rendered, is refused as a whole, with the reason,
and counted. A run that was stopped goes on where it was when the same command with -out is
started again.`

const examples = `  prefer -tuned google/gemma-2-2b-it -base google/gemma-2-2b -data pairs.jsonl
  prefer -tuned ./tuned -base ./base -data filtered.parquet -out margins.csv -json
  prefer -tuned ./tuned -data - < pairs.jsonl`

// flags are the program's own.
type flags struct {
	tuned, base, tunedAs, baseAs, data, out string
	json                                    bool
	models                                  cli.ModelFlags
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("prefer", purpose, examples)
	var o flags
	f.StringVar(&o.tuned, "tuned", "", "tuned `model`: a folder, or org/name[@revision] on the hub")
	f.StringVar(&o.base, "base", "", "base `model`, likewise, as the reference; without it the tuned model is measured alone")
	f.StringVar(&o.tunedAs, "tuned-as", "chat", "`rendering` of a conversation for the tuned model: chat, by its template, or raw, the user's only message as it stands")
	f.StringVar(&o.baseAs, "base-as", "same", "`rendering` for the base model: same, as the tuned model's; chat, by a template of its own; or raw")
	f.StringVar(&o.data, "data", "", "`file` of preferences, JSON Lines or Parquet; - for JSON Lines from standard input")
	f.StringVar(&o.out, "out", "", "`file` for the margins of each pair, .csv or .jsonl")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	o.models.Register(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := f.Need("tuned", "data"); err != nil {
		return err
	}
	if err := cli.CheckRendering("tuned-as", o.tunedAs); err != nil {
		return err
	}
	if !slices.Contains([]string{"same", "chat", "raw"}, o.baseAs) {
		return cli.Usagef("-base-as %q, wanted same, chat or raw", o.baseAs)
	}
	if o.base == "" && f.Given("base-as") != "" {
		return cli.Usagef("-base-as without -base, wanted both")
	}
	if err := o.models.CheckChat(f, o.tunedAs, o.baseAs); err != nil {
		return err
	}
	if o.out != "" {
		if err := cli.CheckOutput(o.out, ".csv", ".jsonl"); err != nil {
			return err
		}
		if err := cli.CheckApart(o.out, o.data); err != nil {
			return err
		}
	}
	list, hash, err := read(ctx, o.data, stdin)
	if err != nil {
		return err
	}
	return prefer(ctx, &o, list, hash, stdout, stderr)
}

// prefer scores the pairs and writes what there is to say of them.
func prefer(ctx context.Context, o *flags, list []pair, hash string, stdout, stderr io.Writer) error {
	out := o.out
	if out == "" {
		out = "-" // nothing to resume
	}
	loader, err := o.models.LoaderFor(out, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	tuned, base, meta, err := o.load(ctx, loader)
	if err != nil {
		return err
	}
	meta.Data = hash

	progress := cli.NewProgress(stderr, "scoring", false)
	defer progress.Done()
	passes := 2
	if o.base == "" {
		passes = 1
	}
	loader.Watch(progress, 2*count(list), passes)
	if err := score(ctx, tuned, base, list); err != nil {
		return err
	}
	progress.Done()

	r := summarize(list, o.base != "")
	r.Meta = meta
	if r.All.Pairs == 0 {
		if err := loader.Complete(); err != nil { // no other run would come further
			return err
		}
		return fmt.Errorf("%s: none of the %d pairs could be scored; the first: %s", dataName(o.data), len(list), list[0].refused)
	}
	if o.out != "" {
		write := func(w io.Writer) error { return writeCSV(w, list, o.base != "") }
		if strings.HasSuffix(o.out, ".jsonl") {
			write = func(w io.Writer) error { return writeJSONL(w, list, o.base != "") }
		}
		if err := cli.WriteWithMeta(o.out, write, meta.writeJSON); err != nil {
			return err
		}
		if err := loader.Complete(); err != nil {
			return err
		}
	}
	tell(stderr, list)
	if o.json {
		return r.writeJSON(stdout)
	}
	return r.writeTable(stdout)
}

// load loads the models. Without a base model the base policy gives every reply
// probability 1, so that the reward is ln p_tuned.
func (o *flags) load(ctx context.Context, loader *cli.Loader) (tuned, base implicit.Policy, m meta, err error) {
	t, err := loader.Load(ctx, o.tuned)
	if err != nil {
		return
	}
	chat, err := loader.Reads(t, o.tuned, "tuned-as", o.tunedAs)
	if err != nil {
		return
	}
	tuned = policy(t, o.tunedAs, chat)
	if m.Tuned, err = describe(ctx, loader, t, o.tuned, "tuned-as", o.tunedAs); err != nil {
		return
	}
	if o.base == "" {
		return tuned, implicit.Policy{Scorer: certain{}, Encode: tuned.Encode}, m, nil
	}
	b, err := loader.Load(ctx, o.base)
	if err != nil {
		return
	}
	as, template := o.baseAs, ""
	if as == "same" {
		if as = o.tunedAs; as == "chat" {
			if template = chat.Template; template == "" {
				template = t.Tokenizer().Template()
			}
		}
	}
	if chat, err = loader.ReadsAs(b, o.base, "base-as", as, template); err != nil {
		return
	}
	base = policy(b, as, chat)
	described, err := describe(ctx, loader, b, o.base, "base-as", as)
	if template != "" {
		described.Rendering = "chat, by the tuned model's template"
	}
	m.Base = &described
	return tuned, base, m, err
}

func describe(ctx context.Context, loader *cli.Loader, m *logprob.Model, name, flag, as string) (logprob.Meta, error) {
	d, err := m.Meta(ctx)
	d.Model = name
	loader.Describe(&d, m, flag, as)
	return d, err
}

// score fills in the scores of all pairs that are not refused, and refuses those that
// cannot be scored.
func score(ctx context.Context, tuned, base implicit.Policy, list []pair) error {
	items := func(yield func(implicit.Item) bool) {
		for i := range list {
			p := &list[i]
			if p.conversation == "" {
				continue
			}
			for _, reply := range p.replies {
				if !yield(implicit.Item{Prompt: p.conversation, Reply: reply}) {
					return
				}
			}
		}
	}
	i, side := -1, 1
	for r, err := range implicit.Rewards(ctx, tuned, base, items) {
		var bad *implicit.ItemError
		if err != nil && !errors.As(err, &bad) {
			return err
		}
		if side = 1 - side; side == 0 {
			for i++; list[i].conversation == ""; i++ { // as items skips them
			}
		}
		p := &list[i]
		switch {
		case bad == nil:
			p.scored[side] = r
		case p.refused == "" && bad.Model == "":
			p.refused = fmt.Sprintf("%s: %v", sides[side], bad.Err)
		case p.refused == "":
			p.refused = fmt.Sprintf("%s: %s model: %v", sides[side], bad.Model, bad.Err)
		}
	}
	return nil
}
