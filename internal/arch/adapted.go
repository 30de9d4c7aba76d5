package arch

import (
	"crypto/sha256"
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Names is what transformers calls a model's modules, whose paths adapters are saved under.
type Names struct {
	Prefix string   // of the trunk's tensors in the checkpoint, "model."
	Trunk  []string // what stands for it in transformers' releases, "model.", "model.language_model."
	Head   []string // the module of the vocabulary matrix, also where its weights are the embeddings': "lm_head"
}

// OfHead tells of a tensor of the vocabulary head: its matrix or its bias.
func (n Names) OfHead(name string) bool {
	return slices.ContainsFunc(n.Head, func(head string) bool { return name == head+".weight" || name == head+".bias" })
}

// Side is a path of low rank beside a linear layer W x + b, as adapters have it (LoRA):
//
//	W x + s (B (A x) + c) + b,  or with a ratio  v (W x + s B (A x)) + b  (DoRA)
//
// It is computed in float32 from the layer's unrounded input, whatever type W is in.
type Side struct {
	A, B  string  // names of the tensors [r in] and [out r]
	Bias  string  // c [out]; "" for none
	Ratio string  // v [out]: of DoRA magnitude / norm; "" for none
	R     int     // r
	Scale float64 // s
}

// Adapted returns the model with sides beside the linear layers of some matrices, and with
// some tensors replaced by others of the same shape, by name. Keys are the tensors' names in
// the checkpoint; that of the vocabulary matrix is Names.Head[0] + ".weight", also where its
// weights are the embeddings'. Layers that nothing changes are those of m.
func (m *Model) Adapted(sides map[string]Side, replaced map[string]string) *Model {
	out := *m
	out.Copies = nil
	rename := func(t Tensor) Tensor {
		if name := replaced[t.Name]; name != "" {
			t.Name = name
		}
		return t
	}
	out.Embed.Table = rename(m.Embed.Table)
	if m.Embed.Positions != nil {
		p := rename(*m.Embed.Positions)
		out.Embed.Positions = &p
	}
	out.Blocks = make([]*Layer, len(m.Blocks))
	own := func(t Tensor) string { return t.Name }
	if m.PerLayer != nil {
		e := *m.PerLayer
		e.Table, e.Layer = rename(e.Table), e.Layer.adapted(own, sides, replaced)
		out.PerLayer = &e
	}
	for i, l := range m.Blocks {
		out.Blocks[i] = l.adapted(own, sides, replaced)
	}
	out.Head.Norm = m.Head.Norm.adapted(own, sides, replaced)
	if m.Head.Layer != nil {
		out.Head.Layer = m.Head.Layer.adapted(func(t Tensor) string {
			if t.Linear {
				return m.Names.Head[0] + ".weight"
			}
			return t.Name
		}, sides, replaced)
	}
	return &out
}

// sidePath is a Side as its layer has declared it.
type sidePath struct {
	a, b, bias, ratio param
	scale             float64
}

// adapted is a layer's graph with sides beside its matrices.
type adapted struct {
	layer interface{ apply(s *Scope, x *Node) *Node }
	sides map[param]sidePath // by the matrix
}

func (l adapted) apply(s *Scope, x *Node) *Node {
	inner := *s
	inner.sides = l.sides
	return l.layer.apply(&inner, x)
}

// adapted is the layer with changes; key is under which a tensor's are found.
func (l *Layer) adapted(key func(Tensor) string, sides map[string]Side, replaced map[string]string) *Layer {
	b := &builder{tensors: slices.Clone(l.Tensors)}
	paths := map[param]sidePath{}
	h := sha256.New()
	changed := false
	for i, t := range l.Tensors {
		if name := replaced[key(t)]; name != "" {
			b.tensors[i].Name, changed = name, true
		}
		side, ok := sides[key(t)]
		if !ok || !t.Adaptable() {
			continue
		}
		out, in := t.Shape[0], t.Shape[1]
		if t.InOut {
			out, in = in, out
		}
		path := sidePath{scale: side.Scale}
		path.a = b.param(Tensor{Name: side.A, Shape: []int{side.R, in}, Side: true})
		path.b = b.param(Tensor{Name: side.B, Shape: []int{out, side.R}, Side: true, Rows: true})
		if side.Bias != "" {
			path.bias = b.param(Tensor{Name: side.Bias, Shape: []int{out}, Side: true, Rows: true})
		}
		if side.Ratio != "" {
			path.ratio = b.param(Tensor{Name: side.Ratio, Shape: []int{out}, Side: true, Rows: true})
		}
		paths[param(i+1)] = path
		fmt.Fprintf(h, " %d %d %+v", i, side.R, path)
	}
	if len(paths) == 0 && !changed {
		return l
	}
	out := *l
	out.Tensors = b.tensors
	if len(paths) > 0 {
		out.Key = fmt.Sprintf("%s adapted %x", l.Key, h.Sum(nil)[:12])
		out.graph = adapted{l.graph, paths}
	}
	return &out
}

// beside adds the side path of a matrix to y = W x, if it has one. Products are as Product's of
// float32.
func (s *Scope) beside(weight param, x, y *Node) *Node {
	path, ok := s.sides[weight]
	if !ok {
		return y
	}
	x = s.float(x)
	if s.Drop != nil {
		x = s.Drop(int(path.a-1), x)
	}
	low := MulScalar(Product(x, s.float(s.Weights[path.a-1]), 1), path.scale) // [.. r]
	y = Add(y, Product(low, s.float(s.Weights[path.b-1]), 1))
	if path.bias != 0 {
		y = Add(y, MulScalar(s.vector(path.bias, y), path.scale))
	}
	if path.ratio != 0 {
		y = Mul(y, s.vector(path.ratio, y))
	}
	return y
}
