package checkpoint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ggufNames says what becomes of the tensors of a file.
type ggufNames struct {
	whole map[string]string // transformers' names, outside the blocks
	// The modules of a block, by their names in the file; %d is the number of one of the experts, all of
	// which one tensor has. A name with .weight or .bias at its end stands for a whole one.
	block  map[string]string
	joins  []ggufJoin
	layers string // before the number of a block

	heads  map[string]int // of q and k, whose rows are permuted
	minus  bool           // norms are stored with 1 added
	change func(c *ggufChange, t Tensor, part string) error
}

// ggufJoin is a module of a block that several tensors make.
type ggufJoin struct {
	to    string
	parts []string // names below the block, of which all are there or none
	join  func(name string, parts []Tensor) (Tensor, error)
}

var ggufLayer = regexp.MustCompile(`^(blk\.(\d+)\.)([a-z0-9_]+)(\.(?:weight|bias|scale))?$`)

// firstNames are those that most have.
func firstNames() ggufNames {
	return ggufNames{
		whole: map[string]string{"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output_norm.bias": "model.norm.bias", "output.weight": "lm_head.weight"},
		block: map[string]string{
			"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
			"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
			"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
		},
		layers: "model.layers.",
	}
}

// modules adds modules of a block, by pairs of a name in the file and in transformers; "" takes one away.
func (n *ggufNames) modules(pairs map[string]string) {
	maps.Copy(n.block, pairs)
	maps.DeleteFunc(n.block, func(_, to string) bool { return to == "" })
}

// of returns the name that a tensor of a file has in transformers, "" for none, and that of its module in the file.
func (n *ggufNames) of(name string) (to, part string) {
	at := ggufLayer.FindStringSubmatch(name)
	if at == nil {
		return n.whole[name], ""
	}
	part = at[3]
	if module := n.block[part+at[4]]; module != "" { // the whole name
		return n.layers + at[2] + "." + module, part
	}
	if module := n.block[part]; module != "" {
		return n.layers + at[2] + "." + module + at[4], part
	}
	return "", part
}

// place gives the tensors their names in transformers.
func (m *ggufConfig) place() error {
	for _, name := range sortedKeys(m.w.stored) {
		if m.read[name] {
			continue
		}
		t := m.w.stored[name]
		to, part := m.names.of(name)
		var err error
		switch _, second := m.w.tensors[to]; {
		case second:
			err = fmt.Errorf("a second one for %s", to)
		case len(t.Shape) == 1 && blockOf(t).decode != nil:
			err = fmt.Errorf("one axis of %s, wanted plain floats", t.kind)
		case to == "":
			err = m.joined(name)
		case strings.Contains(to, "%d"):
			err = m.split(t, to, part)
		default:
			err = m.put(t, to, part)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
	}
	return nil
}

// put gives a tensor its name and its shape in transformers, with what was done to it undone.
func (m *ggufConfig) put(t Tensor, to, part string) error {
	var c ggufChange
	if heads := m.names.heads[part]; heads > 0 {
		if t.Shape[0]%(2*heads) != 0 {
			return fmt.Errorf("%d rows, wanted an even number for each of %d heads", t.Shape[0], heads)
		}
		half := t.Shape[0] / heads / 2 // of a head, whose two halves are interleaved
		c.row = func(row int) int {
			head, within := row/(2*half), row%(2*half)
			return head*2*half + within%half*2 + within/half
		}
	}
	if m.names.minus && strings.HasSuffix(to, "norm.weight") && part != "ssm_norm" {
		c.each = func(x float32) float32 { return x - 1 }
	}
	if m.names.change != nil {
		if err := m.names.change(&c, t, part); err != nil {
			return err
		}
	}
	shape := t.Shape
	switch part { // axes of 1 that the converter takes away
	case "ffn_gate_inp_shexp":
		if len(shape) == 1 {
			shape = []int{1, shape[0]}
		}
	case "ssm_conv1d":
		if len(shape) == 2 {
			shape = []int{shape[0], 1, shape[1]}
		}
	case "ssm_a", "ssm_d", "ssm_norm": // of Mamba 2, with more axes in the file
		shape = []int{t.Elements()}
	}
	m.w.tensors[to] = changed(to, shape, c, t)
	return nil
}

// split makes the tensors of each expert, or norms of each head, to with its number, of that of all of them.
func (m *ggufConfig) split(t Tensor, to, part string) error {
	n, axes, of := m.mixture, 3, "outputs, inputs], of all experts"
	switch part {
	case "": // outside the blocks
		n = t.Shape[0]
	case "attn_q_norm":
		n, axes, of = m.heads, 2, "width], of all heads"
	case "attn_k_norm":
		n, axes, of = m.kv, 2, "width], of all heads"
	}
	if len(t.Shape) != axes || t.Shape[0] != n {
		return fmt.Errorf("shape %v, wanted [%d, %s", t.Shape, n, of)
	}
	size := len(t.raw) / n // whole rows
	for e := range n {
		one := t
		one.raw = t.raw[e*size : (e+1)*size : (e+1)*size]
		if t.Data != nil {
			one.Data = one.raw
		}
		name := fmt.Sprintf(to, e)
		m.w.tensors[name] = changed(name, t.Shape[1:], ggufChange{}, one)
	}
	return nil
}

// joined makes the module that a tensor is a part of.
func (m *ggufConfig) joined(name string) error {
	at := ggufLayer.FindStringSubmatch(name)
	if at == nil {
		return fmt.Errorf("which %s has no place for", m.arch)
	}
	for _, j := range m.names.joins {
		if !slices.Contains(j.parts, strings.TrimPrefix(name, at[1])) {
			continue
		}
		var parts []Tensor
		for _, other := range j.parts {
			t, ok := m.w.stored[at[1]+other]
			if !ok {
				return fmt.Errorf("no tensor %s beside it", quote(at[1]+other))
			}
			parts, m.read[t.Name] = append(parts, t), true
		}
		to := m.names.layers + at[2] + "." + j.to
		t, err := j.join(to, parts)
		if err == nil {
			m.w.tensors[to] = t
		}
		return err
	}
	return fmt.Errorf("which %s has no place for", m.arch)
}

// columnsOf joins matrices [.. R C] whose rows are the columns of one, [.. C R*n], those of all in turn:
// vectors [.. R] make a vector [.. R*n].
func columnsOf(interleaved bool, axes int) func(name string, parts []Tensor) (Tensor, error) {
	return func(name string, parts []Tensor) (Tensor, error) {
		first := parts[0].Shape
		for i, t := range parts {
			if len(t.Shape) != axes || !slices.Equal(t.Shape, first) {
				return Tensor{}, fmt.Errorf("shape %v beside %v, wanted %d axes, the same", t.Shape, first, axes)
			}
			if axes < 3 && len(parts) > 1 { // vectors of all experts
				parts[i].Shape = append(slices.Clone(first), 1)
			}
		}
		shape := slices.Clone(parts[0].Shape)
		n := len(shape)
		shape[n-2], shape[n-1] = shape[n-1], shape[n-2]*len(parts)
		if axes < n {
			shape = []int{shape[0], shape[2]}
		}
		return turned(name, shape, interleaved, parts...), nil
	}
}
