package train

import (
	"context"
	"fmt"

	"github.com/implicitreward/implicitreward/logprob"
)

// preferred is the objective of DPO, trl's sigmoid loss: with b = beta (ln p - ln p_ref) of a
// text's trained tokens, its implicit reward,
//
//	-ln sigmoid(b(chosen) - b(rejected))
type preferred struct{ beta float64 }

func (preferred) requests(e *sample) []logprob.Request {
	return []logprob.Request{e.texts[0].scored(), e.texts[1].scored()}
}

func (preferred) weight(*sample) float64 { return 1 }

func (p preferred) of(e *sample, out []logprob.Outputs, scale float64) (outcome, []logprob.Outputs) {
	chosen := p.beta * (sum(out[0].LogProbs) - e.reference[0])
	rejected := p.beta * (sum(out[1].LogProbs) - e.reference[1])
	margin := chosen - rejected
	d := scale * p.beta * sigmoid(-margin)
	return outcome{-logSigmoid(margin), []float64{chosen, rejected}}, []logprob.Outputs{
		{LogProbs: repeated(-d, len(out[0].LogProbs))},
		{LogProbs: repeated(d, len(out[1].LogProbs))},
	}
}

func (preferred) params() []*logprob.Param { return nil }

func (preferred) settle() {}

// refer sets the reference of samples: what the model says of their texts.
func refer(ctx context.Context, m logprob.LM, samples []*sample) error {
	var requests []logprob.Request
	for _, e := range samples {
		requests = append(requests, preferred{}.requests(e)...)
		e.reference = make([]float64, 2)
	}
	err := logprob.Collect(ctx, m, requests, func(i int, r logprob.Result) error {
		samples[i/2].reference[i%2] = r.Sum()
		return nil
	})
	if err != nil {
		return fmt.Errorf("the reference of dpo: %w", err)
	}
	return nil
}
