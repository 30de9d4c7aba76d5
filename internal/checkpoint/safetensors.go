package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/bits"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Weights are the tensors of a checkpoint, mapped into memory. Methods other than Close may
// be called from several goroutines at once.
type Weights struct {
	names   []string
	tensors map[string]Tensor
	stored  map[string]Tensor // as the files have them, where some are quantised; else nil
	files   []*shared
	format  string // see Format
	idle    map[string]bool
	doubts  []error
}

// shared is a mapped file that several Weights may use.
type shared struct {
	mapping
	users atomic.Int32
}

// OpenWeights maps dir/model.safetensors, or the shards named by
// dir/model.safetensors.index.json, and checks every header against its file: offsets, sizes
// and shapes agree, tensors cover the data without gaps or overlaps, no name is repeated,
// and index and shards list the same tensors. The data itself is not read.
func OpenWeights(dir string) (*Weights, error) {
	files, index, err := weightFiles(dir)
	if err != nil {
		return nil, err
	}
	w := &Weights{tensors: make(map[string]Tensor)}
	for _, file := range files {
		if err := w.add(filepath.Join(dir, file), file, index); err != nil {
			w.Close()
			return nil, err
		}
	}
	for _, name := range sortedKeys(index) {
		if _, ok := w.tensors[name]; !ok {
			w.Close()
			return nil, fmt.Errorf("checkpoint: %s: no tensor %s, which %s places there",
				filepath.Join(dir, index[name]), quote(name), indexFile)
		}
	}
	if len(w.tensors) == 0 {
		w.Close()
		return nil, fmt.Errorf("checkpoint: %s: no tensor, wanted weights", filepath.Join(dir, files[0]))
	}
	w.names = sortedKeys(w.tensors)
	return w, nil
}

// OpenFile maps one safetensors file, as OpenWeights does a checkpoint's.
func OpenFile(path string) (*Weights, error) {
	w := &Weights{tensors: make(map[string]Tensor)}
	if err := w.add(path, filepath.Base(path), nil); err != nil {
		w.Close()
		return nil, err
	}
	w.names = sortedKeys(w.tensors)
	return w, nil
}

// With returns w with further tensors, which stand in for those of w that have their names.
// Their Data may be that of w and of other Weights: all three are closed each on its own, in
// any order.
func (w *Weights) With(tensors []Tensor, others ...*Weights) *Weights {
	v := &Weights{tensors: maps.Clone(w.tensors), stored: w.stored, format: w.format, doubts: w.doubts, idle: w.idle}
	for _, t := range tensors {
		v.tensors[t.Name] = t
	}
	v.names = sortedKeys(v.tensors)
	for _, from := range append([]*Weights{w}, others...) {
		for _, f := range from.files {
			f.users.Add(1)
			v.files = append(v.files, f)
		}
	}
	return v
}

// add maps one file and adds its tensors. index is nil for a single file.
func (w *Weights) add(path, file string, index map[string]string) error {
	f, size, err := regular.Open(path, 0)
	if errors.Is(err, fs.ErrNotExist) && index != nil {
		return fmt.Errorf("checkpoint: %s: missing, though %s names it: get the folder anew (%w)", path, indexFile, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close() // the mapping remains
	m, err := mapFile(f, size)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	s := &shared{mapping: m}
	s.users.Store(1)
	w.files = append(w.files, s)
	tensors, err := parseSafetensors(path, m.data)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if other, ok := w.tensors[t.Name]; ok {
			return t.errorf("also in %s, wanted in one shard", filepath.Base(other.file))
		}
		if index != nil && index[t.Name] != file {
			if index[t.Name] != "" {
				return t.errorf("%s places it in %s", indexFile, index[t.Name])
			}
			return t.errorf("not listed in %s", indexFile)
		}
		w.tensors[t.Name] = t
	}
	return nil
}

// Names returns the names of all tensors, sorted.
func (w *Weights) Names() []string { return slices.Clone(w.names) }

// Get returns a tensor by name. Its Data is mapped memory: read-only, and invalid after
// Close.
func (w *Weights) Get(name string) (Tensor, bool) {
	t, ok := w.tensors[name]
	return t, ok
}

// Close unmaps the files, once no other Weights of With uses them. Data and views from
// [Tensor.Float32s] must not be used afterwards.
// A second Close does nothing.
func (w *Weights) Close() error {
	var errs []error
	for _, f := range w.files {
		if f.users.Add(-1) == 0 {
			errs = append(errs, f.close())
		}
	}
	w.files, w.tensors, w.stored, w.names = nil, nil, nil, nil
	return errors.Join(errs...)
}

// parseSafetensors returns the tensors of a safetensors file, in the order of their data,
// without reading the data. The format is described in the README of
// github.com/huggingface/safetensors: 8 bytes n, little endian; n bytes of JSON; the data.
func parseSafetensors(path string, file []byte) ([]Tensor, error) {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("checkpoint: %s: "+format, append([]any{path}, args...)...)
	}
	if bytes.HasPrefix(file, []byte("version https://git-lfs")) {
		return nil, fail("a Git LFS pointer, not the weights: run git lfs pull in its folder")
	}
	if len(file) < 8 {
		return nil, fail("%d bytes, wanted a safetensors file: 8 bytes, header, data", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxJSON {
		return nil, fail("header of %d bytes, wanted at most %d (is this a safetensors file?)", n, maxJSON)
	}
	if n > uint64(len(file)-8) {
		return nil, fail("header of %d bytes in a file of %d: the file is cut short", n, len(file))
	}
	header, data := file[8:8+n], file[8+n:]
	if n == 0 || header[0] != '{' {
		return nil, fail("header does not begin with {")
	}
	object, err := strictjson.Object(header, "")
	if err != nil {
		return nil, fail("header: %w", err)
	}
	type extent struct {
		Tensor
		begin, end int
	}
	extents := make([]extent, 0, len(object))
	for _, name := range sortedKeys(object) {
		if name == "__metadata__" {
			var metadata map[string]*string
			if err := json.Unmarshal(object[name], &metadata); err != nil {
				return nil, fail("header: __metadata__: %w", err)
			}
			for _, key := range sortedKeys(metadata) {
				if metadata[key] == nil {
					return nil, fail("header: __metadata__: %s is null, wanted a string", quote(key))
				}
			}
			continue
		}
		t, begin, end, err := parseEntry(object[name], len(data))
		if err != nil {
			return nil, fail("tensor %s: %w", quote(name), err)
		}
		t.Name, t.file = name, path
		extents = append(extents, extent{t, begin, end})
	}
	slices.SortStableFunc(extents, func(a, b extent) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		return a.end - b.end
	})
	tensors := make([]Tensor, len(extents))
	at := 0
	for i, e := range extents {
		switch {
		case e.begin < at:
			return nil, fail("tensor %s: data from %d overlaps that of %s, which ends at %d",
				quote(e.Name), e.begin, quote(tensors[i-1].Name), at)
		case e.begin > at:
			return nil, fail("tensor %s: data from %d, wanted from %d: a hole of %d bytes", quote(e.Name), e.begin, at, e.begin-at)
		}
		at = e.end
		e.raw = data[e.begin:e.end:e.end]
		if usable(e.DType) {
			e.Data = e.raw
		}
		tensors[i] = e.Tensor
	}
	if at != len(data) {
		return nil, fail("%d bytes of data, wanted %d as the header says", len(data), at)
	}
	return tensors, nil
}

// parseEntry parses a tensor's header entry and checks it against the number of data bytes.
func parseEntry(entry json.RawMessage, size int) (t Tensor, begin, end int, err error) {
	fail := func(format string, args ...any) (Tensor, int, int, error) {
		return Tensor{}, 0, 0, fmt.Errorf(format, args...)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(entry, &fields); err != nil {
		return fail("%w", err)
	}
	for _, key := range sortedKeys(fields) {
		if key != "dtype" && key != "shape" && key != "data_offsets" {
			return fail("foreign key %s, wanted dtype, shape, data_offsets", quote(key))
		}
	}
	var kind string
	if err := json.Unmarshal(orNull(fields["dtype"]), &kind); err != nil {
		return fail("dtype: %w", err)
	}
	k := slices.IndexFunc(storages[:], func(s storage) bool { return s.kind == kind })
	if k < 0 {
		return fail("dtype %s, wanted one that safetensors has", quote(kind))
	}
	shape, err := sizes(fields["shape"])
	if err != nil {
		return fail("shape: %w", err)
	}
	offsets, err := sizes(fields["data_offsets"])
	if err != nil {
		return fail("data_offsets: %w", err)
	}
	if len(offsets) != 2 {
		return fail("data_offsets: %d numbers, wanted begin and end", len(offsets))
	}
	begin, end = offsets[0], offsets[1]
	if begin > end || end > size {
		return fail("data_offsets [%d, %d], wanted an interval within the %d bytes of data (a file cut short?)", begin, end, size)
	}
	want, ok := byteSize(shape, storages[k].bits)
	if !ok {
		return fail("shape %v of %s: more bytes than can be counted, or part of a byte", shape, kind)
	}
	if end-begin != want {
		return fail("data_offsets [%d, %d]: %d bytes, wanted %d for shape %v of %s", begin, end, end-begin, want, shape, kind)
	}
	return Tensor{DType: storages[k].dtype, Shape: shape, kind: kind}, begin, end, nil
}

// sizes parses a JSON list of whole numbers from 0.
func sizes(list json.RawMessage) ([]int, error) {
	if len(list) > 2000 {
		return nil, fmt.Errorf("a list of %d characters, wanted a few numbers", len(list))
	}
	var numbers []*uint64 // pointers, since null would be read as 0
	if err := json.Unmarshal(orNull(list), &numbers); err != nil {
		return nil, err
	}
	if numbers == nil {
		return nil, errors.New("none, wanted a list")
	}
	ints := make([]int, len(numbers))
	for i, p := range numbers {
		if p == nil || *p > math.MaxInt {
			return nil, fmt.Errorf("number %d is null or too large", i)
		}
		ints[i] = int(*p)
	}
	return ints, nil
}

func orNull(value json.RawMessage) json.RawMessage {
	if value == nil {
		return json.RawMessage("null")
	}
	return value
}

// byteSize returns the number of bytes of a shape; ok is false for a fraction of a byte and
// on overflow, including that of the product of the nonzero sizes, so that later
// computations cannot overflow.
func byteSize(shape []int, elementBits int) (int, bool) {
	product, empty := uint64(1), false
	for _, n := range shape {
		if n == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(product, uint64(n))
		if hi != 0 {
			return 0, false
		}
		product = lo
	}
	hi, lo := bits.Mul64(product, uint64(elementBits))
	if hi != 0 || lo/8 > math.MaxInt {
		return 0, false
	}
	if empty {
		return 0, true
	}
	return int(lo / 8), lo%8 == 0
}
