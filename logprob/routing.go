package logprob

import (
	"fmt"
	"math"
)

// Routing is how close the choices of a model's routers were: at each token of each mixture of
// experts, the gap between the last logit that was chosen and the first that was not. Where it is
// no larger than what rounding does to a logit, other arithmetic (another machine, backend or
// batch) would have chosen another expert, and the log-probabilities after that token may be
// others, by far more than by rounding.
type Routing struct {
	Choices  int64   // tokens times mixtures that were computed; of what a cache knew there are none
	Close    int64   // those with a gap of at most Noise
	Smallest float64 // gap; +Inf before the first choice
	Noise    float64 // about what rounding does to a logit: 1e-5, or 0.02 where operands are rounded to bfloat16
}

// Routing is how close the choices have been since the model was loaded. Of a model without
// mixtures of experts there are none.
func (m *Model) Routing() Routing {
	if m.engine == nil {
		return Routing{Smallest: math.Inf(1)}
	}
	return Routing(m.engine.Routing())
}

// Doubt says that some choices were close, nil where none was.
func (r Routing) Doubt() error {
	if r.Close == 0 {
		return nil
	}
	return fmt.Errorf("logprob: %d of %d choices of experts were made by a gap of at most %g between two logits of a router (the smallest is %.2g): other arithmetic may choose otherwise, and give other numbers",
		r.Close, r.Choices, r.Noise, r.Smallest)
}
