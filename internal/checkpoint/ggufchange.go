package checkpoint

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// ggufChange is what a converter did to a tensor, undone: where a row and a column of the model's are
// in the file, and what an element is of the file's, in float32. nil is for no change.
type ggufChange struct {
	row, column func(int) int
	each        func(float32) float32
}

// stored returns how elements of a stored tensor are decoded, of which the first begins a block and the
// last ends one.
func stored(t Tensor) func(dst []float32, at int) {
	b, raw := blockOf(t), t.raw
	if b.decode == nil {
		size, dtype := t.DType.Size(), t.DType
		return func(dst []float32, at int) {
			part := Tensor{DType: dtype, Shape: []int{len(dst)}, Data: raw[at*size : (at+len(dst))*size]}
			_ = part.Float32sInto(dst) // a plain type and the right length
		}
	}
	return func(dst []float32, at int) {
		for ; len(dst) > 0; dst, at = dst[b.elements:], at+b.elements {
			b.decode(dst[:b.elements], raw[at/b.elements*b.bytes:][:b.bytes])
		}
	}
}

// decoding is a tensor in float32 that decode makes of stored ones when it is read.
func decoding(name string, shape []int, decode func(dst []float32, at int), parts ...Tensor) Tensor {
	p := &packed{decode: decode, in: parts[0].DType}
	for _, part := range parts {
		p.from = append(p.from, part.raw)
		if blockOf(part).decode != nil || part.DType != p.in {
			p.in = dtypes.Float32
		}
	}
	return Tensor{Name: name, DType: dtypes.Float32, Shape: shape, kind: parts[0].kind, file: parts[0].file, packed: p}
}

// width is the length of a row, of a tensor with one axis 1.
func width(shape []int) int {
	if len(shape) > 1 {
		return shape[len(shape)-1]
	}
	return 1
}

// changed is a tensor of that name and shape, whose rows are those of the stored ones, one after the
// other, changed: a plain one as it is where nothing was.
func changed(name string, shape []int, c ggufChange, parts ...Tensor) Tensor {
	if t := parts[0]; len(parts) == 1 && blockOf(t).decode == nil && c.row == nil && c.column == nil && c.each == nil {
		t.Name, t.Shape = name, shape
		return t
	}
	width := width(shape)
	rows, ends := rowsOf(parts, width)
	decode := func(dst []float32, at int) {
		if c.row == nil && len(parts) == 1 {
			rows[0](dst, at)
		} else {
			for i := 0; i < len(dst)/width; i++ {
				row, part := at/width+i, 0
				if c.row != nil {
					row = c.row(row)
				}
				for row >= ends[part] {
					part++
				}
				if part > 0 {
					row -= ends[part-1]
				}
				rows[part](dst[i*width:(i+1)*width], row*width)
			}
		}
		if c.column != nil {
			row := make([]float32, width)
			for i := 0; i < len(dst); i += width {
				copy(row, dst[i:])
				for j := range width {
					dst[i+j] = row[c.column(j)]
				}
			}
		}
		if c.each != nil {
			for i, x := range dst {
				dst[i] = c.each(x)
			}
		}
	}
	return decoding(name, shape, decode, parts...)
}

// rowsOf are the decoders of tensors with rows of that width, and the number of rows up to the end of each.
func rowsOf(parts []Tensor, width int) (rows []func(dst []float32, at int), ends []int) {
	end := 0
	for _, t := range parts {
		end += t.Elements() / width
		rows, ends = append(rows, stored(t)), append(ends, end)
	}
	return rows, ends
}

// turned is a tensor of that name and shape [.. C R*n], whose columns are the rows of n stored tensors
// [.. R C]: those of one after those of the other, or, interleaved, one of each in turn.
func turned(name string, shape []int, interleaved bool, parts ...Tensor) Tensor {
	n := len(parts)
	across, r := shape[len(shape)-1], shape[len(shape)-1]/n
	c := parts[0].Shape[len(parts[0].Shape)-1]
	rows, _ := rowsOf(parts, c)
	blocks := make([]int, n)
	for i, t := range parts {
		blocks[i] = blockOf(t).elements
	}
	most := slices.Max(blocks)
	decode := func(dst []float32, at int) {
		for row := at / across; len(dst) > 0; {
			matrix, first := row/c, row%c
			count := min(c-first, len(dst)/across)
			buffer := make([]float32, count+2*most)
			for part := range n {
				from := first / blocks[part] * blocks[part]
				to := (first + count + blocks[part] - 1) / blocks[part] * blocks[part]
				for i := range r {
					rows[part](buffer[:to-from], (matrix*r+i)*c+from)
					column := part*r + i
					if interleaved {
						column = i*n + part
					}
					for j := range count {
						dst[j*across+column] = buffer[first-from+j]
					}
				}
			}
			dst, row = dst[count*across:], row+count
		}
	}
	return decoding(name, shape, decode, parts...)
}
