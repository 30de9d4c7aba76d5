package logprob_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// awqExperts writes a checkpoint again with experts of 4-bit numbers, any that they can be.
func awqExperts(t *testing.T, from, dir string) {
	t.Helper()
	w, err := checkpoint.OpenWeights(from)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := rand.New(rand.NewPCG(1, 2))
	random := func(name string, dtype dtypes.DType, low, high byte, shape ...int) checkpoint.Tensor {
		data := make([]byte, shape[0]*shape[1]*dtype.Size())
		for i := range data {
			data[i] = byte(r.Uint32())
			if dtype == dtypes.Float16 && i%2 == 1 {
				data[i] = low + data[i]%(high-low)
			}
		}
		return checkpoint.Tensor{Name: name, DType: dtype, Shape: shape, Data: data}
	}
	var tensors []checkpoint.Tensor
	for _, name := range w.Names() {
		stored, _ := w.Get(name)
		module, ok := strings.CutSuffix(name, "_proj.weight")
		if !ok || !strings.Contains(name, ".experts.") {
			tensors = append(tensors, stored)
			continue
		}
		n, k := stored.Shape[0], stored.Shape[1]
		module += "_proj"
		tensors = append(tensors, random(module+".qweight", dtypes.Int32, 0, 0, k, n/8), random(module+".qzeros", dtypes.Int32, 0, 0, 1, n/8),
			random(module+".scales", dtypes.Float16, 0x20, 0x28, 1, n)) // of 2^-7 to 2^-5
	}
	if len(tensors) == len(w.Names()) {
		t.Fatal("no expert is quantised")
	}
	var b bytes.Buffer
	var keys map[string]any
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = json.Unmarshal(config, &keys)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys["quantization_config"] = map[string]any{"quant_method": "awq", "group_size": -1}
	if config, err = json.Marshal(keys); err == nil {
		err = checkpoint.Write(&b, tensors, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"config.json": config, "model.safetensors": b.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQuantisedExperts: experts that are decoded compute what those that are written decoded do,
// also where they are read one by one.
func TestQuantisedExperts(t *testing.T) {
	const from = "testdata/families/deepseek_v3-groups"
	dir, plain := t.TempDir(), t.TempDir()+"/plain"
	awqExperts(t, from, dir)
	g, backend := readGolden(t, from), pureGo(t)
	if _, err := logprob.WriteCheckpoint(t.Context(), dir, plain, nil, nil); err != nil {
		t.Fatal(err)
	}
	want := allBits(t, load(t, plain, backend, dtypes.Float32), g)
	if want == allBits(t, load(t, from, backend, dtypes.Float32), g) {
		t.Error("the experts do not bear on the numbers")
	}
	if allBits(t, load(t, dir, backend, dtypes.Float32), g) != want {
		t.Error("other bits than what was written of it")
	}
	if allBits(t, inLeast(t, dir, backend), g) != want {
		t.Error("other bits in little memory")
	}
}
