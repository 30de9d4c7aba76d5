// Package logprob computes exact log-probabilities of token sequences under a language
// model, from a Hugging Face checkpoint folder.
//
//	model, err := logprob.Load(ctx, dir, nil)
//	text, err := model.Tokenizer().Chat("What is the best thing ever?", "Love", nil)
//	for score, err := range logprob.Score(ctx, model, slices.Values([]tokenize.Encoded{text})) {
//		fmt.Println(score.Sum()) // ln p(reply | prompt)
//	}
//
// Find downloads a model named by a hub id; Load opens a checkpoint. An LM answers Requests
// with Results: Score gives ln p of each token of a reply given all tokens before it, Next
// ln p of every token of the vocabulary after a text, and Table does so for named prompts,
// as a matrix that can be written to CSV or Parquet. All logarithms are natural.
//
// # What is computed
//
// ln p(y_i | x, y_<i) = z[y_i] - ln sum_v exp z[v], where z are the model's logits at the
// position before y_i. The log-sum-exp runs over all rows of the output matrix, including
// rows that are no token of the tokenizer, as in transformers.
//
// The families of models and the kinds of files that are read stand in README, in tables made of
// arch.Families and checkpoint.Kinds. A config.json with a setting that is not computed is an
// UnsupportedError; a tensor that is missing, unused or of the wrong shape is an error too.
//
// # Numbers
//
// A float32 run agrees with transformers in float32 (eager attention) to about 1e-5 nats; on
// SmolLM2-135M to 1e-4. A bfloat16 run rounds only the operands of matrix products: products
// are summed in float32, and the residual stream, norms, attention, logits and log-softmax
// are float32, so it is closer to the float32 numbers than transformers in bfloat16. If the
// processor has no bfloat16 products, and on the pure-Go backend, matrices stored in
// bfloat16 are multiplied in float32, and the run is as accurate as a float32 one. Both
// models of a pair should run in the same type; a model against itself gives exactly 0.
// Model.Certify compares texts with a float64 computation of the same weights, to test on
// this machine and model what Promised states.
//
// Numbers do not depend on what else is scored in a call beyond float32 rounding. In float32
// on XLA's CPU client, if Model.BatchInvariant (a measurement of the processor's products)
// says so, texts of at most 192 tokens with a reply that begins before token 128 give the
// same bits in any batch (TestCompany). It never says so of models with gated delta nets or Mamba 2.
//
// # Speed
//
// On XLA's CPU client several blocks of a model compute at a time, each on another batch of texts
// (the bits are those of one at a time), if the client computes on the threads that ask it to:
// xla.NewWithOptions("cpu", pjrt.NamedValuesMap{"asynchronous": false}) of go-xla makes such a
// backend, for Options.Backend. By default it does one thing after the other.
//
// That client has its memory of the C library. glibc gives each large piece back to the system when it
// is freed, and threads have heaps of their own; the programs have it keep what is freed, in one heap:
// training takes a tenth less time so, and less memory. For a program of one's own the environment
// variables MALLOC_ARENA_MAX=1, MALLOC_MMAP_MAX_=0 and MALLOC_TRIM_THRESHOLD_=8589934592 do that, and
// GLIBC_TUNABLES=glibc.malloc.hugetlb=1 asks for huge pages, as the programs do: long texts in float32
// are scored 1.1 times as fast.
//
// # Training
//
// NewAdapter and NewCheckpoint write what training begins with, Model.Tune computes a loss's
// gradients, and WriteAdapter and WriteCheckpoint write what training comes to: folders that Load
// and WithAdapter read, and peft and transformers as well. Package train is the loop over them.
//
// # Where new things go
//
// The forward passes are in internal/arch, whose package comment names the place of a dense
// family (one file and one map entry), an expert layer, a reward head, LoRA and training;
// internal/engine schedules them over a radix tree of token sequences with a KV cache, and
// internal/checkpoint reads weights. This package makes them an LM, and is where a new kind
// of question becomes a field of Request and of Result. Rewards of two models are package
// implicit.
package logprob
