package main

import (
	"bytes"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// pairReader reads pairs as they are scored and holds the lines that are not yet answered.
type pairReader struct {
	lines   iter.Seq2[cli.Line, error]
	added   []string         // members of an answer
	samples *samples         // nil unless inspect_ai's are wanted
	pending map[int]question // by the index of the item
	n       int              // items
	err     error            // of the input
}

// question is a line that was read.
type question struct {
	line   int    // from 1
	object []byte // without its closing brace; {"line": its number if the line is not a pair's object
	sample sample // empty if the line was refused
}

// items yields an item per line; one that was refused has Item.Err.
func (p *pairReader) items(yield func(implicit.Item) bool) {
	for line, err := range p.lines {
		if err != nil {
			p.err = err
			return
		}
		item, q := p.read(line)
		p.pending[p.n] = q
		p.n++
		if !yield(item) {
			return
		}
	}
}

func (p *pairReader) read(line cli.Line) (item implicit.Item, q question) {
	q.line = line.Number
	whole, err := false, line.Err
	if err == nil {
		item, whole, err = parsePair(line.Text, p.added)
	}
	if whole {
		q.object = bytes.TrimRight(line.Text[:len(line.Text)-1], " \t")
	} else {
		q.object = appendField([]byte("{"), "line", line.Number)
	}
	if p.samples != nil {
		p.samples.n++
		if err == nil {
			q.sample, err = p.samples.add(line)
		}
	}
	if err != nil {
		return implicit.Item{Err: err}, question{line: q.line, object: q.object}
	}
	return item, q
}

// take returns the line of an item and forgets it.
func (p *pairReader) take(item int) question {
	defer delete(p.pending, item)
	return p.pending[item]
}
