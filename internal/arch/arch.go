// Package arch holds the forward passes, one file for each model family, named
// after its model_type in config.json, and the pieces that they share (layers.go).
//
// A family reads a config.json through Config, which remembers every key that was
// asked for: what is left over is refused by name, so that no setting is ever
// ignored. It answers with a Model: the tensors that the checkpoint must hold, and
// graphs over them, cut into parts (each block, then the head) that a caller can
// execute one after the other. The caller, internal/engine, owns batching and
// decides which positions see which (Pass.Attend); a family only says how its
// attention is scaled, capped and windowed.
//
// Numerics: the residual stream, norms, rotary embeddings, attention and soft-caps
// are float32 in every mode of the engine. Matrix products take both operands in the
// weights' type and give float32 (bf16 x bf16 -> f32 for a bf16 checkpoint). Dense runs
// the same graphs in float64, one text at a time: what the engine's numbers are held to.
//
// Legend of the shapes in comments: T positions of a batch, S scored positions,
// D hidden width, N heads, G key/value heads, K width of a head, R rotated part of
// a head, F width of the MLP, V rows of the vocabulary.
package arch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Model is a forward pass: what a checkpoint must hold and the graphs over it.
type Model struct {
	Type    string // model_type of config.json
	Context int    // longest text in tokens that the model can score
	V       int    // rows of the logits; may exceed the tokenizer's vocabulary
	D       int    // width of the residual stream
	N, G, K int    // heads, key/value heads, width of a head

	Embed  Embedding
	Ropes  []Rope
	Blocks []*Part
	Head   *Part // [S D] -> logits [S V]

	// Signature is the same for two models only if their parts of one kind have the
	// same graph, so that they can share executables.
	Signature string

	// Warnings are doubts about the config that do not stop the work.
	Warnings []error

	// Ignored tells of a tensor that checkpoints of this family hold beside the
	// weights (buffers, the vision tower of a multimodal checkpoint).
	Ignored func(name string) bool
	// Copies are tensors that may be present as copies of another one: an
	// lm_head.weight beside tied embeddings. Key: the copy; value: the original.
	Copies map[string]string
}

// Embedding turns token ids into the residual stream:
// x[t] = Scale * Table[id[t]] + Positions[position[t]].
type Embedding struct {
	Table     Tensor
	Scale     float32
	Positions *Tensor // learned positions; nil where the family has none
}

// Part is one executable's worth of a model.
type Part struct {
	Kind    string   // parts of one kind have the same graph and shapes of tensors
	Tensors []Tensor // inputs of the graph, in this order
	Rope    int      // index into Model.Ropes, -1 for none
	Graph   func(p *Pass, x *Node) *Node
}

// Tensor is one that the checkpoint must hold.
type Tensor struct {
	Name  string
	Shape []int
	// Linear marks the matrix of a linear layer: its output axis comes first, as
	// torch.nn.Linear stores it; InOut, where its input axis does (GPT-2's Conv1D).
	Linear, InOut bool
}

// Attention says how one attention is computed, once q, k and v are there.
type Attention struct {
	Scale   float64 // of q.k
	SoftCap float64 // cap*tanh(scores/cap) before the mask; 0 for none
	Window  int     // a position sees itself and Window-1 before it; 0 for all
}

// Pass is what a Graph function works with: inputs that the engine has bound.
type Pass struct {
	Weights []*Node // of the part's Tensors, in order
	InOut   []bool  // whether a Linear weight is laid out [in out] on the device
	Cos     *Node   // [T R/2] of the part's rope; nil for none
	Sin     *Node   // [T R/2]
	// DType is that of x, Cos and Sin and of all that is computed from them: Float32, which
	// zero means, or Float64, in which products are computed then too.
	DType dtypes.DType
	// Attend computes softmax(mask(cap(scale*q.k)))v; q [T N K], k and v [T G K],
	// all of type DType; the result is [T N*K].
	Attend func(q, k, v *Node, a Attention) *Node
}

// UnsupportedError says what a config.json asks for that is not computed here.
type UnsupportedError struct {
	ModelType string   // model_type of config.json; "" where it is missing
	Keys      []string // "key=value" of every setting that is not supported, sorted; empty if the family is unknown
}

// Error names the family and the settings.
func (e *UnsupportedError) Error() string {
	if len(e.Keys) == 0 {
		return fmt.Sprintf("arch: config.json: model_type %q, wanted one of %s",
			e.ModelType, strings.Join(Types(), ", "))
	}
	var way string
	for _, key := range e.Keys {
		if slices.ContainsFunc(quantised, func(q string) bool { return strings.HasPrefix(key, q) || strings.Contains(key, "."+q) }) {
			way = " (its weights are quantised: take the model's unquantised checkpoint)"
		}
	}
	return fmt.Sprintf("arch: %s: config.json: not supported: %s%s", e.ModelType, strings.Join(e.Keys, ", "), way)
}

// family builds a Model from a config; has tells which tensors the checkpoint
// holds, for families that were published under several names.
type family func(c *Config, has func(name string) bool) *Model

var families = map[string]family{
	"gemma2":      gemma2,
	"gemma3":      gemma3,
	"gemma3_text": gemma3Text,
	"gpt2":        gpt2,
	"gpt_neox":    gptNeoX,
	"llama":       llama,
	"mistral":     mistral,
	"olmo2":       olmo2,
	"phi3":        phi3,
	"qwen2":       qwen2,
	"qwen3":       qwen3,
}

// Types returns the model types that New accepts, sorted.
func Types() []string { return slices.Sorted(maps.Keys(families)) }

// New reads the keys of a config.json and returns the model that it describes.
// Any key that is neither computed, nor known to be without influence on
// log-probabilities, is an UnsupportedError; a value of the wrong type or an
// impossible one is a plain error. has tells whether the checkpoint holds a tensor.
func New(keys map[string]json.RawMessage, has func(name string) bool) (*Model, error) {
	c := newConfig(keys)
	modelType := c.String("model_type", "")
	build, ok := families[modelType]
	if !ok {
		return nil, &UnsupportedError{ModelType: modelType}
	}
	c.modelType = modelType
	m := build(c, has)
	if err := c.finish(); err != nil {
		return nil, err
	}
	m.Type, m.Signature, m.Warnings = modelType, c.signature(), c.doubts
	if m.Ignored == nil {
		m.Ignored = func(string) bool { return false }
	}
	return m, nil
}

// Tensors returns every tensor that the checkpoint must hold, each once.
func (m *Model) Tensors() []Tensor {
	var all []Tensor
	seen := map[string]bool{}
	add := func(ts ...Tensor) {
		for _, t := range ts {
			if !seen[t.Name] {
				seen[t.Name] = true
				all = append(all, t)
			}
		}
	}
	add(m.Embed.Table)
	if m.Embed.Positions != nil {
		add(*m.Embed.Positions)
	}
	for _, b := range m.Blocks {
		add(b.Tensors...)
	}
	add(m.Head.Tensors...)
	return all
}
