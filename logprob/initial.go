package logprob

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// NewCheckpoint writes a checkpoint with random weights, float32, of the model that config.json
// in the folder from describes, with that folder's tokenizer; weights there are not read. They
// are what transformers' from_config draws from: embeddings and matrices N(0, initializer_range),
// gpt2's two c_proj N(0, initializer_range / sqrt(2 blocks)), biases 0, but of gpt_oss's routers,
// which are drawn as its sinks are, norms 1 (0 in gemma's families before gemma3n, which add 1),
// xIELU's four numbers those of its class, gemma3n's factors of streams 0, and the embedding of pad_token_id 0, but in gpt2,
// gpt_neo, gpt_neox and gptj.
//
// A tensor's numbers depend on seed, its name and its shape alone. The folder out must be new,
// and appears only when complete. A multimodal config (gemma3, gemma4, mistral3) is an error: its
// vision tower is not known here. So is a model with gated delta nets or Mamba 2, whose first values are drawn in
// ways of their own.
func NewCheckpoint(ctx context.Context, from, out string, seed uint64) error {
	if err := newCheckpoint(ctx, from, out, seed); err != nil {
		return fmt.Errorf("logprob: new checkpoint of %s: %w", from, err)
	}
	return nil
}

func newCheckpoint(ctx context.Context, from, out string, seed uint64) error {
	if err := checkNew(out); err != nil {
		return err
	}
	keys, err := checkpoint.ReadConfig(from)
	if err != nil {
		return err
	}
	// The names of a checkpoint that its class has saved: gpt2's without a head differ.
	m, err := arch.New(keys, func(name string) bool { return name == "transformer.wte.weight" })
	if err != nil {
		return err
	}
	if m.Multimodal {
		return fmt.Errorf("model_type %s, multimodal, wanted a language model alone, as its text_config describes", m.Type)
	}
	if f, _ := arch.FamilyOf(m.Type); m.Recurrent() {
		return fmt.Errorf("model_type %s, with %s, whose first values are not drawn here, wanted attention alone", m.Type, f.Recurrent)
	}
	first := &initial{m: m, seed: seed}
	if first.std, err = initializerRange(keys); err == nil {
		first.pad, err = paddingRow(keys, m)
	}
	if err != nil {
		return err
	}
	f := &folder{out: out, generation: from}
	if _, err := os.Stat(filepath.Join(from, "tokenizer.json")); err == nil {
		f.tokenizer = from
	}
	if err := f.readConfig(from); err != nil {
		return err
	}
	if err := f.setDType(dtypes.Float32); err != nil {
		return err
	}
	tensors := slices.SortedFunc(slices.Values(m.Tensors()), func(a, b arch.Tensor) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range tensors {
		f.add(t.Name, t.Shape, func() ([]float32, error) { return first.values(t), nil })
	}
	return f.write(ctx)
}

// initial are a model's first weights.
type initial struct {
	m    *arch.Model
	seed uint64
	std  float64
	pad  int // row of the embeddings that is 0; -1 for none
}

// values are a tensor's.
func (i *initial) values(t arch.Tensor) []float32 {
	n := 1
	for _, size := range t.Shape {
		n *= size
	}
	embedding := t.Name == i.m.Embed.Table.Name || i.m.PerLayer != nil && t.Name == i.m.PerLayer.Table.Name
	switch {
	case t.Linear, embedding, i.m.Embed.Positions != nil && t.Name == i.m.Embed.Positions.Name:
		std := i.std
		if i.m.Type == "gpt2" && strings.HasSuffix(t.Name, ".c_proj.weight") {
			std /= math.Sqrt(2 * float64(len(i.m.Blocks)))
		}
		values := normal(draw(i.seed, t.Name), n, std)
		if embedding && i.pad >= 0 {
			width := t.Shape[1]
			clear(values[i.pad*width : (i.pad+1)*width])
		}
		return values
	case strings.HasSuffix(t.Name, ".sinks"), strings.HasSuffix(t.Name, ".router.bias"):
		return normal(draw(i.seed, t.Name), n, i.std)
	case strings.HasSuffix(t.Name, "bias"), storesLess1(i.m.Type), strings.HasSuffix(t.Name, ".altup.correct_output_scale"):
		return make([]float32, n)
	}
	value := float32(1)
	for name, x := range xIELU {
		if strings.HasSuffix(t.Name, ".act_fn."+name) {
			value = x
		}
	}
	return slices.Repeat([]float32{value}, n)
}

// storesLess1 tells of a family that stores the weights of its norms less 1.
func storesLess1(family string) bool {
	return slices.Contains([]string{"gemma", "gemma2", "gemma3", "gemma3_text"}, family)
}

// xIELU are the numbers that Apertus' activation begins with: both of its slopes are 0.8, which
// alpha_p and alpha_n give by softplus, alpha_n after beta (activations.py).
var xIELU = map[string]float32{"alpha_p": beforeSoftplus(0.8), "alpha_n": beforeSoftplus(0.8 - 0.5), "beta": 0.5, "eps": -1e-6}

// beforeSoftplus is the x whose ln(1 + e^x) is y, rounded as torch does between two steps.
func beforeSoftplus(y float32) float32 {
	return float32(math.Log(float64(float32(math.Expm1(float64(y))))))
}

// paddingRow is the row of the embeddings that begins as 0: torch.nn.Embedding's padding_idx,
// which counts from the end where it is negative. -1 for none.
func paddingRow(keys map[string]json.RawMessage, m *arch.Model) (int, error) {
	raw := keys["pad_token_id"]
	if strictjson.Null(raw) || slices.Contains([]string{"bloom", "falcon", "gpt2", "gpt_neo", "gpt_neox", "gptj", "mpt"}, m.Type) {
		return -1, nil
	}
	var row int
	if err := json.Unmarshal(raw, &row); err != nil || row < -m.V || row >= m.V {
		return 0, fmt.Errorf("config.json: pad_token_id is %s, wanted a row of the vocabulary of %d", raw, m.V)
	}
	if row < 0 {
		row += m.V
	}
	return row, nil
}
