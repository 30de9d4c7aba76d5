package rewardmodel

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

var update = flag.Bool("update", false, "write testdata/saved.json")

// savedCase is one of saved.py's.
type savedCase struct {
	Name  string    `json:"name"`
	Kind  string    `json:"kind"`
	Base  string    `json:"base"`
	Dir   string    `json:"dir"`
	Texts [][]int32 `json:"texts"`
}

type savedAnswer struct {
	Numbers  []float64 `json:"numbers"`
	Problems []string  `json:"problems"`
}

// savedBases are causal checkpoints, one or more of each family, and how they are named.
var savedBases = []string{
	"arcee-bias", "gemma-hub", "gemma2-base", "gemma3-hub", "gemma3-inner", "gemma3_text-pattern", "gpt2-hub", "gpt2-plain", "gpt_neox-hub",
	"gpt_neox-nobias-tied", "granite-factors", "llama-bf16", "llama-gqa-tied", "llama-mha", "llama-tied-copy", "ministral-types", "ministral3-yarn", "mistral-window",
	"mistral3-hub", "mistral3-tied", "olmo-clip",
	"olmo2-mha", "olmo3-pattern", "phi3-plain", "qwen2-untied", "qwen3-headdim", "seed_oss-bias", "smollm3-nope",
	"apertus-xielu", "gpt_neo-local", "nemotron-relu2", "opt-relu", "opt-350m", "opt-galactica", "phi-partial", "phi-gqa-tied", "stablelm-parallel",
	"starcoder2-window", "exaone4-hybrid", "glm4-partial", "helium-plain", "hunyuan_v1_dense-bias", "ernie4_5-bias",
	"granitemoe-factors", "granitemoehybrid-attention", "granitemoehybrid-attention-experts", "mixtral-null", "gpt_oss-sinks", "deepseek_v2-lite", "deepseek_v3-groups", "qwen2_moe-shared", "qwen3_moe-only", "olmoe-clip",
	"bloom-heads", "bloom-untied", "mpt-clip", "falcon-multi", "falcon-groups", "falcon-one_norm", // eager attention of falcon-alibi is another model: see testdata/cases.py
	"glm-partial", "glm4_moe-norm", "ernie4_5_moe-correction", "hunyuan_v1_moe-bias", "phimoe-bias", "llama4-hub", "llama4_text-step", "llama4_text-moe_layers",
	"nemotron_h-experts", "bamba-hybrid", "cohere-norm", "cohere2-hybrid", "gptj-partial", "gemma3n-hub", "gemma3n_text-streams", "gemma4-hub", "gemma4_text-moe", "gemma4_text-shared", "gemma4_unified-hub", "gemma4_unified_text-dense",
}

// TestSaved: what logprob writes for training and of it, adapters and whole checkpoints of reward
// models and causal ones, in all families, transformers and peft load without a complaint and
// score as we do. What they say stands in saved.json; where they can be run, they are asked.
func TestSaved(t *testing.T) {
	backend, dir := pureGo(t), t.TempDir()
	var cases []savedCase
	ours := map[string][]float64{}
	for _, f := range arch.Families() {
		if f.Recurrent != "" && !f.AttentionAlone || f.As != "" {
			continue // not trained; without a class in transformers
		}
		if !slices.ContainsFunc(savedBases, func(name string) bool { return strings.HasPrefix(name, f.Type+"-") }) {
			t.Errorf("no checkpoint of %s: add one of logprob/testdata/families to savedBases, and make testdata/saved.json anew with -update", f.Type)
		}
	}
	for _, name := range savedBases {
		for _, c := range writeSaved(t, name, dir) {
			cases = append(cases, c)
			ours[c.Name] = scoreSaved(t, backend, c)
		}
	}
	answers := askSaved(t, cases, dir)
	for _, c := range cases {
		a, ok := answers[c.Name]
		if !ok || len(a.Numbers) != len(c.Texts) {
			t.Errorf("%s: %d numbers, wanted %d: make testdata/saved.json anew with -update", c.Name, len(a.Numbers), len(c.Texts))
			continue
		}
		for _, problem := range a.Problems {
			t.Errorf("%s: %s", c.Name, problem)
		}
		for i, want := range a.Numbers {
			// 1e-4, the acceptance bound, of a score or of a token.
			if got := ours[c.Name][i]; !(math.Abs(got-want) <= 1e-4*max(1, math.Abs(want))) {
				t.Errorf("%s, text %d: %.9g, transformers %.9g", c.Name, i, got, want)
			}
		}
	}
}

// askSaved runs saved.py, or reads what it has said: where there is no Python for it, and with
// -short.
func askSaved(t *testing.T, cases []savedCase, dir string) map[string]savedAnswer {
	t.Helper()
	const golden = "testdata/saved.json"
	var answers map[string]savedAnswer
	python, err := filepath.Abs("../../.deps/venv-peers/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil || testing.Short() {
		if *update {
			t.Fatalf("-update needs %s, and not -short (%v)", python, err)
		}
		readJSON(t, golden, &answers)
		return answers
	}
	task := filepath.Join(dir, "cases.json")
	b, err := json.Marshal(cases)
	if err == nil {
		err = os.WriteFile(task, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), python, "testdata/saved.py", task)
	var stderr strings.Builder
	run.Stderr, run.Env = &stderr, append(os.Environ(), "OMP_NUM_THREADS=1")
	text, err := run.Output()
	if err == nil {
		err = json.Unmarshal(text, &answers)
	}
	if err != nil {
		t.Fatalf("saved.py: %v\n%s", err, stderr.String())
	}
	if *update {
		if err := os.WriteFile(golden, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

// writeSaved writes what there is to write for a base: with other values than it begins with.
func writeSaved(t *testing.T, name, dir string) []savedCase {
	t.Helper()
	base, err := filepath.Abs("../../logprob/testdata/families/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Texts []struct{ IDs []int32 } }
	readJSON(t, filepath.Join(base, "golden.json"), &g)
	var texts [][]int32
	for _, text := range g.Texts {
		if n := len(text.IDs); n >= 2 && n <= 30 && len(texts) < 3 {
			texts = append(texts, text.IDs)
		}
	}
	var all []savedCase
	add := func(kind string, write func(out string) error) string {
		c := savedCase{Name: name + " " + kind, Kind: kind, Base: base, Dir: filepath.Join(dir, name, kind), Texts: texts}
		if err := write(c.Dir); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		return c.Dir
	}
	r := rand.New(rand.NewPCG(1, 1))
	ctx := t.Context()
	kind, _, _ := strings.Cut(name, "-")
	family, _ := arch.FamilyOf(kind)
	for _, classifier := range []bool{true, false} {
		prefix := "causal-"
		if classifier {
			if family.Classifier == "" {
				continue // transformers has none
			}
			prefix = ""
		}
		add(prefix+"adapter", func(out string) error {
			o := &logprob.AdapterOptions{R: 2, Classifier: classifier}
			if classifier {
				o.Targets = []string{"all-linear"}
			}
			if err := logprob.NewAdapter(ctx, base, out+"-0", o); err != nil {
				return err
			}
			return logprob.WriteAdapter(ctx, out+"-0", out, changed(t, out+"-0/adapter_model.safetensors", r))
		})
		add(prefix+"checkpoint", func(out string) error {
			o := &logprob.CheckpointOptions{Classifier: classifier}
			if _, err := logprob.WriteCheckpoint(ctx, base, out+"-0", nil, o); err != nil {
				return err
			}
			_, err := logprob.WriteCheckpoint(ctx, out+"-0", out, changed(t, out+"-0/model.safetensors", r), o)
			return err
		})
	}
	if !family.Wrapper && (family.Recurrent == "" || family.AttentionAlone) {
		add("initial", func(out string) error { return logprob.NewCheckpoint(ctx, base, out, 3) })
	}
	return all
}

// changed are a file's float tensors with other values: B and a score row N(0, 0.3), others
// moved by about a tenth.
func changed(t *testing.T, file string, r *rand.Rand) []*logprob.Param {
	t.Helper()
	w, err := checkpoint.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all []*logprob.Param
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		if tensor.Usable() != nil {
			continue
		}
		p := &logprob.Param{Name: name, Shape: tensor.Shape, Value: make([]float32, len(tensor.Data)/tensor.DType.Size())}
		if err := tensor.Float32sInto(p.Value); err != nil {
			t.Fatal(err)
		}
		for i := range p.Value {
			switch {
			case strings.HasSuffix(name, "lora_B.weight"), strings.HasSuffix(name, "score.weight"):
				p.Value[i] = float32(0.3 * r.NormFloat64())
			default:
				p.Value[i] *= float32(1 + 0.1*r.NormFloat64())
			}
		}
		all = append(all, p)
	}
	return all
}

// scoreSaved are a case's numbers by this library.
func scoreSaved(t *testing.T, backend compute.Backend, c savedCase) (numbers []float64) {
	t.Helper()
	dir := c.Dir
	if strings.Contains(c.Kind, "adapter") {
		dir = c.Base + "+" + c.Dir
	}
	var texts []tokenize.Encoded
	for _, ids := range c.Texts {
		texts = append(texts, tokenize.Encoded{IDs: ids, Reply: 1})
	}
	o := logprob.Options{Backend: backend, DType: dtypes.Float32}
	if c.Kind == "adapter" || c.Kind == "checkpoint" {
		m, err := Load(t.Context(), dir, &Options{Output: "column=0", Pooling: HF, Model: o})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, got := range results(t, m, texts...) {
			numbers = append(numbers, got.Reward)
		}
		return numbers
	}
	base, adapter := logprob.SplitAdapter(dir)
	o.Adapter = adapter
	m, err := logprob.Load(t.Context(), base, &o)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", c.Name, err))
	}
	defer m.Close()
	for got, err := range logprob.Score(t.Context(), m, slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range got.LogProbs {
			sum += float64(x)
		}
		numbers = append(numbers, sum)
	}
	return numbers
}
