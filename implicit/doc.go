// Package implicit computes implicit rewards: the reward function under which one language
// model is the optimal KL-regularised policy of another. It gives them for each reply, for
// each token or piece of text of a reply, and for every token of the vocabulary.
//
//	pair, err := implicit.Load(ctx, "org/tuned", "org/base", nil)
//	items := []implicit.Item{{Prompt: "What is the best thing ever?", Reply: "Love"}}
//	for r, err := range implicit.Rewards(ctx, pair, slices.Values(items)) {
//		fmt.Println(r.Reply, r.LogRatio(), r.Err, err)
//	}
//
// # Definition
//
// The policy that maximises a reward r under a penalty of beta times its KL divergence from
// a base policy is
//
//	p_tuned(y|x) = p_base(y|x) exp(r(x,y)/beta) / Z(x)
//
// Solved for the reward (the identity behind DPO; ln is the natural logarithm),
//
//	r(x,y) = c(x) + beta (ln p_tuned(y|x) - ln p_base(y|x)),  c(x) = beta ln Z(x)
//
// So any two models define a reward, whether or not the tuned one was trained with one.
//
// # Where to begin
//
// A Policy is a language model (logprob.LM) and the way it renders an item as tokens: Chat
// by its chat template, Raw as plain text. A Pair is a tuned and a base policy; Load makes
// one from two checkpoints.
//
// Rewards scores replies. Reward.LogRatio is the bracket above, a sum over the reply's
// tokens, and Reward.Value is beta times it. Reward.PerToken gives the summands,
// Reward.PerSpan their sums over the pieces of text that two tokenizers have in common.
//
// Join compares two tables of next-token log-probabilities (logprob.Table): the implicit
// reward of every one-token reply at once, and the mean-weighted log-ratio
//
//	MWLR = ½ (p + q) (ln p − ln q)
//
// which keeps tokens that neither model would say from leading the list.
//
// Package lexicon reads corpora of value words and prompts; package words makes one number
// of a word's surface forms, and is where a new measure goes; package preference reads
// preference data; package implicittest tests implementations. New model families, adapters
// and reward heads: see the package comment of logprob.
//
// # Limits
//
// c(x) is unknown, so rewards are comparable only within one prompt. Combine prompts by
// ranks, by differences or by values centred within each prompt. Ranks depend on neither c
// nor beta > 0.
//
// Both models score the same text, each with its own tokens; token ids are never compared.
// After a chat header a reply begins without a space, after a raw prompt often with one, so
// the surface form is part of the question. A reply is scored without an end of turn (but
// see Item.EndTurn): "free" includes "freedom", except for words.WholeWord.
//
// LogRatio is a log-likelihood ratio; the mean per token (MeanLogRatio) is another quantity.
// Longer replies have larger sums, of either sign.
//
// Join matches tokens by their decoded text. Parts of a character all decode to U+FFFD, and
// of several tokens with the same text only the likeliest counts; for two models of one
// vocabulary JoinOptions.ByID keeps them all. The paper's code also loses the tokens that
// pandas reads as missing, such as "null" and "NA"; JoinOptions.DropNA reproduces that.
//
// If a probability is 0, its logarithm is -Inf: log-ratio and MWLR are 0 if both
// probabilities are 0, and infinite if one is.
//
// The paper: Christian et al., "Reward Models Inherit Value Biases from Pretraining", ICLR
// 2026, arXiv:2601.20838.
package implicit
