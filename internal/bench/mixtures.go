package main

import (
	"context"
	"path/filepath"

	"github.com/implicitreward/implicitreward/tokenize"
)

// mixture is a mixture of experts of random weights.
type mixture struct {
	name   string // of its folder, .deps/models/random-NAME, and of its contests
	shown  string
	config config
}

// mixtures have the widths and numbers of experts of published models, fewer layers, and
// SmolLM2's vocabulary: 1.8 and 2.7 billion parameters, 3.6 and 5.4 GB in bfloat16.
func mixtures() []mixture {
	common := config{Act: "silu", D: 2048, Layers: 4, Vocab: 49152, Context: 4096, BOS: 1, EOS: 2, Chosen: 8, DType: "bfloat16"}
	olmoe, qwen := common, common
	olmoe.Architectures, olmoe.ModelType = []string{"OlmoeForCausalLM"}, "olmoe"
	olmoe.Heads, olmoe.KVHeads, olmoe.Experts, olmoe.Inner, olmoe.Eps, olmoe.Theta = 16, 16, 64, 1024, 1e-5, 10_000
	qwen.Architectures, qwen.ModelType = []string{"Qwen3MoeForCausalLM"}, "qwen3_moe"
	qwen.Heads, qwen.KVHeads, qwen.HeadDim, qwen.Experts, qwen.Inner, qwen.ExpertInner, qwen.Eps, qwen.Theta, qwen.Shares = 32, 4, 128, 128, 6144, 768, 1e-6, 1e6, true
	return []mixture{
		{"olmoe", "OLMoE's shape, 4 of 16 layers", olmoe},
		{"qwen3_moe", "Qwen3-30B-A3B's shape, 4 of 48 layers", qwen},
	}
}

const (
	mixedWords  = 8  // every so manyth word is in the corpus job
	mixedSample = 64 // items of it that lm-eval does
)

// mixed is the paper's job and the corpus job on a mixture of experts. Each side's float32 numbers
// are computed alone: two such models may not fit.
func (b *bench) mixed(ctx context.Context, m mixture) error {
	dir := filepath.Join(".deps", "models", "random-"+m.name)
	if err := writeRandom(ctx, dir, b.model, m.config, b.stderr); err != nil {
		return err
	}
	one := *b // its results are b's
	t, err := b.task.mixed(dir)
	if err != nil {
		return err
	}
	one.task, one.path = t, filepath.Join(b.dir, m.name+".json")
	if err := t.write(one.path); err != nil {
		return err
	}
	b.mixes[m.name] = t
	n, all, at := len(t.Sample), len(t.Prompts)*len(t.Forms), m.name+" "
	if b.python != "" {
		if err := one.numbersOf(ctx, at+"next f32", one.ours("next", "f32", 1), one.peer("next", shownNext, "f32", 1)); err != nil {
			return err
		}
		if err := one.numbersOf(ctx, at+"sample f32", one.ours("sample", "f32", n), one.peer("lm-eval", shownLMEval, "f32", n)); err != nil {
			return err
		}
		if err := one.numbersOf(ctx, at+"sample bf16", one.ours("sample", "bf16", n)); err != nil {
			return err
		}
	}
	if err := one.contest(ctx, at+"next bf16", b.rounds, one.ours("next", "bf16", 1), one.peer("next", shownNext, "bf16", 1)); err != nil {
		return err
	}
	return one.contest(ctx, at+"corpus bf16", b.rounds, one.ours("corpus", "bf16", all), one.peer("lm-eval", shownLMEval, "bf16", n))
}

// mixed is the task for a mixture in dir: fewer words, and a smaller sample.
func (t *task) mixed(dir string) (*task, error) {
	m := *t
	var err error
	if m.Model, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	var words []string
	for i := 0; i < len(t.Words); i += mixedWords {
		words = append(words, t.Words[i])
	}
	m.Words, m.Forms = words, allForms(words)
	tok, err := tokenize.Load(dir)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	return &m, m.draw(tok, mixedSample)
}
