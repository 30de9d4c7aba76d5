package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

// file makes the bytes of a safetensors file from a header as it stands.
func file(header, data string) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + data
}

// folder writes files into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// encode is Write into a string.
func encode(t testing.TB, tensors ...Tensor) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bf16 makes a tensor of n ones.
func bf16(name string, n int) Tensor {
	return Tensor{Name: name, DType: dtypes.BFloat16, Shape: []int{n}, Data: bytes.Repeat([]byte{0x80, 0x3f}, n)}
}

func open(t testing.TB, dir string) *Weights {
	t.Helper()
	w, err := OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// wantError checks for the one-line error with the folder's path left out.
func wantError(t *testing.T, err error, dir, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	got := err.Error()
	if dir != "" {
		got = strings.ReplaceAll(got, dir+string(filepath.Separator), "")
		got = strings.ReplaceAll(got, dir, "DIR")
	}
	if got != want {
		t.Errorf("error\n got %s\nwant %s", got, want)
	}
}

// The golden file is what the reference library writes (testdata/make.py).
func TestGolden(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, folder(t, map[string]string{"model.safetensors": string(golden)}))
	want := []string{"a.bf16", "empty", "m.f16", "mask", `naïve "quoted" <&>`, "scalar", "step", "z.f32"}
	if got := w.Names(); !slices.Equal(got, want) {
		t.Fatalf("names %q, want %q", got, want)
	}
	values := map[string][]float32{
		"a.bf16": {1, -2, math.Float32frombits(1 << 16)},
		"empty":  {},
		"m.f16":  {1, -2, 65504, 0x1p-24},
		"scalar": {7},
		"z.f32":  {1, -2, 0.5, 3.25, float32(math.Copysign(0, -1)), 1e-40},
	}
	var all []Tensor
	for _, name := range w.Names() {
		tensor, ok := w.Get(name)
		if !ok {
			t.Fatalf("%s: listed and not there", name)
		}
		want, usable := values[name]
		got, err := tensor.Float32s()
		if usable != (err == nil) || usable != (tensor.Usable() == nil) || usable != (tensor.Data != nil) {
			t.Errorf("%s: usable %v, %v; data %v; want %v", name, err, tensor.Usable(), tensor.Data, usable)
		}
		if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		tensor.Data = tensor.raw
		all = append(all, tensor)
	}
	if s, _ := w.Get("scalar"); s.Shape == nil || len(s.Shape) != 0 {
		t.Errorf("scalar's shape %#v, want []int{}", s.Shape)
	}
	if _, ok := w.Get("none"); ok {
		t.Error("a tensor that is not there")
	}
	step, _ := w.Get("step")
	wantError(t, step.Usable(), filepath.Dir(step.file),
		`checkpoint: model.safetensors: tensor "step": dtype I64, wanted F32, F16 or BF16 (save the model in one of these)`)
	hash, err := w.Hash(context.Background())
	// Printed by testdata/make.py.
	if want := "8baf6b875b83a5e525f24ac40d568a5815141138f26c95b78d86d2804e358734"; err != nil || hash != want {
		t.Errorf("hash %s, %v; want %s", hash, err, want)
	}
	slices.Reverse(all)
	var b bytes.Buffer
	if err := Write(&b, all, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), golden) {
		t.Errorf("written\n got %q\nwant %q", b.Bytes(), golden)
	}
}

func TestSharded(t *testing.T) {
	files := map[string]string{
		"model-00001-of-00002.safetensors": encode(t, bf16("b", 3), bf16("a", 1)),
		"model-00002-of-00002.safetensors": encode(t, bf16("c", 2)),
		"model.safetensors.index.json": `{"metadata": {"total_size": 1}, "weight_map": {
			"a": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors",
			"c": "model-00002-of-00002.safetensors"}}`,
		"consolidated.safetensors": "not looked at",
	}
	w := open(t, folder(t, files))
	if got := w.Names(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("names %q", got)
	}
	if c, _ := w.Get("c"); c.DType != dtypes.BFloat16 || !slices.Equal(c.Shape, []int{2}) || string(c.Data) != "\x80\x3f\x80\x3f" {
		t.Errorf("c is %v", c)
	}
	one := open(t, folder(t, map[string]string{"model.safetensors": encode(t, bf16("a", 1), bf16("b", 3), bf16("c", 2))}))
	other := open(t, folder(t, map[string]string{"model.safetensors": encode(t, bf16("a", 1), bf16("b", 2), bf16("c", 3))}))
	hashes := make([]string, 3)
	for i, w := range []*Weights{w, one, other} {
		var err error
		if hashes[i], err = w.Hash(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if hashes[0] != hashes[1] || hashes[0] == hashes[2] {
		t.Errorf("hashes %q: want the sharded and the single one equal, the other not", hashes)
	}
	// Both: the single file counts, as in transformers.
	files["model.safetensors"] = encode(t, bf16("x", 1))
	if got := open(t, folder(t, files)).Names(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("names %q, want those of model.safetensors", got)
	}
}

// Links are what the hub's cache is made of.
func TestSymlink(t *testing.T) {
	blobs := folder(t, map[string]string{"abc": encode(t, bf16("a", 1))})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(blobs, "abc"), filepath.Join(dir, "model.safetensors")); err != nil {
		t.Skip("needs a system with links: ", err)
	}
	open(t, dir)
	os.Remove(filepath.Join(blobs, "abc"))
	_, err := OpenWeights(dir)
	wantError(t, err, dir, "checkpoint: open model.safetensors: no such file or directory")
}

func TestWrongFiles(t *testing.T) {
	entry := func(name, dtype, shape, offsets string) string {
		return `"` + name + `":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":` + offsets + `}`
	}
	good := entry("a", "F32", "[1]", "[0,4]")
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", "checkpoint: model.safetensors: 0 bytes, wanted a safetensors file: 8 bytes, header, data"},
		{"short", "abc", "checkpoint: model.safetensors: 3 bytes, wanted a safetensors file: 8 bytes, header, data"},
		{"LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
			"checkpoint: model.safetensors: a Git LFS pointer, not the weights: run git lfs pull in its folder"},
		{"header beyond the file", "\x09\x00\x00\x00\x00\x00\x00\x00{}",
			"checkpoint: model.safetensors: header of 9 bytes in a file of 10: the file is cut short"},
		{"header of 2^64-1", strings.Repeat("\xff", 8) + "{}",
			"checkpoint: model.safetensors: header of 18446744073709551615 bytes, wanted at most 100000000 (is this a safetensors file?)"},
		{"header of 0", file("", ""), "checkpoint: model.safetensors: header does not begin with {"},
		{"space before header", file(" {}", ""), "checkpoint: model.safetensors: header does not begin with {"},
		{"no JSON", file(`{"a":`, ""), "checkpoint: model.safetensors: header: byte 5: it ends too early"},
		{"bytes after header", file("{"+good+"}\x00\x00", "1234"),
			`checkpoint: model.safetensors: header: byte 54: text after the end of the value`},
		{"not UTF-8", file("{\"\xff\":1}", ""), "checkpoint: model.safetensors: header: byte 2: not UTF-8, wanted text"},
		{"no tensor", file("{}", ""), "checkpoint: model.safetensors: no tensor, wanted weights"},
		{"name twice", file("{"+good+","+good+"}", "1234"), `checkpoint: model.safetensors: header: byte 54: key "a" comes twice, wanted once`},
		{"name twice, escaped", file("{"+good+","+entry(`\u0061`, "F32", "[1]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: header: byte 54: key "a" comes twice, wanted once`},
		{"key twice", file(`{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, "1234"),
			`checkpoint: model.safetensors: header: byte 32: key "shape" comes twice in a, wanted once`},
		{"foreign key", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":2}}`, "1234"),
			`checkpoint: model.safetensors: tensor "a": foreign key "scale", wanted dtype, shape, data_offsets`},
		{"key in capitals", file(`{"a":{"DTYPE":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
			`checkpoint: model.safetensors: tensor "a": foreign key "DTYPE", wanted dtype, shape, data_offsets`},
		{"no dtype", file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, "1234"),
			`checkpoint: model.safetensors: tensor "a": dtype "", wanted one that safetensors has`},
		{"no shape", file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, "1234"),
			`checkpoint: model.safetensors: tensor "a": shape: none, wanted a list`},
		{"no offsets", file(`{"a":{"dtype":"F32","shape":[1]}}`, "1234"),
			`checkpoint: model.safetensors: tensor "a": data_offsets: none, wanted a list`},
		{"entry null", file(`{"a":null}`, ""), `checkpoint: model.safetensors: tensor "a": dtype "", wanted one that safetensors has`},
		{"entry a list", file(`{"a":[]}`, ""),
			`checkpoint: model.safetensors: tensor "a": json: cannot unmarshal array into Go value of type map[string]json.RawMessage`},
		{"foreign dtype", file("{"+entry("a", "F128", "[1]", "[0,16]")+"}", "1234567890123456"),
			`checkpoint: model.safetensors: tensor "a": dtype "F128", wanted one that safetensors has`},
		{"null in shape", file("{"+entry("a", "F32", "[null]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": shape: number 0 is null or too large`},
		{"fraction in shape", file("{"+entry("a", "F32", "[1.0]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": shape: json: cannot unmarshal number 1.0 into Go value of type uint64`},
		{"negative shape", file("{"+entry("a", "F32", "[-1,-1]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": shape: json: cannot unmarshal number -1 into Go value of type uint64`},
		{"shape beyond int", file("{"+entry("a", "F32", "[9223372036854775808]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": shape: number 0 is null or too large`},
		{"product overflows", file("{"+entry("a", "F32", "[4294967296,4294967296,1]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": shape [4294967296 4294967296 1] of F32: more bytes than can be counted, or part of a byte`},
		{"product overflows beside 0", file("{"+entry("a", "F32", "[0,4294967296,4294967296]", "[0,0]")+"}", ""),
			`checkpoint: model.safetensors: tensor "a": shape [0 4294967296 4294967296] of F32: more bytes than can be counted, or part of a byte`},
		{"bytes overflow", file("{"+entry("a", "F32", "[4611686018427387905]", "[0,4]")+"}", "1234"), // 4n = 4 mod 2^64
			`checkpoint: model.safetensors: tensor "a": shape [4611686018427387905] of F32: more bytes than can be counted, or part of a byte`},
		{"half a byte", file("{"+entry("a", "F4", "[1]", "[0,1]")+"}", "1"),
			`checkpoint: model.safetensors: tensor "a": shape [1] of F4: more bytes than can be counted, or part of a byte`},
		{"endless shape", file("{"+entry("a", "F32", "["+strings.Repeat("1,", 1000)+"1]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": shape: a list of 2003 characters, wanted a few numbers`},
		{"size and shape", file("{"+entry("a", "F32", "[2]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": data_offsets [0, 4]: 4 bytes, wanted 8 for shape [2] of F32`},
		{"three offsets", file("{"+entry("a", "F32", "[1]", "[0,4,8]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": data_offsets: 3 numbers, wanted begin and end`},
		{"end before begin", file("{"+entry("a", "F32", "[1]", "[4,0]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "a": data_offsets [4, 0], wanted an interval within the 4 bytes of data (a file cut short?)`},
		{"data cut", file("{"+entry("a", "F32", "[2]", "[0,8]")+"}", "1234567"),
			`checkpoint: model.safetensors: tensor "a": data_offsets [0, 8], wanted an interval within the 7 bytes of data (a file cut short?)`},
		{"overlap", file("{"+entry("a", "F32", "[2]", "[0,8]")+","+entry("b", "F32", "[1]", "[4,8]")+"}", "12345678"),
			`checkpoint: model.safetensors: tensor "b": data from 4 overlaps that of "a", which ends at 8`},
		{"same place", file("{"+entry("a", "F32", "[1]", "[0,4]")+","+entry("b", "F32", "[1]", "[0,4]")+"}", "1234"),
			`checkpoint: model.safetensors: tensor "b": data from 0 overlaps that of "a", which ends at 4`},
		{"hole", file("{"+entry("a", "F32", "[1]", "[0,4]")+","+entry("b", "F32", "[1]", "[5,9]")+"}", "123456789"),
			`checkpoint: model.safetensors: tensor "b": data from 5, wanted from 4: a hole of 1 bytes`},
		{"hole at the start", file("{"+entry("a", "F32", "[1]", "[4,8]")+"}", "12345678"),
			`checkpoint: model.safetensors: tensor "a": data from 4, wanted from 0: a hole of 4 bytes`},
		{"data left over", file("{"+good+"}", "12345"), `checkpoint: model.safetensors: 5 bytes of data, wanted 4 as the header says`},
		{"metadata a number", file(`{"__metadata__":{"x":1},`+good+"}", "1234"),
			`checkpoint: model.safetensors: header: __metadata__: json: cannot unmarshal number into Go value of type string`},
		{"metadata null", file(`{"__metadata__":{"x":null},`+good+"}", "1234"),
			`checkpoint: model.safetensors: header: __metadata__: "x" is null, wanted a string`},
		{"long name", file(`{"`+strings.Repeat("n", 1000)+`":{"x":1}}`, ""),
			`checkpoint: model.safetensors: tensor "` + strings.Repeat("n", 200) + `…": foreign key "x", wanted dtype, shape, data_offsets`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"model.safetensors": test.file})
			_, err := OpenWeights(dir)
			wantError(t, err, dir, test.want)
		})
	}
}

// Files that are unusual and right.
func TestOddFiles(t *testing.T) {
	for _, test := range []struct{ name, file, tensor string }{
		{"unaligned header", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`+" ", "\x00\x00\x80\x3f"), "a"},
		{"data not in order", file(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
			"\x00\x00\x80\x3f\x00\x00\x80\x3f"), "a"},
		{"empty between", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},
			"c":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}`, "\x00\x00\x80\x3f"), "a"},
		{"metadata null", file(`{"__metadata__":null,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "\x00\x00\x80\x3f"), "a"},
		{"packed fours", file(`{"q":{"dtype":"F4","shape":[2],"data_offsets":[4,5]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
			"\x00\x00\x80\x3fx"), "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := open(t, folder(t, map[string]string{"model.safetensors": test.file}))
			tensor, _ := w.Get(test.tensor)
			got, err := tensor.Float32s()
			if err != nil || !slices.Equal(got, []float32{1}) {
				t.Errorf("%v, %v; want [1]", got, err)
			}
		})
	}
}

func TestWrongIndex(t *testing.T) {
	shard := encode(t, bf16("a", 1), bf16("b", 1))
	index := func(weightMap string) string { return `{"weight_map": ` + weightMap + `}` }
	for _, test := range []struct{ name, index, want string }{
		{"no JSON", "x", "checkpoint: model.safetensors.index.json: byte 0: no JSON, wanted an object"},
		{"null", "null", "checkpoint: model.safetensors.index.json: byte 0: null, wanted an object"},
		{"no map", `{"metadata": {}}`, "checkpoint: model.safetensors.index.json: no weight_map, or an empty one, wanted the file of each tensor"},
		{"name twice", index(`{"a": "s1.safetensors", "a": "s2.safetensors"}`),
			`checkpoint: model.safetensors.index.json: byte 39: key "a" comes twice in weight_map, wanted once`},
		{"up", index(`{"a": "../s1.safetensors"}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file "../s1.safetensors", wanted a .safetensors file of the same folder`},
		{"absolute", index(`{"a": "/s1.safetensors"}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file "/s1.safetensors", wanted a .safetensors file of the same folder`},
		{"down", index(`{"a": "x/s1.safetensors"}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file "x/s1.safetensors", wanted a .safetensors file of the same folder`},
		{"backslash", index(`{"a": "..\\s1.safetensors"}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file "..\\s1.safetensors", wanted a .safetensors file of the same folder`},
		{"NUL", index(`{"a": "s1\u0000.safetensors"}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file "s1\x00.safetensors", wanted a .safetensors file of the same folder`},
		{"not safetensors", index(`{"a": "config.json"}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file "config.json", wanted a .safetensors file of the same folder`},
		{"file null", index(`{"a": null}`),
			`checkpoint: model.safetensors.index.json: tensor "a": file null, wanted a .safetensors file of the same folder`},
		{"shard absent", index(`{"a": "s1.safetensors", "b": "s1.safetensors", "c": "s9.safetensors"}`),
			"checkpoint: s9.safetensors: missing, though model.safetensors.index.json names it: get the folder anew (file does not exist)"},
		{"tensor absent", index(`{"a": "s1.safetensors", "b": "s1.safetensors", "c": "s1.safetensors"}`),
			`checkpoint: s1.safetensors: no tensor "c", which model.safetensors.index.json places there`},
		{"tensor not listed", index(`{"a": "s1.safetensors"}`),
			`checkpoint: s1.safetensors: tensor "b": not listed in model.safetensors.index.json`},
		{"tensor elsewhere", index(`{"a": "s1.safetensors", "b": "s3.safetensors"}`),
			`checkpoint: s1.safetensors: tensor "b": model.safetensors.index.json places it in s3.safetensors`},
		{"tensor in two", index(`{"a": "s1.safetensors", "b": "s1.safetensors", "d": "s2.safetensors"}`),
			`checkpoint: s2.safetensors: tensor "a": also in s1.safetensors, wanted in one shard`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, map[string]string{
				"model.safetensors.index.json": test.index,
				"s1.safetensors":               shard,
				"s2.safetensors":               encode(t, bf16("d", 1), bf16("a", 1)),
				"s3.safetensors":               encode(t, bf16("b", 1)),
			})
			_, err := OpenWeights(dir)
			wantError(t, err, dir, test.want)
		})
	}
}

func TestNoWeights(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  string
	}{
		{nil, "checkpoint: DIR: no weights, wanted model.safetensors or model.safetensors.index.json"},
		{[]string{"config.json", "pytorch_model.bin"},
			"checkpoint: DIR: only pytorch_model.bin, wanted safetensors: save the model anew with transformers (save_pretrained)"},
		{[]string{"pytorch_model-00001-of-00004.bin", "pytorch_model-00002-of-00004.bin", "pytorch_model-00003-of-00004.bin", "pytorch_model-00004-of-00004.bin"},
			"checkpoint: DIR: only pytorch_model-00001-of-00004.bin, pytorch_model-00002-of-00004.bin, pytorch_model-00003-of-00004.bin, ..., wanted safetensors: save the model anew with transformers (save_pretrained)"},
		{[]string{"SmolLM2-135M.Q4_1.gguf"},
			"checkpoint: DIR: llama.cpp's format (SmolLM2-135M.Q4_1.gguf), wanted safetensors: take the model's original checkpoint, with config.json and model.safetensors"},
		{[]string{"consolidated.safetensors"},
			"checkpoint: DIR: consolidated.safetensors without model.safetensors.index.json, wanted that index or model.safetensors"},
		{[]string{"adapter_config.json", "adapter_model.safetensors"},
			"checkpoint: DIR: an adapter without its model: name both, as BASE+ADAPTER"},
	} {
		files := make(map[string]string)
		for _, name := range test.files {
			files[name] = "x"
		}
		dir := folder(t, files)
		_, err := OpenWeights(dir)
		wantError(t, err, dir, test.want)
	}
	dir := t.TempDir()
	_, err := OpenWeights(filepath.Join(dir, "none"))
	wantError(t, err, dir, "checkpoint: open none: no such file or directory")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("want fs.ErrNotExist below it")
	}
	if err := os.Mkdir(filepath.Join(dir, "model.safetensors"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = OpenWeights(dir)
	wantError(t, err, dir, "checkpoint: open model.safetensors: a folder, wanted a regular file")
}

// A header that claims much takes no memory for it.
func TestNoHugeAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("needs the race detector off: it allocates too")
	}
	for name, content := range map[string]string{
		"length": "\x00\xe1\xf5\x05\x00\x00\x00\x00{}", // 100,000,000
		"shape":  file(`{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`, "1234"),
		"depth":  file(strings.Repeat(`{"a":`, 20000), ""),
		"ranks":  file(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 100000)+`1],"data_offsets":[0,8]}}`, "1234"),
	} {
		dir := folder(t, map[string]string{"model.safetensors": content})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := OpenWeights(dir)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		// Some slack for the JSON decoder, which copies the text a few times.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(100_000+50*len(content)); got > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d, want at most %d", name, got, len(content), limit)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestClose(t *testing.T) {
	w := open(t, folder(t, map[string]string{"model.safetensors": encode(t, bf16("a", 1))}))
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok := w.Get("a"); ok || len(w.Names()) != 0 {
		t.Error("tensors after Close")
	}
}

func TestHashStops(t *testing.T) {
	w := open(t, folder(t, map[string]string{"model.safetensors": encode(t, bf16("a", 1000))}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sum, err := w.Hash(ctx); !errors.Is(err, context.Canceled) || sum != "" {
		t.Errorf("%q, %v; want context.Canceled", sum, err)
	}
}
