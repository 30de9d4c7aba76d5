package engine

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
)

// made answers requests with numbers made of their ids, over 12 tokens.
func made(requests []Request) (all []Result) {
	row := func(ids []int32) []TokenLogProb {
		h := fnv.New64()
		for _, id := range ids {
			h.Write([]byte{byte(id)})
		}
		r := rand.New(rand.NewPCG(h.Sum64(), 1))
		row := make([]TokenLogProb, 12)
		for id := range row {
			row[id] = TokenLogProb{int32(id), -float32(r.Float64())}
		}
		return row
	}
	for _, q := range requests {
		r := Result{Greedy: true}
		for i := q.From; i <= len(q.IDs); i++ {
			after := row(q.IDs[:i])
			sorted := slices.SortedStableFunc(slices.Values(after), func(a, b TokenLogProb) int { return cmp.Compare(b.LogProb, a.LogProb) })
			if q.TopK > 0 {
				r.Top = append(r.Top, sorted[:q.TopK])
			}
			if i < len(q.IDs) {
				r.LogProbs = append(r.LogProbs, after[q.IDs[i]].LogProb)
				r.greedy = append(r.greedy, sorted[0].ID == q.IDs[i])
				r.Greedy = r.Greedy && sorted[0].ID == q.IDs[i]
			} else if q.Distribution {
				for _, t := range after {
					r.Distribution = append(r.Distribution, t.LogProb)
				}
			}
		}
		all = append(all, r)
	}
	return all
}

// recall answers what the cache knows of requests, and the rest as made does.
func recall(t *testing.T, c Cache, requests []Request, compute func([]Request) []Result) (all []Result) {
	t.Helper()
	known, err := c.Get(t.Context(), requests)
	if err != nil || len(known) != len(requests) {
		t.Fatal(known, err)
	}
	for i, k := range known {
		if k.All {
			all = append(all, k.Result)
			continue
		}
		r := requests[i]
		r.From += len(k.LogProbs)
		rest := compute([]Request{r})
		if err := c.Put(t.Context(), []Request{r}, rest); err != nil {
			t.Fatal(err)
		}
		all = append(all, k.with(rest[0]))
	}
	return all
}

// TestAnswers: random requests, with and without memory of earlier ones, get the same
// results; what is known is not asked again; and the memory stays within its bytes.
func TestAnswers(t *testing.T) {
	for _, bytes := range []int64{4000, 1 << 20} {
		a := NewAnswers(bytes)
		r := rand.New(rand.NewPCG(3, 3))
		asked, wanted := 0, 0
		for range 300 {
			var requests []Request
			for range 1 + r.IntN(4) {
				ids := []int32{int32(r.IntN(3))}
				for range r.IntN(6) {
					ids = append(ids, int32(r.IntN(2)))
				}
				q := Request{IDs: ids, From: 1 + r.IntN(len(ids)), TopK: r.IntN(4), Distribution: r.IntN(8) == 0}
				requests = append(requests, q)
				wanted += len(ids) - q.From
			}
			got := recall(t, a, requests, func(rest []Request) []Result {
				for _, q := range rest {
					asked += len(q.IDs) - q.From
				}
				return made(rest)
			})
			for i, want := range made(requests) {
				if !slices.Equal(got[i].LogProbs, want.LogProbs) || got[i].Greedy != want.Greedy || !slices.Equal(got[i].Distribution, want.Distribution) || !slices.EqualFunc(got[i].Top, want.Top, slices.Equal) {
					t.Fatalf("%d bytes: %+v: %+v, wanted %+v", bytes, requests[i], got[i], want)
				}
			}
			if n := a.young.bytes + a.old.bytes; n > int(bytes)+4*8*(104+3*8) { // each list of requests may pass the bound
				t.Fatalf("%d bytes held, wanted at most %d", n, bytes)
			}
		}
		if bytes == 1<<20 && asked > wanted/2 {
			t.Errorf("%d bytes: %d log-probabilities asked for, of %d wanted", bytes, asked, wanted)
		}
	}
}

// TestAnswersGreedy: numbers of different windows differ in their last bits. A token that is
// the likeliest has the likeliest's bits all the same, as harnesses compare the two.
func TestAnswersGreedy(t *testing.T) {
	a := NewAnswers(1 << 20)
	windows := float32(0)
	for _, id := range []int32{7, 8, 7, 8} {
		got := recall(t, a, []Request{{IDs: []int32{5, id}, From: 1, TopK: 1}}, func([]Request) []Result {
			windows++
			v := map[int32]float32{7: -0.5 - windows/1e6, 8: -2 - windows/1e6}
			return []Result{{LogProbs: []float32{v[id]}, Greedy: id == 7, greedy: []bool{id == 7}, Top: [][]TokenLogProb{{{7, v[7]}}, {{9, -1}}}}}
		})[0]
		if (got.LogProbs[0] == got.Top[0][0].LogProb) != (id == 7) || got.Greedy != (id == 7) {
			t.Errorf("token %d: %v, greedy %v, beside %v", id, got.LogProbs[0], got.Greedy, got.Top)
		}
	}
	if windows != 2 {
		t.Errorf("%v windows, wanted 2", windows)
	}
}

// TestAnswersInEngine: an engine with a cache answers as one without, and computes little of
// what came before.
func TestAnswersInEngine(t *testing.T) {
	plain, with := open(t, "llama-mha"), open(t, "llama-mha")
	with.cache = NewAnswers(1 << 20)
	cached := 0
	with.onWindow = func(n int, all bool) {
		if all {
			cached += n
		}
	}
	requests := randomTexts(rand.New(rand.NewPCG(1, 1)), 40, 30, plain.model.V)
	for i := range requests {
		requests[i].TopK, requests[i].Distribution = i%3, i%7 == 6
	}
	want, err := run(t.Context(), plain, requests)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		before := with.computed
		got, err := run(t.Context(), with, requests)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if err := near(got[i], want[i], 1e-5); err != nil || len(got[i].Top) != len(want[i].Top) || got[i].Greedy != want[i].Greedy {
				t.Fatalf("round %d: text %d: %v", round, i, err)
			}
		}
		if n := with.computed - before; round > 0 && n > before/(2*round) {
			t.Errorf("round %d: %d tokens computed again", round, n)
		}
	}
	all := requests[:2] // without distributions
	all[0].Distribution = false
	for range 2 {
		if _, err := run(t.Context(), with, all); err != nil {
			t.Fatal(err)
		}
	}
	if cached == 0 {
		t.Error("no window was answered by the cache alone")
	}
}
