// Package train trains reward models and policies, so that what happens to values from a base
// model to the reward model made of it can be measured checkpoint by checkpoint.
//
//	data, err := train.Read(ctx, file, train.Reward)
//	summary, err := train.Run(ctx, data, train.Options{Task: train.Reward, Model: "base", Out: "rm", LoRA: &train.LoRA{}})
//
// # Tasks
//
//	reward  Bradley-Terry on pairs: -ln sigmoid(r(chosen) - r(rejected) - margin), where r is
//	        score.weight . h of the text's last token, as rewardmodel scores it
//	dpo     -ln sigmoid(b(chosen) - b(rejected)), b = beta (ln p(y|x) - ln p_ref(y|x)): the
//	        implicit reward of the policy against the model that training began with
//	sft     -ln p a token, of the reply where rows have a prompt, else of the whole text
//	lm      the same from random weights, for small models of one's own
//
// # Exactness
//
// Weights that are trained, their gradients and AdamW's moments are float32; losses, rewards
// and the score row's products float64. Gradients come from the graphs that scoring executes
// (internal/arch), block by block with what lies between recomputed. Texts of one row share the
// computation of what they have in common. The same options, data and machine give the same
// bytes, also after a resumed run, whatever the memory limit.
//
// Where all weights are trained, the embedding of a token is trained wherever the token stands.
// transformers' is not where config.json names the token as pad_token_id (padding_idx of
// torch.nn.Embedding), so that a chat's <|im_end|>, SmolLM2's padding too, keeps its embedding
// there, but for what the vocabulary head gives it if the two are tied.
package train
