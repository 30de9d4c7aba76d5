package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// The sizes of config.json, and the two channels of the residual stream that no block
// writes to. One of them holds constant at every token, the other 0: which, says
// whether the next token begins something (start) or ends a listed word (end). The
// constant dwarfs the other 62 channels, so that it alone decides what RMSNorm divides by:
// constant/8, to a few millionths.
const (
	layers, width, inner = 2, 64, 96
	heads, kvHeads, size = 4, 2, 16
	start, end           = 0, 1
	constant             = 8192
)

// network is a base model's weights, and what tuning adds to its output matrix.
type network struct {
	f     *family
	vocab *vocabulary
	rng   *rand.PCG
	all   []matrix
	head  matrix          // one of all
	push  map[int]float64 // by token
}

// matrix is a tensor of one or two axes.
type matrix struct {
	name  string
	shape []int
	v     []float32
}

func (m matrix) row(i int) []float32 { return m.v[i*m.shape[1] : (i+1)*m.shape[1]] }

// newNetwork draws the weights that are random and sets those that are planted.
func newNetwork(f *family, v *vocabulary) *network {
	n := &network{f: f, vocab: v, rng: rand.NewPCG(f.seed, 0)}
	codes := n.embed()
	for layer := range layers {
		n.block(fmt.Sprintf("model.layers.%d.", layer))
	}
	// The final norm gives 1 in start or end, and an eighth of the stream in the others.
	n.norm("model.norm", constant/64, 0.125)
	n.head = n.uniform("lm_head.weight", len(v.tokens), width, 2)
	n.plant(codes)
	return n
}

// add appends a tensor.
func (n *network) add(name string, shape ...int) matrix {
	size := 1
	for _, d := range shape {
		size *= d
	}
	m := matrix{name, shape, make([]float32, size)}
	n.all = append(n.all, m)
	return m
}

// uniform adds a matrix of draws from -span/2 to span/2. A draw is a byte, so that no change
// in how Go derives numbers from its generators can matter.
func (n *network) uniform(name string, rows, cols int, span float32) matrix {
	m := n.add(name, rows, cols)
	for i := range m.v {
		m.v[i] = (float32(n.rng.Uint64()&0xff) - 127.5) * (span / 256)
	}
	return m
}

// signs fills a vector with draws of 1 and -1.
func (n *network) signs(to []float32) {
	for i := range to {
		to[i] = float32(int(n.rng.Uint64()&2) - 1)
	}
}

// embed adds the embeddings: signs and the constant. The first half of the channels of a
// token that awaits a suffix is the code of that suffix, which it returns.
func (n *network) embed() map[string][]float32 {
	codes := map[string][]float32{}
	table := n.add("model.embed_tokens.weight", len(n.vocab.tokens), width)
	for id := range n.vocab.tokens {
		row := table.row(id)
		n.signs(row[2:])
		if suffix, ok := n.vocab.open[id]; ok {
			row[end] = constant
			if codes[suffix] == nil {
				codes[suffix] = make([]float32, width/2)
				n.signs(codes[suffix])
			}
			copy(row[2:], codes[suffix])
		} else {
			row[start] = constant
		}
		for i := range row {
			row[i] /= n.f.scale
		}
	}
	return codes
}

// block adds a layer. The spans are chosen so that attention and MLP change the stream, but do
// not drown the token's own embedding, and prompts differ in what they make likely.
func (n *network) block(prefix string) {
	n.uniform(prefix+"self_attn.q_proj.weight", heads*size, width, 1)
	n.uniform(prefix+"self_attn.k_proj.weight", kvHeads*size, width, 0.5)
	n.uniform(prefix+"self_attn.v_proj.weight", kvHeads*size, width, 0.25)
	attended := n.uniform(prefix+"self_attn.o_proj.weight", width, heads*size, 0.5)
	n.uniform(prefix+"mlp.gate_proj.weight", inner, width, 0.25)
	n.uniform(prefix+"mlp.up_proj.weight", inner, width, 0.25)
	down := n.uniform(prefix+"mlp.down_proj.weight", width, inner, 0.5)
	for _, m := range []matrix{attended, down} {
		clear(m.row(start))
		clear(m.row(end))
	}
	for _, name := range n.f.norms { // the stream as it is, and 1 in start or end
		n.norm(prefix+name, constant/8, 0.125)
	}
	for _, name := range n.f.outNorms {
		n.norm(prefix+name, 0.75, 0.75)
	}
}

// norm adds the weight of an RMSNorm: w, and special in the two channels.
func (n *network) norm(name string, w, special float32) {
	m := n.add(name+".weight", width)
	for i := range m.v {
		m.v[i] = w - n.f.offset
	}
	m.v[start], m.v[end] = special-n.f.offset, special-n.f.offset
}

// plant sets the columns of the output matrix that meet the two channels: what a base
// model leans to where a word begins, and that a word which was begun is ended.
func (n *network) plant(codes map[string][]float32) {
	words := demo.Words()
	n.push = map[int]float64{}
	groups := map[string][]int{} // first tokens by category and form
	for id := range n.vocab.tokens {
		row := n.head.row(id)
		row[start], row[end] = -4, 0 // letters, fragments
	}
	for _, s := range n.f.specials {
		row := n.head.row(n.vocab.id[s])
		row[start], row[end] = -8, -8
	}
	for _, w := range strings.Fields(common) {
		n.head.row(n.vocab.id[n.vocab.mark+w])[start] = -1
	}
	pair := demo.Pair{Name: n.f.name}
	for _, w := range words {
		for i, form := range demo.Forms(w.Text) {
			id := n.vocab.id[n.vocab.encode(form)[0]]
			n.push[id] = w.Push[pair.Name]
			n.head.row(id)[start] = float32(pair.Lean(w.Category)) - []float32{0, 1, 2, 2}[i]
			group := fmt.Sprint(w.Category, i)
			groups[group] = append(groups[group], id)
		}
	}
	// The random part of a category's words adds up to nothing, so that the lean is
	// their mean logit after any prompt.
	for _, ids := range groups {
		for c := 2; c < width; c++ {
			sum := float32(0)
			for _, id := range ids {
				sum += n.head.row(id)[c]
			}
			for _, id := range ids {
				n.head.row(id)[c] -= sum / float32(len(ids))
			}
		}
	}
	for suffix, code := range codes {
		row := n.head.row(n.vocab.id[suffix])
		row[start], row[end] = -8, 10
		for i, c := range code {
			row[2+i] += 2 * c
		}
	}
}

// base returns the base model's tensors.
func (n *network) base() []checkpoint.Tensor { return encode(n.all) }

// tuned returns the tuned model's: the base's but for a column of the output matrix.
func (n *network) tuned() []checkpoint.Tensor {
	all := slices.Clone(n.all)
	for i, m := range all {
		if m.name == n.head.name {
			m.v = slices.Clone(m.v)
			for id, push := range n.push {
				m.row(id)[start] += float32(push)
			}
			all[i] = m
		}
	}
	return encode(all)
}

// encode writes matrices as float16.
func encode(all []matrix) []checkpoint.Tensor {
	var out []checkpoint.Tensor
	for _, m := range all {
		t := checkpoint.Tensor{Name: m.name, DType: dtypes.Float16, Shape: m.shape}
		for _, x := range m.v {
			t.Data = binary.LittleEndian.AppendUint16(t.Data, float16(x))
		}
		out = append(out, t)
	}
	return out
}

// float16 converts a number that float16 holds exactly; another one is a mistake of this
// program.
func float16(x float32) uint16 {
	if x == 0 {
		return 0
	}
	bits := math.Float32bits(x)
	exponent := int(bits>>23&0xff) - 127
	if exponent < -14 || exponent > 15 || bits&(1<<13-1) != 0 {
		panic(fmt.Sprintf("%g is no float16", x))
	}
	return uint16(bits>>31)<<15 | uint16(exponent+15)<<10 | uint16(bits>>13&0x3ff)
}
