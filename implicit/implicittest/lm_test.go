package implicittest_test

import (
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestFakes: the fakes keep what a language model promises, in both renderings and with both
// vocabularies, and through Cached.
func TestFakes(t *testing.T) {
	for _, f := range []*implicittest.Fake{{}, {Seed: 1, Pairs: true}, {Seed: 2, Limit: 100}} {
		for _, p := range []*implicit.Policy{f.Raw(), f.Chat()} {
			if err := implicittest.TestPolicy(t.Context(), p, nil, nil); err != nil {
				t.Error(err)
			}
			for _, set := range [][]bool{nil, {true, false, true}} {
				if err := implicittest.TestPolicy(t.Context(), implicit.Cached(p, set), nil, nil); err != nil {
					t.Errorf("Cached: %v", err)
				}
			}
		}
	}
}

// TestModels runs the tests on logprob.Model: the demo's pairs in text, and one tiny
// checkpoint of each family in ids.
func TestModels(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	load := func(t *testing.T, dir string) *logprob.Model {
		m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: backend, DType: dtypes.Float32})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	if tokenize.Available {
		for _, p := range demo.Pairs() {
			base, tuned, err := p.Extract(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Run(p.Name, func(t *testing.T) {
				if err := implicittest.TestPolicy(t.Context(), implicit.Raw(load(t, base)), nil, nil); err != nil {
					t.Error("base:", err)
				}
				if err := implicittest.TestPolicy(t.Context(), implicit.Chat(load(t, tuned), nil), nil, nil); err != nil {
					t.Error("tuned:", err)
				}
			})
		}
	}
	for _, family := range []string{"gemma2-base", "gemma3-hub", "gpt2-plain", "gpt_neox-parallel", "llama-gqa-tied", "mistral-window", "olmo2-mha", "phi3-plain", "qwen2-untied", "qwen3-headdim", "olmo3-yarn", "smollm3-nope", "granite-factors", "olmoe-clip", "gpt_oss-sinks", "qwen2_moe-shared",
		"glm4-partial", "phi-gqa-tied", "apertus-xielu", "opt-relu", "starcoder2-window", "stablelm-parallel"} {
		t.Run(family, func(t *testing.T) {
			m := load(t, filepath.Join("..", "..", "logprob", "testdata", "families", family))
			var texts []tokenize.Encoded
			for i := range 4 {
				var ids []int32
				for k := range 5 + i {
					ids = append(ids, int32((7*k+3*i*k+i+1)%m.VocabSize()))
				}
				texts = append(texts, tokenize.Encoded{IDs: ids, Reply: 2 + i%2})
			}
			if err := implicittest.TestLM(t.Context(), m, texts, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
