package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/train"
)

// report says on w what was trained and how it went.
func report(w io.Writer, o *flags, s *train.Summary, log, held []train.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s from %s, %d rows of %s, %d steps, %d tokens\n", o.Out, o.Task, o.model, s.Rows.Rows, o.file, s.Steps, s.Tokens)
	if o.LoRA == nil {
		b.WriteString("trained: all weights\n")
	} else {
		targets := "the layers of attention"
		if o.LoRA.Targets != nil {
			targets = strings.Join(o.LoRA.Targets, ", ")
		}
		fmt.Fprintf(&b, "trained: LoRA of rank %d, alpha %g, on %s\n", o.LoRA.R, o.LoRA.Alpha, targets)
	}
	if n := len(log); n > 0 {
		change(&b, "step", log[0], log[n-1])
	}
	if n := len(held); n > 0 {
		change(&b, "held-out rows at step", held[0], held[n-1])
	}
	fmt.Fprintf(&b, "checkpoints: %s\n", strings.Trim(fmt.Sprint(s.Checkpoints), "[]"))
	if o.corpus != "" {
		fmt.Fprintf(&b, "words: %s\n", o.Out+"/words")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// change writes what became of the numbers of a record from the first to the last.
func change(b *strings.Builder, what string, first, last train.Record) {
	fmt.Fprintf(b, "%s %d, then %d: loss %.4f, then %.4f", what, first.Step, last.Step, first.Loss, last.Loss)
	for _, of := range []struct {
		name      string
		was, came *float64
	}{{"accuracy", first.Accuracy, last.Accuracy}, {"margin", first.Margin, last.Margin}} {
		if of.was != nil && of.came != nil {
			fmt.Fprintf(b, "; %s %.3f, then %.3f", of.name, *of.was, *of.came)
		}
	}
	b.WriteString("\n")
}
