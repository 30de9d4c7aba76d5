package checkpoint

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Write writes a safetensors file with the tensors and, unless empty, the metadata. The
// bytes do not depend on the order of the arguments: larger types come first, so that all
// data is aligned, then names in order; the header is padded with spaces to a multiple of 8.
// They equal those of the safetensors library's writer (with at most one metadata key, since
// it leaves their order open). Data must have the size of shape and type.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	for _, t := range tensors {
		if size, ok := t.size(); ok && size != len(t.Data) {
			return t.errorf("%d bytes of data, wanted %d for shape %v of %s", len(t.Data), size, t.Shape, storages[t.rank()].kind)
		}
	}
	return WriteFrom(w, tensors, metadata, func(w io.Writer, t Tensor) error {
		_, err := w.Write(t.Data)
		return err
	})
}

// Float32 returns a tensor of float32 numbers, with a copy of them.
func Float32(name string, values []float32, shape ...int) Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, x := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return Tensor{Name: name, DType: dtypes.Float32, Shape: shape, Data: data}
}

// rank is the place of a tensor's type in storages, -1 for a type that safetensors lacks.
func (t Tensor) rank() int {
	if t.DType == dtypes.InvalidDType {
		return -1
	}
	return slices.IndexFunc(storages[:], func(s storage) bool { return s.dtype == t.DType })
}

// size is the number of bytes of the data by shape and type; ok is false for none.
func (t Tensor) size() (size int, ok bool) {
	if k := t.rank(); k >= 0 {
		return byteSize(t.Shape, storages[k].bits)
	}
	return 0, false
}

// WriteFrom is Write for data that data writes, tensor by tensor, so that not all of it need be
// in memory. It must write as many bytes as shape and type say.
func WriteFrom(w io.Writer, tensors []Tensor, metadata map[string]string, data func(w io.Writer, t Tensor) error) error {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(a.rank()-b.rank(), cmp.Compare(a.Name, b.Name))
	})
	header, err := headerOf(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)); err != nil {
		return fmt.Errorf("checkpoint: write: %w", err)
	}
	for _, t := range tensors {
		size, _ := t.size()
		counted := &counter{w: w}
		if err := data(counted, t); err != nil {
			return fmt.Errorf("checkpoint: write: %w", err)
		}
		if counted.n != size {
			return t.errorf("%d bytes written, wanted %d", counted.n, size)
		}
	}
	return nil
}

// counter counts the bytes written.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += n
	return n, err
}

// headerOf is the header of a file of the tensors, whose data comes in this order.
func headerOf(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	type entry struct {
		Kind    string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header := []byte("{")
	field := func(name string, value any) error {
		if len(header) > 1 {
			header = append(header, ',')
		}
		key, err := strictjson.Marshal(name)
		if err != nil {
			return err
		}
		text, err := strictjson.Marshal(value)
		header = append(append(append(header, key...), ':'), text...)
		return err
	}
	if len(metadata) > 0 {
		if err := field("__metadata__", metadata); err != nil {
			return nil, fmt.Errorf("checkpoint: write: metadata: %w", err)
		}
	}
	at := 0
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if t.rank() < 0 {
			return nil, t.errorf("dtype %v, wanted one that safetensors has", t.DType)
		}
		if t.Name == "__metadata__" || seen[t.Name] {
			return nil, t.errorf("a reserved name, or one that comes twice")
		}
		seen[t.Name] = true
		size, ok := t.size()
		if !ok {
			return nil, t.errorf("shape %v of %s, which has no size", t.Shape, storages[t.rank()].kind)
		}
		shape := append([]int{}, t.Shape...) // not nil, which would be written as null
		if err := field(t.Name, entry{storages[t.rank()].kind, shape, [2]int{at, at + size}}); err != nil {
			return nil, t.errorf("%w", err)
		}
		at += size
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header) > maxJSON {
		return nil, fmt.Errorf("checkpoint: write: header of %d bytes, wanted at most %d", len(header), maxJSON)
	}
	return header, nil
}
