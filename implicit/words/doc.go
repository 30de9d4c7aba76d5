// Package words scores the words of a lexicon under a pair of models: each entry of a corpus
// in its surface forms (lexicon.Form), each form with its own tokens, however many they are,
// after every prompt; and makes one number a word and prompt of them.
//
//	for w, err := range words.Rewards(ctx, pair, corpus, lexicon.PaperPrompts(), nil) {
//		fmt.Println(w.PromptName, w.Term, w.Scores[0].LogRatio(), w.Scores[0].Rank)
//	}
//
// A Measure says which number: Pooled, the probability that the reply begins with the word
// in any form; WholeWord, that it begins with it and the word ends there, so that "free"
// is not "freedom"; Exact, each form by itself; Paper, the paper's mean over the forms that
// are one token in both models. Where a word ends is decided by the tokens that may follow
// it (Boundaries). Wildcards of dictionaries are expanded by a list of words
// (lexicon.Corpus.Expand), and Coverage says what became of every entry.
//
// Sensitivity scores the words once and computes what several variants (a measure over a set
// of forms) make of each: does a finding survive the choices that made it? Results go to and
// come from files of Records, CSV or Parquet, with their Provenance.
package words
