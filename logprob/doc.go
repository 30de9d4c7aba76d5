// Package logprob computes exact log-probabilities of token sequences under a
// language model, from a Hugging Face checkpoint folder.
//
//	model, err := logprob.Load(ctx, dir, nil)
//	text, err := model.Tokenizer().Chat("What is the best thing ever?", "Love", nil)
//	for score, err := range logprob.Score(ctx, model, slices.Values([]tokenize.Encoded{text})) {
//		fmt.Println(score.Sum()) // ln p(reply | prompt)
//	}
//
// Score gives ln p of each token of a reply after all tokens before it; Next gives
// ln p of every token of the vocabulary after a text; Table gives Next for named
// prompts, as a matrix that can be written to CSV or Parquet. All logarithms are
// natural.
//
// # What is computed
//
// ln p(y_i | x, y_<i) = z[y_i] - ln sum_v exp z[v], where z are the model's logits
// at the position before y_i and the sum runs over all rows of the output matrix,
// rows that no token of the tokenizer names included, as transformers does.
//
// Families of models: llama (2, 3, 3.1, 3.2, 3.3, SmolLM2), gemma2, gemma3,
// gemma3_text, qwen2 (2, 2.5), qwen3, mistral, phi3, gpt2, gpt_neox (Pythia) and olmo2.
// A config.json that asks for anything that is not computed is an UnsupportedError;
// a tensor that is missing, not used, or of another shape is an error too.
//
// # Numbers
//
// A float32 run agrees with transformers in float32 (eager attention) to about 1e-5
// nats; on SmolLM2-135M to 1e-4. A bfloat16 run rounds the operands of matrix
// products only: products are summed in float32, and the residual stream, norms,
// attention, logits and log-softmax are float32, so that it lies nearer to the
// float32 numbers than transformers in bfloat16 does. Where the processor has no products
// of bfloat16, and on the pure-Go backend, matrices that are stored in bfloat16 are
// multiplied in float32, and such a run is as near as a float32 one. Both models of a pair should run
// in the same type; a model against itself gives exactly 0. Model.Certify compares a few
// texts with a computation of the same weights in float64: does what is Promised hold for
// this model, on this machine?
//
// Numbers do not depend on what else is scored in a call beyond float32 rounding. In
// float32 on XLA's CPU client, those of texts of at most 192 tokens with a reply that begins
// before token 128 are the same to the last bit where Model.BatchInvariant, which measures the
// processor's products, says so (TestCompany).
package logprob
