package adapter

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/sync/errgroup"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
)

// Merged is a tensor of a checkpoint that computes without the adapter what the model does with
// it. Of a linear layer it is W + s B A, with DoRA each row times its ratio, computed in float64
// and rounded once.
type Merged struct {
	checkpoint.Tensor // its name, type and shape; no Data

	from  checkpoint.Tensor
	delta *product  // nil for none
	ratio []float64 // nil for none
	inOut bool
	add   []float64 // to a bias; nil for none
}

// Merged returns the tensors of the merged checkpoint, in the order of names, in a type, or each
// in its own if it is InvalidDType. untied tells that embeddings and vocabulary head, which were
// one, are two. The Adapter must not be closed before they are written.
func (a *Applied) Merged(dtype dtypes.DType) (all []Merged, untied bool, err error) {
	p := a.by
	byName, needed := map[string]Merged{}, map[string]bool{}
	for _, t := range p.m.Tensors() {
		needed[t.Name] = true
	}
	for _, name := range p.base.Names() {
		if t, _ := p.base.Get(name); a.stays(name, needed[name]) {
			byName[name] = Merged{Tensor: t, from: t}
		}
	}
	for _, t := range p.made { // of a classifier's head
		if _, ok := p.w.Get(t.Name); !ok && t.DType != dtypes.InvalidDType && !strings.HasSuffix(t.Name, " / norm") {
			byName[t.Name] = Merged{Tensor: t, from: t}
		}
	}
	embed, head := p.m.Embed.Table.Name, p.m.Names.Head[0]+".weight"
	_, side := a.Sides[head]
	if p.tied && (a.Replaced[embed] != "" || a.Replaced[head] != "" || side) {
		untied = true
		byName[head] = byName[embed]
	}
	for key, name := range a.Replaced {
		t, _ := p.w.Get(name)
		byName[key] = Merged{Tensor: t, from: t}
	}
	for path, f := range p.found {
		if err := p.merge(path, f, byName); err != nil {
			return nil, false, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		m := byName[name]
		m.Name = p.mergedName(name)
		m.Data = nil
		if base, ok := p.base.Get(name); ok && base.Usable() == nil {
			m.DType = base.Computes()
		}
		if dtype != dtypes.InvalidDType && m.from.Usable() == nil {
			m.DType = dtype
		}
		all = append(all, m)
	}
	return all, untied, nil
}

// Unchanged is a tensor that no adapter has changed, decoded, in a type, or in its own if it is
// InvalidDType.
func Unchanged(t checkpoint.Tensor, dtype dtypes.DType) Merged {
	m := Merged{Tensor: t, from: t}
	m.Data = nil
	if t.Usable() == nil {
		m.DType = t.Computes()
		if dtype != dtypes.InvalidDType {
			m.DType = dtype
		}
	}
	return m
}

// stays tells whether the merged checkpoint has a tensor of the base's, which the model needs or not.
func (a *Applied) stays(name string, needed bool) bool {
	return (needed || !a.by.base.Idle(name)) && !slices.Contains(a.Hidden, name) && a.by.m.Copies[name] == ""
}

// mergedName is a tensor's name in the merged checkpoint: a classifier's has the names of its
// class, also where the base's had none before the blocks'.
func (p *application) mergedName(name string) string {
	_, beside := p.base.Get(name)
	if p.m.Head.Layer == nil && p.m.Names.Prefix == "" && beside && !p.m.Ignored(name) && !strings.HasPrefix(name, "score.") {
		return p.trunk + name
	}
	return name
}

// merge adds a module's side path to its matrix and bias.
func (p *application) merge(path string, f *found, byName map[string]Merged) error {
	to := p.params[path+".weight"]
	in := to.Shape[1]
	if to.InOut {
		in = to.Shape[0]
	}
	delta, err := p.product(p.out.Sides[to.key], in)
	if err != nil {
		return err
	}
	m := byName[to.key]
	m.delta, m.ratio, m.inOut = &delta, p.ratio[path], to.InOut
	byName[to.key] = m
	if f.bias == "" {
		return nil
	}
	bias := strings.TrimSuffix(to.key, ".weight") + ".bias"
	b, ok := byName[bias]
	if !ok {
		return fmt.Errorf("adapter: %s: lora_bias on %s, which has no bias that it could be merged into", p.dir, path)
	}
	t, _ := p.w.Get(f.bias)
	values, err := t.Float32s()
	if err != nil {
		return err
	}
	for _, x := range values {
		b.add = append(b.add, p.config.scale(path)*float64(x))
	}
	byName[bias] = b
	return nil
}

// mergeRows is the number of a matrix' rows that are computed at a time.
const mergeRows = 256

// Write writes the tensor's data. A number that its type cannot hold is an error.
func (m Merged) Write(ctx context.Context, w io.Writer) error {
	defer m.from.Forget()
	if m.delta == nil && m.ratio == nil && m.add == nil && m.DType == m.from.DType && !m.from.Quantised() {
		_, err := w.Write(m.from.Raw())
		return err
	}
	if err := m.from.CheckFinite(); err != nil {
		return err
	}
	rows, width := 1, m.from.Elements()
	if len(m.Shape) > 1 {
		rows = m.Shape[0]
		width /= max(rows, 1)
	}
	for first := 0; first < rows; first += mergeRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(mergeRows, rows-first)
		data := make([]byte, n*width*m.DType.Size())
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for i := range n {
			group.Go(func() error {
				return m.row(first+i, width, data[i*width*m.DType.Size():(i+1)*width*m.DType.Size()])
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// row computes a row of the tensor, or all of a vector.
func (m Merged) row(i, width int, to []byte) error {
	of := m.from
	if len(of.Shape) > 1 {
		of = of.Rows(i, i+1)
	}
	values := make([]float32, width)
	if err := of.Float32sInto(values); err != nil {
		return err
	}
	row := make([]float64, width)
	for j, x := range values {
		row[j] = float64(x)
	}
	switch {
	case m.delta == nil:
	case m.inOut:
		m.delta.addColumn(row, i)
	default:
		m.delta.addRow(row, i)
	}
	for j := range row {
		switch {
		case m.ratio != nil && m.inOut:
			row[j] *= m.ratio[j]
		case m.ratio != nil:
			row[j] *= m.ratio[i]
		}
		if m.add != nil {
			row[j] += m.add[j]
		}
	}
	for j, x := range row {
		if !encode(to[j*m.DType.Size():], x, m.DType) {
			return fmt.Errorf("adapter: tensor %s: %g, which %v cannot hold", m.Name, x, m.DType)
		}
	}
	return nil
}

// addColumn adds column i of s B A, its products with input i, to a row of a matrix [in out].
func (p product) addColumn(row []float64, i int) {
	for k := range p.r {
		f := p.scale * float64(p.a[k*p.in+i])
		if f == 0 {
			continue
		}
		for j := range row {
			row[j] += f * float64(p.b[j*p.r+k])
		}
	}
}

// encode writes a number in a type, rounded once, to the nearest and ties to even; it reports
// whether the result is finite.
func encode(to []byte, x float64, dtype dtypes.DType) bool {
	if dtype == dtypes.Float32 {
		y := float32(x)
		binary.LittleEndian.PutUint32(to, math.Float32bits(y))
		return y-y == 0
	}
	// Through float32, rounded to odd: what is then rounded to fewer digits is as if it had
	// been rounded at once.
	y := float32(x)
	bits := math.Float32bits(y)
	if math.Abs(float64(y)) > math.Abs(x) {
		bits-- // towards zero; from infinity to the largest number
	}
	if float64(math.Float32frombits(bits)) != x {
		bits |= 1
	}
	half := bfloat16Of(bits)
	exponent := uint16(0x7f80)
	if dtype == dtypes.Float16 {
		half, exponent = float16Of(bits), 0x7c00
	}
	binary.LittleEndian.PutUint16(to, half)
	return half&exponent != exponent
}

// bfloat16Of rounds a float32's bits.
func bfloat16Of(bits uint32) uint16 { return uint16((bits + 0x7fff + bits>>16&1) >> 16) }

// float16Of rounds a float32's bits.
func float16Of(bits uint32) uint16 {
	sign := uint16(bits >> 16 & 0x8000)
	exponent, mantissa := int(bits>>23&0xff)-127+15, bits&0x7fffff
	shift := uint(13)
	switch {
	case exponent >= 31:
		return sign | 0x7c00
	case exponent < -10:
		return sign
	case exponent <= 0: // subnormal
		mantissa |= 0x800000
		shift = uint(14 - exponent)
		exponent = 0
	}
	half := uint32(exponent)<<10 + mantissa>>shift
	rest, middle := mantissa&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > middle || rest == middle && half&1 == 1 {
		half++ // into the next exponent if need be
	}
	return sign | uint16(half)
}
