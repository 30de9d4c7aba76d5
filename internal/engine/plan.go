package engine

import (
	"maps"
	"slices"
)

// plan is what computing some requests together takes: which tokens of the tree, in which
// order, and what is asked for after each.
type plan struct {
	tree      *tree
	invariant bool // see shape

	computed map[*node]bool    // whose hidden states are needed: all that are not saved, and some that are
	after    map[*node]int     // of those that are not saved, the number of saved tokens before them
	children map[*node][]*node // in the order in which requests come through them
	order    []token           // those that are computed, depth first
	outputs  map[token]*outputs
	saving   map[*node]*keysValues // being computed
	reserved int64                 // bytes of these
	ends     []*node               // of the requests
}

// token is one of a node's.
type token struct {
	*node
	i int
}

func (t token) id() int32  { return t.ids[t.i] }
func (t token) depth() int { return t.start() + t.i }

// before is the token before one.
func (t token) before() token {
	if t.i > 0 {
		return token{t.node, t.i - 1}
	}
	return token{t.parent, len(t.parent.ids) - 1}
}

// outputs are what requests ask for after one token.
type outputs struct {
	tokens        []int32       // next tokens whose log-probability is asked for
	logProbs      [][]target    // of each of them, where it goes
	index         map[int32]int // in tokens
	topK          int           // how many of the likeliest tokens, at most
	tops          []target      // where they go
	distributions []int         // requests
	sums          []setSum
	states        []target // where the state itself goes
}

// scored tells whether logits are needed.
func (o *outputs) scored() bool {
	return len(o.tokens) > 0 || len(o.tops) > 0 || len(o.distributions) > 0 || len(o.sums) > 0
}

// target is a place in the results: number i of those of a request.
type target struct{ request, i int }

// setSum is a set of tokens, a value for each of the vocabulary, over whose probabilities a
// request asks for the sum.
type setSum struct {
	request int
	set     []bool
}

const (
	// From this length on a prompt is saved when it first comes, shorter ones when they come
	// again.
	longPrompt = 128
	// Fewer tokens than these are not worth saving.
	leastSaved = 8
)

// states is the number of hidden states that a request needs: for log-probabilities those of
// all its tokens but the last, and of that one too where something after it is asked for; and
// those up to the last of Request.States.
func (r Request) states() int {
	n := 0
	switch {
	case r.after():
		return len(r.IDs)
	case r.From < len(r.IDs):
		n = len(r.IDs) - 1
	}
	for _, i := range r.States {
		n = max(n, i+1)
	}
	return n
}

// after tells whether anything after the last token is asked for.
func (r Request) after() bool { return r.Distribution || r.Within != nil || r.TopK > 0 }

// before is the number of tokens before the first whose hidden state is asked for: those of
// the prompt but its last, or those before the first of Request.States.
func (r Request) before() int {
	n := min(max(r.From-1, 0), r.states())
	for _, i := range r.States {
		n = min(n, i)
	}
	return n
}

// plan enters requests, of the given numbers, into the tree. finish ends it.
func (t *tree) plan(requests []Request, numbers []int, invariant bool) *plan {
	t.plans++
	p := &plan{tree: t, invariant: invariant, computed: map[*node]bool{}, after: map[*node]int{}, children: map[*node][]*node{}, outputs: map[token]*outputs{}, saving: map[*node]*keysValues{}}
	asking := slices.DeleteFunc(slices.Clone(numbers), func(n int) bool { return requests[n].states() == 0 })
	for _, n := range asking { // all splits come first
		r := requests[n]
		t.insert(r.IDs[:r.before()])
		p.ends = append(p.ends, t.insert(r.IDs[:r.states()]))
	}
	paths := make([][]*node, len(asking))
	entered := map[*node]bool{}
	for i, n := range asking {
		paths[i] = t.path(requests[n].IDs[:requests[n].states()])
		t.touch(paths[i])
		for _, node := range paths[i] {
			if !entered[node] {
				entered[node] = true
				p.children[node.parent] = append(p.children[node.parent], node)
			}
		}
	}
	for i, n := range asking {
		p.ask(n, requests[n], paths[i])
	}
	for _, node := range p.children[t.root] {
		p.visit(node)
	}
	return p
}

// ask notes what a request needs: which nodes of its path are to be computed, what is to be
// saved of its prompt, and what goes where.
func (p *plan) ask(number int, r Request, path []*node) {
	t, before := p.tree, r.before()
	n, saved := len(path), 0 // nodes
	for n > 0 && path[n-1].end > before {
		n--
	}
	prompt := path[:n]
	for saved < len(prompt) && p.usable(prompt[saved]) {
		saved++
	}
	for _, n := range path[saved:] {
		p.computed[n] = true
	}
	if before >= leastSaved && t.limit > 0 {
		last := prompt[len(prompt)-1]
		asked := last.asked
		t.mark(last)
		if asked || before >= longPrompt {
			p.save(prompt[saved:])
		}
	}

	first := before
	if r.States != nil {
		first = max(r.From-1, 0)
		p.askStates(number, r, path)
	}
	for i := first; i < r.states() && (r.From < len(r.IDs) || r.after()); i++ {
		for path[0].end <= i {
			path = path[1:]
		}
		o := p.outputsOf(token{path[0], i - path[0].start()})
		if i+1 < len(r.IDs) {
			o.token(r.IDs[i+1], target{number, i + 1 - r.From})
		}
		o.likeliest(r.TopK, target{number, i + 1 - r.From})
		if i+1 < len(r.IDs) {
			continue
		}
		if r.Distribution {
			o.distributions = append(o.distributions, number)
		}
		if r.Within != nil {
			o.sums = append(o.sums, setSum{number, r.Within})
		}
	}
}

// askStates notes where the states themselves go.
func (p *plan) askStates(number int, r Request, path []*node) {
	for k, i := range r.States {
		at := slices.IndexFunc(path, func(n *node) bool { return i < n.end })
		o := p.outputsOf(token{path[at], i - path[at].start()})
		o.states = append(o.states, target{number, k})
	}
}

// usable tells whether what a node holds serves this plan.
func (p *plan) usable(n *node) bool { return n.saved != nil && (n.saved.invariant || !p.invariant) }

// save plans to keep the keys and values of nodes, if they are worth it and there is room.
func (p *plan) save(nodes []*node) {
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return p.saving[n] != nil })
	tokens, bytes := 0, int64(0)
	for _, n := range nodes {
		tokens += len(n.ids)
		bytes += nodeBytes + int64(len(n.ids))*(p.tree.tokenBytes()+4) - n.bytes
	}
	if tokens < leastSaved || !p.tree.room(bytes) {
		return
	}
	p.tree.used += bytes
	p.reserved += bytes
	for _, n := range nodes {
		p.saving[n] = p.tree.keysValues(len(n.ids), p.invariant)
	}
}

// finish ends a plan. What it was to save is in the tree if all of it was computed.
func (p *plan) finish(computed bool) {
	t := p.tree
	t.used -= p.reserved
	for _, n := range slices.SortedFunc(maps.Keys(p.saving), func(a, b *node) int { return b.end - a.end }) {
		if !computed {
			t.drop(p.saving[n])
			continue
		}
		t.drop(n.saved)
		n.saved = p.saving[n]
		t.account(n) // those above after those below, which go first
	}
	t.plans++
	for _, n := range p.ends {
		t.prune(n)
	}
}

// visit lists the tokens of a node and those below that are computed, depth first.
func (p *plan) visit(n *node) {
	if !p.usable(n) {
		after, ok := p.after[n.parent]
		if !ok {
			after = n.start()
		}
		p.after[n] = after
	}
	if p.computed[n] {
		for i := range n.ids {
			p.order = append(p.order, token{n, i})
		}
	}
	for _, child := range p.children[n] {
		p.visit(child)
	}
}

func (p *plan) outputsOf(t token) *outputs {
	o := p.outputs[t]
	if o == nil {
		o = &outputs{index: map[int32]int{}}
		p.outputs[t] = o
	}
	return o
}

func (o *outputs) token(id int32, to target) {
	i, ok := o.index[id]
	if !ok {
		i = len(o.tokens)
		o.index[id] = i
		o.tokens = append(o.tokens, id)
		o.logProbs = append(o.logProbs, nil)
	}
	o.logProbs[i] = append(o.logProbs[i], to)
}

func (o *outputs) likeliest(n int, to target) {
	if n > 0 {
		o.tops = append(o.tops, to)
		o.topK = max(o.topK, n)
	}
}

// step is a part of a plan that is taken through the model at once.
type step struct {
	*plan
	// The first own tokens are computed for their keys and values alone, which are those of
	// the path to the first of the rest.
	tokens []token
	own    int

	saved  []*node       // whose keys and values stand before the tokens
	first  map[*node]int // of these, the number of the first key
	keys   int           // of these together
	pooled bool          // they are not of one path
}

// level is the number of computed tokens between one and what is saved of the path to it.
func (p *plan) level(t token) int {
	if p.usable(t.node) {
		return 0
	}
	return t.depth() - p.after[t.node]
}

// leaf is the last node, if only in part, of what is saved of the path to a token.
func (p *plan) leaf(t token) *node {
	if p.usable(t.node) && t.i > 0 {
		return t.node
	}
	if path := p.above(t); len(path) > 0 {
		t = path[0]
	}
	return t.parent
}

// above returns these tokens, the first of them first.
func (p *plan) above(t token) []token {
	path := make([]token, p.level(t))
	for i := len(path) - 1; i >= 0; i-- {
		t = t.before()
		path[i] = t
	}
	return path
}

// steps cuts the plan into steps of at most size tokens, with at most so many saved keys
// before them; one is larger only where a path is. What follows a cut computes the path to
// it anew, so that a cut falls where that is shortest, among the places that leave a step at
// least three quarters full.
func (p *plan) steps(size, keys int) []*step {
	var all []*step
	for order := p.order; len(order) > 0; {
		s := &step{plan: p, tokens: p.above(order[0]), first: map[*node]int{}}
		s.own = len(s.tokens)
		n := max(size-s.own, s.own, 1) // half of a step or more is new
		if n < len(order) {
			best := n
			for i := n; i > n-n/4; i-- {
				if p.level(order[i]) < p.level(order[best]) {
					best = i
				}
			}
			n = best
		} else {
			n = len(order)
		}
		for i, t := range append(s.tokens, order[:n]...) {
			if p.level(t) == 0 && !s.use(p.leaf(t), keys) {
				n = i - s.own
				break
			}
		}
		s.tokens = append(s.tokens, order[:n]...)
		order = order[n:]
		all = append(all, s)
	}
	return all
}

// use puts what is saved of the path to a node before the step, or answers false if there
// would be more than limit keys. The first path may be longer.
func (s *step) use(n *node, limit int) bool {
	var more []*node
	keys := 0
	for ; n != s.tree.root; n = n.parent {
		if _, ok := s.first[n]; ok {
			break
		}
		more = append(more, n)
		keys += len(n.ids)
	}
	switch {
	case len(s.saved) > 0 && s.keys+keys > limit:
		return false
	case len(s.saved) > 0 && len(more) > 0 && n != s.saved[len(s.saved)-1]:
		s.pooled = true
	}
	for _, n := range slices.Backward(more) {
		s.first[n] = s.keys
		s.saved = append(s.saved, n)
		s.keys += len(n.ids)
	}
	return true
}

// savedPath is the saved keys of the path to a token before which all are saved.
func (s *step) savedPath(t token) []location {
	path := make([]location, t.depth())
	for i := len(path) - 1; i >= 0; i-- {
		t = t.before()
		path[i] = savedKey(s.first[t.node] + t.i)
	}
	return path
}

// location says where a key is: a token's of the step by its index, or one of those saved.
type location int32

func savedKey(i int) location { return location(-1 - i) }
