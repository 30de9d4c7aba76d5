package implicit

import (
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"iter"
)

// Items returns every entry of a corpus after every prompt, prompt by prompt, the reply
// being the word as it stands. Wildcards are among them, and Rewards refuses each by name.
func Items(c *lexicon.Corpus, prompts []lexicon.Prompt) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, p := range prompts {
			for _, e := range c.Entries {
				if !yield(Item{Prompt: p.Text, Reply: e.Term, PromptName: p.Name, Word: e.Term, Categories: e.Categories, Wildcard: e.Wildcard}) {
					return
				}
			}
		}
	}
}
