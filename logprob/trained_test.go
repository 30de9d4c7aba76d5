package logprob_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestWriteCheckpoint: a checkpoint that is written anew computes the bits of the one it is made
// of, in every family; with other values of a tensor it has those; a classifier's trunk has the
// same tensors. (TestSaved of package rewardmodel holds all to transformers.)
func TestWriteCheckpoint(t *testing.T) {
	backend := pureGo(t)
	for _, dir := range families(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			base := load(t, dir, backend, dtypes.Float32)
			g := upTo(readGolden(t, dir), base.MaxTokens())
			out := filepath.Join(t.TempDir(), "out")
			write := func(from, to string, params []*logprob.Param, o *logprob.CheckpointOptions) {
				t.Helper()
				warnings, err := logprob.WriteCheckpoint(t.Context(), from, to, params, o)
				if err != nil {
					t.Fatal(err)
				}
				if len(warnings) == 0 || !strings.Contains(warnings[0].Error(), "no tokenizer.json to copy") {
					t.Errorf("warnings %v", warnings)
				}
			}
			write(dir, out, nil, nil)
			if allBits(t, load(t, out, backend, 0), g) != allBits(t, base, g) {
				t.Error("other bits than the base model's")
			}
			write(out, out+"-again", nil, nil)
			sameFiles(t, out, out+"-again")
			p := params(t, out+"/model.safetensors")[0]
			for i := range p.Value {
				p.Value[i] += 1
			}
			write(dir, out+"-changed", []*logprob.Param{p}, nil)
			if got := params(t, out+"-changed/model.safetensors")[0]; got.Name != p.Name || !slices.Equal(got.Value, p.Value) {
				t.Errorf("%s has other values than were written", p.Name)
			}
			if f, _ := arch.FamilyOf(family(dir)); f.Classifier == "" {
				return // transformers has none
			}
			write(dir, out+"-rm", nil, &logprob.CheckpointOptions{Classifier: true, Seed: 1})
			write(out+"-rm", out+"-rm-again", nil, &logprob.CheckpointOptions{Classifier: true, Seed: 2})
			sameFiles(t, out+"-rm", out+"-rm-again")
			m, err := logprob.Load(t.Context(), out+"-rm", &logprob.Options{Backend: backend, Trunk: true})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if beside := m.Beside(); !slices.Equal(beside, []string{"score.weight"}) {
				t.Errorf("%q beside the trunk, wanted the score row alone", beside)
			}
		})
	}
}

// TestWriteCheckpointConfig: what a classifier's config.json says, and a tokenizer that comes
// along and names the pad token.
func TestWriteCheckpointConfig(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	if err := os.CopyFS(base, os.DirFS("testdata/families/llama-tied-copy")); err != nil {
		t.Fatal(err)
	}
	edit := func(change func(map[string]any)) {
		t.Helper()
		var config map[string]any
		b, err := os.ReadFile(base + "/config.json")
		if err == nil {
			err = json.Unmarshal(b, &config)
		}
		if err == nil {
			change(config)
			b, err = json.Marshal(config)
		}
		if err == nil {
			err = os.WriteFile(base+"/config.json", b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit(func(c map[string]any) {
		delete(c, "pad_token_id")
		delete(c, "id2label")
		delete(c, "label2id")
	})
	if err := os.WriteFile(base+"/generation_config.json", []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "rm")
	warnings, err := logprob.WriteCheckpoint(t.Context(), base, out, nil, &logprob.CheckpointOptions{Classifier: true})
	if err != nil || len(warnings) != 2 || !strings.Contains(warnings[1].Error(), "names a pad token") {
		t.Fatalf("%v, %v, wanted a doubt about the pad token", warnings, err)
	}
	keys, err := checkpoint.ReadConfig(out)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"architectures": `["LlamaForSequenceClassification"]`, "id2label": `{"0":"LABEL_0"}`, "label2id": `{"LABEL_0":0}`,
		"tie_word_embeddings": "true", "dtype": `"float32"`,
	} {
		if got := string(keys[key]); got != want {
			t.Errorf("%s is %s, wanted %s", key, got, want)
		}
	}
	if _, err := os.Stat(out + "/generation_config.json"); err == nil {
		t.Error("a classifier that generates")
	}
	for _, p := range params(t, out+"/model.safetensors") {
		if p.Name == "lm_head.weight" {
			t.Error("a classifier with a vocabulary head")
		}
	}
	edit(func(c map[string]any) { c["pad_token_id"] = 2 })
	if warnings, err := logprob.WriteCheckpoint(t.Context(), base, out+"-pad", nil, &logprob.CheckpointOptions{Classifier: true}); err != nil || len(warnings) != 1 {
		t.Errorf("%v, %v, wanted a doubt about the tokenizer alone", warnings, err)
	}
}

// TestNewCheckpoint: random weights of every family are drawn as transformers draws them, the
// same for the same seed, and compute finite numbers near those of a uniform distribution.
// (TestSaved of package rewardmodel holds their distributions to from_config's.)
func TestNewCheckpoint(t *testing.T) {
	backend := pureGo(t)
	for _, dir := range families(t) {
		keys, err := checkpoint.ReadConfig(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := arch.New(keys, func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if m.Multimodal || m.Recurrent() {
			continue // see TestCheckpointsRefused
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			from := t.TempDir() // with config.json alone
			config, err := os.ReadFile(dir + "/config.json")
			if err == nil {
				err = os.WriteFile(from+"/config.json", config, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "out")
			for i, to := range []string{out, out + "-same", out + "-other"} {
				if err := logprob.NewCheckpoint(t.Context(), from, to, uint64(1+i/2)); err != nil {
					t.Fatal(err)
				}
			}
			sameFiles(t, out, out+"-same")
			a, b := params(t, out+"/model.safetensors"), params(t, out+"-other/model.safetensors")
			for i, p := range a {
				constant := !slices.ContainsFunc(p.Value, func(x float32) bool { return x != p.Value[0] })
				// Cohere's norms of heads are [N K], and biases of GPT-OSS's experts [E out].
				drawn := len(p.Shape) > 1 && !strings.HasSuffix(p.Name, "_norm.weight") && !strings.HasSuffix(p.Name, "_bias")
				drawn = drawn || strings.HasSuffix(p.Name, ".sinks") || strings.HasSuffix(p.Name, ".router.bias")
				if constant == drawn || slices.Equal(p.Value, b[i].Value) == drawn {
					t.Errorf("%s %v: constant %v, wanted %v, and another by another seed: %v", p.Name, p.Shape, constant, !drawn, drawn)
				}
			}
			m := load(t, out, backend, 0)
			for _, p := range scoreIDs(t, m, upTo(readGolden(t, dir), m.MaxTokens())) {
				if math.IsNaN(p) || math.Abs(p+math.Log(float64(m.VocabSize()))) > 1.5 {
					t.Fatalf("ln p of a token is %g, wanted about %g", p, -math.Log(float64(m.VocabSize())))
				}
			}
		})
	}
}

// scoreIDs are ln p of all tokens of golden texts but the first.
func scoreIDs(t *testing.T, m *logprob.Model, g golden) (all []float64) {
	t.Helper()
	for _, text := range g.Texts {
		if len(text.IDs) < 2 {
			continue
		}
		for r, err := range m.Run(t.Context(), slices.Values([]logprob.Request{{IDs: text.IDs, From: 1}})) {
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.LogProbs {
				all = append(all, float64(x))
			}
		}
	}
	return all
}

// TestInitialWeights: gpt2's residual matrices, the row of padding, gemma's norms.
func TestInitialWeights(t *testing.T) {
	deviation := func(values []float32) float64 {
		sum := 0.0
		for _, x := range values {
			sum += float64(x) * float64(x)
		}
		return math.Sqrt(sum / float64(len(values)))
	}
	fresh := func(config string) map[string][]float32 {
		t.Helper()
		from, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(from+"/config.json", []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := logprob.NewCheckpoint(t.Context(), from, out, 5); err != nil {
			t.Fatal(err)
		}
		all := map[string][]float32{}
		for _, p := range params(t, out+"/model.safetensors") {
			all[p.Name] = p.Value
		}
		return all
	}
	gpt2 := fresh(`{"model_type":"gpt2","vocab_size":100,"n_embd":64,"n_head":2,"n_layer":8,"n_positions":32,"initializer_range":0.1,"pad_token_id":3}`)
	for name, want := range map[string]float64{
		"transformer.h.7.attn.c_proj.weight": 0.1 / 4, "transformer.h.0.mlp.c_proj.weight": 0.1 / 4, // sqrt(2 * 8)
		"transformer.h.0.attn.c_attn.weight": 0.1, "transformer.wte.weight": 0.1, "transformer.wpe.weight": 0.1,
	} {
		// Six standard errors of a deviation: sqrt(1/2n).
		if got, n := deviation(gpt2[name]), float64(len(gpt2[name])); math.Abs(got/want-1) > 6*math.Sqrt(1/(2*n)) {
			t.Errorf("%s has a deviation of %g, wanted %g", name, got, want)
		}
	}
	if deviation(gpt2["transformer.wte.weight"][3*64:4*64]) == 0 {
		t.Error("gpt2 has no row of padding")
	}
	const sizes = `"vocab_size":50,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":8,"max_position_embeddings":64,"rms_norm_eps":1e-6`
	llama := fresh(`{"model_type":"llama",` + sizes + `,"pad_token_id":-1,"tie_word_embeddings":true}`)
	if table := llama["model.embed_tokens.weight"]; deviation(table[49*16:]) != 0 || deviation(table[48*16:49*16]) == 0 || llama["lm_head.weight"] != nil {
		t.Error("wanted the last row of tied embeddings, that of padding, to be 0, and no other")
	}
	if deviation(llama["model.norm.weight"]) != 1 {
		t.Error("llama's norms are not 1")
	}
	gemma := fresh(`{"model_type":"gemma2",` + sizes + `,"query_pre_attn_scalar":8,"sliding_window":8,"attn_logit_softcapping":null,"final_logit_softcapping":null,"pad_token_id":null}`)
	if norm := gemma["model.norm.weight"]; norm == nil || deviation(norm) != 0 {
		t.Errorf("gemma's norms are %v, wanted 0", norm)
	}
}

// TestCheckpointsRefused: what cannot be written is refused by name, and leaves nothing behind.
func TestCheckpointsRefused(t *testing.T) {
	const base = "testdata/families/llama-mha"
	ctx := t.Context()
	there, gone := t.TempDir(), filepath.Join(t.TempDir(), "out")
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	p := params(t, base+"/model.safetensors")[0]
	write := func(base string, o logprob.CheckpointOptions, params ...*logprob.Param) error {
		_, err := logprob.WriteCheckpoint(ctx, base, gone, params, &o)
		return err
	}
	fresh := func(config string) error {
		from := t.TempDir()
		if err := os.WriteFile(from+"/config.json", []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		return logprob.NewCheckpoint(ctx, from, gone, 0)
	}
	without := func(model, key string, value any) string {
		keys, err := checkpoint.ReadConfig("testdata/families/" + model)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		keys[key] = b
		if b, err = json.Marshal(keys); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	of := func(_ []error, err error) error { return err }
	nan := &logprob.Param{Name: p.Name, Shape: p.Shape, Value: slices.Clone(p.Value)}
	nan.Value[1] = float32(math.NaN())
	for _, c := range []struct {
		err  error
		want string
	}{
		{of(logprob.WriteCheckpoint(ctx, base, there, nil, nil)), "exists, wanted a new folder"},
		{of(logprob.WriteCheckpoint(canceled, base, gone, nil, nil)), "context canceled"},
		{write(there, logprob.CheckpointOptions{}), "no config.json"},
		{write(base, logprob.CheckpointOptions{}, p, p), "twice"},
		{write(base, logprob.CheckpointOptions{}, nan), "has NaN at 1, wanted finite numbers"},
		{write(base, logprob.CheckpointOptions{}, &logprob.Param{Name: p.Name, Shape: []int{2}, Value: []float32{1, 2}}), "has shape [2], wanted"},
		{write(base, logprob.CheckpointOptions{}, &logprob.Param{Name: "x", Shape: []int{1}, Value: []float32{1}}), "tensor x, which"},
		{write(base, logprob.CheckpointOptions{}, &logprob.Param{Name: "score.weight", Shape: []int{1}, Value: []float32{1}}), "tensor score.weight, which"},
		{write(base, logprob.CheckpointOptions{Classifier: true}, &logprob.Param{Name: "score.weight", Shape: []int{1}, Value: []float32{1}}), "score.weight has shape [1], wanted [1 "},
		{write(base, logprob.CheckpointOptions{Classifier: true}, &logprob.Param{Name: "lm_head.weight", Shape: []int{1}, Value: []float32{1}}), "tensor lm_head.weight, which"},
		{write("testdata/families/granite-factors", logprob.CheckpointOptions{Classifier: true}), "of which transformers has no ForSequenceClassification"},
		{logprob.NewCheckpoint(ctx, base, there, 0), "exists, wanted a new folder"},
		{logprob.NewCheckpoint(canceled, base, gone, 0), "context canceled"},
		{logprob.NewCheckpoint(ctx, there, gone, 0), "no config.json"},
		{logprob.NewCheckpoint(ctx, "testdata/families/gemma3-hub", gone, 0), "model_type gemma3, multimodal, wanted a language model alone"},
		{fresh(`{"model_type":"bert"}`), `model_type "bert"`},
		{fresh(without("llama-mha", "pad_token_id", 1000)), "pad_token_id is 1000, wanted a row of the vocabulary"},
		{fresh(without("llama-mha", "pad_token_id", "no")), `pad_token_id is "no"`},
		{fresh(without("llama-mha", "initializer_range", -1)), "initializer_range is -1"},
		{fresh(without("llama-mha", "initializer_range", "x")), `initializer_range is "x"`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, wanted one with %s", c.err, c.want)
		}
	}
	for _, path := range []string{gone, gone + ".part"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is there after errors", path)
		}
	}
}

// TestNewAdapterScore: the adapter of a model that has a score row begins with it, and of one with
// several labels is refused.
func TestNewAdapterScore(t *testing.T) {
	dir := t.TempDir()
	row := &logprob.Param{Name: "score.weight", Shape: []int{1, 32}, Value: make([]float32, 32)}
	for i := range row.Value {
		row.Value[i] = float32(i)
	}
	const base = "testdata/families/llama-mha"
	if _, err := logprob.WriteCheckpoint(t.Context(), base, dir+"/rm", []*logprob.Param{row}, &logprob.CheckpointOptions{Classifier: true}); err != nil {
		t.Fatal(err)
	}
	if err := logprob.NewAdapter(t.Context(), dir+"/rm", dir+"/adapter", &logprob.AdapterOptions{R: 1, Classifier: true}); err != nil {
		t.Fatal(err)
	}
	var got []float32
	for _, p := range params(t, dir+"/adapter/adapter_model.safetensors") {
		if p.Name == "base_model.model.score.weight" {
			got = p.Value
		}
	}
	if !slices.Equal(got, row.Value) {
		t.Errorf("the score row is %v, wanted the base's", got)
	}
	err := logprob.NewAdapter(t.Context(), "../implicit/rewardmodel/testdata/families/llama-three", dir+"/three", &logprob.AdapterOptions{R: 1, Classifier: true})
	if err == nil || !strings.Contains(err.Error(), "score.weight has shape [3 ") {
		t.Errorf("three labels: %v", err)
	}
}
