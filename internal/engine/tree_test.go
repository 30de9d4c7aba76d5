package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// planOf enters requests into a tree that saves nothing.
func planOf(requests []Request) *plan {
	return newTree(0, [][]int{{1, 1}}).plan(requests, allOf(requests), false)
}

func allOf(requests []Request) []int {
	var all []int
	for n := range requests {
		all = append(all, n)
	}
	return all
}

// ancestors are the tokens that lead to one, itself the last.
func ancestors(t token) []token {
	path := []token{t}
	for t.depth() > 0 {
		t = t.before()
		path = append(path, t)
	}
	slices.Reverse(path)
	return path
}

// TestBatches checks what attention relies on, against brute force: every token that is to be
// computed is some step's own exactly once, and the keys that a token sees, among those of its
// chunk's path and its chunk, are exactly those of the tokens that lead to it, and its own.
// The keys before a batch are followed from batch to batch, as the device does. Some of the
// trees have saved keys and values, of prompts that came before.
func TestBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pooled, saved := 0, 0
	rounds := 100
	if testing.Short() {
		rounds = 25
	}
	for round := range rounds {
		tree := newTree(int64(round%3)*100_000, [][]int{{1, 1}})
		for range 1 + round%4 {
			requests := randomTexts(r, 1+r.IntN(200), 60, 9)
			for i := range requests {
				if n := len(requests[i].IDs); round%2 == 0 {
					requests[i].From = max(requests[i].From, n-r.IntN(4)) // short replies
				}
			}
			for _, size := range [][3]int{{1, 1, 1}, {30, 5, 20}, {100, 64, 50}, {1000, 100, 1000}, {1 << 20, 256, 1 << 20}} {
				p := tree.plan(requests, allOf(requests), false)
				owned := map[token]int{}
				for _, a := range p.steps(size[0], size[2]) {
					for _, token := range a.tokens[a.own:] {
						owned[token]++
					}
					batches := a.batches(size[1])
					if err := a.shape(batches, 1e9, cpuSizes, nil); err != nil {
						t.Fatal(err)
					}
					seesAncestors(t, a, batches)
					if len(a.saved) > 0 {
						saved++
					}
					if a.pooled {
						pooled++
					}
					if a.keys > size[2] && a.pooled {
						t.Errorf("%d saved keys before a step, wanted at most %d", a.keys, size[2])
					}
				}
				for _, token := range p.order {
					if owned[token] != 1 {
						t.Fatalf("size %d: %v is computed %d times, wanted once", size, token, owned[token])
					}
				}
				for token := range p.outputs {
					if owned[token] != 1 {
						t.Fatalf("size %d: %v is asked for and not computed", size, token)
					}
				}
				p.finish(true)
				checkTree(t, tree)
			}
		}
	}
	t.Log(pooled, saved)
	if pooled < 20 || saved < 100 {
		t.Errorf("%d steps after saved keys, %d after several paths, wanted more", saved, pooled)
	}
}

func seesAncestors(t *testing.T, a *step, batches []batch) {
	t.Helper()
	at := map[token]int{}
	for i, token := range a.tokens {
		if _, ok := at[token]; ok {
			t.Fatalf("%v is twice in a step", token)
		}
		at[token] = i
	}
	tokenOf := func(l location) token {
		if l >= 0 {
			return a.tokens[l]
		}
		i := int(-1 - l)
		for _, n := range a.saved {
			if from := a.first[n]; from <= i && i < from+len(n.ids) {
				return token{n, i - from}
			}
		}
		t.Fatalf("no key %d", l)
		return token{}
	}
	past := map[location]bool{} // before the batch
	for i := range a.keys {
		past[savedKey(i)] = true
	}
	for n, b := range batches {
		if b.n > b.T || len(b.past) > b.Q || n > 0 && batches[n-1].N != b.Q {
			t.Fatalf("batch %d of %d tokens after %d: shape %+v after %+v", n, b.n, len(b.past), b.shape, batches[max(n-1, 0)].shape)
		}
		for _, l := range b.past {
			if !past[l] {
				t.Fatalf("batch %d: key %d was not handed on", n, l)
			}
		}
		past = map[location]bool{}
		for _, l := range b.past {
			past[l] = true
		}
		for i := range b.n {
			past[location(b.from+i)] = true
		}
		if !b.Gathers && b.P > 0 && !slices.Equal(b.paths[0], b.past[:len(b.paths[0])]) {
			t.Fatalf("batch %d: the path is not what stands before", n)
		}
		for i := range b.n {
			start := i / b.C * b.C
			path := b.paths[i/b.C]
			if len(path) > b.P {
				t.Fatalf("batch %d: a path of %d keys in %d", n, len(path), b.P)
			}
			var sees []token
			for j := b.base[i]; j < b.seen[i]; j++ {
				if !past[path[j]] || int(path[j]) >= b.from+start {
					t.Fatalf("batch %d: key %d does not stand before", n, path[j])
				}
				sees = append(sees, tokenOf(path[j]))
			}
			for j := start; j <= i; j++ {
				if i-start < int(b.exit[j]) {
					sees = append(sees, a.tokens[b.from+j])
				}
			}
			if want := ancestors(a.tokens[b.from+i]); !slices.Equal(sees, want) {
				t.Fatalf("batch %d: token %d sees %v, wanted %v", n, i, sees, want)
			}
		}
	}
}

// checkTree counts what a tree holds.
func checkTree(t *testing.T, tree *tree) {
	t.Helper()
	var used int64
	held := 0
	var visit func(n *node)
	visit = func(n *node) {
		used += n.bytes
		if n.recent != nil {
			held++
		}
		if (n.recent != nil) != (n.saved != nil || n.asked) || (n.recent != nil) != (n.bytes > 0) {
			t.Fatalf("%v: holds %v, %v, %d bytes, in the list %v", n.ids, n.saved, n.asked, n.bytes, n.recent != nil)
		}
		if n.saved != nil && (len(n.saved.parts[0][0]) != len(n.ids)*tree.widths[0][0] || n.parent != tree.root && n.parent.saved == nil) {
			t.Fatalf("%v: %d keys, wanted those of all its tokens, after saved ones", n.ids, len(n.saved.parts[0][0]))
		}
		if n != tree.root && len(n.children) == 0 && n.bytes == 0 {
			t.Fatalf("%v holds nothing and leads nowhere", n.ids)
		}
		for id, child := range n.children {
			if child.parent != n || child.ids[0] != id || child.start() != n.end {
				t.Fatalf("%v below %v", child, n)
			}
			visit(child)
		}
	}
	visit(tree.root)
	if used != tree.used || held != tree.recent.Len() || used > tree.limit {
		t.Fatalf("%d bytes of %d in %d nodes, counted %d in %d", tree.used, tree.limit, tree.recent.Len(), used, held)
	}
}

// TestShared: texts share the tokens of their common prefixes, and a last token whose state
// nobody needs is not computed.
func TestShared(t *testing.T) {
	var requests []Request
	for _, ids := range [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 6}, {1, 2, 3, 4}} {
		requests = append(requests, Request{IDs: ids, From: 2})
	}
	if got := len(planOf(requests).order); got != 3 { // 1, 2, 3
		t.Errorf("%d tokens, wanted 3", got)
	}
}

// corpus is words after prompts.
func corpus(prompts, words int32) (all []Request) {
	for prompt := range prompts {
		for word := range words {
			ids := make([]int32, 53)
			ids[0], ids[50] = prompt, word
			all = append(all, Request{IDs: ids[:52], From: 50})
		}
	}
	return all
}

// TestSteps: a cut falls where little is computed anew, and a text longer than a step is
// one step, not one and then the whole path again.
func TestSteps(t *testing.T) {
	for i, p := range planOf(corpus(20, 30)).steps(400, 0) { // 50 + 30 tokens a prompt
		if p.own != 0 {
			t.Errorf("step %d computes %d tokens anew, wanted a cut between prompts", i, p.own)
		}
		if n := len(p.tokens); n > 400 || n < 300 && i < 4 {
			t.Errorf("step %d has %d tokens, wanted 300 to 400", i, n)
		}
	}
	var long []Request
	for n := range int32(3) {
		ids := make([]int32, 1000)
		ids[0] = n
		long = append(long, Request{IDs: ids, From: len(ids), Distribution: true})
	}
	tokens := 0
	for _, p := range planOf(long).steps(64, 0) {
		tokens += len(p.tokens)
	}
	if tokens > 9000 {
		t.Errorf("%d tokens in steps of 64, wanted at most three times the tree's 3,000", tokens)
	}
}

// TestShapes: a run over a corpus compiles few executables.
func TestShapes(t *testing.T) {
	different := map[shape]bool{}
	for _, p := range planOf(corpus(54, 1000)).steps(cpuSizes.stepTokens, 0) {
		batches := p.batches(defaultBatchTokens)
		if err := p.shape(batches, 1e8, cpuSizes, func(_, usual int) (int, error) { return usual, nil }); err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			different[b.shape] = true
		}
	}
	if len(different) > 2 {
		t.Errorf("%d shapes for a corpus after prompts, wanted at most 2: %v", len(different), different)
	}
}

func TestBucket(t *testing.T) {
	for _, test := range [][2]int{{1, 1}, {2, 2}, {3, 4}, {8, 8}, {9, 12}, {13, 16}, {17, 24}, {25, 32}, {33, 48}, {49, 64}, {65, 128}, {197, 256}, {500, 512}} {
		if got := bucket(test[0]); got != test[1] {
			t.Errorf("bucket(%d) = %d, wanted %d", test[0], got, test[1])
		}
	}
	for n := 1; n < 5000; n++ {
		if b := bucket(n); b < n || n > 8 && b-n > max(b/3, chunkTokens-1) {
			t.Fatalf("bucket(%d) = %d", n, b)
		}
	}
}

// TestTreeBounded: what is saved stays within its bytes, and the least recently used goes.
func TestTreeBounded(t *testing.T) {
	prompt := func(first int32, tokens int) []Request {
		ids := make([]int32, tokens+1)
		ids[0] = first
		return []Request{{IDs: append(ids, 5), From: len(ids)}}
	}
	tree := newTree(0, [][]int{{100, 100}, {100, 100}})
	one := nodeBytes + longPrompt*(tree.tokenBytes()+4)
	tree.limit = 3*one + 5000 // some marks
	saved := func(first int32, tokens int) int {
		p := tree.plan(prompt(first, tokens), []int{0}, false)
		p.finish(true)
		return tokens + 1 - len(p.order)
	}
	for i := range int32(3) {
		if n := saved(i, longPrompt); n != 0 {
			t.Fatalf("%d tokens of a new prompt are saved", n)
		}
	}
	for _, i := range []int32{1, 2, 0} { // again
		if n := saved(i, longPrompt); n != longPrompt {
			t.Fatalf("%d tokens of prompt %d are saved, wanted all before its last", n, i)
		}
	}
	saved(3, longPrompt) // in the place of 1
	for i, want := range []int{longPrompt, 0, longPrompt, longPrompt} {
		if p := tree.plan(prompt(int32(i), longPrompt), nil, false); p != nil {
			n := 0
			for _, node := range tree.root.children {
				if node.ids[0] == int32(i) && node.saved != nil {
					n = len(node.ids)
				}
			}
			if n != want {
				t.Errorf("%d tokens of prompt %d are saved, wanted %d", n, i, want)
			}
			p.finish(true)
		}
	}
	if tree.used != 3*one || tree.recent.Len() != 3 {
		t.Errorf("%d bytes in %d nodes, wanted %d in 3", tree.used, tree.recent.Len(), 3*one)
	}
	saved(9, 4*longPrompt)
	if saved(9, 4*longPrompt) != 0 || saved(2, longPrompt) != longPrompt {
		t.Error("a prompt larger than all room is saved, or drives others out")
	}
	checkTree(t, tree)
}

// TestTreeRandom: what a plan computes is what no earlier plan has saved, and with a tree
// that has room every prompt is saved when it comes again.
func TestTreeRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tree := newTree(1<<30, [][]int{{1, 1}})
	asked, came := map[string]bool{}, map[string]bool{} // prompts without their last token; their prefixes that are saved
	for range 200 {
		requests := randomTexts(r, 1+r.IntN(30), 40, 4)
		p := tree.plan(requests, allOf(requests), false)
		for _, q := range requests {
			for n := q.before() + 1; n <= q.states(); n++ { // what is asked for is computed
				i := slices.IndexFunc(p.order, func(t token) bool { return t.depth() == n-1 && slices.Equal(idsTo(t), q.IDs[:n]) })
				if i < 0 {
					t.Fatalf("%v: token %d is not computed", q, n-1)
				}
			}
		}
		for _, token := range p.order { // and what is taken as saved is
			if ids := idsTo(token); p.level(token) < token.depth() && !came[fmt.Sprint(ids[:token.depth()-p.level(token)])] {
				t.Fatalf("%v is taken as saved", ids[:token.depth()-p.level(token)])
			}
		}
		p.finish(true)
		for _, q := range requests {
			before := fmt.Sprint(q.IDs[:q.before()])
			if q.before() >= leastSaved && asked[before] {
				for n := range q.before() + 1 {
					came[fmt.Sprint(q.IDs[:n])] = true
				}
			}
			asked[before] = true
		}
		checkTree(t, tree)
	}
}

func idsTo(t token) (ids []int32) {
	for _, a := range ancestors(t) {
		ids = append(ids, a.id())
	}
	return ids
}
