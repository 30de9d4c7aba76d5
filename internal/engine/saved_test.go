package engine

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// TestPrompts: calls that find a prompt, or its beginning, from an earlier one give what an
// engine without memory gives, and compute little more than what is new.
func TestPrompts(t *testing.T) {
	for _, name := range some("llama-linear", "gemma3-written", "gemma4-shared", "mistral-window", "gpt_neox-hub", "olmoe-fused", "bloom-heads", "qwen3_5_text-hybrid", "qwen3_next-step") {
		holdPrompts(t, name, open(t, name), 1<<30)
	}
}

// TestKept: an accelerator, which keeps what is saved itself, gives the same; also where there is room for
// little, so that rows are taken again. (TestDevicesKinds of package logprob has devices that divide the blocks.)
func TestKept(t *testing.T) {
	for _, name := range some("llama-linear", "gemma4-shared", "qwen3_5_text-hybrid", "olmoe-fused") {
		for _, tokens := range map[string][]int64{"llama-linear": {0, 700}, "gemma4-shared": {700}, "qwen3_5_text-hybrid": {700}, "olmoe-fused": {0}}[name] { // 0 for all
			with, err := openWith(t, filepath.Join(families, name), Options{Accelerated: true})
			if err != nil {
				t.Fatal(err)
			}
			limit := tokens * (with.tree.tokenBytes() + 4)
			if tokens == 0 {
				limit = 1 << 30
			}
			holdPrompts(t, name, with, limit)
			rows := with.tree.rows
			held := 0
			for e := with.tree.recent.Front(); e != nil; e = e.Next() {
				if s := e.Value.(*node).saved; s != nil {
					held += len(s.rows)
				}
			}
			if n := int(rows.next) - len(rows.free); n != held || held == 0 || tokens == 700 && rows.next > 2*700 {
				t.Errorf("%s: %d of %d rows are taken, wanted the %d that are held", name, n, rows.next, held)
			}
		}
	}
}

// randomIDs draws n tokens of a vocabulary of v.
func randomIDs(r *rand.Rand, n, v int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(v))
	}
	return ids
}

// holdPrompts holds an engine that saves up to limit bytes to one that does not.
func holdPrompts(t *testing.T, name string, with *Engine, limit int64) {
	t.Helper()
	plain := open(t, name)
	with.tree.limit = limit
	for _, e := range []*Engine{plain, with} {
		e.model.Context = 1 << 12
		e.stepTokens, e.batchTokens = 300, 50
	}
	r := rand.New(rand.NewPCG(17, 18))
	random := func(n int) []int32 { return randomIDs(r, n, plain.model.V) }
	system := random(150)
	rounds, replies, longest := 5, 30, 450
	if testing.Short() {
		rounds, replies, longest = 4, 12, 200
	}
	list := [][]int32{random(20), slices.Concat(system, random(30)), slices.Concat(system, random(longest/3)), random(longest), random(128), system}
	for round := range rounds {
		var texts []Request
		fresh := 0
		for i := range replies {
			prompt := list[r.IntN(len(list))]
			reply := random(r.IntN(5))
			fresh += len(reply) + 1
			texts = append(texts, Request{IDs: slices.Concat(prompt, reply), From: len(prompt), Distribution: i%7 == 0, TopK: i % 3})
		}
		before := with.computed
		got, err := run(t.Context(), with, texts)
		if err != nil {
			t.Fatal(err)
		}
		want, err := run(t.Context(), plain, texts)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if err := near(got[i], want[i], 1e-5); err != nil || len(got[i].Top) != len(want[i].Top) {
				t.Fatalf("%s: round %d: text %d: %v", name, round, i, err)
			}
		}
		if n := with.computed - before; limit >= 1<<30 && round > 2 && n > fresh+len(list)+20+128 {
			t.Errorf("%s: round %d: %d nodes computed for %d new ones", name, round, n, fresh)
		}
	}
}

// TestPool: calls with replies to short prompts, some of them known from earlier calls, give
// what an engine without memory gives, in batches and pools of any size, with windows
// smaller than the prompts and learned positions, and compute no known prompt again.
func TestPool(t *testing.T) {
	for _, name := range some("llama-linear", "gemma3-written", "gemma4-shared", "mistral-window", "gpt2-hub", "gpt_neox-hub", "gemma2-base", "qwen2_moe-window", "falcon-alibi", "qwen3_5_text-bias-tied", "nemotron_h-experts") {
		plain, with := open(t, name), open(t, name)
		with.tree.limit = 1 << 30
		with.batchTokens, with.savedKeys = 40, 200
		longest := min(plain.model.Context-9, 60)
		r := rand.New(rand.NewPCG(19, 20))
		random := func(n int) []int32 { return randomIDs(r, n, plain.model.V) }
		var list [][]int32
		for i := range 16 {
			list = append(list, random(1+r.IntN(longest)))
			if i > 8 { // prompts that begin as others do, or are their beginnings
				copy(list[i], list[i-8])
			}
		}
		ends, other := make([]bool, plain.model.V), make([]bool, 9)
		ends[3], ends[17], other[5] = true, true, true
		var last []Request
		for round := range 5 {
			texts := last
			for i := range 40 {
				prompt := list[r.IntN(len(list))]
				reply := random(r.IntN(9))
				texts = append(texts, Request{IDs: slices.Concat(prompt, reply), From: len(prompt), Distribution: i%7 == 0, TopK: i % 3, Within: [][]bool{ends, nil, nil, other, nil}[i%5]})
			}
			if round == 3 {
				last = texts
			}
			before := with.computed
			got, err := run(t.Context(), with, texts)
			if err != nil {
				t.Fatal(err)
			}
			want, err := run(t.Context(), plain, texts)
			if err != nil {
				t.Fatal(err)
			}
			fresh := 0
			for i := range got {
				if err := near(got[i], want[i], 1e-5); err != nil || len(got[i].Top) != len(want[i].Top) {
					t.Fatalf("%s: round %d: text %d: %v", name, round, i, err)
				}
				if a, b := got[i].Within, want[i].Within; math.Abs(float64(a-b)) > 1e-5 || (b == 0) != (texts[i].Within == nil) {
					t.Fatalf("%s: round %d: text %d: within %v, wanted %v", name, round, i, a, b)
				}
				fresh += len(texts[i].IDs) - max(texts[i].From-1, 0)
			}
			// Beside what is new: prompts too short to be kept, and paths at the cuts.
			if n := with.computed - before; round > 2 && n > fresh+leastSaved*len(list)+fresh/2 {
				t.Errorf("%s: round %d: %d nodes computed for %d new ones", name, round, n, fresh)
			}
		}
	}
}
