package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// Validate compares what a checkpoint holds with what its model needs: every tensor
// is there, has its shape, and is used; anything else is an error that names it.
func Validate(m *arch.Model, w *checkpoint.Weights) error {
	need := map[string]bool{}
	for _, t := range m.Tensors() {
		need[t.Name] = true
		got, ok := w.Get(t.Name)
		if !ok {
			return fmt.Errorf("engine: %s: tensor %s is missing, wanted shape %v", m.Type, t.Name, t.Shape)
		}
		if !slices.Equal(got.Shape, t.Shape) {
			return fmt.Errorf("engine: %s: tensor %s has shape %v, wanted %v by config.json", m.Type, t.Name, got.Shape, t.Shape)
		}
		switch got.DType {
		case dtypes.Float32, dtypes.Float16, dtypes.BFloat16:
		default:
			return fmt.Errorf("engine: %s: tensor %s is of type %s, wanted float32, float16 or bfloat16", m.Type, t.Name, got.DType)
		}
	}
	for _, name := range w.Names() {
		if need[name] || m.Ignored(name) || w.Idle(name) || m.Head.Layer == nil { // beside a trunk lies what its caller reads
			continue
		}
		original, ok := m.Copies[name]
		if !ok {
			return fmt.Errorf("engine: %s: tensor %s is not used by the model that config.json describes", m.Type, name)
		}
		a, _ := w.Get(name)
		b, _ := w.Get(original)
		if !a.Equal(b) {
			return fmt.Errorf("engine: %s: tensor %s differs from %s, wanted the same: config.json ties them (tie_word_embeddings)", m.Type, name, original)
		}
	}
	return nil
}

// AutoDType is the type that a checkpoint computes in when none is asked for:
// bfloat16 if all matrices are bfloat16, or quantised in a model whose config computes in it,
// float32 otherwise (float16 is computed exactly, in float32).
func AutoDType(m *arch.Model, w *checkpoint.Weights) dtypes.DType {
	for _, t := range m.Tensors() {
		if got, ok := w.Get(t.Name); ok && len(t.Shape) > 1 && got.Computes() != dtypes.BFloat16 {
			return dtypes.Float32
		}
	}
	return dtypes.BFloat16
}

// weight is a tensor on the device, which several stores may use.
type weight struct {
	tensor *tensors.Tensor
	inOut  bool // a linear layer's matrix laid out [in out]
	users  *atomic.Int32
}

func newWeight(tensor *tensors.Tensor, inOut bool) weight {
	w := weight{tensor, inOut, new(atomic.Int32)}
	w.users.Store(1)
	return w
}

// again returns w for another user.
func (w weight) again() weight {
	w.users.Add(1)
	return w
}

// releaseWeights frees those that have no other user.
func releaseWeights(all []weight) {
	for _, w := range all {
		if w.tensor != nil && w.users.Add(-1) == 0 {
			w.tensor.MustFinalizeAll()
		}
	}
}

// loadWeight copies a tensor to the device, from those of the checkpoint that it stacks or
// from the one that it is: matrices of linear layers in dtype, everything else in float32,
// which holds bfloat16 and float16 exactly.
func loadWeight(backend compute.Backend, device compute.DeviceNum, t arch.Tensor, from []checkpoint.Tensor, dtype dtypes.DType) (weight, error) {
	dtype = typeOf(t, dtype)
	inOut := t.InOut || inputsFirst(backend, dtype)
	bits := dtype == dtypes.BFloat16 && len(t.Shape) > 2 && arch.Bits(backend)
	switch {
	case !t.Linear, dtype == dtypes.Float32 && inOut == t.InOut:
		return upload(backend, device, t.InOut, t.Shape, from, func(flat []float32, at int, from checkpoint.Tensor) error {
			return from.Float32sInto(flat[at : at+from.Elements()])
		})
	case len(from) == 1 && from[0].DType == dtypes.BFloat16 && dtype == dtypes.BFloat16 && inOut == t.InOut:
		if bits {
			dtype = dtypes.Uint16
		}
		tensor, err := tensors.FromRaw(backend, device, shapes.Make(dtype, t.Shape...), from[0].Data)
		return newWeight(tensor, t.InOut), err
	case bits:
		return uploadMatrix(backend, device, t, inOut, from, func(x float32) uint16 { return bfloat16.FromFloat32(x).Bits() })
	case dtype == dtypes.BFloat16:
		return uploadMatrix(backend, device, t, inOut, from, bfloat16.FromFloat32)
	}
	return uploadMatrix(backend, device, t, inOut, from, func(x float32) float32 { return x })
}

// uploadMatrix puts the matrix of a linear layer on the device, or several that are stacked,
// converted and laid out as asked for.
func uploadMatrix[T float32 | bfloat16.BFloat16 | uint16](backend compute.Backend, device compute.DeviceNum, t arch.Tensor, inOut bool, from []checkpoint.Tensor, convert func(float32) T) (weight, error) {
	shape := slices.Clone(t.Shape)
	rows, cols := shape[len(shape)-2], shape[len(shape)-1]
	if inOut != t.InOut {
		shape[len(shape)-2], shape[len(shape)-1] = cols, rows
	}
	return upload(backend, device, inOut, shape, from, func(flat []T, at int, from checkpoint.Tensor) error {
		all := from.Elements() / cols
		from.Shape = []int{all, cols}
		for row := 0; row < all; { // those of one matrix at a time
			matrix, first := at/(rows*cols), at/cols%rows
			n := min(rows-first, all-row)
			values, err := from.Rows(row, row+n).Float32s()
			if err != nil {
				return err
			}
			if inOut != t.InOut {
				transpose(flat[matrix*rows*cols+first:], values, n, cols, rows, convert)
			} else {
				for i, x := range values {
					flat[at+i] = convert(x)
				}
			}
			at, row = at+n*cols, row+n
		}
		return nil
	})
}

// upload makes a tensor on the device, in shared memory where the backend has it. fill writes
// the elements of each of the checkpoint's tensors, which come one after the other: those from
// number at on.
func upload[T float32 | bfloat16.BFloat16 | uint16](backend compute.Backend, device compute.DeviceNum, inOut bool, shape []int, from []checkpoint.Tensor,
	fill func(flat []T, at int, from checkpoint.Tensor) error) (weight, error) {
	tensor, err := tensors.FromShapeForBackend(backend, device, shapes.Make(dtypes.FromGenericsType[T](), shape...))
	if err != nil {
		return weight{}, fmt.Errorf("engine: a tensor of shape %v: %w", shape, err)
	}
	var filled error
	err = tensors.MutableFlatData(tensor, func(flat []T) {
		n := len(flat) / len(from)
		for i, f := range from {
			if filled == nil {
				filled = fill(flat, i*n, f)
			}
		}
	})
	if err := errors.Join(err, filled); err != nil {
		return weight{}, err
	}
	return newWeight(tensor, inOut), tensor.ToDevice(backend, device)
}

// typeOf is the type of a tensor on the device where matrices are computed in dtype.
func typeOf(t arch.Tensor, dtype dtypes.DType) dtypes.DType {
	if !t.Linear || t.Float32 {
		return dtypes.Float32
	}
	return dtype
}

// inputsFirst tells whether the matrices of linear layers are laid out [in out]: where they
// are multiplied in float32, since XLA's CPU client then transposes [out in] at every call.
func inputsFirst(backend compute.Backend, dtype dtypes.DType) bool {
	return dtype == dtypes.Float32 || arch.Widens(backend) && backend.String() != "go"
}

// transpose writes src [rows cols] to the first columns of dst [cols width], a block at a time.
func transpose[T any](dst []T, src []float32, rows, cols, width int, convert func(float32) T) {
	const block = 32
	for r0 := 0; r0 < rows; r0 += block {
		for c0 := 0; c0 < cols; c0 += block {
			for c := c0; c < min(c0+block, cols); c++ {
				for r := r0; r < min(r0+block, rows); r++ {
					dst[c*width+r] = convert(src[r*cols+c])
				}
			}
		}
	}
}
