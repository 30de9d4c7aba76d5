package train

import "github.com/implicitreward/implicitreward/logprob"

// likelihood is the objective of SFT and LM: -ln p of the trained tokens, whose mean over all of
// a step's is the loss, as transformers has it since it counts num_items_in_batch.
type likelihood struct{}

func (likelihood) requests(e *sample) []logprob.Request {
	out := make([]logprob.Request, len(e.texts))
	for i, t := range e.texts {
		out[i] = t.scored()
	}
	return out
}

func (likelihood) weight(e *sample) (n float64) {
	for _, t := range e.texts {
		n += float64(len(t.ids) - t.from)
	}
	return n
}

func (likelihood) of(_ *sample, out []logprob.Outputs, scale float64) (outcome, []logprob.Outputs) {
	var o outcome
	adjoints := make([]logprob.Outputs, len(out))
	for i, text := range out {
		o.loss -= sum(text.LogProbs)
		adjoints[i].LogProbs = repeated(-scale, len(text.LogProbs))
	}
	return o, adjoints
}

func (likelihood) params() []*logprob.Param { return nil }

func (likelihood) settle() {}
