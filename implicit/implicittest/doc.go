// Package implicittest helps to test what plugs into package implicit: Fake is a language
// model without weights; TestLM and TestPolicy are conformance tests of language models and
// policies, in the manner of testing/fstest and testing/iotest.
//
// If you compute log-probabilities by other means, such as a server or another library,
// implement logprob.LM, put it into an implicit.Policy with the way texts become tokens, and
// test whether package implicit can rely on it:
//
//	func TestMine(t *testing.T) {
//		if err := implicittest.TestPolicy(t.Context(), mine, nil, nil); err != nil {
//			t.Fatal(err)
//		}
//	}
//
// If you build on rewards, test with a Fake, which needs no files:
//
//	tuned, base := &implicittest.Fake{Seed: 1}, &implicittest.Fake{Seed: 2}
//	rewards := implicit.Rewards(ctx, implicit.Pair{Tuned: tuned.Chat(), Base: base.Raw()}, items)
package implicittest
