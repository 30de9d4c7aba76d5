//go:build !nodaulet

package rewardmodel

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// smollm2 is where make real puts the model.
const smollm2 = "../../.deps/models/smollm2-135m-instruct"

// realReference is testdata/smollm2/reference.json: what transformers and peft compute of the
// same folder with a head and adapters that a rule makes (setup/real_rewards.py).
type realReference struct {
	ModelSHA256 string `json:"model_sha256"`
	Items       []struct {
		Prompt           string
		Chosen, Rejected realReply
	}
}

type realReply struct {
	Reply          string
	IDs            []int32
	Score, Adapted float64
	PromptIDs      []int32 `json:"prompt_ids"`
	ReplyIDs       []int32 `json:"reply_ids"`
	Base, Tuned    float64
}

// byRule are the elements of a tensor as setup/real_rewards.py makes them: the upper 24 bits
// of splitmix64 at FNV-1a(name) + i, from -scale to scale.
func byRule(name string, n int) []byte {
	const scale = 1.0 / 16 // of every kind of tensor there
	h := fnv.New64a()
	h.Write([]byte(name))
	data := make([]byte, 0, 4*n)
	for i := range n {
		x := h.Sum64() + uint64(i) + 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x ^= x >> 31
		v := (float64(x>>40)/(1<<23) - 1) * scale
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
	}
	return data
}

func writeTensors(t *testing.T, path string, tensors ...checkpoint.Tensor) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = checkpoint.Write(f, tensors, map[string]string{"format": "pt"})
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// realRM is the real model's folder with score.weight [1 576] beside its weights.
func realRM(t *testing.T) string {
	t.Helper()
	base, err := filepath.Abs(smollm2)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for from, to := range map[string]string{"model.safetensors": "trunk.safetensors", "tokenizer.json": "tokenizer.json", "tokenizer_config.json": "tokenizer_config.json"} {
		if err := os.Symlink(filepath.Join(base, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	writeTensors(t, filepath.Join(dir, "score.safetensors"),
		checkpoint.Tensor{Name: "score.weight", DType: dtypes.Float32, Shape: []int{1, 576}, Data: byRule("score.weight", 576)})
	weights, err := checkpoint.OpenWeights(base)
	if err != nil {
		t.Fatal(err)
	}
	index := map[string]string{"score.weight": "score.safetensors"}
	for _, name := range weights.Names() {
		index[name] = "trunk.safetensors"
	}
	if err := weights.Close(); err != nil {
		t.Fatal(err)
	}
	writeJSON(t, filepath.Join(dir, "model.safetensors.index.json"), map[string]any{"metadata": map[string]any{}, "weight_map": index})
	var config map[string]any
	readJSON(t, filepath.Join(base, "config.json"), &config)
	config["architectures"] = []string{"LlamaForSequenceClassification"}
	config["id2label"], config["label2id"] = map[string]string{"0": "LABEL_0"}, map[string]int{"LABEL_0": 0}
	writeJSON(t, filepath.Join(dir, "config.json"), config)
	return dir
}

// realBackend skips without the real model, and returns the backend and the reference.
func realBackend(t *testing.T) (compute.Backend, realReference) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: a minute")
	}
	weights, err := os.Open(filepath.Join(smollm2, "model.safetensors"))
	if err != nil {
		t.Skip("needs the real model (make real)")
	}
	defer weights.Close()
	var ref realReference
	readJSON(t, "testdata/smollm2/reference.json", &ref)
	hash := sha256.New()
	if _, err := io.Copy(hash, weights); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != ref.ModelSHA256 {
		t.Fatalf("%s has sha256 %s, wanted %s, of which the reference was made: run make real anew", smollm2, got, ref.ModelSHA256)
	}
	b, err := onXLA()
	if err != nil {
		return pureGo(t), ref
	}
	return b, ref
}

// TestSmolLM2 compares a real model with a head of random weights with transformers: the ids
// that conversations render to, every score within 1e-4 of its size, and which reply of each
// pair is preferred.
func TestSmolLM2(t *testing.T) {
	backend, ref := realBackend(t)
	m, err := load(t, realRM(t), &Options{Model: logprob.Options{Backend: backend, DType: dtypes.Float32}})
	if err != nil {
		t.Fatal(err)
	}
	compareReal(t, m, ref, func(r realReply) float64 { return r.Score })
}

// TestSmolLM2Adapters is TestSmolLM2 of the same model with LoRA and a head of its own, and
// of the log-probabilities of the causal model with LoRA and without, which share one copy of
// the weights.
func TestSmolLM2Adapters(t *testing.T) {
	backend, ref := realBackend(t)
	o := logprob.Options{Backend: backend, DType: dtypes.Float32}
	m, err := load(t, realRM(t)+"+"+realAdapter(t, "SEQ_CLS"), &Options{Model: o})
	if err != nil {
		t.Fatal(err)
	}
	compareReal(t, m, ref, func(r realReply) float64 { return r.Adapted })
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	base, err := logprob.Load(t.Context(), smollm2, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Close() })
	tuned, err := base.WithAdapter(t.Context(), realAdapter(t, "CAUSAL_LM"), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tuned.Close() })
	var texts []tokenize.Encoded
	var replies []realReply
	for _, it := range ref.Items {
		for _, r := range []realReply{it.Chosen, it.Rejected} {
			text, err := base.Tokenizer().Chat(it.Prompt, r.Reply, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(text.IDs, slices.Concat(r.PromptIDs, r.ReplyIDs)) || text.Reply != len(r.PromptIDs) {
				t.Errorf("%q after %q: ids %v, wanted %v and %v", r.Reply, it.Prompt, text.IDs, r.PromptIDs, r.ReplyIDs)
			}
			texts, replies = append(texts, text), append(replies, r)
		}
	}
	of := map[string][]float64{}
	for name, m := range map[string]*logprob.Model{"base": base, "tuned": tuned} {
		for s, err := range logprob.Score(t.Context(), m, slices.Values(texts)) {
			if err != nil {
				t.Fatal(err)
			}
			of[name] = append(of[name], s.Sum())
		}
	}
	largest, agree := 0.0, 0
	for i, r := range replies {
		for _, d := range []float64{of["base"][i] - r.Base, of["tuned"][i] - r.Tuned} {
			largest = max(largest, math.Abs(d)/max(1, math.Abs(r.Base)))
		}
	}
	for i := 0; i < len(replies); i += 2 {
		ours := of["tuned"][i]-of["base"][i] > of["tuned"][i+1]-of["base"][i+1]
		theirs := replies[i].Tuned-replies[i].Base > replies[i+1].Tuned-replies[i+1].Base
		if ours == theirs {
			agree++
		}
	}
	t.Logf("%d replies: largest difference %.2g of ln p; implicit preference agrees on %d of %d", len(replies), largest, agree, len(ref.Items))
	if !(largest <= 1e-4) || agree != len(ref.Items) {
		t.Errorf("differences up to %.2g, preference agrees on %d of %d; wanted at most 1e-4 and all", largest, agree, len(ref.Items))
	}
}

func compareReal(t *testing.T, m *Model, ref realReference, want func(realReply) float64) {
	t.Helper()
	var items []implicit.Item
	var replies []realReply
	for _, it := range ref.Items {
		for _, r := range []realReply{it.Chosen, it.Rejected} {
			items = append(items, implicit.Item{Prompt: it.Prompt, Reply: r.Reply})
			replies = append(replies, r)
		}
	}
	largest, preferred := 0.0, 0
	var got []float64
	for s, err := range Scores(t.Context(), m, slices.Values(items)) {
		if err != nil || s.Err != nil {
			t.Fatal(err, s.Err)
		}
		r := replies[s.Index]
		if !slices.Equal(s.Text.IDs, r.IDs) {
			t.Errorf("%q after %q: ids %v, wanted %v", r.Reply, s.Prompt, s.Text.IDs, r.IDs)
		}
		d := math.Abs(s.Reward-want(r)) / max(1, math.Abs(want(r)))
		if !(d <= largest) {
			largest = d
		}
		got = append(got, s.Reward)
	}
	for i, it := range ref.Items {
		ours, theirs := got[2*i] > got[2*i+1], want(it.Chosen) > want(it.Rejected)
		if ours != theirs {
			t.Errorf("%q: chosen preferred: %v, by transformers %v", it.Prompt, ours, theirs)
		}
		if ours {
			preferred++
		}
	}
	t.Logf("%d scores: largest difference %.2g; accuracy %d of %d", len(got), largest, preferred, len(ref.Items))
	if !(largest <= 1e-4) {
		t.Errorf("differences up to %.2g, wanted at most 1e-4", largest)
	}
}

// realAdapter writes LoRA on q_proj and v_proj of all 30 layers, as setup/real_rewards.py does.
func realAdapter(t *testing.T, task string) string {
	t.Helper()
	const width, kv, rank = 576, 192, 4
	dir := t.TempDir()
	var all []checkpoint.Tensor
	add := func(name string, shape ...int) {
		all = append(all, checkpoint.Tensor{Name: name, DType: dtypes.Float32, Shape: shape, Data: byRule(task+" "+name, shape[0]*shape[1])})
	}
	for layer := range 30 {
		for module, out := range map[string]int{"q_proj": width, "v_proj": kv} {
			path := fmt.Sprintf("base_model.model.model.layers.%d.self_attn.%s.", layer, module)
			add(path+"lora_A.weight", rank, width)
			add(path+"lora_B.weight", out, rank)
		}
	}
	config := map[string]any{"peft_type": "LORA", "task_type": task, "r": rank, "lora_alpha": 8, "target_modules": strings.Fields("q_proj v_proj"),
		"bias": "none", "base_model_name_or_path": nil, "inference_mode": true}
	if task == "SEQ_CLS" {
		add("base_model.model.score.weight", 1, width)
		config["modules_to_save"] = []string{"classifier", "score"}
	}
	writeTensors(t, filepath.Join(dir, "adapter_model.safetensors"), all...)
	writeJSON(t, filepath.Join(dir, "adapter_config.json"), config)
	return dir
}
