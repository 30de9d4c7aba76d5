// Package serve answers for log-probabilities, implicit rewards and those of an explicit reward
// model over HTTP, in the forms that evaluation harnesses and trainers send: OpenAI's
// /v1/completions with echo and logprobs, vLLM's tokenizer endpoints and those of its pooling
// models, OpenRLHF's remote reward model, and three of its own. The program is examples/serve; this package is apart from it so that its tests run
// without other people's C libraries, under the race detector.
//
// # The way of a request
//
//	server.go       routes; the middleware: panics, logs, metrics, token, body limit
//	halfclose.go    whether the client is still there
//	decode.go       body -> request, strictly (package strictjson): unknown fields, keys twice, nulls
//	reading.go      the system message, the template's variables and the BOS of a request
//	prompts.go      a string, a list of them, ids or a list of these -> texts
//	completions.go  promptlogprobs.go  next.go  reward.go  trainer.go  tokens.go    the endpoints
//	rm.go           the explicit reward model, and how a request lets it read
//	explicit.go  vllm.go  classify.go  score.go  trainerexplicit.go    its endpoints
//	boundary.go     where a reply begins in a trainer's query
//	queue.go        admits texts or answers 429; who is next
//	batch.go        the batches that the models compute
//	query.go        what a model is asked for a batch
//	pieces.go       ids -> the text pieces and offsets of a response
//
// A request's texts go to the queue of the model that is to score them. One goroutine, the
// worker, takes as many waiting texts as make one computation (some thousands of tokens,
// counted as a prefix tree has nodes, so that what texts share counts once), in turn from
// each client and from each of its requests, and asks the model once for all of them. So a
// request of one text waits for the batch that is under way and then goes into the next
// one, however many texts others have waiting. A request whose client is gone loses its
// texts before the next batch.
//
// # Numbers
//
// They are logprob's: float32, natural logarithms, and do not depend on what else is in a
// batch beyond rounding: in float32 by less than 1e-5 of their size for texts of at most 192
// tokens with prompts of fewer than 128, about 2e-5 for longer ones. JSON holds them with the
// fewest digits that give back the same float32. Rewards of a reward model are float64, made of
// float32 states.
package serve
