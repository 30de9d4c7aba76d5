package train

import (
	"math"

	"github.com/implicitreward/implicitreward/logprob"
)

// sample is a row with what a task knows of it beforehand.
type sample struct {
	row
	reference []float64 // of dpo: ln p_ref of each text's tokens from text.from on, summed
}

// objective is what a task minimises: the sum of the losses of a step's rows, divided by the sum
// of their weights.
type objective interface {
	// requests are what is computed of a row's texts.
	requests(e *sample) []logprob.Request
	// weight is what a row counts: a pair 1, a text the number of its trained tokens.
	weight(e *sample) float64
	// of returns what the outputs of a row's texts amount to. Unless scale is 0 it also
	// returns the derivatives of scale times its loss with respect to them, and adds up those
	// with respect to params.
	of(e *sample, out []logprob.Outputs, scale float64) (outcome, []logprob.Outputs)
	// params are the parameters that are not the model's.
	params() []*logprob.Param
	// settle sets the gradients of params to what was added up, and begins anew.
	settle()
}

// outcome is what a row amounts to.
type outcome struct {
	loss    float64   // times the row's weight
	rewards []float64 // of pairs: of chosen and rejected
}

// logSigmoid is -ln(1+e^-x), without overflow: x for very negative x.
func logSigmoid(x float64) float64 { return min(x, 0) - math.Log1p(math.Exp(-math.Abs(x))) }

// sigmoid is 1/(1+e^-x), and the derivative of logSigmoid at -x.
func sigmoid(x float64) float64 {
	if e := math.Exp(-math.Abs(x)); x < 0 {
		return e / (1 + e)
	} else {
		return 1 / (1 + e)
	}
}

// sum adds up in order.
func sum(numbers []float64) (total float64) {
	for _, x := range numbers {
		total += x
	}
	return total
}

// repeated is n times the same number.
func repeated(x float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = x
	}
	return out
}

// scored requests the log-probabilities of the trained tokens of a text.
func (t text) scored() logprob.Request { return logprob.Request{IDs: t.ids, From: t.from} }
