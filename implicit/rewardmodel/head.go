package rewardmodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// head computes a reward from final states [D], after the model's last norm.
type head interface {
	// of returns the outputs of a text whose pooled state is h, and the head's own reward, if
	// it has one. gate are the weights that a gated head makes of the prompt, else nil.
	of(h []float64, gate []float64) Result
	// facts says what was found.
	facts() *about
}

// about is what is known of a head beside its numbers.
type about struct {
	kind    string   // "linear", "mlp", "armorm", "qrm", "urm" or "token"
	tensors string   // the chief tensors and their shapes
	labels  []string // of Result.Outputs
	own     bool     // the head combines its outputs to one reward
	leftOut []string // tensors of another head, which this one does not use
	doubts  []error
}

func (a *about) facts() *about { return a }

// source is what a head is read from. *logprob.Model is one.
type source interface {
	Config() map[string]json.RawMessage
	Width() int
	Beside() []string
	Tensor(name string) (shape []int, values []float32, err error)
	TensorRow(name string, row int) ([]float32, error)
	EmbeddingTable() string
	TiedEmbeddings() bool
	Logit(product float64) float64
}

// reader reads the tensors beside a trunk and remembers which are left.
type reader struct {
	source
	config settings
	d      int // width of a state
	left   []string
}

func (r *reader) has(name string) bool { return slices.Contains(r.left, name) }

// use marks a tensor as used.
func (r *reader) use(name string) {
	r.left = slices.DeleteFunc(r.left, func(n string) bool { return n == name })
}

// tensor reads a tensor. A size below 1 in shape stands for any.
func (r *reader) tensor(name string, shape ...int) ([]int, []float32, error) {
	if !r.has(name) {
		return nil, nil, fmt.Errorf("no tensor %s, which this head needs", name)
	}
	got, values, err := r.Tensor(name)
	if err != nil {
		return nil, nil, err
	}
	ok := len(got) == len(shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = got[i] > 0 && (shape[i] < 1 || got[i] == shape[i])
	}
	if !ok {
		return nil, nil, fmt.Errorf("tensor %s is %v, wanted %s", name, got, shapeText(shape))
	}
	r.use(name)
	return got, values, nil
}

func shapeText(shape []int) string {
	var s []string
	for _, n := range shape {
		if n < 1 {
			s = append(s, "n")
			continue
		}
		s = append(s, fmt.Sprint(n))
	}
	return "[" + strings.Join(s, " ") + "]"
}

// linear reads a layer of in inputs; out below 1 stands for any number of outputs. bias says
// whether one must be there, or, if nil, may be.
func (r *reader) linear(name string, out, in int, bias *bool) (linear, error) {
	shape, w, err := r.tensor(name+".weight", out, in)
	if err != nil {
		return linear{}, err
	}
	l := linear{w: w, out: shape[0]}
	switch there := r.has(name + ".bias"); {
	case bias != nil && *bias && !there:
		return l, fmt.Errorf("no tensor %s.bias, which this head needs", name)
	case there && (bias == nil || *bias):
		_, l.b, err = r.tensor(name+".bias", l.out)
	}
	return l, err
}

// vector reads a tensor of one dimension.
func (r *reader) vector(name string, n int) ([]float32, error) {
	_, v, err := r.tensor(name, n)
	return v, err
}

var yes, no = true, false

// prefixes are the names that linear heads and MLPs have: transformers, TRL's value head and
// that of GRM's "sftreg" models, OpenRLHF, Starling, Eurus and UltraRM, PKU's beaver.
var prefixes = []string{"score", "v_head", "v_head.summary", "value_head", "regression_head", "score_head"}

// find reads the head beside a trunk, told by its tensors alone, and checks that every tensor
// is used. output is Options.Output, which may ask for the logit of a token.
func find(s source, output string) (head, error) {
	r := &reader{source: s, config: s.Config(), d: s.Width()}
	for _, name := range s.Beside() {
		if !strings.HasSuffix(name, ".num_batches_tracked") { // a counter of BatchNorm's training
			r.left = append(r.left, name)
		}
	}
	h, err := r.head(output)
	if err != nil {
		return nil, err
	}
	if len(r.left) > 0 {
		return nil, fmt.Errorf("the %s head does not use tensor %s: wanted a checkpoint whose tensors are all used, so that no part of a head is missed", h.facts().kind, list(r.left))
	}
	return h, nil
}

func (r *reader) head(output string) (head, error) {
	token, asked, err := tokenOutput(output)
	switch {
	case err != nil:
		return nil, err
	case asked:
		return r.token(token)
	case r.has("regression_layer.weight") || r.has("gating.logit_scale"):
		return r.gated()
	case r.has("weights.fc.0.weight"):
		return r.urm()
	}
	names := slices.Clone(prefixes)
	var own string
	if err := r.config.read("value_head_prefix", &own, "a string"); err != nil {
		return nil, err
	}
	if own != "" && !slices.Contains(names, own) {
		names = append(names, own)
	}
	for _, name := range names {
		switch {
		case r.has(name + ".weight"):
			return r.plain(name)
		case r.has(name + ".0.weight"):
			return r.mlp(name)
		}
	}
	return nil, r.none()
}

// none says that there is no head.
func (r *reader) none() error {
	others := slices.DeleteFunc(slices.Clone(r.left), ofUnembedding)
	if len(others) > 0 {
		return fmt.Errorf("no head that is known: beside the transformer there is %s, wanted score.weight [n %d] or another head of a reward model", list(others), r.d)
	}
	return fmt.Errorf("%w: wanted score.weight [n %d] or another head of a reward model, and this is a causal language model's checkpoint, for which transformers would make up a random head; where the reward is the logit of a token, the output token=ID asks for it", ErrNoHead, r.d)
}

// ErrNoHead is the error of a checkpoint without the head of a reward model, and ErrOutput that
// of a head of several outputs none of which is chosen: Options.Output chooses one.
var (
	ErrNoHead = errors.New("no head")
	ErrOutput = errors.New("no output is chosen as the reward")
)

// ofUnembedding reports whether a tensor is the matrix or the bias of a causal model's vocabulary
// head, isUnembedding whether it is the matrix.
func ofUnembedding(name string) bool {
	module, bias := strings.CutSuffix(name, ".bias")
	return isUnembedding(name) || bias && isUnembedding(module+".weight")
}

func isUnembedding(name string) bool {
	return name == "lm_head.weight" || name == "embed_out.weight" || strings.HasSuffix(name, ".lm_head.weight")
}

// list names some tensors, the first few of many.
func list(names []string) string {
	const most = 4
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// plain is a head of one linear layer: the outputs are W h + b.
type plain struct {
	*about
	linear
}

func (p *plain) of(h, _ []float64) Result { return single(p.linear.of(h)) }

// single is the result of a head without a reward of its own but for one output.
func single(outputs []float64) Result {
	r := Result{Outputs: outputs}
	if len(outputs) == 1 {
		r.Reward = outputs[0]
	}
	return r
}

func (r *reader) plain(name string) (head, error) {
	l, err := r.linear(name, 0, r.d, nil)
	if err != nil {
		return nil, err
	}
	return r.named(name, &plain{linear: l, about: &about{kind: "linear", tensors: fmt.Sprintf("%s.weight [%d %d]", name, l.out, r.d)}}, l.out)
}

// named gives a plain head or an MLP its labels, and leaves out the vocabulary head that
// stands beside a value head. Only a head called score is transformers' own, which id2label
// always describes.
func (r *reader) named(prefix string, h head, n int) (head, error) {
	a := h.facts()
	if prefix != "score" && !r.config.has("id2label") {
		a.labels = numbered("LABEL_%d", n)
	} else {
		labels, doubt, err := r.config.labels(n)
		if err != nil {
			return nil, err
		}
		a.labels = labels
		if doubt != nil && prefix == "score" {
			a.doubts = append(a.doubts, doubt)
		}
	}
	if prefix == "v_head" || prefix == "v_head.summary" {
		a.leftOut = slices.DeleteFunc(slices.Clone(r.left), func(name string) bool { return !ofUnembedding(name) })
		r.left = slices.DeleteFunc(r.left, ofUnembedding)
	}
	return h, nil
}

// mlp is a head of linear layers with ReLU between them: two in INF-ORM, Qwen2.5-Math-RM
// and GRM's "sftreg" models, whose vhead_num_layers may ask for more.
type mlp struct {
	*about
	layers []linear
}

func (m *mlp) of(h, _ []float64) Result {
	for i, l := range m.layers {
		if i > 0 {
			relu(h)
		}
		h = l.of(h)
	}
	return single(h)
}

func (r *reader) mlp(name string) (head, error) {
	m := &mlp{about: &about{kind: "mlp"}}
	in := r.d
	var shapes []string
	biased := r.has(name + ".0.bias")
	for i := 0; r.has(fmt.Sprintf("%s.%d.weight", name, i)); i += 2 { // the odd ones are ReLU
		layer := fmt.Sprintf("%s.%d", name, i)
		l, err := r.linear(layer, 0, in, &biased)
		if err != nil {
			return nil, err
		}
		m.layers = append(m.layers, l)
		shapes = append(shapes, fmt.Sprintf("%s.weight [%d %d]", layer, l.out, in))
		in = l.out
	}
	if len(m.layers) < 2 {
		return nil, fmt.Errorf("%s.0.weight without %s.2.weight, wanted linear layers with ReLU between them", name, name)
	}
	if strings.HasPrefix(name, "v_head") {
		err := errors.Join(r.config.agree("vhead_num_layers", len(m.layers)-1), r.config.agree("vhead_num_neurons", m.layers[0].out))
		if err != nil {
			return nil, err
		}
	}
	m.tensors = strings.Join(shapes, ", ")
	return r.named(name, m, in)
}
