package logprob_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// smollm2 is where make real puts the model.
const smollm2 = "../.deps/models/smollm2-135m-instruct"

// golden is what testdata/make.py wrote: float32 numbers of transformers with eager
// attention, each text computed alone.
type golden struct {
	Texts []struct {
		IDs      []int32
		LogProbs []float64 // of IDs[1:]
	}
	Next []float64 // row after the first text
	// RouterGap is the smallest, over all texts, between the last logit of a router that was
	// chosen and the first that was not; 0 without routers.
	RouterGap float64 `json:"router_gap"`
}

func readGolden(t *testing.T, dir string) golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// variants returns a folder for each config that a case has: config.json as
// transformers 5 writes it, config.v4.json as older checkpoints were published,
// config.min.json without the keys whose default says the same.
func variants(t *testing.T, dir string) []string {
	t.Helper()
	all := []string{dir}
	for _, name := range []string{"config.v4.json", "config.min.json"} {
		config, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		folder := filepath.Join(t.TempDir(), strings.TrimSuffix(name, ".json"))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "config.json"), config, 0o644); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "model*.safetensors*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, folder)
	}
	return all
}

// worst returns the largest and the mean difference from the golden numbers, of the
// texts that the model accepts, scored together, and of the row after the first, alone.
func worst(t *testing.T, m *logprob.Model, g golden) (largest, mean float64) {
	t.Helper()
	var got []logprob.Result
	for score, err := range logprob.Score(t.Context(), m, slices.Values(g.encoded())) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, score)
	}
	for row, err := range logprob.Next(t.Context(), m, slices.Values(g.encoded()[:1])) {
		if err != nil {
			t.Fatal(err)
		}
		got[0].Distribution = row
	}
	return g.furthest(t, got)
}

// worstAtOnce is worst with the row in the same batch, so that XLA compiles for the shapes of one.
func worstAtOnce(t *testing.T, m *logprob.Model, g golden) (largest, mean float64) {
	t.Helper()
	var asked []logprob.Request
	for i, text := range g.encoded() {
		r := logprob.RequestOf(text)
		r.Distribution = i == 0
		asked = append(asked, r)
	}
	var got []logprob.Result
	for r, err := range m.Run(t.Context(), slices.Values(asked)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	return g.furthest(t, got)
}

// encoded are the texts, whose replies begin after the first token.
func (g golden) encoded() (texts []tokenize.Encoded) {
	for _, text := range g.Texts {
		texts = append(texts, tokenize.Encoded{IDs: text.IDs, Reply: 1})
	}
	return texts
}

// furthest returns the largest and the mean difference of results from the golden numbers.
func (g golden) furthest(t *testing.T, got []logprob.Result) (largest, mean float64) {
	t.Helper()
	sum, count := 0.0, 0
	compare := func(what string, got []float32, want []float64) {
		if len(got) != len(want) {
			t.Fatalf("%s: %d log-probabilities, wanted %d", what, len(got), len(want))
		}
		for i, v := range got {
			d := math.Abs(float64(v) - want[i])
			if !(d <= largest) { // a NaN too
				largest = d
			}
			sum += d
			count++
		}
	}
	if len(got) != len(g.Texts) {
		t.Fatalf("%d results, wanted %d", len(got), len(g.Texts))
	}
	for n, text := range g.Texts {
		compare(fmt.Sprint("text ", n), got[n].LogProbs, text.LogProbs)
	}
	compare("row after the first text", got[0].Distribution, g.Next)
	return largest, sum / float64(count)
}

// TestFamilies holds every checkpoint to transformers in float32, by XLA one of each family, those of
// kinds in batches of two shapes, and those in bfloat16 to the same numbers within what rounding
// operands costs.
func TestFamilies(t *testing.T) {
	compiled := map[string]bool{}
	for _, dir := range oneEach(t) {
		compiled[dir] = true
	}
	for _, backend := range backends(t) {
		for _, path := range references(t) {
			dir := filepath.Dir(path)
			name := filepath.Base(dir)
			measure := worst
			if backend.String() != "go" && !slices.Contains(kinds, name) {
				measure = worstAtOnce
			}
			if backend.String() != "go" && !compiled[dir] {
				continue // XLA takes seconds to compile it
			}
			t.Run(logprob.BackendName(backend)+"/"+name, func(t *testing.T) {
				t.Parallel() // most of it is XLA compiling
				g := readGolden(t, dir)
				configs := variants(t, dir)
				if backend.String() != "go" {
					configs = configs[:1] // the graph is the same, and XLA takes a second to compile it
				}
				for _, folder := range configs {
					g := g
					m := loadUnmeasured(t, folder, backend, dtypes.Float32)
					if filepath.Base(dir) == "phi3-longrope" {
						g = upTo(g, m.MaxTokens())
					}
					largest, _ := measure(t, m, g)
					holdRouting(t, m, g)
					if !(largest <= 2e-5) {
						t.Errorf("%s: f32 differs by up to %.2g nats, wanted at most 2e-5", filepath.Base(folder), largest)
					}
				}
				m := loadUnmeasured(t, dir, backend, 0)
				meta, err := m.Meta(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if meta.DType == "bf16" {
					largest, mean := measure(t, m, upTo(g, m.MaxTokens()))
					if !(largest <= 0.1 && mean <= 0.01) {
						t.Errorf("bf16 differs by up to %.2g nats, %.2g in the mean; wanted at most 0.1 and 0.01", largest, mean)
					}
				}
			})
		}
	}
}

// holdRouting holds the smallest gap of a model's routers to transformers'.
func holdRouting(t *testing.T, m *logprob.Model, g golden) {
	t.Helper()
	r := m.Routing()
	if g.RouterGap == 0 {
		if r.Choices != 0 {
			t.Errorf("%d choices of experts, wanted none", r.Choices)
		}
		return
	}
	if r.Choices == 0 || !(math.Abs(r.Smallest-g.RouterGap) <= 1e-5) || r.Close != 0 || r.Doubt() != nil {
		t.Errorf("routing %+v, %v; wanted a smallest gap of %g and no doubt", r, r.Doubt(), g.RouterGap)
	}
}

// TestWidened holds checkpoints in bfloat16 to float32's bound where their matrices are
// multiplied in float32: on the pure-Go backend, and by XLA on processors without bfloat16
// products.
func TestWidened(t *testing.T) {
	defer func(products bool) { arch.BF16Products = products }(arch.BF16Products)
	arch.BF16Products = false
	for _, backend := range backends(t) {
		if !arch.Widens(backend) {
			continue // no processor computes
		}
		for _, name := range []string{"llama-bf16", "gemma2-bf16", "gemma3_text-bf16"} {
			dir := "testdata/families/" + name
			m := load(t, dir, backend, dtypes.BFloat16)
			if largest, _ := worst(t, m, upTo(readGolden(t, dir), m.MaxTokens())); !(largest <= 2e-5) {
				t.Errorf("%s, %s: bf16 differs by up to %.2g nats, wanted at most 2e-5", logprob.BackendName(backend), name, largest)
			}
		}
	}
}

// upTo drops the texts beyond a context: of longrope only the original context is
// computed.
func upTo(g golden, context int) golden {
	short := g
	short.Texts = nil
	for _, text := range g.Texts {
		if len(text.IDs) <= context {
			short.Texts = append(short.Texts, text)
		}
	}
	return short
}

func load(t testing.TB, dir string, backend compute.Backend, dtype dtypes.DType) *logprob.Model {
	t.Helper()
	return loadWith(t, dir, &logprob.Options{Backend: backend, DType: dtype})
}

// loadUnmeasured is load for tests that compare numbers but for rounding: what measures whether batches are invariant
// is two thirds of the programs that XLA compiles for a small model.
func loadUnmeasured(t testing.TB, dir string, backend compute.Backend, dtype dtypes.DType) *logprob.Model {
	t.Helper()
	return loadWith(t, dir, logprob.Unmeasured(&logprob.Options{Backend: backend, DType: dtype}))
}

func loadWith(t testing.TB, dir string, o *logprob.Options) *logprob.Model {
	t.Helper()
	m, err := logprob.Load(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

var pureGoBackend = sync.OnceValues(func() (compute.Backend, error) {
	return compute.NewWithConfig("go:ops_sequential")
})

func pureGo(t testing.TB) compute.Backend {
	t.Helper()
	b, err := pureGoBackend()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestParallelGoBackend: the pure-Go backend in its default setting is refused, since
// it can block for ever.
func TestParallelGoBackend(t *testing.T) {
	_, err := logprob.Load(t.Context(), "testdata/families/llama-mha", &logprob.Options{Backend: gobackend.GetBackend()})
	const want = `logprob: testdata/families/llama-mha: backend go would run operations in parallel, which can block for ever, wanted compute.NewWithConfig("go:ops_sequential")`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %s", err, want)
	}
	m, err := logprob.Load(t.Context(), "testdata/families/llama-mha", nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}
