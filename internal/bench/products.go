package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// config is what of a Llama-like config.json decides the shapes of its matrices.
type config struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	Act           string   `json:"hidden_act"`
	D             int      `json:"hidden_size"`
	Inner         int      `json:"intermediate_size"`
	Layers        int      `json:"num_hidden_layers"`
	Heads         int      `json:"num_attention_heads"`
	KVHeads       int      `json:"num_key_value_heads"`
	Vocab         int      `json:"vocab_size"`
	Context       int      `json:"max_position_embeddings"`
	Eps           float64  `json:"rms_norm_eps"`
	Theta         float64  `json:"rope_theta"`
	Tied          bool     `json:"tie_word_embeddings"`
	BOS           int      `json:"bos_token_id"`
	EOS           int      `json:"eos_token_id"`
	DType         string   `json:"torch_dtype"`

	HeadDim     int  `json:"head_dim,omitempty"`              // D/Heads where absent
	Experts     int  `json:"num_experts,omitempty"`           // of a mixture in each block; 0: an MLP
	Chosen      int  `json:"num_experts_per_tok,omitempty"`   // of these by a token
	ExpertInner int  `json:"moe_intermediate_size,omitempty"` // Inner where absent
	Shares      bool `json:"norm_topk_prob,omitempty"`
}

func readConfig(model string) (config, error) {
	var c config
	b, err := os.ReadFile(filepath.Join(model, "config.json"))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%s: config.json: %w", model, err)
	}
	return c, nil
}

// matrix is one that a block or the head multiplies by: [out, in], as checkpoints have it.
type matrix struct {
	name    string
	out, in int
}

// width is that of a head of attention.
func (c *config) width() int { return cmp.Or(c.HeadDim, c.D/c.Heads) }

// block lists the matrices of one block, of a mixture the router's and those of one expert.
func (c *config) block() []matrix {
	q, kv, inner := c.width()*c.Heads, c.width()*c.KVHeads, cmp.Or(c.ExpertInner, c.Inner)
	all := []matrix{
		{"self_attn.q_proj", q, c.D}, {"self_attn.k_proj", kv, c.D}, {"self_attn.v_proj", kv, c.D}, {"self_attn.o_proj", c.D, q},
	}
	at := "mlp."
	if c.Experts > 0 {
		all = append(all, matrix{"mlp.gate", c.Experts, c.D})
		at = expert
	}
	return append(all, matrix{at + "gate_proj", inner, c.D}, matrix{at + "up_proj", inner, c.D}, matrix{at + "down_proj", c.D, inner})
}

// expert begins the names of an expert's matrices, with its number.
const expert = "mlp.experts.%d."

// times is by how many matrices of its kind a token is multiplied.
func (c *config) times(m matrix) int {
	if strings.HasPrefix(m.name, expert) {
		return c.Chosen
	}
	return 1
}

func (c *config) head() matrix { return matrix{"head", c.Vocab, c.D} }

// operations are the floating-point operations of the matrix products of a job, attention
// left out.
func (c *config) operations(n counts) float64 {
	block := 0
	for _, m := range c.block() {
		block += c.times(m) * m.in * m.out
	}
	return 2 * (float64(n.nodes)*float64(c.Layers)*float64(block) + float64(n.heads)*float64(c.head().in*c.head().out))
}

// productRows is how many rows the plain products have: what a batch of the engine has.
const productRows = 256

// plain is how long the plain products of a job take, one after the other, in s.
type plain struct{ block, head float64 }

func (p plain) of(c config, n counts) float64 {
	return (float64(n.nodes)*float64(c.Layers)*p.block + float64(n.heads)*p.head) / productRows
}

// plainProducts times x w for every matrix of a block and the head, with x of 256 rows, both in
// dtype and the result in float32: the better of the two layouts of w, the best of
// several rounds, alternating.
func plainProducts(backend compute.Backend, c config, dtype dtypes.DType) (p plain, err error) {
	for _, m := range c.block() {
		t, err := timeProduct(backend, m, dtype)
		if err != nil {
			return p, err
		}
		p.block += float64(c.times(m)) * t
	}
	p.head, err = timeProduct(backend, c.head(), dtype)
	return p, err
}

func timeProduct(backend compute.Backend, m matrix, dtype dtypes.DType) (best float64, err error) {
	for axis, dims := range [][]int{{m.in, m.out}, {m.out, m.in}} {
		exec, err := NewExec(backend, func(in []*Node) []*Node {
			return []*Node{Dot(in[0], in[1]).WithOutputDType(dtypes.Float32).General([]int{1}, nil, []int{axis}, nil)}
		})
		if err != nil {
			return 0, err
		}
		t, err := timeExec(exec, dtype, []int{productRows, m.in}, dims)
		exec.Finalize()
		if err != nil {
			return 0, err
		}
		if axis == 0 || t < best {
			best = t
		}
	}
	return best, nil
}

func timeExec(exec *Exec, dtype dtypes.DType, dims ...[]int) (best float64, err error) {
	var args []any
	for _, d := range dims {
		t, err := randomTensor(dtype, d)
		if err != nil {
			return 0, err
		}
		defer t.MustFinalizeAll()
		args = append(args, t)
	}
	const least, most = 10, 200
	for round, begin := 0, time.Now(); round < least || round < most && time.Since(begin) < 300*time.Millisecond; round++ {
		start := time.Now()
		out, err := exec.Call(args...)
		if err != nil {
			return 0, err
		}
		seconds := time.Since(start).Seconds()
		for _, t := range out {
			t.MustFinalizeAll()
		}
		if round == 1 || round > 1 && seconds < best { // round 0 compiles
			best = seconds
		}
	}
	return best, nil
}

// randomTensor is normal numbers of the size of weights.
func randomTensor(dtype dtypes.DType, dims []int) (*tensors.Tensor, error) {
	draw := newNormal(0.02)
	t := tensors.FromShape(shapes.Make(dtype, dims...))
	if dtype == dtypes.BFloat16 {
		return t, tensors.MutableFlatData(t, func(flat []bfloat16.BFloat16) {
			for i := range flat {
				flat[i] = draw.next()
			}
		})
	}
	return t, tensors.MutableFlatData(t, func(flat []float32) {
		for i := range flat {
			flat[i] = draw.next().Float32()
		}
	})
}
