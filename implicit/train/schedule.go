package train

import (
	"fmt"
	"math"
)

// schedule is the learning rate over a run, as get_constant_schedule_with_warmup,
// get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup of transformers have it.
// With warm-up the first update's is 0.
type schedule struct {
	kind          string // constant, linear or cosine
	peak          float64
	warmup, steps int
}

// newSchedule makes the schedule of the options for a number of steps.
func newSchedule(o *Options, steps int) (schedule, error) {
	s := schedule{o.Schedule, o.LR, int(math.Ceil(o.Warmup * float64(steps))), steps}
	switch s.kind {
	case "constant", "linear", "cosine":
		return s, nil
	}
	return s, fmt.Errorf("schedule %q, wanted constant, linear or cosine", s.kind)
}

// rate is the learning rate of a step, from 1.
func (s schedule) rate(step int) float64 {
	done := step - 1
	if done < s.warmup {
		return s.peak * (float64(done) / float64(max(1, s.warmup)))
	}
	rest := float64(max(1, s.steps-s.warmup))
	switch s.kind {
	case "linear":
		return s.peak * max(0, float64(s.steps-done)/rest)
	case "cosine":
		return s.peak * max(0, 0.5*(1+math.Cos(math.Pi*(float64(done-s.warmup)/rest))))
	}
	return s.peak
}
