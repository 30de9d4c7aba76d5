// Package study turns files of log-probabilities, rewards and reward-model scores
// into the analyses of value bias, and these into a report. It needs no model.
//
//  1. Read (config.go, inputs.go; matrix.go, dictionary.go, tables.go ...): files -> Inputs
//  2. Run (study.go; fig1.go, fig2.go, did.go ..., one file an analysis): Inputs -> Results
//  3. Write (report.go, output.go): Results -> a folder of figures, tables, report.html and report.md
//
// A Result holds what an analysis found: figures, tables, tests, and in words what was
// done and in what it differs from the paper's code. Study runs the analyses that the
// inputs allow.
//
// Options.Compat makes the analyses follow the paper's code (Christian et al. 2026,
// arXiv:2601.20838) also where it is at odds with the paper or with good practice; see
// Differences, which the report prints.
//
// Ranks are midranks, 1 for the word that a model likes best. Logs are natural. The
// same inputs and options give the same bytes: random draws come from Options.Seed.
package study
