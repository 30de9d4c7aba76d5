// Package lexicon reads the words whose rewards are studied: value corpora (dictionaries
// of categories such as the Big Two or Moral Foundations, and plain word lists), with
// wildcards expanded by a list of words (Corpus.Expand), the surface forms in which an
// entry is written (Form), and the prompts after which it is scored, the paper's 54 among
// them (PaperPrompts).
package lexicon
