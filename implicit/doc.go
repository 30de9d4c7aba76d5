// Package implicit computes the implicit reward that turns one language model
// into another, per reply and per token, and over the vocabulary.
//
//	pair := implicit.Pair{Tuned: implicit.Chat(tuned, nil), Base: implicit.Raw(base)}
//	for r, err := range implicit.Rewards(ctx, pair, items) {
//		fmt.Println(r.Reply, r.LogRatio(), r.Err, err)
//	}
//
// # What it is
//
// A policy that maximises a reward r under a penalty of beta times its KL divergence
// from a base policy is
//
//	p_tuned(y|x) = p_base(y|x) exp(r(x,y)/beta) / Z(x)
//
// Solved for the reward (the identity behind DPO), with ln the natural logarithm,
//
//	r(x,y) = c(x) + beta (ln p_tuned(y|x) - ln p_base(y|x)),  c(x) = beta ln Z(x)
//
// So any two models have a reward between them, whether or not one was trained with
// one. Reward.LogRatio is the bracket, a sum over the reply's tokens; Reward.Value is
// beta times it; Reward.PerToken are the summands, and Reward.PerSpan are they on the
// pieces of text that two tokenizers have in common. Joined gives the same for all
// one-token replies at once, from tables of log-probabilities, and MWLR, the
// mean-weighted log-ratio
//
//	MWLR = ½ (p + q) (ln p − ln q)
//
// which does not let tokens that no model would ever say lead the list.
//
// Package words scores the entries of a corpus (package lexicon) in their surface forms and
// makes one number a word of them.
//
// # What to keep in mind
//
// c(x) is unknown. Rewards are comparable within one prompt only; what puts prompts
// together must work on ranks, on differences or on values centred within the prompt.
// Ranks depend on neither c nor beta > 0.
//
// Both models score the same text, each with its own tokens, and never token id
// against token id. After a chat header a reply begins without a space, after a raw
// prompt often with one: which form is scored is part of the question. The reply is
// scored as it stands, with no end of turn; "free" therefore includes "freedom", but for
// words.WholeWord.
//
// The sum is the likelihood ratio; the mean per token (MeanLogRatio) is another
// quantity. Longer replies have larger sums, of either sign.
//
// Join takes two tokens for the same when their decoded texts are. What decodes to
// U+FFFD is parts of characters, and of several tokens with one text only the
// likeliest counts: for two models of one vocabulary, JoinOptions.ByID loses none.
// The paper's code also loses the tokens that pandas reads as missing, "null" and
// "NA" among them; JoinOptions.DropNA does as it did.
//
// Where a model gives probability 0, ln is -Inf: log-ratio and MWLR are 0 where both
// do, and infinite where one does.
//
// The paper: Christian et al., "Reward Models Inherit Value Biases from Pretraining",
// ICLR 2026, arXiv:2601.20838.
package implicit
