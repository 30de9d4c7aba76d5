package rewardmodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// fakeSource has the tensors of a head of width 2, without a trunk.
type fakeSource struct {
	config  string
	tensors map[string]fakeTensor
}

type fakeTensor struct {
	shape  []int
	values []float32
}

func (f fakeSource) Config() map[string]json.RawMessage {
	var c map[string]json.RawMessage
	json.Unmarshal([]byte(f.config), &c)
	return c
}
func (f fakeSource) Width() int             { return 2 }
func (f fakeSource) EmbeddingTable() string { return "model.embed_tokens.weight" }
func (f fakeSource) TiedEmbeddings() (tied bool) {
	settings(f.Config()).read("tie_word_embeddings", &tied, "")
	return tied
}
func (f fakeSource) Logit(product float64) float64 {
	factor := 1.0
	settings(f.Config()).read("its factor", &factor, "")
	return factor * product
}
func (f fakeSource) Beside() (names []string) {
	for name := range f.tensors {
		if name != f.EmbeddingTable() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
func (f fakeSource) Tensor(name string) ([]int, []float32, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("no tensor %s", name)
	}
	for _, v := range t.values {
		if v != v || math.IsInf(float64(v), 0) {
			return nil, nil, fmt.Errorf("tensor %s: %v", name, v)
		}
	}
	return t.shape, t.values, nil
}
func (f fakeSource) TensorRow(name string, row int) ([]float32, error) {
	t, ok := f.tensors[name]
	if !ok || len(t.shape) != 2 || row >= t.shape[0] {
		return nil, fmt.Errorf("no row %d of a matrix %s", row, name)
	}
	return t.values[row*t.shape[1] : (row+1)*t.shape[1]], nil
}

// with returns the source with further tensors; nil takes one away.
func (f fakeSource) with(more map[string]any) fakeSource {
	out := fakeSource{f.config, map[string]fakeTensor{}}
	for name, t := range f.tensors {
		out.tensors[name] = t
	}
	for name, v := range more {
		switch v := v.(type) {
		case nil:
			delete(out.tensors, name)
		case []float32:
			out.tensors[name] = fakeTensor{[]int{len(v)}, v}
		case [][]float32:
			t := fakeTensor{shape: []int{len(v), len(v[0])}}
			for _, row := range v {
				t.values = append(t.values, row...)
			}
			out.tensors[name] = t
		case fakeTensor:
			out.tensors[name] = v
		}
	}
	return out
}

func source2(config string, tensors map[string]any) fakeSource {
	return fakeSource{config: config}.with(tensors)
}

type rows = [][]float32

// armo2 is ArmoRM of two objectives with a gate of one hidden layer.
var armo2 = source2(`{"num_objectives": 2, "gating_temperature": 2, "gating_hidden_dim": 2, "gating_n_hidden": 1}`, map[string]any{
	"regression_layer.weight": rows{{1, 0}, {0, 2}}, "reward_transform_matrix": rows{{1, -0.5}, {0, 1}},
	"gating.layers.0.weight": rows{{1, 0}, {0, -1}}, "gating.layers.0.bias": []float32{0.5, 0},
	"gating.layers.1.weight": rows{{2, 0}, {0, 1}}, "gating.layers.1.bias": []float32{0, 1}, "gating.logit_scale": []float32{3},
})

// qrm2 is QRM-Llama of two objectives and two quantiles, with a gate of one hidden layer.
var qrm2 = source2(`{"num_objectives": 2, "num_quantiles": 2, "gating_temperature": 1}`, map[string]any{
	"regression_layer.weight": rows{{1, 0}, {3, 0}, {0, 1}, {0, 5}}, "reward_transform_matrix": rows{{1, 1}, {0, 1}},
	"gating.layers.0.weight": rows{{1, 0}, {0, -1}},
	"gating.layers.2.weight": []float32{2, 1}, "gating.layers.2.bias": []float32{0, 1}, "gating.layers.2.running_mean": []float32{1, 0},
	"gating.layers.2.running_var": []float32{1 - 1e-5, 4 - 1e-5}, "gating.layers.2.num_batches_tracked": []float32{7},
	"gating.layers.3.weight": rows{{1, 0}, {0, 1}}, "gating.layers.3.bias": []float32{0, 0}, "gating.logit_scale": []float32{1},
})

// urm2 is URM of one attribute.
var urm2 = source2(`{"id2label": {"0": "mean", "1": "spread"}}`, map[string]any{
	"score.weight": rows{{1, 1}, {5, 5}}, "weights.fc.0.weight": rows{{1, 0}}, "weights.fc.0.bias": []float32{0},
	"weights.fc.2.weight": rows{{-1}}, "weights.fc.2.bias": []float32{0}, "weights.fc.4.weight": rows{{1}}, "weights.fc.4.bias": []float32{2},
})

// TestHeadsByHand computes heads of width 2 at h = (3, 4), with p = (1, 2) for a gate.
func TestHeadsByHand(t *testing.T) {
	// ArmoRM: r = (3, 8); r T = (3, -1.5+8) = (3, 6.5). MLP(p) = ReLU(1.5, -2) = (1.5, 0) -> (3, 1);
	// softmax((3, 1)/2) = (e, 1)/(e+1) for differences of 1; times 3.
	e := math.E
	g0, g1 := 3*e/(e+1), 3/(e+1)
	// QRM: quantiles (3, 9), (4, 20), columns times T: (3, 7) and (9, 29); means 6 and 18. Gate:
	// ReLU(1, -2) = (1, 0); norm: (1-1)/1*2+0 = 0, (0-0)/2*1+1 = 1; softmax(0, 1).
	// URM: score (7, 35); SELU(3) = 3s, SELU(-3s) = s a (exp(-3s)-1), plus 2.
	const s, a = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
	w := s*a*(math.Exp(-3*s)-1) + 2
	for name, c := range map[string]struct {
		source  fakeSource
		output  string
		reward  float64
		outputs []float64
		weights []float64
	}{
		"linear":  {source2(`{}`, map[string]any{"score.weight": rows{{1, 2}}}), "", 11, []float64{11}, nil},
		"bias":    {source2(`{}`, map[string]any{"v_head.weight": rows{{1, 2}}, "v_head.bias": []float32{0.5}}), "", 11.5, []float64{11.5}, nil},
		"prefix":  {source2(`{"value_head_prefix": "my_head"}`, map[string]any{"my_head.weight": rows{{1, 2}}}), "", 11, []float64{11}, nil},
		"v_head":  {source2(`{}`, map[string]any{"v_head.summary.weight": rows{{1, 2}}, "v_head.summary.bias": []float32{1}, "lm_head.weight": rows{{9, 9}}}), "", 12, []float64{12}, nil},
		"mlp":     {source2(`{}`, map[string]any{"score.0.weight": rows{{1, 0}, {0, -1}}, "score.0.bias": []float32{1, 0}, "score.2.weight": rows{{2, 7}}, "score.2.bias": []float32{0.5}}), "", 8.5, []float64{8.5}, nil},
		"deep":    {source2(`{}`, map[string]any{"v_head.0.weight": rows{{1, 0}}, "v_head.2.weight": rows{{-1}, {1}}, "v_head.4.weight": rows{{1, 2}}}), "", 6, []float64{6}, nil},
		"armorm":  {armo2, "", 3*g0 + 6.5*g1, []float64{3, 8}, []float64{g0 - 0.5*g1, g1}},
		"qrm":     {qrm2, "", (6 + e*18) / (1 + e), []float64{6, 18}, []float64{1 / (1 + e), e / (1 + e)}},
		"urm":     {urm2, "", 7 * w, []float64{7, 35}, []float64{w, 0}},
		"token":   {source2(`{"model_type": "llama"}`, map[string]any{"lm_head.weight": rows{{1, 2}, {0, 1}}}), "token=1", 4, []float64{4}, nil},
		"tied":    {source2(`{"model_type": "gpt2", "tie_word_embeddings": true}`, map[string]any{"model.embed_tokens.weight": rows{{1, 2}, {0, 1}}}), "token=0", 11, []float64{11}, nil},
		"factor":  {source2(`{"its factor": 0.125}`, map[string]any{"lm_head.weight": rows{{1, 2}, {0, 1}}}), "token=1", 0.5, []float64{0.5}, nil},
		"copied":  {source2(`{"tie_word_embeddings": true}`, map[string]any{"lm_head.weight": rows{{1, 2}}, "model.embed_tokens.weight": rows{{1, 2}}}), "token=0", 11, []float64{11}, nil},
		"neox":    {source2(`{"model_type": "gpt_neox"}`, map[string]any{"embed_out.weight": rows{{1, 2}}}), "token=0", 11, []float64{11}, nil},
		"several": {source2(`{"id2label": {"1": "b", "0": "a"}}`, map[string]any{"score.weight": rows{{1, 2}, {1, 0}}}), "b", 0, []float64{11, 3}, nil},
	} {
		h, err := find(c.source, c.output)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var gate []float64
		if g, ok := h.(*gated); ok {
			gate = g.gate([]float64{1, 2})
		}
		r := h.of([]float64{3, 4}, gate)
		close := func(got, want []float64) bool {
			return slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-7*(1+math.Abs(b)) }) // running_var is float32
		}
		if !close([]float64{r.Reward}, []float64{c.reward}) || !close(r.Outputs, c.outputs) || !close(r.Weights, c.weights) {
			t.Errorf("%s: %+v, wanted %v of %v weighed by %v", name, r, c.reward, c.outputs, c.weights)
		}
		if len(h.facts().labels) != len(c.outputs) {
			t.Errorf("%s: labels %q", name, h.facts().labels)
		}
	}
}

// TestQuantiles: those of QRM go through the transform as their mean does.
func TestQuantiles(t *testing.T) {
	h, err := find(qrm2, "")
	if err != nil {
		t.Fatal(err)
	}
	r := h.of([]float64{3, 4}, []float64{1, 1})
	if fmt.Sprint(r.Quantiles) != "[[3 9] [7 29]]" {
		t.Errorf("%v", r.Quantiles)
	}
	gemma := qrm2.with(map[string]any{"reward_transform_matrix": nil, "gating.layers.3.weight": nil, "gating.layers.3.bias": nil,
		"gating.layers.4.weight": rows{{1, 0}, {0, 1}}, "gating.layers.6.weight": []float32{1, 1}, "gating.layers.6.bias": []float32{0, 0},
		"gating.layers.6.running_mean": []float32{0, 0}, "gating.layers.6.running_var": []float32{1, 1},
		"gating.layers.7.weight": rows{{1, 0}, {0, 1}}, "gating.layers.7.bias": []float32{0, 0}})
	if h, err = find(gemma, ""); err != nil {
		t.Fatal(err)
	}
	if r := h.of([]float64{3, 4}, []float64{1, 1}); fmt.Sprint(r.Quantiles, r.Reward) != "[[3 9] [4 20]] 18" {
		t.Errorf("%v %v", r.Quantiles, r.Reward)
	}
	gemma.config = `{}`
	if h, err = find(gemma, ""); err != nil || h.(*gated).temperature != 1 || len(h.facts().doubts) != 1 {
		t.Errorf("without a temperature: %v, %v", h, err)
	}
}

// TestNoHead: what is no head, half of one or more than one is an error that names it.
func TestNoHead(t *testing.T) {
	nan := float32(math.NaN())
	score := source2(`{}`, map[string]any{"score.weight": rows{{1, 2}}})
	v := source2(`{}`, map[string]any{"v_head.weight": rows{{1, 2}}})
	three := source2(`{}`, map[string]any{"score.weight": rows{{1, 2}, {1, 2}, {1, 2}}})
	configured := func(s fakeSource, config string) fakeSource { s.config = config; return s }
	for name, c := range map[string]struct {
		source fakeSource
		output string
		want   string
	}{
		"a causal model":                {source2(`{}`, map[string]any{"lm_head.weight": rows{{1, 2}}}), "", "no head: wanted score.weight [n 2] or another head of a reward model, and this is a causal language model's checkpoint"},
		"asked as":                      {source2(`{}`, nil), "", "the output token=ID"},
		"another head":                  {source2(`{}`, map[string]any{"reward_head.weight": rows{{1, 2}}}), "", "no head that is known: beside the transformer there is reward_head.weight"},
		"many":                          {source2(`{}`, map[string]any{"a": rows{{1}}, "b": rows{{1}}, "c": rows{{1}}, "d": rows{{1}}, "e": rows{{1}}, "f": rows{{1}}}), "", "a, b, c, d and 2 more"},
		"a tensor left":                 {score.with(map[string]any{"weights.extra": rows{{1, 2}}}), "", "the linear head does not use tensor weights.extra"},
		"lm_head beside a score":        {score.with(map[string]any{"lm_head.weight": rows{{1, 2}}}), "", "does not use tensor lm_head.weight"},
		"two heads":                     {score.with(map[string]any{"v_head.weight": rows{{1, 2}}}), "", "does not use tensor v_head.weight"},
		"another width":                 {source2(`{}`, map[string]any{"score.weight": rows{{1, 2, 3}}}), "", "tensor score.weight is [1 3], wanted [n 2]"},
		"a vector":                      {source2(`{}`, map[string]any{"score.weight": []float32{1, 2}}), "", "tensor score.weight is [2], wanted [n 2]"},
		"no rows":                       {source2(`{}`, map[string]any{"score.weight": fakeTensor{shape: []int{0, 2}}}), "", "tensor score.weight is [0 2]"},
		"a bias of another size":        {score.with(map[string]any{"score.bias": []float32{1, 2}}), "", "tensor score.bias is [2], wanted [1]"},
		"NaN":                           {source2(`{}`, map[string]any{"score.weight": rows{{1, nan}}}), "", "score.weight: NaN"},
		"three and no labels":           {three, "", "2 labels (id2label; 2 where it is missing), and the head has 3 outputs"},
		"three and one label":           {configured(three, `{"id2label": {"0": "a"}}`), "", "1 labels"},
		"num_labels":                    {configured(three, `{"num_labels": 5}`), "", "5 labels"},
		"ids of labels":                 {configured(three, `{"id2label": {"0": "a", "1": "b", "3": "c"}}`), "", `id2label has the id "3"`},
		"id 00":                         {configured(three, `{"id2label": {"0": "a", "00": "b", "2": "c"}}`), "", `id2label has the id "00"`},
		"labels that are none":          {configured(three, `{"id2label": ["a", "b", "c"]}`), "", "config.json: id2label is"},
		"one layer":                     {source2(`{}`, map[string]any{"score.0.weight": rows{{1, 2}}}), "", "score.0.weight without score.2.weight"},
		"layers that do not fit":        {source2(`{}`, map[string]any{"score.0.weight": rows{{1, 2}, {1, 2}}, "score.2.weight": rows{{1, 2, 3}}}), "", "tensor score.2.weight is [1 3], wanted [n 2]"},
		"half of the biases":            {source2(`{}`, map[string]any{"score.0.weight": rows{{1, 2}}, "score.0.bias": []float32{1}, "score.2.weight": rows{{1}}}), "", "no tensor score.2.bias"},
		"the other half":                {source2(`{}`, map[string]any{"score.0.weight": rows{{1, 2}}, "score.2.bias": []float32{1}, "score.2.weight": rows{{1}}}), "", "does not use tensor score.2.bias"},
		"more neurons":                  {configured(source2("", map[string]any{"v_head.0.weight": rows{{1, 2}}, "v_head.2.weight": rows{{1}}}), `{"vhead_num_neurons": 1024}`), "", "vhead_num_neurons is 1024, and the tensors of the head have 1"},
		"a prefix of no text":           {configured(v, `{"value_head_prefix": 3}`), "", "value_head_prefix is 3"},
		"a gate of nothing":             {armo2.with(map[string]any{"gating.layers.0.weight": nil, "gating.layers.1.weight": nil}), "", "fewer than two linear layers"},
		"no regression":                 {armo2.with(map[string]any{"regression_layer.weight": nil}), "", "no tensor regression_layer.weight"},
		"no gate":                       {source2(`{}`, map[string]any{"regression_layer.weight": rows{{1, 2}}}), "", "fewer than two linear layers"},
		"no matrix":                     {armo2.with(map[string]any{"reward_transform_matrix": nil}), "", "no tensor reward_transform_matrix"},
		"no scale":                      {armo2.with(map[string]any{"gating.logit_scale": nil}), "", "no tensor gating.logit_scale"},
		"two scales":                    {armo2.with(map[string]any{"gating.logit_scale": []float32{1, 2}}), "", "tensor gating.logit_scale is [2], wanted [1]"},
		"a matrix of another size":      {armo2.with(map[string]any{"reward_transform_matrix": rows{{1}}}), "", "tensor reward_transform_matrix is [1 1], wanted [2 2]"},
		"quantiles in ArmoRM":           {armo2.with(map[string]any{"regression_layer.weight": rows{{1, 0}, {0, 2}, {1, 0}, {0, 2}}}), "", "as the gate has no BatchNorm"},
		"objectives that do not divide": {qrm2.with(map[string]any{"regression_layer.weight": rows{{1, 0}, {0, 2}, {1, 0}}}), "", "wanted a multiple of the gate's 2 objectives"},
		"a regression's bias":           {armo2.with(map[string]any{"regression_layer.bias": []float32{1, 2}}), "", "does not use tensor regression_layer.bias"},
		"no variance":                   {qrm2.with(map[string]any{"gating.layers.2.running_var": nil}), "", "no tensor gating.layers.2.running_var"},
		"half of a norm":                {qrm2.with(map[string]any{"gating.layers.2.running_mean": nil}), "", "the gate's linear layers are gating.layers [0 2 3]"},
		"a negative variance":           {qrm2.with(map[string]any{"gating.layers.2.running_var": []float32{1, -1}}), "", "running_var has -1 at 1"},
		"a gate's layers":               {armo2.with(map[string]any{"gating.layers.1.weight": nil, "gating.layers.2.weight": rows{{2, 0}, {0, 1}}}), "", "the gate's linear layers are gating.layers [0 2]"},
		"a gate's first bias":           {qrm2.with(map[string]any{"gating.layers.0.bias": []float32{1, 2}}), "", "does not use tensor gating.layers.0.bias"},
		"other objectives":              {configured(armo2, `{"num_objectives": 19}`), "", "num_objectives is 19, and the tensors of the head have 2"},
		"other quantiles":               {configured(qrm2, `{"num_quantiles": 19}`), "", "num_quantiles is 19"},
		"other layers":                  {configured(qrm2, `{"gating_n_hidden": 3}`), "", "gating_n_hidden is 3"},
		"other widths":                  {configured(qrm2, `{"gating_hidden_dim": 1024}`), "", "gating_hidden_dim is 1024"},
		"temperature 0":                 {configured(qrm2, `{"gating_temperature": 0}`), "", "gating_temperature is 0, wanted more than 0"},
		"a temperature of text":         {configured(qrm2, `{"gating_temperature": "5"}`), "", "wanted a number"},
		"URM without weights":           {urm2.with(map[string]any{"weights.fc.4.weight": nil}), "", "no tensor weights.fc.4.weight"},
		"URM's layers":                  {urm2.with(map[string]any{"weights.fc.2.weight": rows{{1, 2}}}), "", "tensor weights.fc.2.weight is [1 2], wanted [n 1]"},
		"URM without biases":            {urm2.with(map[string]any{"weights.fc.0.bias": nil}), "", "no tensor weights.fc.0.bias"},
		"URM of odd outputs":            {urm2.with(map[string]any{"score.weight": rows{{1, 1}, {1, 2}, {5, 5}}}), "", "wanted a mean and a spread for each of the 1 weights"},
		"a token of a score":            {score, "token=0", "no lm_head.weight"},
		"a token beyond":                {source2(`{}`, map[string]any{"lm_head.weight": rows{{1, 2}}}), "token=1", "no row 1"},
		"a token that is none":          {source2(`{}`, map[string]any{"lm_head.weight": rows{{1, 2}}}), "token=x", "wanted the id of a token"},
		"a token below 0":               {source2(`{}`, map[string]any{"lm_head.weight": rows{{1, 2}}}), "token=-1", "wanted the id of a token"},
		"a token and a score":           {score.with(map[string]any{"lm_head.weight": rows{{1, 2}}}), "token=0", "does not use tensor score.weight"},
		"a head that should be tied":    {source2(`{"tie_word_embeddings": true}`, map[string]any{"lm_head.weight": rows{{1, 2}}, "model.embed_tokens.weight": rows{{1, 3}}}), "token=0", "differs from that of model.embed_tokens.weight"},
		"a head's bias":                 {source2(`{}`, map[string]any{"lm_head.weight": rows{{1, 2}}, "lm_head.bias": []float32{1}}), "token=0", "does not use tensor lm_head.bias"},
	} {
		if h, err := find(c.source, c.output); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, error %v, wanted %q", name, h, err, c.want)
		}
	}
}

func TestLabels(t *testing.T) {
	for config, doubts := range map[string]int{
		`{}`: 1, `{"id2label": null}`: 1, `{"id2label": {"0": "good"}}`: 0, `{"num_labels": 1}`: 0, `{"id2label": {"0": "a", "1": "b"}}`: 1,
	} {
		h, err := find(source2(config, map[string]any{"score.weight": rows{{1, 2}}}), "")
		if err != nil || len(h.facts().doubts) != doubts || len(h.facts().labels) != 1 {
			t.Errorf("%s: %+v, %v, wanted %d doubts", config, h, err, doubts)
		}
	}
	h, err := find(source2(`{}`, map[string]any{"v_head.weight": rows{{1, 2}, {1, 2}, {1, 2}}}), "")
	if err != nil || fmt.Sprint(h.facts().labels) != "[LABEL_0 LABEL_1 LABEL_2]" {
		t.Errorf("a value head of three: %v, %v", h, err)
	}
}

func TestChoose(t *testing.T) {
	three := &about{kind: "linear", labels: []string{"helpful", "column=2", "safe"}}
	for output, want := range map[string]int{"helpful": 0, "column=0": 0, "column=2": 2, "safe": 2} {
		if i, err := choose(three, output); err != nil || i != want {
			t.Errorf("%q: %d, %v, wanted %d", output, i, err, want)
		}
	}
	twice := &about{kind: "linear", labels: []string{"a", "a"}}
	for _, c := range []struct {
		a            *about
		output, want string
	}{
		{three, "", `no output is chosen as the reward: the head has 3, wanted one of "helpful" (column=0), "column=2" (column=1), "safe" (column=2)`},
		{three, "harmful", `no output "harmful", wanted one of "helpful"`},
		{three, "column=3", "wanted column=0 to column=2"},
		{three, "column=-1", "wanted column=0 to column=2"},
		{three, "column=x", "wanted column=0 to column=2"},
		{twice, "a", `two outputs "a", wanted one by its column`},
		{&about{labels: numbered("x%d", 100)}, "", "and 70 more"},
	} {
		if _, err := choose(c.a, c.output); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, wanted %q", c.output, err, c.want)
		}
	}
	for _, a := range []*about{{labels: []string{"a"}}, {own: true, labels: []string{"a", "b"}}} {
		if i, err := choose(a, ""); err != nil || i != -1 {
			t.Errorf("%v: %d, %v", a, i, err)
		}
	}
}

func TestSettings(t *testing.T) {
	of := func(s string) settings { return fakeSource{config: s}.Config() }
	for config, want := range map[string]int32{
		`{}`: -1, `{"pad_token_id": 7}`: 7, `{"pad_token_id": null, "model_type": "gemma2"}`: -1, `{"model_type": "gemma2"}`: 0,
		`{"model_type": "phi3"}`: 32000, `{"pad_token_id": 7, "text_config": {"pad_token_id": 3}}`: 3, `{"text_config": {}, "pad_token_id": 7}`: -1,
	} {
		if pad, err := of(config).pad(); err != nil || pad != want {
			t.Errorf("%s: pad %d, %v, wanted %d", config, pad, err, want)
		}
	}
	for _, config := range []string{`{"pad_token_id": "x"}`, `{"pad_token_id": 1e12}`, `{"pad_token_id": -5}`, `{"text_config": 3}`, `{"model_type": 1}`} {
		if _, err := of(config).pad(); err == nil {
			t.Errorf("%s: no error", config)
		}
	}
	for _, config := range []string{`{"mean": 1}`, `{"std": 1}`, `{"mean": 1, "std": 0}`, `{"mean": 1, "std": -1}`, `{"mean": "a", "std": 1}`, `{"mean": 1, "std": 1e-320}`, `{"normalize_reward": 3}`} {
		if _, err := of(config).normalization(); err == nil {
			t.Errorf("%s: no error", config)
		}
	}
	if n, err := of(`{"mean": 1, "std": 2}`).normalization(); err != nil || !n.has() || *n.std != 2 {
		t.Errorf("%+v, %v", n, err)
	}
	if got := of(`{"eos_token_id": [1, 2]}`).eos(); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("eos %v", got)
	}
}

// FuzzHead: whatever tensors and settings there are, find answers with an error or with a
// head whose numbers and names agree.
func FuzzHead(f *testing.F) {
	for _, s := range []fakeSource{armo2, qrm2, urm2, source2(`{"value_head_prefix": "x"}`, map[string]any{"x.weight": rows{{1, 2}}})} {
		var names []string
		for _, name := range s.Beside() {
			names = append(names, fmt.Sprintf("%s %v", name, s.tensors[name].shape))
		}
		f.Add(s.config, strings.Join(names, "\n"), "")
	}
	f.Add(`{"mean": 1, "std": 2, "normalize_reward": true, "pad_token_id": 3, "text_config": {"eos_token_id": [1, 3]}}`, "score.weight [1 2]", "")
	f.Add(`{"id2label": {"0": "a"}}`, "score.0.weight [3 2]\nscore.2.weight [1 3]", "column=0")
	f.Add(`{"tie_word_embeddings": true}`, "lm_head.weight [4 2]\nmodel.embed_tokens.weight [4 2]", "token=3")
	f.Fuzz(func(t *testing.T, config, tensors, output string) {
		s := fakeSource{config, map[string]fakeTensor{}}
		for _, line := range strings.Split(tensors, "\n") {
			name, rest, _ := strings.Cut(line, " ")
			var shape []int
			n := 1
			for _, part := range strings.Fields(strings.Trim(rest, "[]")) {
				var size int
				if _, err := fmt.Sscan(part, &size); err != nil || size < 0 || size > 64 {
					return
				}
				shape = append(shape, size)
				if n *= size; n > 1<<12 {
					return
				}
			}
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(i%5) - 2
				if strings.HasSuffix(name, "running_var") {
					v[i] = 1
				}
			}
			s.tensors[name] = fakeTensor{shape, v}
		}
		c := settings(s.Config())
		if pad, err := c.pad(); err == nil && pad < -1 {
			t.Fatalf("pad %d", pad)
		}
		if n, err := c.normalization(); err == nil && n.has() && !(*n.std > 0) {
			t.Fatalf("%+v", n)
		}
		c.eos()
		h, err := find(s, output)
		if err != nil {
			if h != nil || err.Error() == "" {
				t.Fatalf("%v beside %v", h, err)
			}
			return
		}
		var gate []float64
		if g, ok := h.(*gated); ok {
			gate = g.gate([]float64{1, 2})
		}
		r := h.of([]float64{3, 4}, gate)
		a := h.facts()
		if len(r.Outputs) != len(a.labels) || r.Weights != nil && len(r.Weights) != len(r.Outputs) || a.kind == "" || a.tensors == "" {
			t.Fatalf("%+v of a head %+v", r, a)
		}
		if _, err := choose(a, output); err == nil && slices.ContainsFunc(r.Outputs, math.IsNaN) {
			t.Fatalf("%+v", r)
		}
		for _, err := range a.doubts {
			if errors.Unwrap(err) == nil && !strings.HasPrefix(err.Error(), "rewardmodel: ") {
				t.Fatalf("doubt %v", err)
			}
		}
	})
}

// TestLayers: a layer that is spread over the processors has the bits of its rows alone.
func TestLayers(t *testing.T) {
	const in, out = 513, 600
	l := linear{w: make([]float32, in*out), out: out}
	x := make([]float64, in)
	for i := range l.w {
		l.w[i] = float32(math.Sin(float64(i)))
	}
	for i := range x {
		x[i] = math.Cos(float64(i))
	}
	y := l.of(x)
	for o := range out {
		row := linear{w: l.w[o*in : (o+1)*in], out: 1}
		if got := row.of(x)[0]; got != y[o] {
			t.Fatalf("row %d: %v, alone %v", o, y[o], got)
		}
	}
}
