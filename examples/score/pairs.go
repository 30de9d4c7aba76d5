package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

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
	name    string // of the input, in errors
	pair    implicit.Pair
	tally   tally
	stderr  io.Writer
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
	loader, pair, err := o.Open(ctx, o.out, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	r.pair = pair.Policies()
	meta := words.Provenance{Beta: o.Beta}
	if meta.Tuned, meta.Base, err = pair.Meta(ctx); err != nil {
		return err
	}
	write := func(w io.Writer) error { return r.write(ctx, in, w) }
	if o.out == "-" {
		err = write(stdout)
	} else if err = file.WriteWithMeta(write, meta.WriteJSON); err == nil || r.tally.scored == 0 && r.tally.refused > 0 {
		err = errors.Join(err, loader.DiscardJournal()) // no other run would come further
	}
	if err == nil && r.tally.refused > 0 {
		err = cli.Incompletef("%s: %d of %d pairs refused", r.name, r.tally.refused, r.tally.scored+r.tally.refused)
	}
	return err
}

// write scores the pairs and writes the answers.
func (r *pairsRun) write(ctx context.Context, in io.Reader, w io.Writer) error {
	b := bufio.NewWriter(w)
	lines := &pairReader{lines: cli.Lines(ctx, in, r.name), pending: map[int]question{}}
	if r.inspect {
		lines.samples = &samples{seen: map[string]int{}}
	}
	for reward, err := range implicit.Rewards(ctx, r.pair, lines.items) {
		if err != nil {
			return err
		}
		line, err := r.line(lines.take(reward.Index), reward)
		if err != nil {
			return err
		}
		if _, err := b.Write(line); err != nil {
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
func (r *pairsRun) line(q question, reward implicit.Reward) (line []byte, err error) {
	reason, short := "", "" // why it was refused, without the reply, which may be long
	bad, _ := errors.AsType[*implicit.ItemError](reward.Err)
	switch {
	case reward.Item.Err != nil:
		reason = reward.Item.Err.Error()
	case bad != nil:
		reason, short = bad.Error(), bad.Cause().Error()
		if bad.Model == "" {
			short = "reply: " + short
		}
	case r.inspect:
		line, reason = q.sample.record(reward)
	default:
		line, err = answer(q.object, reward, r.pair)
	}
	switch {
	case err != nil:
		return nil, err
	case reason == "":
		r.tally.scored++
		return append(line, '\n'), nil
	}
	if short == "" {
		short = reason
	}
	r.tally.refuse(q, short)
	if r.inspect {
		return nil, nil
	}
	return append(appendField(q.object, "error", reason), "}\n"...), nil
}
