package logprob

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/adapter"
	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// WriteAdapter writes the adapter in the folder from anew, with the values of params, float32, in
// the place of its tensors of their names (as in its file: "base_model.model.score.weight" is a
// score row). Its config, its other tensors and its tokenizer's files stay as they are. The same
// arguments give the same bytes. The folder must be new, and appears only when complete.
//
// A name that the adapter does not have, another shape, and a number that is not finite are
// errors.
func WriteAdapter(ctx context.Context, from, out string, params []*Param) error {
	if err := writeAdapter(ctx, from, out, params); err != nil {
		return fmt.Errorf("logprob: write adapter %s: %w", out, err)
	}
	return nil
}

func writeAdapter(ctx context.Context, from, out string, params []*Param) error {
	if err := checkNew(out); err != nil {
		return err
	}
	a, err := adapter.Open(from)
	if err != nil {
		return refusedAdapter(err)
	}
	defer a.Close()
	tensors := a.Tensors()
	trained := map[string]bool{}
	for _, p := range params {
		i := slices.IndexFunc(tensors, func(t checkpoint.Tensor) bool { return t.Name == p.Name })
		switch {
		case i < 0:
			return fmt.Errorf("tensor %s, which %s does not have", p.Name, from)
		case trained[p.Name]:
			return fmt.Errorf("tensor %s twice", p.Name)
		case !slices.Equal(p.Shape, tensors[i].Shape):
			return fmt.Errorf("tensor %s has shape %v, wanted %v", p.Name, p.Shape, tensors[i].Shape)
		}
		if err := p.check(); err != nil {
			return err
		}
		tensors[i], trained[p.Name] = checkpoint.Float32(p.Name, p.Value, p.Shape...), true
	}
	return whole(out, func(part string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := copyFiles(from, part, ofTokenizer...); err != nil {
			return err
		}
		return a.Write(part, tensors)
	})
}

// check tells what is wrong with a param's value.
func (p *Param) check() error {
	n := 1
	for _, size := range p.Shape {
		n *= size
	}
	if n != len(p.Value) {
		return fmt.Errorf("tensor %s has %d numbers, wanted %d for shape %v", p.Name, len(p.Value), n, p.Shape)
	}
	for i, x := range p.Value {
		if x-x != 0 {
			return fmt.Errorf("tensor %s has %g at %d, wanted finite numbers", p.Name, x, i)
		}
	}
	return nil
}

// CheckpointOptions change what WriteCheckpoint writes. The zero value is a good default.
type CheckpointOptions struct {
	// Classifier makes it a reward model's (ForSequenceClassification with one label): with
	// score.weight, without a vocabulary head. The score row is that of params, else the base's
	// own, else drawn by Seed as NewAdapter draws it.
	Classifier bool
	Seed       uint64
}

// WriteCheckpoint writes a checkpoint in float32 of the one in the folder base, with the values
// of params in the place of its tensors of their names; others stay what they are. transformers
// loads it: config.json is the base's but for its dtype and, of a classifier, its class, id2label
// and pad_token_id; tied weights are there once, masks that older releases saved not at all, and
// the tokenizer's files are copied, or made of a GGUF file's metadata. The same arguments give the same bytes. The folder out must
// be new, and appears only when complete.
//
// The warnings are doubts that did not stop the work: no tokenizer, no pad token. A name that the
// checkpoint does not have, another shape, a number that is not finite and a tensor that the
// class does not have are errors.
func WriteCheckpoint(ctx context.Context, base, out string, params []*Param, o *CheckpointOptions) (warnings []error, err error) {
	if o == nil {
		o = &CheckpointOptions{}
	}
	if warnings, err = writeCheckpoint(ctx, base, out, params, o); err != nil {
		return nil, fmt.Errorf("logprob: write checkpoint %s: %w", out, err)
	}
	return warnings, nil
}

func writeCheckpoint(ctx context.Context, base, out string, params []*Param, o *CheckpointOptions) (warnings []error, err error) {
	if err := checkNew(out); err != nil {
		return nil, err
	}
	c, err := openPlan(base, o.Classifier)
	if err != nil {
		return nil, err
	}
	defer c.weights.Close()
	f := &folder{out: out}
	f.takeTokenizer(base)
	if err := f.readConfig(base); err != nil {
		return nil, err
	}
	if err := f.setDType(dtypes.Float32); err != nil {
		return nil, err
	}
	if err := c.save(f, params, o); err != nil {
		return nil, err
	}
	if o.Classifier {
		err = f.classify(c.keys, c.model.Type, 1)
	} else {
		f.generation = checkpoint.Folder(base)
	}
	if err != nil {
		return nil, err
	}
	return f.warnings, f.write(ctx)
}

// save adds the checkpoint's tensors to a folder, with the values of params.
func (c *plan) save(f *folder, params []*Param, o *CheckpointOptions) error {
	trained, err := byName(params)
	if err != nil {
		return err
	}
	kept, needed, err := c.kept(o)
	if err != nil {
		return err
	}
	for _, name := range kept {
		t, _ := c.weights.Get(name)
		p := trained[name]
		delete(trained, name)
		switch {
		case p != nil && !slices.Equal(p.Shape, t.Shape):
			return fmt.Errorf("tensor %s has shape %v, wanted %v", name, p.Shape, t.Shape)
		case p != nil:
			f.add(c.savedName(name, o), t.Shape, func() ([]float32, error) { return p.Value, nil })
		case needed[name]:
			f.add(c.savedName(name, o), t.Shape, func() ([]float32, error) { return finiteFloats(t) })
		default: // a tower that texts do not pass
			f.tensors = append(f.tensors, savedTensor{t, func(_ context.Context, w io.Writer) error {
				_, err := w.Write(t.Raw())
				return err
			}})
		}
	}
	if o.Classifier {
		if err := c.saveScore(f, trained["score.weight"], o.Seed); err != nil {
			return err
		}
		delete(trained, "score.weight")
	}
	for _, name := range slices.Sorted(maps.Keys(trained)) {
		return fmt.Errorf("tensor %s, which %s does not have", name, c.dir)
	}
	return nil
}

// kept are the tensors that are written again, and of these the ones that the model computes with,
// all of which there must be.
func (c *plan) kept(o *CheckpointOptions) (names []string, needed map[string]bool, err error) {
	needed = map[string]bool{}
	for _, t := range c.model.Tensors() {
		needed[t.Name] = true
		if err := c.checkTensor(t); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range c.weights.Names() {
		switch {
		case needed[name]:
		case c.leaves(name, o):
			continue
		case !c.model.Ignored(name):
			return nil, nil, fmt.Errorf("tensor %s of %s, which the model does not have", name, c.dir)
		}
		names = append(names, name)
	}
	return names, needed, nil
}

// leaves tells of a tensor that the model does not compute with whether it is not written again.
func (c *plan) leaves(name string, o *CheckpointOptions) bool {
	switch {
	case c.weights.Idle(name), c.model.Copies[name] != "":
		return true
	case o.Classifier && (name == "score.weight" || c.model.Names.OfHead(name)): // see saveScore
		return true
	}
	return c.model.Ignored(name) && !c.model.Multimodal // a buffer of older releases, which newer ones warn of
}

// checkTensor holds the checkpoint to a tensor that the model has.
func (c *plan) checkTensor(want arch.Tensor) error {
	switch t, ok := c.weights.Get(want.Name); {
	case !ok:
		return fmt.Errorf("%s has no tensor %s", c.dir, want.Name)
	case !slices.Equal(t.Shape, want.Shape):
		return fmt.Errorf("tensor %s of %s has shape %v, wanted %v by config.json", want.Name, c.dir, t.Shape, want.Shape)
	default:
		return t.Usable()
	}
}

// finiteFloats are a tensor's numbers, which it need not keep in memory.
func finiteFloats(t checkpoint.Tensor) ([]float32, error) {
	defer t.Forget()
	if err := t.CheckFinite(); err != nil {
		return nil, err
	}
	return t.Float32s()
}

// byName are params by their names, checked.
func byName(params []*Param) (map[string]*Param, error) {
	all := map[string]*Param{}
	for _, p := range params {
		if all[p.Name] != nil {
			return nil, fmt.Errorf("tensor %s twice", p.Name)
		}
		if err := p.check(); err != nil {
			return nil, err
		}
		all[p.Name] = p
	}
	return all, nil
}

// saveScore adds a classifier's score row.
func (c *plan) saveScore(f *folder, p *Param, seed uint64) error {
	shape := []int{1, c.model.D}
	if p != nil {
		if !slices.Equal(p.Shape, shape) {
			return fmt.Errorf("tensor %s has shape %v, wanted %v", p.Name, p.Shape, shape)
		}
		f.add(p.Name, shape, func() ([]float32, error) { return p.Value, nil })
		return nil
	}
	row, err := c.scoreRow(seed)
	f.add("score.weight", shape, func() ([]float32, error) { return row, nil })
	return err
}

// savedName is a tensor's name in a new checkpoint: a classifier's has the names of its class,
// also where the base's have none before the blocks'.
func (c *plan) savedName(name string, o *CheckpointOptions) string {
	if o.Classifier && c.model.Names.Prefix == "" {
		return c.model.Names.Trunk[0] + name
	}
	return name
}
