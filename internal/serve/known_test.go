package serve

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
)

// TestKnown: random queries, asked with and without memory of earlier ones, get the same
// answers; what is known is not asked again; and the memory stays within its bytes.
func TestKnown(t *testing.T) {
	f := newFake()
	for _, bytes := range []int64{0, 4000, 1 << 20} {
		k := newKnown(bytes)
		r := rand.New(rand.NewPCG(3, 3))
		asked, wanted := 0, 0
		for range 300 {
			var queries []logprob.Request
			for range 1 + r.IntN(4) {
				ids := []int32{int32(r.IntN(3))}
				for range r.IntN(6) {
					ids = append(ids, int32(r.IntN(2)))
				}
				q := logprob.Request{IDs: ids, From: 1 + r.IntN(len(ids))}
				q.TopK, q.Distribution = r.IntN(4), r.IntN(8) == 0
				queries = append(queries, q)
				wanted += len(ids) - q.From
			}
			got, err := k.recall(queries, func(rest []logprob.Request) ([]logprob.Result, error) {
				for _, q := range rest {
					asked += len(q.IDs) - q.From
				}
				return ask(t.Context(), f, rest)
			})
			if err != nil {
				t.Fatal(err)
			}
			want, err := ask(t.Context(), f, queries)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if !slices.Equal(got[i].LogProbs, want[i].LogProbs) || !slices.Equal(got[i].Distribution, want[i].Distribution) || !slices.EqualFunc(got[i].Top, want[i].Top, slices.Equal) {
					t.Fatalf("%d bytes: %+v: %+v, wanted %+v", bytes, queries[i], got[i], want[i])
				}
			}
			if n := k.young.bytes + k.old.bytes; n > int(bytes)+4*8*(96+3*8) { // each list of queries may pass the bound
				t.Fatalf("%d bytes held, wanted at most %d", n, bytes)
			}
		}
		if bytes == 0 && asked != wanted || bytes == 1<<20 && asked > wanted/2 {
			t.Errorf("%d bytes: %d log-probabilities asked for, of %d wanted", bytes, asked, wanted)
		}
	}
}

// TestKnownGreedy: numbers of different batches differ in their last bits. A token that is
// the likeliest has the likeliest's bits all the same, as harnesses compare the two.
func TestKnownGreedy(t *testing.T) {
	k := newKnown(1 << 20)
	batch := float32(0)
	ask := func(queries []logprob.Request) ([]logprob.Result, error) {
		batch++
		var answers []logprob.Result
		for _, q := range queries {
			v := map[int32]float32{7: -0.5 - batch/1e6, 8: -2 - batch/1e6}
			a := logprob.Result{Top: [][]logprob.TokenLogProb{{{ID: 7, LogProb: v[7]}}, {{ID: 9, LogProb: -1}}}}
			a.LogProbs = []float32{v[q.IDs[1]]}
			answers = append(answers, a)
		}
		return answers, nil
	}
	for _, id := range []int32{7, 8, 7, 8} {
		q := logprob.Request{IDs: []int32{5, id}, From: 1}
		q.TopK = 1
		a, err := k.recall([]logprob.Request{q}, ask)
		if err != nil || (a[0].LogProbs[0] == a[0].Top[0][0].LogProb) != (id == 7) {
			t.Errorf("token %d: %v beside %v %v", id, a[0].LogProbs, a[0].Top, err)
		}
	}
	if batch != 2 {
		t.Errorf("%v batches, wanted 2", batch)
	}
}
