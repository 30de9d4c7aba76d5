package gradient

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
)

// headStates is the number of states that the head takes at a time.
const headStates = 512

// head is the vocabulary head over the places after which a token's log-probability is asked
// for.
type head struct {
	places, targets []int     // of each log-probability
	top, sum, of    []float64 // over the slices so far: see sliceForward
	grad            []float64 // of the loss by each
	index           [][][]int // of each group, text and token of IDs[From:], its number
}

// norm is the final norm over the places whose states are asked for.
type norm struct {
	places []int
	states [][]float64
	grad   [][]float64
	index  [][][]int
}

// ask lists what is asked for; what several texts ask for is listed once.
func (p *Pass) ask() {
	type scored struct{ place, target int }
	seen, stated := map[scored]int{}, map[int]int{}
	for g, group := range p.groups {
		p.head.index, p.norm.index = append(p.head.index, nil), append(p.norm.index, nil)
		for t, text := range group {
			at := p.at[g][t]
			var scores, states []int
			for k := text.From; k < len(text.IDs); k++ {
				s := scored{at[k-1], int(text.IDs[k])}
				i, ok := seen[s]
				if !ok {
					i = len(p.head.places)
					seen[s] = i
					p.head.places, p.head.targets = append(p.head.places, s.place), append(p.head.targets, s.target)
				}
				scores = append(scores, i)
			}
			for _, k := range text.States {
				i, ok := stated[at[k]]
				if !ok {
					i = len(p.norm.places)
					stated[at[k]] = i
					p.norm.places = append(p.norm.places, at[k])
				}
				states = append(states, i)
			}
			p.head.index[g], p.norm.index[g] = append(p.head.index[g], scores), append(p.norm.index[g], states)
		}
	}
	n := len(p.head.places)
	p.head.top, p.head.sum, p.head.of = make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range p.head.top {
		p.head.top[i] = math.Inf(-1)
	}
}

// chunk are some states, with padding.
type chunk struct{ from, n, size int }

func chunks(n int) (all []chunk) {
	for from := 0; from < n; from += headStates {
		c := chunk{from: from, n: min(headStates, n-from), size: 8}
		for c.size < c.n {
			c.size *= 2
		}
		all = append(all, c)
	}
	return all
}

// gather puts the final states at places on the device, [S D].
func (p *Pass) gather(places []int, c chunk) *tensors.Tensor {
	d := p.m.arch.D
	x := make([]float64, c.size*d)
	for i, place := range places[c.from : c.from+c.n] {
		copy(x[i*d:], p.final[place*d:(place+1)*d])
	}
	return p.m.tensor(x, c.size, d)
}

// scatter adds to the stream's gradient that at places.
func (p *Pass) scatter(dx []float64, places []int, c chunk, of *tensors.Tensor) {
	d := p.m.arch.D
	values := floats(of)
	for i, place := range places[c.from : c.from+c.n] {
		for j, v := range values[i*d : (i+1)*d] {
			dx[place*d+j] += v
		}
	}
}

// within are a chunk's targets, counted from the slice's first row; -1 beside it.
func (h *head) within(l *layer, c chunk) *tensors.Tensor {
	targets := make([]int32, c.size)
	for i := range targets {
		targets[i] = -1
		if i < c.n {
			if t := h.targets[c.from+i]; t >= l.From && t < l.To {
				targets[i] = int32(t - l.From)
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(targets, c.size)
}

// forward takes all states through one slice of the vocabulary.
func (h *head) forward(p *Pass, l *layer) error {
	for _, c := range chunks(len(h.places)) {
		in := []*tensors.Tensor{p.gather(h.places, c), h.within(l, c)}
		out, err := p.call("slice forward", l, p.m.sliceForward(l, p.drops()), in, c.size)
		release(in)
		if err != nil {
			return err
		}
		top, sum, of := floats(out[0]), floats(out[1]), floats(out[2])
		release(out)
		for i := range c.n {
			k := c.from + i
			highest := max(h.top[k], top[i])
			h.sum[k] = h.sum[k]*math.Exp(h.top[k]-highest) + sum[i]*math.Exp(top[i]-highest)
			h.top[k] = highest
			h.of[k] += of[i]
		}
	}
	return nil
}

// lse is the logarithm of the sum of exp(logit) over the whole vocabulary.
func (h *head) lse(i int) float64 { return h.top[i] + math.Log(h.sum[i]) }

// backward adds to the gradients those through one slice.
func (h *head) backward(p *Pass, l *layer, dx []float64) error {
	for _, c := range chunks(len(h.places)) {
		g, lse := make([]float64, c.size), make([]float64, c.size)
		some := false
		for i := range c.n {
			g[i], lse[i] = h.grad[c.from+i], h.lse(c.from+i)
			some = some || g[i] != 0
		}
		if !some {
			continue
		}
		in := []*tensors.Tensor{p.m.tensor(g, c.size), p.m.tensor(lse, c.size), p.gather(h.places, c), h.within(l, c)}
		out, err := p.call("slice backward", l, p.m.sliceBackward(l, p.drops()), in, c.size)
		release(in)
		if err != nil {
			return err
		}
		p.scatter(dx, h.places, c, out[0])
		err = l.accumulate(out[1:])
		release(out)
		if err != nil {
			return err
		}
	}
	return nil
}

// forward computes the states that are asked for.
func (n *norm) forward(p *Pass, l *layer) error {
	d := p.m.arch.D
	n.states = nil
	for _, c := range chunks(len(n.places)) {
		in := []*tensors.Tensor{p.gather(n.places, c)}
		out, err := p.call("forward", l, p.m.forward(l, p.drops()), in, c.size)
		release(in)
		if err != nil {
			return err
		}
		all := floats(out[0])
		release(out)
		for i := range c.n {
			n.states = append(n.states, all[i*d:(i+1)*d])
		}
	}
	return nil
}

// backward adds to the gradients those through the states.
func (n *norm) backward(p *Pass, l *layer, dx []float64) error {
	d := p.m.arch.D
	for _, c := range chunks(len(n.places)) {
		dy := make([]float64, c.size*d)
		for i := range c.n {
			copy(dy[i*d:], n.grad[c.from+i])
		}
		in := []*tensors.Tensor{p.m.tensor(dy, c.size, d), p.gather(n.places, c)}
		out, err := p.call("backward", l, p.m.backward(l, p.drops(), 0), in, c.size)
		release(in)
		if err != nil {
			return err
		}
		p.scatter(dx, n.places, c, out[0])
		err = l.accumulate(out[1:])
		release(out)
		if err != nil {
			return err
		}
	}
	return nil
}

// finish puts the numbers in their places.
func (p *Pass) finish() error {
	for g, group := range p.groups {
		p.Outputs = append(p.Outputs, make([]Outputs, len(group)))
		for t := range group {
			o := &p.Outputs[g][t]
			for k, i := range p.head.index[g][t] {
				x := p.head.of[i] - p.head.lse(i)
				if math.IsNaN(x) || math.IsInf(x, 1) {
					return &NotFiniteError{g, t, fmt.Sprintf("ln p of token %d is %g", group[t].From+k, x)}
				}
				o.LogProbs = append(o.LogProbs, x)
			}
			for k, i := range p.norm.index[g][t] {
				for _, x := range p.norm.states[i] {
					if x-x != 0 {
						return &NotFiniteError{g, t, fmt.Sprintf("the final state after token %d has the value %g", group[t].States[k], x)}
					}
				}
				o.States = append(o.States, p.norm.states[i])
			}
		}
	}
	return nil
}

// NotFiniteError says which number of which text is none.
type NotFiniteError struct {
	Group, Text int
	what        string
}

// Error says what is not finite.
func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("gradient: group %d, text %d: %s", e.Group, e.Text, e.what)
}

// adjoin adds up the derivatives of what several texts have asked for.
func (p *Pass) adjoin(adjoints [][]Outputs) error {
	p.head.grad, p.norm.grad = make([]float64, len(p.head.places)), make([][]float64, len(p.norm.places))
	for i := range p.norm.grad {
		p.norm.grad[i] = make([]float64, p.m.arch.D)
	}
	if len(adjoints) != len(p.groups) {
		return fmt.Errorf("gradient: derivatives of %d groups, wanted %d", len(adjoints), len(p.groups))
	}
	for g, group := range adjoints {
		if len(group) != len(p.groups[g]) {
			return fmt.Errorf("gradient: group %d: derivatives of %d texts, wanted %d", g, len(group), len(p.groups[g]))
		}
		for t, o := range group {
			scores, states := p.head.index[g][t], p.norm.index[g][t]
			if o.LogProbs != nil && len(o.LogProbs) != len(scores) || o.States != nil && len(o.States) != len(states) {
				return fmt.Errorf("gradient: group %d, text %d: derivatives by %d log-probabilities and %d states, wanted %d and %d", g, t, len(o.LogProbs), len(o.States), len(scores), len(states))
			}
			for k, d := range o.LogProbs {
				p.head.grad[scores[k]] += d
			}
			for k, d := range o.States {
				if len(d) != p.m.arch.D {
					return fmt.Errorf("gradient: group %d, text %d: derivatives by %d values of a state, wanted %d", g, t, len(d), p.m.arch.D)
				}
				for j, v := range d {
					p.norm.grad[states[k]][j] += v
				}
			}
		}
	}
	return nil
}
