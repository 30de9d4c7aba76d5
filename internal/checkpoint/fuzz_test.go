package checkpoint

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

// FuzzOpen opens a folder with any bytes for a shard and an index: no panic,
// and what is accepted is whole and comes back from Write.
func FuzzOpen(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	good := file(`{"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}`, "\x80\x3f\x80\x3f")
	f.Add(golden, []byte(nil))
	f.Add([]byte(good), []byte(nil))
	f.Add([]byte(good), []byte(`{"metadata":{"total_size":4},"weight_map":{"a":"s.safetensors"}}`))
	f.Add([]byte(good), []byte(`{"weight_map":{"a":"../s.safetensors"}}`))
	f.Add([]byte(file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, "")), []byte(nil))
	f.Add([]byte(strings.Repeat("\xff", 16)), []byte(nil))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, shard, index []byte) {
		name := "model.safetensors"
		if len(index) > 0 {
			name = "s.safetensors"
			if err := os.WriteFile(filepath.Join(dir, indexFile), index, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, shard, 0o644); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		defer os.Remove(filepath.Join(dir, indexFile))
		w, err := OpenWeights(dir)
		if err != nil {
			holdError(t, err)
			return
		}
		defer w.Close()
		var tensors []Tensor
		for _, name := range w.Names() {
			tensor, ok := w.Get(name)
			if !ok {
				t.Fatalf("%q: listed and not there", name)
			}
			tensors = append(tensors, tensor)
		}
		checkTensors(t, shard, tensors)
	})
}

// FuzzHeader parses any header and data, the header's length being right.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(`{"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}`), []byte("\x80\x3f\x80\x3f"))
	f.Add([]byte(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"\u0062":{"dtype":"I8","shape":[4,1],"data_offsets":[0,4]}}  `),
		[]byte("\x00\x00\x80\x3f\x00\x00\x80\x7f"))
	f.Add([]byte(`{"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]},"b":{"dtype":"F4","shape":[2,0],"data_offsets":[2,2]}}`), []byte("\x00\x7c"))
	f.Fuzz(func(t *testing.T, header, data []byte) {
		shard := []byte(file(string(header), string(data)))
		tensors, err := parseSafetensors("f", shard)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "checkpoint: f: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, wanted one line that begins with package and file", err)
			}
			return
		}
		checkTensors(t, shard, tensors)
	})
}

// checkTensors checks what a shard was taken for: all of it, values as many as
// the shapes say, and the same tensors once written and read again.
func checkTensors(t *testing.T, shard []byte, tensors []Tensor) {
	size := 0
	known := make(map[string]Tensor)
	var writable []Tensor
	for _, tensor := range tensors {
		size += len(tensor.raw)
		if values, err := tensor.Float32s(); err == nil {
			n := 1
			for _, s := range tensor.Shape {
				n *= s
			}
			if len(values) != n || tensor.Usable() != nil {
				t.Errorf("%q: %d values of shape %v", tensor.Name, len(values), tensor.Shape)
			}
			finite := !slices.ContainsFunc(values, func(v float32) bool { return v-v != 0 })
			if err := tensor.CheckFinite(); finite != (err == nil) {
				t.Errorf("%q: CheckFinite: %v, of %v", tensor.Name, err, values)
			}
		}
		known[tensor.Name] = tensor
		if tensor.DType != dtypes.InvalidDType { // F6, which Write cannot name
			tensor.Data = tensor.raw
			writable = append(writable, tensor)
		}
	}
	if header := 8 + int(binary.LittleEndian.Uint64(shard)); header+size != len(shard) {
		t.Errorf("%d bytes of header, %d of tensors, in a file of %d", header, size, len(shard))
	}
	if len(known) != len(tensors) {
		t.Errorf("%d names of %d tensors", len(known), len(tensors))
	}
	var b bytes.Buffer
	if err := Write(&b, writable, nil); err != nil {
		t.Fatal(err)
	}
	again, err := parseSafetensors("again", b.Bytes())
	if err != nil || len(again) != len(writable) {
		t.Fatalf("written and read: %d tensors, %v; want %d", len(again), err, len(writable))
	}
	for _, got := range again {
		want := known[got.Name]
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.raw, want.raw) {
			t.Errorf("written and read: %v, want %v", got, want)
		}
	}
}
