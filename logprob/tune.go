package logprob

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/gradient"
)

// Param is a tensor that is being trained, in main memory.
type Param struct {
	Name  string    // as in the adapter's file, or in the checkpoint
	Shape []int     // as there
	Value []float32 // Tuning.Update puts it on the device
	Grad  []float32 // the gradient, to which Pass.Backward adds
}

// TuneOptions change how a model is tuned. The zero value is a good default.
type TuneOptions struct {
	// Tokens bounds what is computed at a time, but for a group that is longer by itself; 0
	// means 2,048. Sums of gradients can differ by it in their last bits.
	Tokens int
	// Dropout is the share of the inputs of an adapter's side paths that are set to 0, the
	// rest being divided by 1-Dropout; Seed and the number of the pass are what they are drawn
	// by.
	Dropout float64
	Seed    uint64
	// Passes is the number of the first pass: where training goes on, those there were before.
	Passes uint64
}

// Outputs are numbers of a text, or the derivatives of a loss with respect to them.
type Outputs struct {
	LogProbs []float64   // ln p of each of IDs[From:]
	States   [][]float64 // final states at Request.States, [D] each
}

// Tuning is a model whose weights, or those of its adapter, are being trained: it computes
// log-probabilities and states, and gradients of a loss of them. It is used by one goroutine
// at a time. What it computes is what the Model does, by other graphs: forward numbers agree
// with those that Run gives within rounding.
type Tuning struct {
	m      *Model
	g      *gradient.Model
	params []*Param
}

// Tune returns a model to be trained, which begins with m's values: of a model with an adapter
// the matrices of its side paths, beside frozen weights that the two share on the device; of
// another model all weights, for which it should be loaded in float32. m's own numbers do not
// change, and m must stay open.
//
// DoRA, and adapters that replace weights of the model, are errors. A classifier's head is the
// caller's to train.
func (m *Model) Tune(ctx context.Context, o *TuneOptions) (*Tuning, error) {
	if o == nil {
		o = &TuneOptions{}
	}
	t, err := m.tune(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("logprob: %s: tune: %w", m.dir, err)
	}
	return t, nil
}

func (m *Model) tune(ctx context.Context, o *TuneOptions) (*Tuning, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !(o.Dropout >= 0 && o.Dropout < 1) {
		return nil, fmt.Errorf("dropout %g, wanted 0 or more and less than 1", o.Dropout)
	}
	if o.Tokens < 0 {
		return nil, fmt.Errorf("%d tokens at a time, wanted 0 or more", o.Tokens)
	}
	on := m.engine.Devices()
	if len(on) > 1 {
		return nil, fmt.Errorf("a model whose layers %d devices divide, wanted it on one (Split)", len(on))
	}
	options := gradient.Options{Tokens: o.Tokens, Dropout: o.Dropout, Seed: o.Seed, Device: on[0]}
	t := &Tuning{m: m}
	var err error
	if m.adapted == nil {
		if m.engine.DType() != dtypes.Float32 {
			return nil, fmt.Errorf("all weights in %s, wanted float32", m.engine.DType())
		}
		if o.Dropout > 0 {
			return nil, errors.New("dropout where all weights are trained, wanted an adapter")
		}
		t.g, err = gradient.Full(m.backend, m.arch, m.weights, options)
	} else {
		if err := m.adapted.tunable(); err != nil {
			return nil, err
		}
		t.g, err = gradient.Adapter(m.backend, m.engine, m.arch, m.weights, options)
	}
	if err != nil {
		return nil, err
	}
	t.g.Skip(o.Passes)
	for _, p := range t.g.Params() {
		t.params = append(t.params, &Param{p.Name, p.Shape, p.Value, p.Grad})
	}
	return t, nil
}

// tunable tells why an adapter cannot be trained, nil if it can.
func (a *adapted) tunable() error {
	for path, side := range a.applied.Sides {
		if side.Ratio != "" {
			return fmt.Errorf("%s: DoRA beside %s, wanted LoRA", a.dir, path)
		}
	}
	for key, name := range a.applied.Replaced {
		return fmt.Errorf("%s: tensor %s stands in for %s, wanted side paths alone", a.dir, name, key)
	}
	return nil
}

// Params are the tensors that are trained, in the order of a forward pass.
func (t *Tuning) Params() []*Param { return t.params }

// Split says which groups go through the model together, as their numbers: as many as
// TuneOptions.Tokens allows, those of about the same length. It depends on nothing else.
func (t *Tuning) Split(groups [][]Request) [][]int { return t.g.Split(texts(groups)) }

// Pass is what Forward has computed.
type Pass struct {
	Outputs [][]Outputs // of each group and text

	p *gradient.Pass
}

// Forward computes groups of texts, of whose fields IDs, From and States are read: the
// log-probabilities of IDs[From:], none if From is the number of IDs, and final states. What
// the texts of a group begin with in common is computed once. The pass is to be closed.
func (t *Tuning) Forward(ctx context.Context, groups [][]Request) (*Pass, error) {
	return passOf(t.g.Forward(ctx, texts(groups)))
}

// Evaluate is Forward without dropout, and is not counted by Passes.
func (t *Tuning) Evaluate(ctx context.Context, groups [][]Request) (*Pass, error) {
	return passOf(t.g.Evaluate(ctx, texts(groups)))
}

func passOf(p *gradient.Pass, err error) (*Pass, error) {
	if err != nil {
		return nil, tuningError(err)
	}
	out := &Pass{p: p}
	for _, group := range p.Outputs {
		var all []Outputs
		for _, o := range group {
			all = append(all, Outputs(o))
		}
		out.Outputs = append(out.Outputs, all)
	}
	return out, nil
}

// Passes is the number of Forward's calls, and of TuneOptions.Passes.
func (t *Tuning) Passes() uint64 { return t.g.Passes() }

// Backward adds to Params' gradients those of a loss whose derivatives with respect to Outputs
// are given, in the same shape; LogProbs or States that the loss does not depend on may be nil.
func (p *Pass) Backward(ctx context.Context, derivatives [][]Outputs) error {
	var all [][]gradient.Outputs
	for _, group := range derivatives {
		of := make([]gradient.Outputs, len(group))
		for i, o := range group {
			of[i] = gradient.Outputs(o)
		}
		all = append(all, of)
	}
	if err := p.p.Backward(ctx, all); err != nil {
		return fmt.Errorf("logprob: tune: %w", err)
	}
	return nil
}

// Close frees what the pass holds on the device.
func (p *Pass) Close() { p.p.Close() }

// Update puts Params' values on the device.
func (t *Tuning) Update() { t.g.Update() }

// Close frees what training has put on the device. The model stays open.
func (t *Tuning) Close() { t.g.Close() }

// NotFiniteError tells of a log-probability or state that is not finite: of which group and
// text of a Forward.
type NotFiniteError struct {
	Group, Text int
	err         error
}

// Error says what is not finite.
func (e *NotFiniteError) Error() string { return "logprob: tune: " + e.err.Error() }

func tuningError(err error) error {
	if n := (*gradient.NotFiniteError)(nil); errors.As(err, &n) {
		return &NotFiniteError{n.Group, n.Text, err}
	}
	return fmt.Errorf("logprob: tune: %w", err)
}

func texts(groups [][]Request) [][]gradient.Text {
	all := make([][]gradient.Text, len(groups))
	for i, group := range groups {
		for _, r := range group {
			all[i] = append(all[i], gradient.Text{IDs: r.IDs, From: r.From, States: r.States})
		}
	}
	return all
}
