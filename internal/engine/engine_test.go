package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
)

// families are the reference checkpoints of package logprob, which also compares
// them with transformers.
const families = "../../logprob/testdata/families"

var pureGo = sync.OnceValues(func() (compute.Backend, error) {
	return compute.NewWithConfig("go:ops_sequential") // see logprob/backend.go
})

func open(t testing.TB, name string) *Engine {
	t.Helper()
	dir := filepath.Join(families, name)
	e, err := openWith(t, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// kinds has one checkpoint of each kind of block that the engine treats in a way of its own; package
// logprob's TestTreeAlone has all families.
var kinds = []string{"bloom-heads", "deepseek_v3-groups", "falcon_h1-norm", "gemma2-base", "gemma4-shared", "gpt2-plain", "gpt_oss-sinks",
	"granitemoehybrid-experts", "llama-llama3", "mistral-window", "nemotron_h-experts", "olmoe-clip", "qwen3_5_text-hybrid"}

// cpuSizes are the sizes of a CPU.
var cpuSizes = sizesOf(false, dtypes.Float32, nil)

// run collects the results of requests.
func run(ctx context.Context, e *Engine, requests []Request) ([]Result, error) {
	var results []Result
	for r, err := range e.Run(ctx, slices.Values(requests)) {
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	return results, nil
}

// some leaves the first alone under -short, which the race detector's slowness asks for.
func some(names ...string) []string {
	if testing.Short() {
		return names[:1]
	}
	return names
}

// randomTexts makes texts with many common beginnings, duplicates, empty replies and
// replies that begin others.
func randomTexts(r *rand.Rand, n, context, vocabulary int) []Request {
	texts := []Request{{IDs: []int32{1}, From: 1, Distribution: true}, {IDs: []int32{1, 2}, From: 2}}
	for len(texts) < n {
		from := texts[r.IntN(len(texts))]
		ids := slices.Clone(from.IDs[:1+r.IntN(len(from.IDs))])
		for range r.IntN(12) {
			if len(ids) < context {
				ids = append(ids, int32(r.IntN(min(vocabulary, 3+r.IntN(vocabulary)))))
			}
		}
		texts = append(texts, Request{IDs: ids, From: 1 + r.IntN(len(ids)), Distribution: r.IntN(8) == 0})
	}
	return texts
}

// TestTree compares texts scored together, in batches of several sizes, with each
// text scored alone: what shares a batch must not matter, nor where it is cut.
func TestTree(t *testing.T) {
	for i, name := range kinds {
		if testing.Short() && i%3 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			e := open(t, name)
			r := rand.New(rand.NewPCG(1, 2))
			texts := randomTexts(r, 40, min(e.model.Context, 60), e.model.V)
			alone := make([]Result, len(texts))
			for i, text := range texts {
				one, err := run(t.Context(), e, []Request{text})
				if err != nil {
					t.Fatal(err)
				}
				alone[i] = one[0]
			}
			sizes := [][2]int{{1, 1}, {20, 7}, {100, 32}, {200, 64}, {4096, 100}, {4096, 512}}
			if testing.Short() {
				sizes = sizes[1:3]
			}
			for _, size := range sizes {
				e.stepTokens, e.batchTokens = size[0], size[1]
				together, err := run(t.Context(), e, texts)
				if err != nil {
					t.Fatal(err)
				}
				for i := range texts {
					if err := near(together[i], alone[i], 1e-5); err != nil {
						t.Fatalf("steps and batches of %d: text %d of %v: %v", size, i, texts[i], err)
					}
				}
			}
		})
	}
}

func near(a, b Result, tolerance float64) error {
	if len(a.LogProbs) != len(b.LogProbs) || len(a.Distribution) != len(b.Distribution) {
		return fmt.Errorf("lengths %d %d, wanted %d %d", len(a.LogProbs), len(a.Distribution), len(b.LogProbs), len(b.Distribution))
	}
	for _, p := range [][2][]float32{{a.LogProbs, b.LogProbs}, {a.Distribution, b.Distribution}} {
		for i := range p[0] {
			if d := math.Abs(float64(p[0][i] - p[1][i])); !(d <= tolerance) {
				return fmt.Errorf("log-probability %d is %v, wanted %v", i, p[0][i], p[1][i])
			}
		}
	}
	return nil
}

// TestScoreIsChainedNext: a reply's log-probabilities are those of its tokens in the
// rows after each prefix, and every row sums to 1.
func TestScoreIsChainedNext(t *testing.T) {
	e := open(t, "llama-gqa-tied")
	ids := []int32{5, 9, 2, 7, 7, 1}
	texts := []Request{{IDs: ids, From: 1}}
	for n := 1; n < len(ids); n++ {
		texts = append(texts, Request{IDs: ids[:n], From: n, Distribution: true})
	}
	results, err := run(t.Context(), e, texts)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(ids); n++ {
		row, sum := results[n].Distribution, 0.0
		for _, x := range row {
			sum += math.Exp(float64(x))
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("probabilities after %v sum to %v", ids[:n], sum)
		}
		if got, want := results[0].LogProbs[n-1], row[ids[n]]; got != want {
			t.Errorf("token %d: %v, wanted %v as in the row", n, got, want)
		}
	}
}

// TestGreedy: a reply made of the likeliest tokens is greedy, one with another token
// is not.
func TestGreedy(t *testing.T) {
	e := open(t, "llama-mha")
	ids := []int32{3}
	for range 4 {
		r, err := run(t.Context(), e, []Request{{IDs: ids, From: len(ids), Distribution: true}})
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		for i, x := range r[0].Distribution {
			if x > r[0].Distribution[best] {
				best = i
			}
		}
		ids = append(ids, int32(best))
	}
	other := slices.Clone(ids)
	other[4] = (other[4] + 1) % int32(e.model.V)
	r, err := run(t.Context(), e, []Request{{IDs: ids, From: 1}, {IDs: other, From: 1}, {IDs: ids, From: len(ids)}})
	if err != nil {
		t.Fatal(err)
	}
	if !r[0].Greedy || r[1].Greedy || !r[2].Greedy {
		t.Errorf("greedy is %v %v %v, wanted true false true", r[0].Greedy, r[1].Greedy, r[2].Greedy)
	}
}

func TestRefused(t *testing.T) {
	e := open(t, "llama-mha")
	long := make([]int32, e.model.Context+1)
	for _, test := range []struct {
		text Request
		want string
	}{
		{Request{IDs: long, From: 1}, "the model's context"},
		{Request{IDs: []int32{1, int32(e.model.V)}, From: 1}, "token 1 has id"},
		{Request{IDs: []int32{-1, 1}, From: 1}, "token 0 has id -1"},
		{Request{IDs: []int32{1, 2}, From: 0}, "nothing stands before"},
		{Request{Distribution: true}, "nothing stands before"},
		{Request{IDs: []int32{1}, From: 2}, "reply begins at token 2 of 1"},
	} {
		_, err := run(t.Context(), e, []Request{test.text})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, wanted %q", test.text, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, e, []Request{{IDs: []int32{1, 2}, From: 1}}); err == nil {
		t.Error("a cancelled run gave no error")
	}
	e.Close()
	if _, err := run(t.Context(), e, []Request{{IDs: []int32{1, 2}, From: 1}}); err == nil {
		t.Error("a closed engine ran")
	}
}

// TestBesideText: a token that modules beside the text part embed is refused where it is read, and not
// where it is said.
func TestBesideText(t *testing.T) {
	e := open(t, "gemma3n-hub")
	if e.model.Embed.Rows != e.model.V {
		t.Fatalf("the text part embeds %d tokens, wanted all %d", e.model.Embed.Rows, e.model.V)
	}
	e.model.Embed.Rows = 100
	for _, test := range []struct {
		text    Request
		refused bool
	}{
		{Request{IDs: []int32{1, 99, 100}, From: 1}, false},
		{Request{IDs: []int32{1, 99, 100}, From: 1, Distribution: true}, true},
		{Request{IDs: []int32{1, 100, 2}, From: 1}, true},
		{Request{IDs: []int32{100, 2}, From: 1}, true},
	} {
		_, err := run(t.Context(), e, []Request{test.text})
		if (err != nil) != test.refused || err != nil && !strings.Contains(err.Error(), "id 100 is not embedded by the text part") {
			t.Errorf("%v: error %v, wanted one: %v", test.text, err, test.refused)
		}
	}
}

// TestSharedExecutables: engines of the same configuration share executables, which live as long as one
// of them; another configuration has its own.
func TestSharedExecutables(t *testing.T) {
	first := open(t, "llama-mha")
	text := []Request{{IDs: []int32{1, 2, 3}, From: 1}}
	want, err := run(t.Context(), first, text)
	if err != nil {
		t.Fatal(err)
	}
	if open(t, "llama-linear").executables == first.executables {
		t.Error("another configuration shares executables")
	}
	second := open(t, "llama-mha")
	if second.executables != first.executables {
		t.Fatal("the same configuration shares no executables")
	}
	n := len(first.executables.execs)
	first.Close()
	got, err := run(t.Context(), second, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.executables.execs) != n {
		t.Errorf("%d executables, wanted the %d that are shared", len(second.executables.execs), n)
	}
	if err := near(got[0], want[0], 0); err != nil {
		t.Error(err)
	}
	second.Close()
	if open(t, "llama-mha").executables == second.executables {
		t.Error("freed executables are shared")
	}
}

// TestManyShapes runs more combinations of shapes than the 32 that graph.Exec keeps by
// default.
func TestManyShapes(t *testing.T) {
	e := open(t, "llama-mqa")
	for tokens := 1; tokens <= 48; tokens++ {
		for _, wanted := range []int{1, 5, 9, tokens} {
			ids := make([]int32, tokens+1)
			if _, err := run(t.Context(), e, []Request{{IDs: ids, From: max(1, len(ids)-wanted)}}); err != nil {
				t.Fatalf("%d tokens, %d wanted: %v", tokens, wanted, err)
			}
		}
	}
}

// TestScoreBytes: where scores would take much memory, chunks and rows are taken one after
// the other, with the same numbers.
func TestScoreBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, name := range some("gemma3-written", "mistral-window", "gpt2-plain") {
		var texts []Request
		var want []Result
		for _, bytes := range []int{cpuSizes.scoreBytes, 400_000, 1 << 16, 1} { // 400,000: rows that do not go up in 256
			e := open(t, name)
			e.scoreBytes = bytes
			if name != "gpt2-plain" {
				e.model.Context = 1 << 12 // stretched: these have no learned positions
			}
			if texts == nil {
				texts = randomTexts(r, 300, min(e.model.Context, 60), e.model.V)
				n := 700
				if testing.Short() {
					n = 300
				}
				long := make([]int32, min(e.model.Context, n))
				for i := range long {
					long[i] = int32(r.IntN(e.model.V))
				}
				texts = append(texts, Request{IDs: long, From: 1})
			}
			got, err := run(t.Context(), e, texts)
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			for i := range got {
				if err := near(got[i], want[i], 1e-5); err != nil {
					t.Fatalf("%s: %d bytes: text %d: %v", name, bytes, i, err)
				}
			}
		}
	}
}

// TestLong: a path of several chunks of queries gives what the same text gives in
// short pieces of the tree, on a context stretched for the purpose.
func TestLong(t *testing.T) {
	for _, name := range some("llama-linear", "qwen3_5-hub") {
		e := open(t, name)
		e.model.Context = 1 << 12
		r := rand.New(rand.NewPCG(5, 6))
		ids := randomIDs(r, 700, e.model.V)
		long, err := run(t.Context(), e, []Request{{IDs: ids, From: 1}})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{100, 300, 520} {
			short, err := run(t.Context(), e, []Request{{IDs: ids[:n], From: 1}})
			if err != nil {
				t.Fatal(err)
			}
			if err := near(Result{LogProbs: long[0].LogProbs[:n-1]}, short[0], 1e-5); err != nil {
				t.Errorf("%s: of %d tokens, of %d: %v", name, len(ids), n, err)
			}
		}
	}
}
