// Package words scores the words of a lexicon under a pair of models, or under an explicit
// reward model: each entry of a corpus in its surface forms (lexicon.Form), each form with its
// own tokens, however many, after every prompt. A measure makes one number of the forms of a
// word.
//
//	for w, err := range words.Rewards(ctx, pair, corpus, lexicon.PaperPrompts(), nil) {
//		fmt.Println(w.PromptName, w.Term, w.Scores[0].LogRatio(), w.Scores[0].Rank)
//	}
//
// The measures are Pooled, the probability that the reply begins with the word in any form;
// WholeWord, that it begins with the word and the word ends there, so that "free" is not
// "freedom"; Exact, each form separately; and Paper, the paper's mean over the forms that
// are one token in both models. The tokens that may follow a word decide where it ends
// (Boundaries). Coverage reports what happened to every entry of the corpus.
//
// Sensitivity is a sensitivity (multiverse) analysis: it compares the ranks of the words under
// variants (rendering of prompts, surface forms, measure, dtype) with those of a default. Does
// a finding survive the choices behind it? Rewards files (WriteCSV, WriteParquet, ReadRecords) hold a Record
// for each result and their Provenance.
//
// A reward model (package rewardmodel) scores the same words: Scores yields a ScoredWord for
// each, whose measures are those of ScoreMeasure, since rewards are no probabilities. Scores
// files (WriteScoresCSV, WriteScoresParquet, ReadScores) hold a ScoreRecord for each result; a
// ScoreTable is the paper's file, a row a word and a column a prompt. Files of this side are
// named rm.go and so on. A Series holds the rewards of either side at the checkpoints of a
// training run.
//
// A new measure is a file with its definition, like exact.go, and an entry of the table in
// measure.go: its name, its help, the function that computes it from a word's forms, and
// what words are ranked by. Programs, files and analyses take it from that table.
package words
