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
//
// # Heads
//
// A head is told by its tensors, and every tensor beside the transformer is used or is an
// error, so that no part of a head is missed.
//
//	linear   score, v_head, v_head.summary, value_head, regression_head, score_head, or the
//	         name that value_head_prefix has: W h + b, one output or several labels
//	mlp      the same names with .0, .2 ...: linear layers with ReLU between them
//	armorm   regression_layer, reward_transform_matrix and gating: objectives that a gate weighs
//	qrm      the same, where each objective is the mean of its quantiles
//	urm      score and weights.fc: means and spreads, the means weighed by an MLP
//	token    a row of lm_head: the logit of one token, only where Options.Output is token=ID
//
// With one output that is the reward; of several labels Options.Output names one, and armorm,
// qrm and urm combine theirs: Reward is the sum of Outputs times Weights.
//
// # What a head reads
//
// The state of the text's last token. transformers looks for a pad token instead (see
// Pooling), which gives another one where the pad token stands in the text: such texts have
// FlagPooling. The gate of armorm and qrm reads the state at the first token of what the
// template writes between the last user message and the reply, as encoded by the checkpoint's
// own tokenizer; a text without it is an error.
//
// # What a model reads
//
// The conversation with the reply as the assistant's message, by the chat template without a
// generation prompt (tokenize.Tokenizer.Transcript), or prompt and reply as plain text
// (Options.Raw). How many BOS begin it differs from model to model, and was a matter of how
// its authors trained: GRM two, FsfairX none, ArmoRM, QRM and Nemotron what the template
// writes, Skywork one. BOSAuto takes what is known of the model by its hub id, that of its
// folder in the hub's cache, or the name of its folder; else the template's for heads of kind
// armorm, qrm and token; else one, if the tokenizer puts any before a text. Model.Chosen says
// what was chosen and why, and Meta records it.
package rewardmodel
