package logprob

import (
	"github.com/implicitreward/implicitreward/internal/engine"
	"github.com/implicitreward/implicitreward/internal/prefix"
)

// The bounds of a window, which is computed in one go and kept in one piece by a Store:
// large enough that what its texts share is mostly computed once, and no more than is
// cheap to lose. Within them a window depends on the texts alone, never on time, so that
// a run that is started again cuts the same ones.
const (
	windowNodes  = 4096    // hidden states: some seconds of a small model on two cores
	windowTokens = 1 << 20 // of texts, held in memory
	windowRows   = 64      // whole rows that are handed out together
)

// window gathers texts, and counts the hidden states that computing them takes: one for
// each different beginning, as many as a prefix tree of them has nodes.
type window struct {
	limit  int // of nodes
	texts  []engine.Text
	tree   prefix.Tree
	tokens int
	rows   int
}

func (w *window) reset() {
	clear(w.texts) // ids are the caller's
	w.texts, w.tokens, w.rows = w.texts[:0], 0, 0
	w.tree.Reset()
}

// add takes a text, or answers false if it would make the window too large. An empty
// window takes any.
func (w *window) add(t engine.Text) bool {
	states := len(t.IDs) // the last token's is needed for what follows only
	switch {
	case t.After():
	case t.From >= len(t.IDs):
		states = 0
	default:
		states--
	}
	needed := t.IDs[:states]
	if len(w.texts) > 0 && (w.tree.Len()+states-w.tree.Shared(needed) > w.limit || w.tokens+len(t.IDs) >= windowTokens || t.Row && w.rows == windowRows) {
		return false
	}
	w.tree.Add(needed)
	w.texts = append(w.texts, t)
	w.tokens += len(t.IDs) + 1 // a text of no tokens takes room too
	if t.Row {
		w.rows++
	}
	return true
}
