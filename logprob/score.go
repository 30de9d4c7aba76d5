package logprob

import "math"

// Score is what a model says of one reply.
type Result struct {
	// LogProb[i] = ln p(reply[i] | prompt, reply[:i]), one a reply token; -Inf where
	// the model gives the token probability 0.
	LogProbs []float32
	// Greedy says that every reply token was the likeliest at its place, so that
	// greedy decoding would have written this reply.
	Greedy bool
	// End = ln sum_v p(v | prompt, reply) over the tokens v that ScoreEnds was given:
	// of the probability that the reply is over, its last word finished. 0 where it
	// was not asked for.
	Within float32
}

// Sum returns ln p(reply | prompt) = sum_i LogProb[i], added in float64. It is 0, ln
// 1, for a reply of no tokens.
func (s Result) Sum() float64 {
	sum := 0.0
	for _, v := range s.LogProbs {
		sum += float64(v)
	}
	return sum
}

// Mean returns Sum()/n, nats per token of the reply as this model's tokenizer cuts
// it, so two models' means are comparable only where both cut alike; NaN for a reply
// of no tokens.
func (s Result) Mean() float64 {
	if len(s.LogProbs) == 0 {
		return math.NaN()
	}
	return s.Sum() / float64(len(s.LogProbs))
}
