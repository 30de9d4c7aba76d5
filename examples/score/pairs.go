package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// pairsRun scores a JSON Lines file of pairs line by line: each object comes back with its
// results, or as a record of inspect_ai.
type pairsRun struct {
	inspect bool
	name    string   // of the input, in errors
	added   []string // members of an answer
	answers func(ctx context.Context, items iter.Seq[implicit.Item], take func(int) question) iter.Seq2[outcome, error]
	tally   tally
	stderr  io.Writer
}

// outcome is what became of a pair: the line to write, or why it was refused.
type outcome struct {
	question
	answer []byte // without its line end
	reason string // "" unless it was refused
	short  string // the reason without the reply, which may be long
}

func scorePairs(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	format, err := cli.OutputFormat(o.out, o.format, [2]string{"jsonl", ".jsonl"}, [2]string{"inspect", ".jsonl"})
	if err != nil {
		return err
	}
	file := output.File{Path: o.out, Force: o.force}
	if o.out != "-" {
		if err := cli.RefuseOverwrite(o.out, o.pairs); err != nil {
			return err
		}
		if err := output.Check(file); err != nil {
			return err
		}
	}
	r := &pairsRun{inspect: format == "inspect", name: "standard input", stderr: stderr}
	in := stdin
	if o.pairs != "-" {
		f, _, err := regular.Open(o.pairs, 0) // read line by line
		if err != nil {
			return fmt.Errorf("pairs: %w", err)
		}
		defer f.Close()
		in, r.name = f, o.pairs
	}
	open := r.openPair
	if o.rm.RM != "" {
		open = r.openRM
	}
	loader, provenance, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer loader.Close()
	write := func(w io.Writer) error { return r.write(ctx, in, w) }
	if o.out == "-" {
		err = write(stdout)
	} else if err = file.WriteWithMeta(write, provenance); err == nil || r.tally.scored == 0 && r.tally.refused > 0 {
		err = errors.Join(err, loader.DiscardJournal()) // no other run would come further
	}
	if err == nil && r.tally.refused > 0 {
		err = cli.Incompletef("%s: %d of %d pairs refused", r.name, r.tally.refused, r.tally.scored+r.tally.refused)
	}
	return err
}

// openPair loads the two models, and returns how the output's provenance is written.
func (r *pairsRun) openPair(ctx context.Context, o *flags) (*cli.Loader, func(io.Writer) error, error) {
	loader, models, err := o.Open(ctx, o.out, r.stderr)
	if err != nil {
		return nil, nil, err
	}
	meta := words.Provenance{Beta: o.Beta}
	if meta.Tuned, meta.Base, err = models.Meta(ctx); err != nil {
		loader.Close()
		return nil, nil, err
	}
	pair := models.Policies()
	r.added = []string{"tuned", "base", "reward", "per_token", "per_span", "flags", "error"}
	r.answers = func(ctx context.Context, items iter.Seq[implicit.Item], take func(int) question) iter.Seq2[outcome, error] {
		return func(yield func(outcome, error) bool) {
			for reward, err := range implicit.Rewards(ctx, pair, items) {
				if err != nil {
					yield(outcome{}, err)
					return
				}
				u := outcome{question: take(reward.Index)}
				switch {
				case reward.Err != nil:
					u.refuse(reward.Item, reward.Err)
				case r.inspect:
					u.answer, u.reason = u.sample.record(reward)
				default:
					u.answer, err = answer(u.object, reward, pair)
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}
	return loader, meta.WriteJSON, nil
}

// refuse says why an item could not be scored.
func (u *outcome) refuse(item implicit.Item, err error) {
	bad, _ := errors.AsType[*implicit.ItemError](err)
	switch {
	case item.Err != nil:
		u.reason = item.Err.Error()
	case bad == nil:
		u.reason = err.Error()
	default:
		u.reason, u.short = bad.Error(), bad.Cause().Error()
		if bad.Model == "" {
			u.short = "reply: " + u.short
		}
	}
}

// write scores the pairs and writes the answers.
func (r *pairsRun) write(ctx context.Context, in io.Reader, w io.Writer) error {
	b := bufio.NewWriter(w)
	lines := &pairReader{lines: cli.Lines(ctx, in, r.name), added: r.added, pending: map[int]question{}}
	if r.inspect {
		lines.samples = &samples{seen: map[string]int{}}
	}
	for u, err := range r.answers(ctx, lines.items, lines.take) {
		if err != nil {
			return err
		}
		if _, err := b.Write(r.line(u)); err != nil {
			return err
		}
	}
	if lines.err != nil {
		return lines.err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	switch t := &r.tally; {
	case t.refused == 0 && t.scored == 0:
		return fmt.Errorf("%s: empty, wanted lines {\"prompt\": ..., \"reply\": ...}", r.name)
	case t.scored == 0:
		return fmt.Errorf("%s: none of the %d pairs could be scored; the first: %s", r.name, t.refused, t.reasons[0])
	}
	r.tally.print(r.stderr, r.inspect)
	return nil
}

// line is the output for a pair, none for one that was refused and would be a record.
func (r *pairsRun) line(u outcome) []byte {
	if u.reason == "" {
		r.tally.scored++
		return append(u.answer, '\n')
	}
	r.tally.refuse(u.question, cmp.Or(u.short, u.reason))
	if r.inspect {
		return nil
	}
	return append(appendField(u.object, "error", u.reason), "}\n"...)
}
