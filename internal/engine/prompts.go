package engine

import (
	"container/list"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// prompts keeps the keys and values of prompts from one call to the next, the least
// recently used going first: a call that comes with other replies to a prompt computes the
// replies alone. Long prompts are kept when they first come, and used as far as a prompt's
// beginning agrees; short ones (pool.go) when they come again, without their last token.
type prompts struct {
	limit, used int64 // bytes
	order       *list.List
	states      map[string]*list.Element // of *prompt, by ids
	short       [shortPrompt]int         // states by length
	asked       map[string]bool          // short prompts that came before, some thousands of them
}

// prompt is a path's keys and values, on the host.
type prompt struct {
	key  string
	ids  []int32
	k, v [][]float32 // of each block, [len(ids) G K]
}

// shortPrompt is the length from which a prompt is worth it: texts of such a prompt form
// batches of their own, which cost as much as some dozens of nodes.
const shortPrompt = 128

func newPrompts(limit int64) *prompts {
	return &prompts{limit: limit, order: list.New(), states: map[string]*list.Element{}, asked: map[string]bool{}}
}

func keyOf(ids []int32) string {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = append(b, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	return string(b)
}

// longest returns the state that agrees with the longest beginning of ids, and how long
// that is; nil if it is short.
func (c *prompts) longest(ids []int32) (best *prompt, n int) {
	var found *list.Element
	if exact, ok := c.states[keyOf(ids)]; ok {
		found, n = exact, len(ids)
	} else {
		for e := c.order.Front(); e != nil; e = e.Next() {
			p := e.Value.(*prompt)
			common := 0
			for common < min(len(ids), len(p.ids)) && ids[common] == p.ids[common] {
				common++
			}
			if common > n {
				found, n = e, common
			}
		}
	}
	if n < shortPrompt {
		return nil, 0
	}
	c.order.MoveToFront(found)
	return found.Value.(*prompt), n
}

// known returns the longest state that ids begin with, or nil, and whether they came before.
func (c *prompts) known(ids []int32) (state *prompt, again bool) {
	key := keyOf(ids)
	for n := len(ids); n >= leastPrompt && state == nil; n-- {
		if c.short[n] == 0 {
			continue
		}
		if e, ok := c.states[key[:4*n]]; ok {
			c.order.MoveToFront(e)
			state = e.Value.(*prompt)
		}
	}
	if again = c.asked[key]; !again {
		if len(c.asked) == 1<<14 {
			clear(c.asked)
		}
		c.asked[key] = true
	}
	return state, again
}

// add keeps a state, at the cost of older ones.
func (c *prompts) add(p *prompt) {
	p.key = keyOf(p.ids)
	size := p.bytes()
	if _, ok := c.states[p.key]; ok || size > c.limit {
		return
	}
	for c.used+size > c.limit {
		last := c.order.Back()
		old := c.order.Remove(last).(*prompt)
		delete(c.states, old.key)
		c.count(old, -1)
		c.used -= old.bytes()
	}
	c.states[p.key] = c.order.PushFront(p)
	c.count(p, 1)
	c.used += size
}

func (c *prompts) count(p *prompt, by int) {
	if len(p.ids) < shortPrompt {
		c.short[len(p.ids)] += by
	}
}

func (p *prompt) bytes() int64 {
	n := int64(2 * len(p.key))
	for i := range p.k {
		n += 4 * int64(len(p.k[i])+len(p.v[i]))
	}
	return n
}

// groups splits texts, by number, into those of each long prompt and, first, the rest.
func groups(texts []Request) [][]int {
	all := make([][]int, 1)
	at := map[string]int{}
	for n, text := range texts {
		if text.From < shortPrompt {
			all[0] = append(all[0], n)
			continue
		}
		key := keyOf(text.IDs[:text.From])
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], n)
	}
	if len(all[0]) == 0 {
		all = all[1:]
	}
	return all
}

// keep gives prompts the keys and values that a block leaves behind, one prompt's after
// the other, width numbers a token.
func keep(all []kept, past []*tensors.Tensor, width int) error {
	at := 0
	for _, p := range all {
		end := at + len(p.nodes)*width
		for i, to := range []*[][]float32{&p.k, &p.v} {
			err := tensors.ConstFlatData(past[i], func(flat []float32) {
				*to = append(*to, slices.Clone(flat[at:end]))
			})
			if err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}
