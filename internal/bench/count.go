package main

import (
	"github.com/implicitreward/implicitreward/internal/prefix"
	"github.com/implicitreward/implicitreward/tokenize"
)

// counts says how much a job is to compute: what one sequence a text would, and what is
// left of it when texts share what they have in common.
type counts struct {
	texts, tokens int
	nodes         int // different beginnings whose hidden state is needed
	heads         int // of these, the ones after which something is predicted
}

// counter counts texts as they come.
type counter struct {
	counts
	tree  prefix.Tree
	after map[int32]bool // nodes after which something is predicted
}

func newCounter() *counter {
	return &counter{after: map[int32]bool{}}
}

// add counts a text whose tokens from reply on are predicted, and with after what comes
// after the last one too.
func (c *counter) add(ids []int32, reply int, after bool) {
	c.texts++
	c.tokens += len(ids)
	needed := len(ids)
	if !after {
		needed-- // the last token is predicted and never read
	}
	node := prefix.Root
	for i := range needed {
		node, _ = c.tree.Grow(node, ids[i])
		if i+1 >= reply {
			c.after[node] = true
		}
	}
}

func (c *counter) total() counts {
	c.counts.nodes, c.counts.heads = c.tree.Len(), len(c.after)
	return c.counts
}

// countTask counts the jobs of a task, and how many forwards lm-eval would need for the whole
// corpus job: it computes texts that differ in their last token only once.
func countTask(t *task, tok *tokenize.Tokenizer) (next, corpus, long counts, lmEval int, err error) {
	c, all, last := newCounter(), newCounter(), newCounter()
	for i, p := range t.Prompts {
		c.add(t.Next[i].IDs, len(t.Next[i].IDs), true)
		for _, form := range t.Forms {
			text, err := tok.Chat(p, form, nil)
			if err != nil {
				return next, corpus, long, 0, err
			}
			all.add(text.IDs, text.Reply, false)
			last.add(text.IDs, len(text.IDs)-1, false)
		}
	}
	l := newCounter()
	for _, ids := range t.Long {
		l.add(ids, 1, false)
	}
	return c.total(), all.total(), l.total(), last.total().heads, nil
}
