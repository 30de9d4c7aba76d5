package logprob

import (
	"context"
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/internal/adapter"
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
		t, err := p.tensor()
		if err != nil {
			return err
		}
		tensors[i], trained[p.Name] = t, true
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

// tensor is the param's value, checked.
func (p *Param) tensor() (checkpoint.Tensor, error) {
	n := 1
	for _, size := range p.Shape {
		n *= size
	}
	if n != len(p.Value) {
		return checkpoint.Tensor{}, fmt.Errorf("tensor %s has %d numbers, wanted %d for shape %v", p.Name, len(p.Value), n, p.Shape)
	}
	for i, x := range p.Value {
		if x-x != 0 {
			return checkpoint.Tensor{}, fmt.Errorf("tensor %s has %g at %d, wanted finite numbers", p.Name, x, i)
		}
	}
	return checkpoint.Float32(p.Name, p.Value, p.Shape...), nil
}
