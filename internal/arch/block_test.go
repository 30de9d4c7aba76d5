package arch

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
)

// made is the block of a made-up family whose layers differ in a constant: x * by * weight.
type made struct {
	weight param
	by     float64
}

func (l made) apply(s *Scope, x *Node) *Node { return MulScalar(Mul(x, s.vector(l.weight, x)), l.by) }

// madeUp is a model of that family, its first block's constant first.
func madeUp(by ...float64) *Model {
	m := &Model{Type: "made_up", Context: 8, V: 3, D: 2}
	m.Embed = Embedding{Table: Tensor{Name: "table", Shape: []int{m.V, m.D}}, Scale: 1}
	for i, x := range by {
		b := &builder{prefix: fmt.Sprintf("layers.%d.", i)}
		m.Blocks = append(m.Blocks, newLayer(b, noRope, made{weight: b.vector("weight", m.D), by: x}))
	}
	b := &builder{}
	m.Head = newLogits(b, made{weight: b.vector("norm", m.D), by: 1}, b.linear("head", m.D, m.V, false), 0)
	return m
}

// TestKeys: layers that differ in nothing but a constant have different keys, and so have those
// that differ in the shape, the layout or the number of their tensors; layers that differ in
// their tensors' names alone have one.
func TestKeys(t *testing.T) {
	layer := func(rope int, declare func(b *builder) linear) *Layer {
		b := &builder{}
		return newLayer(b, rope, logits[linear]{matrix: declare(b)})
	}
	blocks := madeUp(1, 2, 1, 1+1e-15).Blocks
	all := []*Layer{
		blocks[0], blocks[1], blocks[3],
		layer(noRope, func(b *builder) linear { return b.linear("a", 4, 4, false) }),
		layer(0, func(b *builder) linear { return b.linear("a", 4, 4, false) }),
		layer(noRope, func(b *builder) linear { return b.linear("a", 4, 5, false) }),
		layer(noRope, func(b *builder) linear { return b.linear("a", 4, 4, true) }),
		layer(noRope, func(b *builder) linear { return b.conv1d("a", 4, 4) }),
	}
	keys := map[string]int{}
	for i, l := range all {
		if j, ok := keys[l.Key]; ok {
			t.Errorf("layers %d and %d have one key, %s", j, i, l.Key)
		}
		keys[l.Key] = i
	}
	if blocks[0].Key != blocks[2].Key {
		t.Errorf("two layers that are the same have keys %s and %s", blocks[0].Key, blocks[2].Key)
	}
	if a, b := layer(1, func(b *builder) linear { return b.linear("b", 4, 4, false) }), all[4]; a.Key != b.Key {
		t.Errorf("layers that differ in a name and in which rope turns them have keys %s and %s", a.Key, b.Key)
	}
	if a, b := madeUp(1, 2).Signature(), madeUp(1, 2, 2, 1).Signature(); a != b || a == madeUp(1, 3).Signature() {
		t.Errorf("signatures %q and %q, wanted one for the same layers, and another one for others", a, b)
	}
}

// TestGraphs: each layer of a model runs its own graph, although all of them share an
// execution's cache.
func TestGraphs(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	d := &Dense{Model: madeUp(2, 3, 2), Backend: backend, DType: dtypes.Float64, Rows: func(t Tensor, from, to int) ([]float32, error) {
		n := to - from
		if len(t.Shape) > 1 {
			n *= t.Shape[1]
		}
		return slices.Repeat([]float32{1}, n), nil
	}}
	err = d.Logits(t.Context(), [][]int32{{0, 2}}, func(_, _, _ int, got []float64) {
		if want := slices.Repeat([]float64{2 * 3 * 2 * 2}, 2*3); !slices.Equal(got, want) {
			t.Errorf("logits %v, wanted %v", got, want)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPlain: the layers of every family are structs of numbers, strings and such structs, so
// that a key says everything of them.
func TestPlain(t *testing.T) {
	var plain func(reflect.Type) bool
	plain = func(typ reflect.Type) bool {
		switch typ.Kind() {
		case reflect.Struct:
			for i := range typ.NumField() {
				if !plain(typ.Field(i).Type) {
					return false
				}
			}
			return true
		case reflect.Bool, reflect.Int, reflect.Float64, reflect.String:
			return true
		}
		return false
	}
	for _, typ := range []any{struct{ p *int }{}, struct{ any }{}, struct{ f func() }{}} {
		if plain(reflect.TypeOf(typ)) {
			t.Errorf("%T is taken for plain", typ)
		}
	}
	for name, m := range references(t) {
		for _, l := range m.Layers() {
			if typ := reflect.TypeOf(l.graph); !plain(typ) {
				t.Errorf("%s: %s has a field that is no number, wanted plain values", name, typ)
			}
		}
	}
}

// TestStack: a tensor that stacks others is read from all of them, one after the other.
func TestStack(t *testing.T) {
	stack := Tensor{Stack: []string{"e.0", "e.1", "e.2"}, Shape: []int{3, 4, 2}, Linear: true}
	m := madeUp(1)
	m.Blocks[0].Tensors = append(m.Blocks[0].Tensors, stack)
	var names []string
	for _, tensor := range m.Tensors() {
		names = append(names, fmt.Sprint(tensor.Name, tensor.Shape))
	}
	if want := []string{"table[3 2]", "layers.0.weight[2]", "e.0[4 2]", "e.1[4 2]", "e.2[4 2]", "norm[2]", "head.weight[3 2]"}; !slices.Equal(names, want) {
		t.Errorf("tensors %v, wanted %v", names, want)
	}
	r := denseRun{Dense: &Dense{Rows: func(t Tensor, from, to int) ([]float32, error) {
		return slices.Repeat([]float32{float32(t.Name[2])}, (to-from)*t.Shape[1]), nil
	}}}
	all, err := r.weights(&Layer{Tensors: []Tensor{stack}}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer free(all)
	want := [][][]float32{}
	for _, e := range "012" {
		row := []float32{float32(e), float32(e)}
		want = append(want, [][]float32{row, row, row, row})
	}
	if got := all[0].Value(); !reflect.DeepEqual(got, want) {
		t.Errorf("loaded as %v, wanted %v", got, want)
	}
}
