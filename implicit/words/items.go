package words

import (
	"errors"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// Items returns every entry of a corpus after every prompt, prompt by prompt, the reply
// being the word as it stands: item n is entry n mod len(c.Entries). A wildcard stands for
// no text of its own, so that Rewards refuses it.
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
