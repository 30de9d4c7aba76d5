package logprob

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/implicitreward/implicitreward/internal/adapter"
	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// AdapterOptions say what a new LoRA adapter is like. The zero value is the paper's recipe.
type AdapterOptions struct {
	R     int     // rank; 0: 32
	Alpha float64 // the side path's factor is Alpha/R; 0: 2 R
	// Dropout is written for whoever trains the adapter: it changes nothing else.
	Dropout float64
	// Targets are linear layers of the blocks, by name ("q_proj") or by the end of their path
	// after a dot ("1.mlp.up_proj"); "all-linear" alone is all of them. A head is none, nor is the
	// out_proj of Falcon-H1 and Nemotron-H, beside which peft reads no adapter. nil means
	// those of attention, q, k, v and o, in every family: q_proj, k_proj, v_proj and o_proj of
	// llama and its kin, qkv_proj and o_proj of phi3, c_attn and attn.c_proj of gpt2,
	// query_key_value and dense of gpt_neox.
	Targets []string
	RSLoRA  bool // the factor is Alpha/sqrt(R)
	// Classifier makes it a reward model's (task SEQ_CLS), with a score row of one output: the
	// base's own where it has one, as peft begins, else drawn from N(0, initializer_range).
	Classifier bool
	// Seed is what A and the score row are drawn by. A tensor's numbers depend on it, on its name
	// and shape, and on nothing else: two models with the same shapes begin with the same.
	Seed uint64
	// Base is what the adapter calls its base model; "": the folder.
	Base string
}

// NewAdapter writes the folder of a LoRA adapter that training begins with, for the checkpoint
// in the folder base: A uniform in +-1/sqrt(in), which is peft's kaiming_uniform(a=sqrt 5), and B
// zero, all float32. With it the model computes what it does without. The folder is read by
// WithAdapter and by peft; it must be new, and appears only when complete.
func NewAdapter(ctx context.Context, base, out string, o *AdapterOptions) error {
	if o == nil {
		o = &AdapterOptions{}
	}
	if err := newAdapter(ctx, base, out, o); err != nil {
		return fmt.Errorf("logprob: new adapter of %s: %w", base, err)
	}
	return nil
}

func newAdapter(ctx context.Context, base, out string, o *AdapterOptions) error {
	if err := checkNew(out); err != nil {
		return err
	}
	if adapter.Is(base) {
		if _, err := os.Stat(base + "/config.json"); err != nil {
			return fmt.Errorf("an adapter, wanted a base model")
		}
	}
	c, err := openPlan(base, o.Classifier)
	if err != nil {
		return err
	}
	defer c.weights.Close()
	f := &adapter.Fresh{
		Base: cmp.Or(o.Base, base), R: cmp.Or(o.R, 32), Dropout: o.Dropout, Targets: o.Targets, RSLoRA: o.RSLoRA,
		Draw: func(name string) *rand.Rand { return draw(o.Seed, name) },
	}
	f.Alpha = cmp.Or(o.Alpha, 2*float64(f.R))
	if o.Classifier {
		if f.Score, err = c.scoreRow(o.Seed); err != nil {
			return err
		}
	}
	return whole(out, func(part string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return f.Write(part, c.model, c.weights)
	})
}

// plan is a checkpoint that is read and not computed with.
type plan struct {
	dir     string
	keys    map[string]json.RawMessage // of config.json
	weights *checkpoint.Weights
	model   *arch.Model
}

// openPlan reads a folder, as a trunk for a classifier.
func openPlan(dir string, trunk bool) (*plan, error) {
	c := &plan{dir: dir}
	var err error
	if c.keys, c.weights, err = checkpoint.Open(dir); err != nil {
		return nil, err
	}
	build := arch.New
	if trunk {
		build = arch.Trunk
	}
	if c.model, err = build(c.keys, func(name string) bool { _, ok := c.weights.Get(name); return ok }); err != nil {
		c.weights.Close()
		return nil, err
	}
	return c, nil
}

// scoreRow is the score row that training begins with.
func (c *plan) scoreRow(seed uint64) ([]float32, error) {
	if t, ok := c.weights.Get("score.weight"); ok {
		if !slices.Equal(t.Shape, []int{1, c.model.D}) {
			return nil, fmt.Errorf("score.weight has shape %v, wanted %v, a reward model's", t.Shape, []int{1, c.model.D})
		}
		if err := t.CheckFinite(); err != nil {
			return nil, err
		}
		values, err := t.Float32s()
		return slices.Clone(values), err
	}
	std, err := initializerRange(c.keys)
	if err != nil {
		return nil, err
	}
	return normal(draw(seed, "score.weight"), c.model.D, std), nil
}

// initializerRange is the standard deviation of a model's initial weights: initializer_range of
// its config, or of the text model's, 0.02 where there is none.
func initializerRange(keys map[string]json.RawMessage) (float64, error) {
	raw := keys["initializer_range"]
	if strictjson.Null(raw) {
		raw = keys["init_std"] // opt's name of it
	}
	if strictjson.Null(raw) {
		var text map[string]json.RawMessage
		if json.Unmarshal(keys["text_config"], &text) == nil {
			raw = text["initializer_range"]
		}
	}
	if strictjson.Null(raw) {
		return 0.02, nil
	}
	var std float64
	if err := json.Unmarshal(raw, &std); err != nil || !(std >= 0 && std < math.MaxFloat32) {
		return 0, fmt.Errorf("config.json: initializer_range is %s, wanted a number from 0", raw)
	}
	return cmp.Or(std, 0.02), nil // as transformers
}

// draw is the source of a tensor's first numbers.
func draw(seed uint64, name string) *rand.Rand {
	return rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "initial weights\n%d\n%s", seed, name))))
}

// normal draws from N(0, std).
func normal(source *rand.Rand, n int, std float64) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(std * source.NormFloat64())
	}
	return values
}
