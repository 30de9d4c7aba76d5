package engine

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// experts writes a checkpoint of matrices experts.0, experts.1 and so on, [3 2] each, in
// float32 or bfloat16, and opens it.
func experts(t *testing.T, dtype dtypes.DType, matrices ...[]float32) *checkpoint.Weights {
	t.Helper()
	var all []checkpoint.Tensor
	for e, values := range matrices {
		var data []byte
		for _, x := range values {
			if dtype == dtypes.BFloat16 {
				data = binary.LittleEndian.AppendUint16(data, uint16(bfloat16.FromFloat32(x)))
			} else {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
			}
		}
		all = append(all, checkpoint.Tensor{Name: "experts." + string(rune('0'+e)), DType: dtype, Shape: []int{3, 2}, Data: data})
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(checkpoint.Write(f, all, nil), f.Close()); err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// stacked is a model of one layer, whose one tensor stacks two matrices.
func stacked() *arch.Model {
	layer := &arch.Layer{Tensors: []arch.Tensor{{Stack: []string{"experts.0", "experts.1"}, Shape: []int{2, 3, 2}, Linear: true}}}
	return &arch.Model{
		Type:    "made_up",
		Embed:   arch.Embedding{Table: arch.Tensor{Name: "experts.0", Shape: []int{3, 2}}},
		Blocks:  []*arch.Layer{layer},
		Head:    arch.Head{Layer: &arch.Layer{}, Norm: &arch.Layer{}},
		Ignored: func(string) bool { return false },
	}
}

// TestStack: matrices that a layer takes as one tensor, as experts are, are checked one by one
// and lie on the device one after the other, each laid out as one alone would be.
func TestStack(t *testing.T) {
	backend, err := pureGo()
	if err != nil {
		t.Fatal(err)
	}
	first, second := []float32{1, 2, 3, 4, 5, 6}, []float32{-1, -2, -3, -4, -5, -6} // [3 2]
	inputsFirst := []float32{1, 3, 5, 2, 4, 6, -1, -3, -5, -2, -4, -6}              // [2 2 3]
	m := stacked()
	for _, stored := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
		w := experts(t, stored, first, second)
		if err := Validate(m, w); err != nil {
			t.Fatal(err)
		}
		if got := AutoDType(m, w); got != stored {
			t.Errorf("computes in %s, wanted %s", got, stored)
		}
		for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
			s := &store{backend: backend, w: w, dtype: dtype}
			p := &shard{layer: m.Blocks[0], on: &place{}}
			if err := s.read(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			defer p.release()
			want, shape := inputsFirst, []int{2, 2, 3}
			if !p.weights[0].inOut {
				want, shape = slices.Concat(first, second), []int{2, 3, 2}
			}
			got := p.weights[0].tensor
			if !slices.Equal(got.Shape().Dimensions, shape) || got.DType() != dtype {
				t.Errorf("%s to %s: %s, wanted dimensions %v", stored, dtype, got.Shape(), shape)
			}
			values := make([]float32, len(want))
			if dtype == dtypes.Float32 {
				values = tensors.MustCopyFlatData[float32](got)
			} else {
				for i, x := range tensors.MustCopyFlatData[bfloat16.BFloat16](got) {
					values[i] = x.Float32()
				}
			}
			if !slices.Equal(values, want) {
				t.Errorf("%s to %s: %v, wanted %v", stored, dtype, values, want)
			}
		}
	}

	// Two that are the halves of one matrix, and one that is cut by the rows of two.
	w := experts(t, dtypes.BFloat16, first, second)
	for _, tensor := range []arch.Tensor{
		{Stack: []string{"experts.0", "experts.1"}, Shape: []int{1, 6, 2}, Linear: true},
		{Stack: []string{"experts.0", "experts.1"}, Shape: []int{3, 2, 2}, Linear: true},
	} {
		s := &store{backend: backend, w: w, dtype: dtypes.Float32}
		p := &shard{layer: &arch.Layer{Tensors: []arch.Tensor{tensor}}, on: &place{}}
		if err := s.read(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		defer p.release()
		want := []float32{1, 3, 5, -1, -3, -5, 2, 4, 6, -2, -4, -6} // [1 2 6]
		if tensor.Shape[0] == 3 {
			want = []float32{1, 3, 2, 4, 5, -1, 6, -2, -3, -5, -4, -6} // [3 2 2]
		}
		if got := tensors.MustCopyFlatData[float32](p.weights[0].tensor); !p.weights[0].inOut || !slices.Equal(got, want) {
			t.Errorf("%v: %v, wanted %v", tensor.Shape, got, want)
		}
	}

	if err := Validate(m, experts(t, dtypes.Float32, first)); err == nil || !strings.Contains(err.Error(), "tensor experts.1 is missing, wanted shape [3 2]") {
		t.Errorf("one of two: error %v", err)
	}
	bad := slices.Clone(second)
	bad[4] = float32(math.NaN())
	s := &store{backend: backend, w: experts(t, dtypes.Float32, first, bad), dtype: dtypes.Float32}
	if err := s.read(t.Context(), &shard{layer: m.Blocks[0], on: &place{}}); err == nil || !strings.Contains(err.Error(), `"experts.1"`) {
		t.Errorf("not finite: error %v, wanted one that names experts.1", err)
	}
}
