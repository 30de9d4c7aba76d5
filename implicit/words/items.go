package words

import (
	"errors"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Items returns every entry of a corpus after every prompt, prompt by prompt, with the entry
// as written as the reply: item n is entry n mod len(c.Entries). A wildcard is not a text,
// so its item has Err set.
func Items(c *lexicon.Corpus, prompts []lexicon.Prompt) iter.Seq[implicit.Item] {
	return func(yield func(implicit.Item) bool) {
		for _, p := range prompts {
			for _, e := range c.Entries {
				it := implicit.Item{Prompt: p.Text, Reply: e.Term, PromptName: p.Name}
				if e.Wildcard {
					it.Err = errors.New("a wildcard, wanted a word: replace it by the words it stands for")
				}
				if !yield(it) {
					return
				}
			}
		}
	}
}
