package rewardmodel

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// gated is the head of ArmoRM and QRM: objectives predicted from the pooled state, weighed by
// a gate that reads the end of the user's turn.
//
//	g = softmax(MLP(p) / temperature) * logit_scale
//	q = W h                                 [objectives quantiles]; one quantile in ArmoRM
//	reward = sum_o g_o (mean_q(q) T)_o      T as the matrix of the checkpoint, e T = T^T e
//
// The outputs are what each model's own code gives as "rewards" (modeling_custom.py): of
// ArmoRM e = W h, whose weights in the reward are T g, the card's multi_obj_coeffs; of QRM e T,
// whose weights are the gate g.
type gated struct {
	*about
	regression  linear // [objectives*quantiles D]
	transform   linear // T^T; out 0 for none
	raw         bool   // outputs before the transform, as ArmoRM
	dropout     bool   // the gate's modules are numbered as QRM-Gemma's
	quantiles   int
	layers      []gateLayer
	temperature float64
	scale       float64
}

// gateLayer is a layer of the gate: linear, and but for the last ReLU and then, in QRM, a
// BatchNorm.
type gateLayer struct {
	linear
	norm *batchNorm
}

// gate returns the weights of the outputs in the reward. p is the state of the first token of
// what the template writes after the user's message.
func (g *gated) gate(p []float64) []float64 {
	for i, l := range g.layers {
		p = l.linear.of(p)
		if i == len(g.layers)-1 {
			break
		}
		relu(p)
		if l.norm != nil {
			l.norm.of(p)
		}
	}
	softmax(p, g.temperature)
	for i := range p {
		p[i] *= g.scale
	}
	if g.raw && g.transform.out > 0 {
		return transposed(g.transform, p) // T g
	}
	return p
}

// transposed is W^T x of a square layer W.
func transposed(l linear, x []float64) []float64 {
	y := make([]float64, l.out)
	for o, v := range x {
		for i := range y {
			y[i] += float64(l.w[o*l.out+i]) * v
		}
	}
	return y
}

func (g *gated) of(h, gate []float64) Result {
	flat := g.regression.of(h) // [objectives*quantiles]
	n := len(g.labels)
	r := Result{Weights: gate, Outputs: make([]float64, n)}
	// Every quantile of all objectives goes through the transform, as their mean does.
	column := make([]float64, n)
	for q := range g.quantiles {
		for o := range n {
			column[o] = flat[o*g.quantiles+q]
		}
		out := column
		if g.transform.out > 0 && !g.raw {
			out = g.transform.of(column)
		}
		for o, v := range out {
			r.Outputs[o] += v / float64(g.quantiles)
			if g.quantiles > 1 {
				if q == 0 {
					r.Quantiles = append(r.Quantiles, make([]float64, g.quantiles))
				}
				r.Quantiles[o][q] = v
			}
		}
	}
	r.Reward = weighted(gate, r.Outputs)
	return r
}

// gated reads the head of ArmoRM, QRM-Llama or QRM-Gemma, told apart by the modules of the
// gate: where BatchNorms stand, and the Dropouts that leave gaps in the numbers.
func (r *reader) gated() (head, error) {
	g := &gated{about: &about{kind: "qrm", own: true}}
	bare, err := r.gateLayers(g)
	if err != nil {
		return nil, err
	}
	last := g.layers[len(g.layers)-1]
	n := last.out
	if g.raw = bare; bare {
		g.kind = "armorm"
	}
	if g.regression, err = r.linear("regression_layer", 0, r.d, &no); err != nil {
		return nil, err
	}
	g.quantiles = g.regression.out / n
	switch {
	case g.regression.out%n != 0:
		return nil, fmt.Errorf("regression_layer.weight has %d rows, wanted a multiple of the gate's %d objectives", g.regression.out, n)
	case bare && g.quantiles != 1:
		return nil, fmt.Errorf("regression_layer.weight has %d rows for the gate's %d objectives, wanted one each, as the gate has no BatchNorm (ArmoRM)", g.regression.out, n)
	}
	if err := r.transform(g, n); err != nil {
		return nil, err
	}
	scale, err := r.vector("gating.logit_scale", 1)
	if err != nil {
		return nil, err
	}
	g.scale = float64(scale[0])
	if err := r.gateSettings(g, n); err != nil {
		return nil, err
	}
	g.labels = numbered("objective_%d", n)
	g.tensors = fmt.Sprintf("regression_layer.weight [%d %d], gating of %d layers", g.regression.out, r.d, len(g.layers))
	return g, nil
}

// transform reads reward_transform_matrix [n n], which ArmoRM and QRM-Llama have and
// QRM-Gemma has not, and keeps it transposed: e T = T^T e.
func (r *reader) transform(g *gated, n int) error {
	const name = "reward_transform_matrix"
	if !r.has(name) {
		if g.dropout {
			return nil
		}
		return fmt.Errorf("no tensor %s, which this head needs", name)
	}
	_, t, err := r.tensor(name, n, n)
	if err != nil {
		return err
	}
	g.transform = linear{w: make([]float32, n*n), out: n}
	for i := range n {
		for j := range n {
			g.transform.w[j*n+i] = t[i*n+j]
		}
	}
	return nil
}

// gateModules returns the numbers of the gate's linear layers among gating.layers, and by how
// much they rise: 1 in ArmoRM, where only linear layers have numbers, 3 in QRM-Llama, with ReLU
// and BatchNorm after each, 4 in QRM-Gemma, with Dropout too, but before the last layer.
func (r *reader) gateModules() (at []int, stride int, err error) {
	norms := map[int]bool{}
	for _, name := range r.left {
		rest, ok := strings.CutPrefix(name, gatePrefix)
		number, part, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || strconv.Itoa(i) != number {
			continue // left over
		}
		switch part {
		case "running_mean":
			norms[i] = true
		case "weight":
			at = append(at, i)
		}
	}
	at = slices.DeleteFunc(at, func(i int) bool { return norms[i] })
	slices.Sort(at)
	if len(at) < 2 {
		return nil, 0, errors.New("a gate (gating.layers) of fewer than two linear layers, wanted that of ArmoRM or QRM")
	}
	switch {
	case len(norms) == 0:
		stride = 1
	case at[1] == 4:
		stride = 4
	default:
		stride = 3
	}
	want := make([]int, len(at))
	for k := range want {
		want[k] = k * stride
	}
	if stride == 4 {
		want[len(want)-1]-- // no Dropout before the last layer
	}
	if !slices.Equal(at, want) {
		return nil, 0, fmt.Errorf("the gate's linear layers are gating.layers %v, wanted those of ArmoRM (0 1 2 3), QRM-Llama (0 3 6 9) or QRM-Gemma (0 4 8 11)", at)
	}
	return at, stride, nil
}

const gatePrefix = "gating.layers."

// gateLayers reads gating.layers.*; bare reports whether they are ArmoRM's.
func (r *reader) gateLayers(g *gated) (bare bool, err error) {
	at, stride, err := r.gateModules()
	if err != nil {
		return false, err
	}
	g.dropout = stride == 4
	in := r.d
	for k, i := range at {
		last := k == len(at)-1
		bias := stride == 1 || last
		layer := gateLayer{}
		if layer.linear, err = r.linear(gatePrefix+strconv.Itoa(i), 0, in, &bias); err != nil {
			return false, err
		}
		in = layer.out
		if stride > 1 && !last {
			if layer.norm, err = r.batchNorm(gatePrefix+strconv.Itoa(i+2), in); err != nil {
				return false, err
			}
		}
		g.layers = append(g.layers, layer)
	}
	return stride == 1, nil
}

func (r *reader) batchNorm(name string, n int) (*batchNorm, error) {
	b := &batchNorm{}
	for part, to := range map[string]*[]float32{"weight": &b.w, "bias": &b.b, "running_mean": &b.mean, "running_var": &b.variance} {
		var err error
		if *to, err = r.vector(name+"."+part, n); err != nil {
			return nil, err
		}
	}
	if i := slices.IndexFunc(b.variance, func(v float32) bool { return v < 0 }); i >= 0 {
		return nil, fmt.Errorf("tensor %s.running_var has %g at %d, wanted a variance", name, b.variance[i], i)
	}
	return b, nil
}

// gateSettings reads the temperature, and holds what config.json says of the sizes to the
// tensors.
func (r *reader) gateSettings(g *gated, n int) error {
	err := errors.Join(
		r.config.agree("num_objectives", n),
		r.config.agree("num_quantiles", g.quantiles),
		r.config.agree("gating_n_hidden", len(g.layers)-1),
		r.config.agree("gating_hidden_dim", g.layers[0].out))
	if err != nil {
		return err
	}
	g.temperature = 10 // of ArmoRM's and QRM-Llama's modeling_custom.py
	if g.dropout {
		g.temperature = 1 // of QRM-Gemma's
	}
	if !r.config.has("gating_temperature") {
		g.doubts = append(g.doubts, fmt.Errorf("rewardmodel: config.json has no gating_temperature: %g is taken, the default of the models with such a gate", g.temperature))
	}
	if err := r.config.read("gating_temperature", &g.temperature, "a number"); err != nil {
		return err
	}
	if !(g.temperature > 0) || math.IsInf(g.temperature, 0) {
		return fmt.Errorf("config.json: gating_temperature is %g, wanted more than 0", g.temperature)
	}
	return nil
}
