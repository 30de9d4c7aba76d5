package checkpoint

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
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
	type entry struct {
		Kind    string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	rank := func(t Tensor) int {
		return slices.IndexFunc(storages[:], func(s storage) bool { return s.dtype == t.DType })
	}
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Name, b.Name))
	})
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
			return fmt.Errorf("checkpoint: write: metadata: %w", err)
		}
	}
	at := 0
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		k := rank(t)
		if k < 0 || t.DType == dtypes.InvalidDType {
			return t.errorf("dtype %v, wanted one that safetensors has", t.DType)
		}
		if t.Name == "__metadata__" || seen[t.Name] {
			return t.errorf("a reserved name, or one that comes twice")
		}
		seen[t.Name] = true
		if size, ok := byteSize(t.Shape, storages[k].bits); !ok || size != len(t.Data) {
			return t.errorf("%d bytes of data, wanted %d for shape %v of %s", len(t.Data), size, t.Shape, storages[k].kind)
		}
		shape := append([]int{}, t.Shape...) // not nil, which would be written as null
		if err := field(t.Name, entry{storages[k].kind, shape, [2]int{at, at + len(t.Data)}}); err != nil {
			return t.errorf("%w", err)
		}
		at += len(t.Data)
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header) > maxJSON {
		return fmt.Errorf("checkpoint: write: header of %d bytes, wanted at most %d", len(header), maxJSON)
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)); err != nil {
		return fmt.Errorf("checkpoint: write: %w", err)
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("checkpoint: write: %w", err)
		}
	}
	return nil
}
