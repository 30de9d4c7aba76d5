package logprob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// formats are what is said of the checkpoints of testdata/quantised.py.
var formats = map[string]string{
	"fp8-blocks":            "fp8 32x32",
	"fp8-deepseek_v3":       "fp8 128x128",
	"fp8-default":           "fp8 128x128",
	"fp8-tensor":            "fp8",
	"fp8-channel":           "fp8 channel",
	"fp8-compressed-tensor": "fp8 tensor",
	"fp8-compressed-block":  "fp8 32x32",
	"mxfp4-gpt_oss":         "mxfp4",
	"bnb-nf4":               "bitsandbytes nf4 64 nested",
	"bnb-fp4":               "bitsandbytes fp4 128",
	"awq":                   "awq 4-bit 32",
	"gptq-2":                "gptq 2-bit 32",
	"gptq-3":                "gptq 3-bit 32",
	"gptq-4":                "gptq 4-bit 32",
	"gptq-8":                "gptq 8-bit",
	"gguf-llama-k":          "gguf Q4_K Q5_K Q6_K",
	"gguf-qwen2":            "gguf Q8_0",
	"gguf-qwen3":            "gguf Q4_0 Q4_1",
	"gguf-qwen3moe":         "gguf F32 Q5_0 Q5_1 Q8_0",
	"gguf-qwen2moe":         "gguf F32 Q4_0 Q8_0",
	"gguf-qwen35":           "gguf F32 Q4_1 Q8_0",
	"gguf-qwen35moe":        "gguf F32 Q4_0 Q8_0",
	"gguf-mixtral":          "gguf F16 F32 Q4_1 Q8_0",
	"gguf-gemma":            "gguf F16 Q8_0",
	"gguf-gemma2":           "gguf Q8_0",
	"gguf-gemma3":           "gguf BF16 Q8_0",
	"gguf-phi2":             "gguf Q4_0 Q8_0",
	"gguf-phi3":             "gguf Q8_0",
}

// TestQuantised: every tensor has the bits, and every log-probability the value, that the
// format's own reader gives them, and what was scored is said.
func TestQuantised(t *testing.T) {
	paths, err := filepath.Glob("testdata/quantised/*/golden.json")
	if err != nil || len(paths) != len(formats) {
		t.Fatalf("%d quantised checkpoints, wanted %d", len(paths), len(formats))
	}
	for _, path := range paths {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			decodesAsReference(t, dir)
			t.Parallel()
			for _, backend := range backends(t) {
				if name := filepath.Base(dir); backend.String() != "go" && name != "fp8-blocks" && name != "mxfp4-gpt_oss" && name != "gguf-llama-k" {
					continue // the graph is another format's, and XLA takes long to compile it
				}
				m := load(t, dir, backend, dtypes.Float32)
				if largest, _ := worst(t, m, readGolden(t, dir)); !(largest <= 2e-5) {
					t.Errorf("%s: f32 differs by up to %.2g nats, wanted at most 2e-5", logprob.BackendName(backend), largest)
				}
				meta, err := m.Meta(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if want := formats[filepath.Base(dir)]; meta.Quantised != want || m.Quantised() != want {
					t.Errorf("quantised as %q, wanted %q", meta.Quantised, want)
				}
				doubts := 1
				switch {
				case filepath.Base(dir) == "gptq-4", // asymmetric in the first format
					filepath.Base(dir) == "gguf-qwen2" && tokenize.Available: // with a tokenizer of its own
					doubts = 2
				}
				if len(m.Warnings()) != doubts || !strings.Contains(m.Warnings()[0].Error(), meta.Quantised) {
					t.Errorf("warnings %v, wanted one that says how the weights are stored", m.Warnings())
				}
				m = load(t, dir, backend, 0)
				want := "bf16" // as config.json says
				if like := strings.SplitAfter(meta.Quantised, " ")[0]; like != "fp8" && like != "fp8 " && like != "mxfp4" && filepath.Base(dir) != "bnb-nf4" {
					want = "f32"
				}
				if meta, err = m.Meta(t.Context()); err != nil || meta.DType != want {
					t.Errorf("computed in %s, %v; wanted %s", meta.DType, err, want)
				}
			}
		})
	}
}

// decodesAsReference compares the bits of every tensor.
func decodesAsReference(t *testing.T, dir string) {
	t.Helper()
	var want struct{ Decoded map[string]string }
	b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err == nil {
		err = json.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, w, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if len(w.Names()) != len(want.Decoded) {
		t.Errorf("%d tensors, wanted %d", len(w.Names()), len(want.Decoded))
	}
	packed := 0
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(checkpoint.Float32(name, values, tensor.Shape...).Data)
		if hex.EncodeToString(sum[:]) != want.Decoded[name] {
			t.Errorf("%s: other bits than the reference's", name)
		}
		if tensor.Quantised() {
			packed++
		}
		if n := tensor.Shape[0]; n > 1 {
			part, err := tensor.Rows(n/2, n).Float32s()
			if err != nil || !checkpoint.Float32(name, part, len(part)).Equal(checkpoint.Float32(name, values[len(values)-len(part):], len(part))) {
				t.Errorf("%s: rows from %d on differ from those of the whole: %v", name, n/2, err)
			}
		}
	}
	if packed == 0 {
		t.Error("no tensor is quantised")
	}
}

// TestIdleBias: AutoGPTQ saves a bias with every linear layer, which is all 0 where the model has
// none; another is no part of the model.
func TestIdleBias(t *testing.T) {
	const from = "testdata/quantised/gptq-3"
	w, err := checkpoint.OpenWeights(from)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	config, err := os.ReadFile(from + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	g := readGolden(t, from)
	for _, bias := range []float32{0, 1} {
		dir, values := t.TempDir(), make([]float32, 64)
		values[63] = bias
		tensors := []checkpoint.Tensor{checkpoint.Float32("model.layers.0.mlp.down_proj.bias", values, 64)}
		for _, name := range w.Names() {
			stored, _ := w.Get(name)
			stored.Data = stored.Raw()
			tensors = append(tensors, stored)
		}
		var b bytes.Buffer
		if err := checkpoint.Write(&b, tensors, nil); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"config.json": config, "model.safetensors": b.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if bias == 0 {
			if allBits(t, load(t, dir, pureGo(t), dtypes.Float32), g) != allBits(t, load(t, from, pureGo(t), dtypes.Float32), g) {
				t.Error("other bits with a bias of 0")
			}
			if _, err := logprob.WriteCheckpoint(t.Context(), dir, dir+"/plain", nil, nil); err != nil {
				t.Fatal(err)
			}
			adapter := t.TempDir() + "/adapter"
			if err := logprob.NewAdapter(t.Context(), dir, adapter, &logprob.AdapterOptions{R: 4, Targets: []string{"all-linear"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := logprob.Merge(t.Context(), dir, adapter, dir+"/merged", nil); err != nil {
				t.Fatal(err)
			}
			for _, out := range []string{"/plain", "/merged"} {
				load(t, dir+out, pureGo(t), dtypes.Float32)
			}
		} else if _, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t)}); err == nil || !strings.Contains(err.Error(), "down_proj.bias is not used by the model") {
			t.Errorf("%v, wanted the bias to be refused", err)
		}
	}
}

// TestQuantisedBase: a checkpoint that is written of a quantised one computes its bits, and on
// either an adapter, its merge, its gradients and a memory too small for all weights have the
// same.
func TestQuantisedBase(t *testing.T) {
	backend := pureGo(t)
	for name := range formats {
		if testing.Short() && name != "fp8-blocks" && name != "mxfp4-gpt_oss" && name != "gguf-llama-k" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := filepath.Join("testdata/quantised", name)
			g, dir := readGolden(t, from), t.TempDir()
			plain := filepath.Join(dir, "plain")
			if _, err := logprob.WriteCheckpoint(t.Context(), from, plain, nil, nil); err != nil {
				t.Fatal(err)
			}
			want := allBits(t, load(t, plain, backend, dtypes.Float32), g)
			if allBits(t, load(t, from, backend, dtypes.Float32), g) != want {
				t.Error("other bits than what was written of it")
			}
			if allBits(t, inLeast(t, from, backend), g) != want {
				t.Error("other bits in little memory")
			}
			adapter := filepath.Join(dir, "adapter")
			if err := logprob.NewAdapter(t.Context(), from, adapter+"-0", &logprob.AdapterOptions{R: 4, Targets: []string{"all-linear"}}); err != nil {
				t.Fatal(err)
			}
			var values []*logprob.Param
			for _, p := range params(t, adapter+"-0/adapter_model.safetensors") {
				for i := range p.Value {
					p.Value[i] += 0.01 * float32(i%7-3)
				}
				values = append(values, p)
			}
			if err := logprob.WriteAdapter(t.Context(), adapter+"-0", adapter, values); err != nil {
				t.Fatal(err)
			}
			var bits, gradients [2]string
			for i, base := range []string{from, plain} {
				m, err := logprob.Load(t.Context(), base, &logprob.Options{Backend: backend, DType: dtypes.Float32, Adapter: adapter})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				bits[i], gradients[i] = allBits(t, m, g), gradientBits(t, m, g)
				if _, err := logprob.Merge(t.Context(), base, adapter, mergedIn(dir, i), &logprob.MergeOptions{DType: dtypes.Float32}); err != nil {
					t.Fatal(err)
				}
			}
			if bits[0] != bits[1] || bits[0] == want || gradients[0] != gradients[1] {
				t.Error("other bits with an adapter than on what was written")
			}
			merged := allBits(t, load(t, mergedIn(dir, 0), backend, 0), g)
			if merged != allBits(t, load(t, mergedIn(dir, 1), backend, 0), g) {
				t.Error("other bits after a merge than of what was written")
			}
		})
	}
}

func mergedIn(dir string, i int) string { return filepath.Join(dir, "merged", string(rune('a'+i))) }

// inLeast loads a model in about the least memory that it can be in.
func inLeast(t *testing.T, dir string, backend compute.Backend) *logprob.Model {
	t.Helper()
	for limit := int64(1); ; limit *= 2 {
		m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: backend, DType: dtypes.Float32, MemoryLimit: limit})
		if err == nil {
			t.Cleanup(func() { m.Close() })
			return m
		}
		if limit > 1<<40 {
			t.Fatal(err)
		}
	}
}

// gradientBits are those of an adapter's gradients of the sum of the texts' log-probabilities.
func gradientBits(t *testing.T, m *logprob.Model, g golden) string {
	t.Helper()
	tuning, err := m.Tune(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tuning.Close()
	pass, err := tuning.Forward(t.Context(), [][]logprob.Request{{{IDs: g.Texts[0].IDs, From: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer pass.Close()
	ones := make([]float64, len(g.Texts[0].IDs)-1)
	for i := range ones {
		ones[i] = 1
	}
	if err := pass.Backward(t.Context(), [][]logprob.Outputs{{{LogProbs: ones}}}); err != nil {
		t.Fatal(err)
	}
	all := map[string][]float32{}
	for _, p := range tuning.Params() {
		all[p.Name] = p.Grad
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
