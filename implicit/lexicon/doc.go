// Package lexicon reads the words whose rewards are studied and the prompts they answer.
//
//	corpus, err := lexicon.ReadCorpus(file)  // a dictionary of categories, or a plain list
//	corpus = corpus.Expand(list)             // "free*" becomes "free", "freedom", ...
//	lexicon.Form(" {title}").Of("freedom")   // " Freedom"
//	prompts := lexicon.PaperPrompts()        // the paper's 54
//
// A Corpus is a value dictionary (the Big Two, Moral Foundations, LIWC) or a word list, a
// Form a way to spell an entry as a reply (a surface form), a Prompt a named user message.
// Package words scores entries in their forms after prompts. A new file format for corpora
// is a method of corpusReader beside the others.
package lexicon
