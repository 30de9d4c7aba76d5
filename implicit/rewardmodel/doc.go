// Package rewardmodel scores replies with explicit reward models: checkpoints whose head maps
// a hidden state to numbers, such as transformers' ForSequenceClassification.
//
//	m, err := rewardmodel.Load(ctx, "Skywork/Skywork-Reward-Gemma-2-27B-v0.2", nil)
//	for s, err := range rewardmodel.Scores(ctx, m, items) {
//		fmt.Println(s.Reply, s.Reward)
//	}
//
// The transformer runs in the same engine as a language model's (package logprob), so that
// prompts are computed once for all their replies; the head is computed in float64 from the
// final hidden states, after the model's last norm. Rewards are in the head's own unit: two
// reward models' numbers are comparable by rank alone.
package rewardmodel
