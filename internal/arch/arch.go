// Package arch holds the forward passes, one file for each family of models, named after
// its model_type in config.json. A file reads from top to bottom: the config, the tensors
// that the checkpoint must hold, the head, and the block's operations in their order.
//
// What families share: the sizes and names of Llama's descendants (decoder.go), linear
// layers, norms, attention and the gated MLP (layers.go), rotary positions (rope.go), and
// the reader of config.json (config.go), which remembers every key that was asked for. Keys
// that are left over are refused by name, so that no setting is ever ignored.
//
// # Layers
//
// A caller executes a Model layer by layer: each block, then the head, or its final norm. A layer's graph is
// the apply method of a value (block.go): a struct of the numbers and tensors that the family
// declared. It depends on nothing else, so the key under which executables are shared is
// computed from that value and the tensors' shapes, and no family writes one. Two layers that
// differ in anything, a window, a multiplier, a bias, have two keys.
//
// The caller, internal/engine, owns batching and decides which positions see which
// (Scope.Attend); a family says how its attention is scaled, capped and windowed.
//
// # Numerics
//
// The residual stream, norms, rotary embeddings, attention and soft-caps are float32 in
// every mode of the engine. Matrix products take both operands in the weights' type and give
// float32 (bf16 x bf16 -> f32 for a bf16 checkpoint).
//
// Dense runs the same layers in float64 or float32, each text alone under a plain causal
// mask. It is the reference that the engine's numbers are held to.
//
// # Where new things go
//
//   - A dense family: a file of its own and a line in families (families.go), from which README's
//     table is made.
//   - Experts: moe.go, in the place of gatedMLP. The matrices of all experts are one Tensor, which
//     stacks those of the checkpoint where it has them one by one.
//   - Another recurrence: beside gated delta nets (delta.go) and Mamba 2 (mamba2.go), if its decays are
//     by head. What its layers keep of a token is what builder.recurrence says (Layer.Kept).
//   - A reward head: in implicit/rewardmodel, on the host. Here is the trunk that it reads:
//     Trunk, whose Head has the final norm alone.
//   - Another kind of adapter: beside Side in adapted.go, which is LoRA and DoRA for every linear
//     layer of every family. An adapter that is merged into the weights needs nothing here.
//   - Training: internal/gradient, which differentiates Layer.Apply; every operation must have
//     a gradient (TestGradient).
//
// Legend of the shapes in comments: T positions of a batch, S scored positions, D hidden
// width, N heads, G key/value heads, K width of a head, R rotated part of a head, F width of
// the MLP, E experts, L blocks, V rows of the vocabulary.
package arch

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Model is a forward pass: what a checkpoint must hold and the graphs over it.
type Model struct {
	Type    string // model_type of config.json
	Context int    // longest text in tokens that the model can score
	V       int    // rows of the logits; may exceed the tokenizer's vocabulary
	D       int    // width of the residual stream, as blocks begin and end with it
	N, G, K int    // heads, key/value heads, width of a head

	Embed Embedding
	// Inner is the width of the stream between blocks where it is not D: then the first block maps
	// [T Embed.Width()] to [T Inner], and the last [T Inner] to [T D]. 0 where it is.
	Inner int
	// PerLayer is what blocks are given of a token beside the residual stream; nil for nothing.
	PerLayer *PerLayer
	Ropes    []Rope
	Blocks   []*Layer // [T D] -> [T D] each
	Head     Head

	// Warnings are doubts about the config that do not stop the work.
	Warnings []error

	Names Names // of its modules in transformers

	// Multimodal: the text part of a checkpoint that has towers beside it, which Ignored tells of.
	Multimodal bool

	// Ignored tells of a tensor that checkpoints of this family hold beside the
	// weights (buffers, the vision tower of a multimodal checkpoint).
	Ignored func(name string) bool
	// Tied: the matrix of the vocabulary head is the table of the embeddings.
	Tied bool
	// Copies are tensors that may be present as copies of another one: an
	// lm_head.weight beside tied embeddings. Key: the copy; value: the original.
	Copies map[string]string
}

// Embedding turns token ids into the residual stream:
// x[t] = Scale * Table[id[t]] + Positions[First + position[t]].
type Embedding struct {
	Table     Tensor
	Scale     float32
	Positions *Tensor // learned positions; nil where the family has none
	First     int     // the row of Positions that is the first token's
	Apart     bool    // x is the two beside each other, for the first block to add
	// As are tokens that are looked up as others are: the placeholders of what is not text.
	As map[int32]int32
	// Rows, unless it is 0, is the id from which on tokens are not looked up: modules beside the text
	// part embed them.
	Rows int
}

// Width is that of x.
func (e Embedding) Width() int {
	if e.Apart {
		return e.Table.Shape[1] + e.Positions.Shape[1]
	}
	return e.Table.Shape[1]
}

// After is where in x what comes of Positions begins: 0, unless they are Apart.
func (e Embedding) After() int {
	if e.Apart {
		return e.Table.Shape[1]
	}
	return 0
}

// Check says why a token cannot be looked up, nil if it can.
func (e Embedding) Check(id int32) error {
	if e.Rows > 0 && int(id) >= e.Rows {
		return fmt.Errorf("id %d is not embedded by the text part of the model, but beside it, with images and sounds: wanted less than %d", id, e.Rows)
	}
	return nil
}

// Row is the row of Table that a token's embedding is made of.
func (e Embedding) Row(id int32) int {
	if as, ok := e.As[id]; ok {
		id = as
	}
	return int(id)
}

// Head is what a model says of its final states.
type Head struct {
	// Layer maps them to logits, [S D] -> [S V], by the final norm and a matrix of which a few
	// rows may be taken at a time. It is nil in a trunk.
	*Layer
	Norm *Layer // the final norm alone, [S D] -> [S D]
	// Factor multiplies the matrix's products, unless it is 0, and Cap tanh(z / Cap) takes their
	// place, unless it is 0: what makes them logits. Both are kept in a trunk.
	Factor, Cap float64
}

// Logit makes a logit of a product of the head's matrix: see Factor and Cap.
func (h Head) Logit(z float64) float64 {
	if h.Factor != 0 {
		z *= h.Factor
	}
	if h.Cap != 0 {
		z = h.Cap * math.Tanh(z/h.Cap)
	}
	return z
}

// Tensor is one input of a layer.
type Tensor struct {
	Name  string // in the checkpoint, unless Stack has its names
	Shape []int
	// Stack names the tensors of the checkpoint, all of one shape, that lie one after the other
	// along the first two axes of Shape: the matrices of E experts as [E out in], one of each or
	// several. nil for a tensor that the checkpoint holds as it is.
	Stack []string
	// Linear marks the matrix of a linear layer: its output axis comes first (after E), as
	// torch.nn.Linear stores it; InOut, where its input axis does (GPT-2's Conv1D, GPT-OSS's experts).
	Linear, InOut bool
	// Float32 marks the matrix of a linear layer that is float32 in every mode: a router's.
	Float32 bool
	// Side marks what a side path has, which is float32 in every mode, its matrices laid out
	// [out in]; Rows what has an element or a row for each output of its linear layer, and is
	// therefore cut as the matrix of the head is.
	Side, Rows bool
	// Buffer marks what training leaves as it is: a constant that the checkpoint holds.
	Buffer bool
}

// Adaptable tells of the matrix of a linear layer of its own, which an adapter can lie beside: of
// none of a mixture of experts, whose router transformers 5 has as a parameter too.
func (t Tensor) Adaptable() bool { return t.Linear && !t.Float32 && len(t.Shape) == 2 }

// Stored returns the tensors of the checkpoint that t is made of: itself, or those that it
// stacks.
func (t Tensor) Stored() []Tensor {
	if t.Stack == nil {
		return []Tensor{t}
	}
	all := make([]Tensor, len(t.Stack))
	for i, name := range t.Stack {
		shape := slices.Clone(t.Shape[1:])
		shape[0] = t.Shape[0] * shape[0] / len(t.Stack)
		all[i] = Tensor{Name: name, Shape: shape, Linear: t.Linear, InOut: t.InOut}
	}
	return all
}

// UnsupportedError says what a config.json asks for that is not computed here.
type UnsupportedError struct {
	ModelType string   // model_type of config.json; "" where it is missing
	Keys      []string // "key=value" of every setting that is not supported, sorted; empty if the family is unknown
}

// Error names the family and the settings.
func (e *UnsupportedError) Error() string {
	if len(e.Keys) == 0 {
		var why string
		if reason, ok := uncomputed[e.ModelType]; ok {
			why = " (" + reason + ")"
		}
		return fmt.Sprintf("arch: config.json: model_type %q, wanted one of %s%s", e.ModelType, strings.Join(types(), ", "), why)
	}
	var way string
	for _, key := range e.Keys {
		if slices.ContainsFunc(quantised, func(q string) bool { return strings.HasPrefix(key, q) || strings.Contains(key, "."+q) }) {
			way = " (its weights are quantised: take the model's unquantised checkpoint)"
		}
	}
	return fmt.Sprintf("arch: %s: config.json: not supported: %s%s", e.ModelType, strings.Join(e.Keys, ", "), way)
}

// Trunk returns the model that New does, without its vocabulary head: what a reward model or a
// classifier computes its final states with. Any architectures are accepted, and keys that
// such heads are known to have are left to whoever computes the head.
func Trunk(keys map[string]json.RawMessage, exists func(name string) bool) (*Model, error) {
	c := newConfig(keys)
	c.trunk = true
	m, err := c.model(exists)
	if err == nil {
		m.Head.Layer, m.Copies = nil, nil
	}
	return m, err
}

// New reads the keys of a config.json and returns the model that it describes.
// Any key that is neither computed, nor known to be without influence on
// log-probabilities, is an UnsupportedError; a value of the wrong type or an
// impossible one is a plain error. exists tells whether the checkpoint holds a tensor.
func New(keys map[string]json.RawMessage, exists func(name string) bool) (*Model, error) {
	return newConfig(keys).model(exists)
}

func (c *config) model(exists func(name string) bool) (*Model, error) {
	modelType := c.string("model_type", "")
	f, ok := FamilyOf(modelType)
	if !ok {
		return nil, &UnsupportedError{ModelType: modelType}
	}
	c.modelType = modelType
	m := f.build(c, exists)
	if err := c.finish(); err != nil {
		return nil, err
	}
	m.Type, m.Warnings = modelType, c.doubts
	for _, l := range m.Blocks {
		if l.G == 0 {
			l.G, l.K = m.G, m.K
		}
	}
	if m.Ignored == nil {
		m.Ignored = func(string) bool { return false }
	}
	return m, nil
}

// Tensors returns every tensor that the checkpoint must hold, each once.
func (m *Model) Tensors() []Tensor {
	inputs := []Tensor{m.Embed.Table}
	if m.Embed.Positions != nil {
		inputs = append(inputs, *m.Embed.Positions)
	}
	if m.PerLayer != nil {
		inputs = append(inputs, m.PerLayer.Table)
	}
	for _, l := range m.Layers() {
		inputs = append(inputs, l.Tensors...)
	}
	var all []Tensor
	seen := map[string]bool{}
	for _, in := range inputs {
		for _, t := range in.Stored() {
			if !seen[t.Name] {
				seen[t.Name] = true
				all = append(all, t)
			}
		}
	}
	return all
}

// Layers are those of a forward pass: what comes before the blocks, if anything does, the blocks, the
// final norm and the head, of which the norm is a part too.
func (m *Model) Layers() (all []*Layer) {
	if m.PerLayer != nil {
		all = append(all, m.PerLayer.Layer)
	}
	all = append(append(all, m.Blocks...), m.Head.Norm)
	if m.Head.Layer != nil {
		all = append(all, m.Head.Layer)
	}
	return all
}

// Recurrent tells of a model some of whose blocks have a Recurrence.
func (m *Model) Recurrent() bool {
	return slices.ContainsFunc(m.Blocks, func(l *Layer) bool { return l.Reach > 0 })
}

// Signature is the same for two models whose layers have the same keys, and which can therefore
// share executables.
func (m *Model) Signature() string {
	var keys []string
	for _, l := range m.Layers() {
		keys = append(keys, l.Key)
	}
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), "\n")
}
