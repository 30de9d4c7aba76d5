package train

import (
	"github.com/implicitreward/implicitreward/logprob"
)

// grmBeta is the factor of ln p in GRM's text regulariser ("sft_only", "reference_free" of
// grm_reward_trainer.py).
const grmBeta = 0.1

// bradleyTerry is the objective of Reward: with r = score.weight . h of a text's last token,
// rc of chosen and rr of rejected,
//
//	(1-w) (-ln sigmoid(rc - rr - margin)) + w (-ln sigmoid(0.1 ln p(chosen))) + c (rc + rr)^2
//
// w being Options.SFT and c Options.Center (trl RewardTrainer.compute_loss, and GRM's).
type bradleyTerry struct {
	center, sft float64

	score *logprob.Param // [1 D]
	grad  []float64      // the gradient of score before it is rounded
}

func newBradleyTerry(o *Options, score *logprob.Param) *bradleyTerry {
	return &bradleyTerry{center: o.Center, sft: o.SFT, score: score, grad: make([]float64, len(score.Value))}
}

func (b *bradleyTerry) requests(e *sample) []logprob.Request {
	out := make([]logprob.Request, 2)
	for i, t := range e.texts {
		n := len(t.ids)
		out[i] = logprob.Request{IDs: t.ids, From: n, States: []int{n - 1}}
	}
	if b.sft > 0 {
		out[0].From = e.texts[0].from
	}
	return out
}

func (*bradleyTerry) weight(*sample) float64 { return 1 }

func (b *bradleyTerry) of(e *sample, out []logprob.Outputs, scale float64) (outcome, []logprob.Outputs) {
	rewards := []float64{b.reward(out[0]), b.reward(out[1])}
	x, total := rewards[0]-rewards[1]-e.margin, rewards[0]+rewards[1]
	loss := (1 - b.sft) * -logSigmoid(x)
	loss += b.center * total * total
	adjoints := make([]logprob.Outputs, 2)
	if b.sft > 0 {
		y := grmBeta * sum(out[0].LogProbs)
		loss += b.sft * -logSigmoid(y)
		adjoints[0].LogProbs = repeated(-scale*b.sft*grmBeta*sigmoid(-y), len(out[0].LogProbs))
	}
	if scale != 0 {
		d := (1 - b.sft) * sigmoid(-x)
		centre := 2 * b.center * total
		adjoints[0].States = b.back(out[0], scale*(centre-d))
		adjoints[1].States = b.back(out[1], scale*(centre+d))
	}
	return outcome{loss, rewards}, adjoints
}

// reward is the product of the score row with a text's last state.
func (b *bradleyTerry) reward(out logprob.Outputs) (r float64) {
	for i, h := range out.States[0] {
		r += float64(b.score.Value[i]) * h
	}
	return r
}

// back takes a derivative with respect to a reward back to the score row and the state.
func (b *bradleyTerry) back(out logprob.Outputs, d float64) [][]float64 {
	state := make([]float64, len(b.grad))
	for i, h := range out.States[0] {
		b.grad[i] += d * h
		state[i] = d * float64(b.score.Value[i])
	}
	return [][]float64{state}
}

func (b *bradleyTerry) params() []*logprob.Param { return []*logprob.Param{b.score} }

func (b *bradleyTerry) settle() {
	for i, g := range b.grad {
		b.score.Grad[i] = float32(g)
	}
	clear(b.grad)
}
