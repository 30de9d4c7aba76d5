package logprob_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// dense opens a checkpoint for the reference forward.
func dense(t *testing.T, dir string, backend compute.Backend, dtype dtypes.DType) *arch.Dense {
	t.Helper()
	config, err := checkpoint.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	model, err := arch.New(config, func(name string) bool {
		_, ok := weights.Get(name)
		return ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return &arch.Dense{Model: model, Backend: backend, DType: dtype, Rows: func(tensor arch.Tensor, from, to int) ([]float32, error) {
		w, ok := weights.Get(tensor.Name)
		if !ok {
			t.Fatalf("no tensor %s", tensor.Name)
		}
		return w.Rows(from, to).Float32s()
	}}
}

// TestDense holds the reference forward in float64 to transformers in float32, for every
// checkpoint, and its two backends to one another.
func TestDense(t *testing.T) {
	all := backends(t)
	for _, path := range references(t) {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			d := dense(t, dir, all[0], dtypes.Float64)
			g := upTo(readGolden(t, dir), d.Model.Context)
			var texts [][]int32
			for _, text := range g.Texts {
				texts = append(texts, text.IDs)
			}
			got, err := d.LogProbs(t.Context(), texts)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]arch.LogProbs, len(got))
			for i, text := range g.Texts {
				want[i].Tokens = text.LogProbs
			}
			want[0].Next = g.Next
			if largest := furthest(t, got, want); !(largest <= 1e-5) {
				t.Errorf("differs from transformers by up to %.2g nats, wanted at most 1e-5", largest)
			}
			if len(all) == 1 || !slices.Contains(kinds, filepath.Base(dir)) {
				return // XLA takes seconds to compile
			}
			other := dense(t, dir, all[1], dtypes.Float64)
			if want, err = other.LogProbs(t.Context(), texts); err != nil {
				t.Fatal(err)
			}
			if largest := furthest(t, got, want); !(largest <= 1e-11) {
				t.Errorf("the backends differ by up to %.2g nats, wanted at most 1e-11", largest)
			}
		})
	}
}

// furthest is the largest difference between two sets of log-probabilities. A row after a
// text is compared where want has it.
func furthest(t *testing.T, got, want []arch.LogProbs) float64 {
	t.Helper()
	largest := 0.0
	compare := func(got, want []float64) {
		if len(got) != len(want) {
			t.Fatalf("%d log-probabilities, wanted %d", len(got), len(want))
		}
		for i, x := range got {
			if d := math.Abs(x - want[i]); !(d <= largest) { // a NaN too
				largest = d
			}
		}
	}
	for i := range want {
		compare(got[i].Tokens, want[i].Tokens)
		if want[i].Next != nil {
			compare(got[i].Next, want[i].Next)
		}
	}
	return largest
}

// TestEngineDense holds the engine in float32 to the reference on checkpoints with random
// weights and texts that are larger than any golden: several slices of the vocabulary,
// several batches, windows that a text outgrows, prompts that many replies share.
func TestEngineDense(t *testing.T) {
	if testing.Short() {
		t.Skip("long: hundreds of tokens in float64")
	}
	all := backends(t)
	for i, name := range kinds {
		backend := all[0]
		if name == "gemma2-base" { // one of them: XLA takes many seconds to compile
			backend = all[len(all)-1]
		}
		t.Run(logprob.BackendName(backend)+"/"+name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := rand.New(rand.NewPCG(13, uint64(i)))
			writeRandom(t, "testdata/families/"+name, dir, r)
			d := dense(t, dir, backend, dtypes.Float64)
			m := loadUnmeasured(t, dir, backend, dtypes.Float32)
			draw := func(n int) []int32 {
				ids := make([]int32, n)
				for i := range ids {
					ids[i] = int32(r.IntN(m.VocabSize()))
				}
				return ids
			}
			long, short := draw(700), draw(9)
			texts := [][]int32{long, slices.Concat(long[:150], draw(3)), slices.Concat(long[:150], draw(20)),
				slices.Concat(short, draw(1)), slices.Concat(short, draw(5)), short[:1]}
			var requests []logprob.Request
			for _, ids := range texts {
				requests = append(requests, logprob.Request{IDs: ids, From: 1, Distribution: true})
			}
			var got []arch.LogProbs
			for a, err := range m.Run(t.Context(), slices.Values(requests)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, arch.LogProbs{Tokens: float64s(a.LogProbs), Next: float64s(a.Distribution)})
			}
			want, err := d.LogProbs(t.Context(), texts)
			if err != nil {
				t.Fatal(err)
			}
			largest := furthest(t, got, want)
			t.Logf("largest difference %.2g", largest)
			if !(largest <= 5e-5) {
				t.Errorf("the engine differs by up to %.2g nats, wanted at most 5e-5", largest)
			}
		})
	}
}

func float64s(from []float32) []float64 {
	to := make([]float64, len(from))
	for i, x := range from {
		to[i] = float64(x)
	}
	return to
}

// writeRandom writes a checkpoint of the family of the folder from, four times as wide and
// for longer texts, with random weights.
func writeRandom(t *testing.T, from, to string, r *rand.Rand) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	grow := func(c map[string]any) {
		for key, n := range map[string]float64{"vocab_size": 9001, "vocab_size_per_layer_input": 9001, "max_position_embeddings": 1024, "n_positions": 1024,
			"original_max_position_embeddings": 1024, "sliding_window": 100} {
			if c[key] != nil {
				c[key] = n
			}
		}
		for _, key := range []string{"hidden_size", "word_embed_proj_dim", "n_embd", "head_dim", "intermediate_size",
			"qk_rope_head_dim", "qk_nope_head_dim", "qk_head_dim", "v_head_dim", "mamba_d_head"} {
			if n, ok := c[key].(float64); ok {
				c[key] = 4 * n
			}
		}
	}
	if text, ok := config["text_config"].(map[string]any); ok {
		grow(text)
	} else {
		grow(config)
	}
	if b, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "config.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := checkpoint.ReadConfig(to)
	if err != nil {
		t.Fatal(err)
	}
	old, err := checkpoint.OpenWeights(from)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	model, err := arch.New(keys, func(name string) bool {
		_, ok := old.Get(name)
		return ok
	})
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, w := range model.Tensors() {
		mean, spread := 0.0, 0.2
		less1 := strings.HasPrefix(model.Type, "gemma") && !strings.HasPrefix(model.Type, "gemma3n") || strings.HasPrefix(model.Type, "qwen3_5") && !strings.Contains(w.Name, ".linear_attn.")
		switch {
		case len(w.Shape) > 1:
			spread = 1.5 / math.Sqrt(float64(model.D))
		case strings.HasPrefix(model.Type, "gemma3n"), strings.HasPrefix(model.Type, "gemma4"):
			mean = 1 // norms and factors
		case strings.HasSuffix(w.Name, ".weight") && !less1: // of a norm; Gemma's and Qwen 3.5's are the weight less 1
			mean = 1
		}
		n := 1
		for _, d := range w.Shape {
			n *= d
		}
		var data []byte
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(mean+spread*r.NormFloat64())))
		}
		tensors = append(tensors, checkpoint.Tensor{Name: w.Name, DType: dtypes.Float32, Shape: w.Shape, Data: data})
	}
	f, err := os.Create(filepath.Join(to, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(checkpoint.Write(f, tensors, nil), f.Close()); err != nil {
		t.Fatal(err)
	}
}
