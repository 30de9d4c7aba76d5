package main

import (
	"fmt"
	"io"
	"time"

	"github.com/implicitreward/implicitreward/implicit/train"
)

// stepEvery is how often a step is told, at most: every step of a large model, some of a small.
const stepEvery = time.Second

// steps tells how training goes: steps in lines of their own, and their speed.
type steps struct {
	w   io.Writer
	now func() time.Time

	any    bool      // a step has been computed
	last   time.Time // when a step was told
	tokens int64     // by then
}

// step tells of a step, unless another was told a moment ago.
func (s *steps) step(r train.Record) {
	now := s.now()
	since := now.Sub(s.last)
	if s.any && since < stepEvery {
		return
	}
	text := fmt.Sprintf("step %d: loss %.4f", r.Step, r.Loss)
	if r.Accuracy != nil {
		text += fmt.Sprintf(", accuracy %.3f", *r.Accuracy)
	}
	text += fmt.Sprintf(", gradients %.3g, lr %.3g, epoch %.2f", r.GradNorm, r.LR, r.Epoch)
	if s.any {
		text += fmt.Sprintf(", %.0f tokens/s", float64(r.Tokens-s.tokens)/since.Seconds())
	}
	fmt.Fprintln(s.w, text)
	s.any, s.last, s.tokens = true, now, r.Tokens
}

// saved tells of a checkpoint.
func (s *steps) saved(_ int, dir string) error {
	_, err := fmt.Fprintf(s.w, "%s saved\n", dir)
	return err
}
