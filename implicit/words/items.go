package words

import (
	"errors"
	"fmt"
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

// spellings are the texts of each entry of a corpus; none of a wildcard.
type spellings [][]lexicon.Spelling

func spell(c *lexicon.Corpus, forms []lexicon.Form) spellings {
	all := make(spellings, len(c.Entries))
	for i, e := range c.Entries {
		if !e.Wildcard {
			all[i] = lexicon.Spellings(e.Term, forms)
		}
	}
	return all
}

// count returns the number of texts.
func (s spellings) count() (n int) {
	for _, texts := range s {
		n += len(texts)
	}
	return n
}

// items returns every text of every entry after every prompt, as the reply.
func (s spellings) items(prompts []lexicon.Prompt) iter.Seq[implicit.Item] {
	return func(yield func(implicit.Item) bool) {
		for _, p := range prompts {
			for _, texts := range s {
				for _, t := range texts {
					if !yield(implicit.Item{Prompt: p.Text, Reply: t.Text, PromptName: p.Name}) {
						return
					}
				}
			}
		}
	}
}

// wildcard says why a wildcard of the corpus cannot be scored.
func wildcard(c *lexicon.Corpus) error {
	if c.Listed == 0 {
		return errors.New("a wildcard, wanted a word: expand it with a list of words")
	}
	return fmt.Errorf("a wildcard, which none of the %d words of the list match", c.Listed)
}

// refused is the error of an entry that cannot be scored after a prompt.
func refused(term string, p lexicon.Prompt, why error) error {
	return &implicit.ItemError{Item: implicit.Item{Prompt: p.Text, Reply: term, PromptName: p.Name}, Err: why}
}
