// Package implicittest helps to test what plugs into package implicit: a language model
// without weights, Fake, and conformance tests of language models and policies, TestLM and
// TestPolicy, in the way of testing/fstest and testing/iotest.
//
// Someone who computes log-probabilities by other means, a server or a library, implements
// logprob.LM and pairs it with the way texts become tokens in an implicit.Policy. One
// test tells whether package implicit can rely on it:
//
//	func TestMine(t *testing.T) {
//		if err := implicittest.TestPolicy(t.Context(), mine, nil, nil); err != nil {
//			t.Fatal(err)
//		}
//	}
//
// Someone who builds on rewards tests it with a Fake, which needs no files:
//
//	tuned, base := &implicittest.Fake{Seed: 1}, &implicittest.Fake{Seed: 2}
//	rewards := implicit.Rewards(ctx, implicit.Pair{Tuned: tuned.Chat(), Base: base.Raw()}, items)
package implicittest
