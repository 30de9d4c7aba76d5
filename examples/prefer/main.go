// Prefer measures how often a pair of models prefers the reply that people preferred: the
// accuracy of their implicit reward on a file of preferences, as RewardBench has them.
//
//	prefer -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M -data rewardbench.parquet -out margins.csv
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
)

func main() { cli.Main("prefer", run) }

const purpose = `counts how often the implicit reward of a pair of models, ln p_tuned(reply | conversation) -
ln p_base(reply | conversation), is greater for the reply that was chosen than for the one that
was rejected. The file is JSON Lines, a JSON array (each also with gzip) or Parquet, a pair a
line or row, as RewardBench, TRL, hh-rlhf, UltraFeedback and LLaMA-Factory have them:

  chosen, rejected   the two replies: text; a message; messages that end with the reply; a
                     transcript "\n\nHuman: ... \n\nAssistant: ..."; or lists of replies, of
                     which the best chosen one must beat all that were rejected (RewardBench 2)
  prompt             the user's text, or the messages so far, the user's last (or question,
                     instruction and input, messages, conversations); not needed where the
                     messages of chosen and rejected hold the conversation
  system             text before it, or not there
  subset, id         text, or not there

A message is {"role", "content"} or {"from", "value"}; its other members (reasoning_content)
go to the chat template, which must read them. A line that is none of this, or cannot be
scored, is refused by itself, with its reason; the program then ends with exit code 3.

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
than a model's context, or that cannot be rendered, is refused as a whole. A run that was
stopped goes on where it was when the same command with -out is started again.`

const examples = `  prefer -tuned google/gemma-2-2b-it -base google/gemma-2-2b -data pairs.jsonl
  prefer -tuned ./tuned -base ./base -data filtered.parquet -out margins.csv -json
  prefer -tuned ./tuned -data - < pairs.jsonl`

// flags are the program's own.
type flags struct {
	tuned, base, tunedAs, baseAs, data, out string
	file                                    output.File
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
	f.StringVar(&o.data, "data", "", "`file` of preferences, JSON or Parquet; - for standard input")
	f.StringVar(&o.out, "out", "", "`file` for the margins of each pair, .csv or .jsonl")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	force := f.Force()
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
		o.file = output.File{Path: o.out, Force: *force}
		if err := output.Check(o.file); err != nil {
			return err
		}
	}
	rows, hash, err := o.read(ctx, stdin)
	if err != nil {
		return err
	}
	return o.prefer(ctx, rows, hash, stdout, stderr)
}

// name is what errors call the data.
func (o *flags) name() string {
	if o.data == "-" {
		return "standard input"
	}
	return o.data
}

// read reads the file of preferences, and its sha256.
func (o *flags) read(ctx context.Context, stdin io.Reader) (rows []preference.Row, hash string, err error) {
	in := stdin
	if o.data != "-" {
		f, _, err := regular.Open(o.data, regular.Scores)
		if err != nil {
			return nil, "", fmt.Errorf("data: %w", err)
		}
		defer f.Close()
		in = f
	}
	sum := sha256.New()
	in = io.TeeReader(regular.Limit(in, regular.Scores), sum)
	for row, err := range preference.Read(ctx, in) {
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", o.name(), err)
		}
		rows = append(rows, row)
	}
	_, err = io.Copy(io.Discard, in) // what stands after the last row
	return rows, hex.EncodeToString(sum.Sum(nil)), err
}

// prefer scores the rows and writes what there is to say of them.
func (o *flags) prefer(ctx context.Context, rows []preference.Row, hash string, stdout, stderr io.Writer) error {
	out := o.out
	if out == "" {
		out = "-" // nothing to resume
	}
	loader, err := o.models.LoaderFor(out, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	r := report{reference: o.base != ""}
	pair, err := o.load(ctx, loader, &r.Meta)
	if err != nil {
		return err
	}
	r.Meta.Data = hash

	progress := cli.NewProgress(stderr, "scoring", false)
	defer progress.Done()
	replies, passes := 0, 1
	if r.reference {
		passes = 2
	}
	for _, row := range rows {
		replies += len(row.Chosen) + len(row.Rejected)
	}
	loader.Watch(progress, replies, passes)
	for s, err := range preference.Score(ctx, pair, each(rows)) {
		if err != nil {
			return err
		}
		r.rows = append(r.rows, s)
	}
	progress.Done()

	r.Summary = preference.Summarize(r.rows, r.reference)
	if r.All.Pairs == 0 {
		if err := loader.Complete(); err != nil { // no other run would come further
			return err
		}
		return fmt.Errorf("%s: none of the %d pairs could be scored; the first: %d: %v", o.name(), len(r.rows), r.rows[0].Number, r.rows[0].Err)
	}
	if o.out != "" {
		if err := o.file.WriteWithMeta(r.rowsTo(o.out), r.Meta.writeJSON); err != nil {
			return err
		}
		if err := loader.Complete(); err != nil {
			return err
		}
	}
	r.tell(stderr)
	write := r.writeTable
	if o.json {
		write = r.writeJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	if r.All.Refused > 0 {
		return cli.Incompletef("%s: %d of %d pairs refused", o.name(), r.All.Refused, len(r.rows))
	}
	return nil
}

func each(rows []preference.Row) iter.Seq2[preference.Row, error] {
	return func(yield func(preference.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}
