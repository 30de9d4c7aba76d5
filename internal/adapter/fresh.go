package adapter

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Fresh is an adapter before training: A uniform within 1/sqrt(in), as peft's
// kaiming_uniform(a=sqrt 5), and B zero, so that it changes nothing.
type Fresh struct {
	Base    string // base_model_name_or_path
	R       int
	Alpha   float64
	Dropout float64
	Targets []string // see Modules
	RSLoRA  bool
	Score   []float32 // a classifier's row [D]; nil for a causal model's adapter
	// Draw returns the source of a tensor's numbers, which depends on its name alone.
	Draw func(name string) *rand.Rand
}

// ofAttention are the linear layers of attention in all families: q, k, v and o, fused or not, of which
// nemotron_h has its mixers' alike.
var ofAttention = regexp.MustCompile(`(^|\.)((self_attn|self_attention|attn|attention)\.[^.]+|mixer\.[qkvo]_proj)$`)

// linears are the linear layers of a model's blocks, by their paths in transformers: of a model
// with mixtures of experts those of attention, since peft takes the names of the others
// (gate_proj) for those of experts; and without a mixer's out_proj in the model types for which peft
// refuses it (_check_lora_target_modules_mamba, tuners_utils.py).
func linears(m *arch.Model) map[string]arch.Tensor {
	all := map[string]arch.Tensor{}
	mixed := slices.ContainsFunc(m.Blocks, func(l *arch.Layer) bool { return l.Experts != nil })
	for _, l := range m.Blocks {
		for _, t := range l.Tensors {
			path := strings.TrimSuffix(m.Names.Trunk[0]+strings.TrimPrefix(t.Name, m.Names.Prefix), ".weight")
			refused := (m.Type == "falcon_h1" || m.Type == "nemotron_h") && ends(path, "out_proj")
			if t.Adaptable() && !refused && (!mixed || ofAttention.MatchString(path)) {
				all[path] = t
			}
		}
	}
	return all
}

// ends tells whether a path is a name or ends in it after a dot.
func ends(path, name string) bool { return path == name || strings.HasSuffix(path, "."+name) }

// last are the last n parts of a path.
func last(path string, n int) string {
	parts := strings.Split(path, ".")
	return strings.Join(parts[max(0, len(parts)-n):], ".")
}

// modules returns the names that the config lists, sorted, and the paths of the linear layers
// that they mean. Targets are names or the ends of paths after a dot; all-linear is every linear
// layer of the blocks, never a head; none at all are those of attention.
func (f *Fresh) modules(m *arch.Model) (names, paths []string, err error) {
	all := linears(m)
	sorted := slices.Sorted(maps.Keys(all))
	switch {
	case len(f.Targets) == 0:
		for _, path := range sorted {
			if !ofAttention.MatchString(path) {
				continue
			}
			name := last(path, 1)
			if slices.ContainsFunc(sorted, func(other string) bool { return ends(other, name) && !ofAttention.MatchString(other) }) {
				name = last(path, 2) // gpt2's attn.c_proj beside mlp.c_proj
			}
			names = append(names, name)
		}
	case len(f.Targets) == 1 && strings.EqualFold(f.Targets[0], "all-linear"):
		for _, path := range sorted {
			names = append(names, last(path, 1))
		}
	default:
		names = slices.Clone(f.Targets)
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s: no linear layer of attention in the model's blocks, wanted some for an adapter to lie beside", m.Type)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if !slices.ContainsFunc(sorted, func(path string) bool { return ends(path, name) }) {
			var there []string
			for _, path := range sorted {
				there = append(there, last(path, 2))
			}
			slices.Sort(there)
			return nil, nil, fmt.Errorf("target %q: the model has no linear layer of that name in its blocks, wanted all-linear or some of %s",
				brief(name), strings.Join(slices.Compact(there), ", "))
		}
	}
	for _, path := range sorted {
		if slices.ContainsFunc(names, func(name string) bool { return ends(path, name) }) {
			paths = append(paths, path)
		}
	}
	return names, paths, nil
}

// Write writes the adapter's two files for a model, whose checkpoint is w, into a folder.
func (f *Fresh) Write(dir string, m *arch.Model, w *checkpoint.Weights) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("adapter: %w", err)
	}
	names, paths, err := f.modules(m)
	if err != nil {
		return fmt.Errorf("adapter: %w", err)
	}
	all := linears(m)
	var tensors []checkpoint.Tensor
	inOut := false
	for _, path := range paths {
		t := all[path]
		out, in := t.Shape[0], t.Shape[1]
		if t.InOut {
			out, in, inOut = in, out, true
		}
		if f.R > max(out, in) {
			return fmt.Errorf("adapter: rank %d of %s, a matrix of %d x %d, wanted at most %d", f.R, path, out, in, max(out, in))
		}
		a, b := prefix+path+".lora_A.weight", prefix+path+".lora_B.weight"
		tensors = append(tensors, checkpoint.Float32(a, f.uniform(a, in), f.R, in), checkpoint.Float32(b, make([]float32, out*f.R), out, f.R))
	}
	if f.Score != nil {
		tensors = append(tensors, checkpoint.Float32(prefix+"score.weight", f.Score, 1, len(f.Score)))
	}
	text, err := f.config(targets(names, m, w), inOut)
	if err != nil {
		return err
	}
	return write(dir, text, tensors)
}

func (f *Fresh) check() error {
	switch {
	case f.R < 1:
		return fmt.Errorf("rank %d, wanted at least 1", f.R)
	case !(f.Alpha > 0) || math.IsInf(f.Alpha, 0):
		return fmt.Errorf("alpha %g, wanted a number above 0", f.Alpha)
	case !(f.Dropout >= 0 && f.Dropout < 1):
		return fmt.Errorf("dropout %g, wanted a share from 0 to below 1", f.Dropout)
	case slices.Contains(f.Targets, ""):
		return errors.New("a target without a name")
	}
	return nil
}

// uniform draws A [r in].
func (f *Fresh) uniform(name string, in int) []float32 {
	draw, bound := f.Draw(name), 1/math.Sqrt(float64(in))
	values := make([]float32, f.R*in)
	for i := range values {
		values[i] = float32(bound * (2*draw.Float64() - 1))
	}
	return values
}

// targets is the value of target_modules: the names or, where they are also those of modules
// that texts do not pass (a vision tower's q_proj, or in Gemma 4's what its q_proj.linear lies
// in), an expression of the trunk's alone.
func targets(names []string, m *arch.Model, w *checkpoint.Weights) any {
	named := func(path string) bool {
		for dot := strings.LastIndexByte(path, '.'); dot > 0; dot = strings.LastIndexByte(path, '.') {
			path = path[:dot]
			if slices.ContainsFunc(names, func(name string) bool { return ends(path, name) }) {
				return true
			}
		}
		return false
	}
	for _, tensor := range w.Names() {
		if m.Ignored(tensor) && named(tensor) {
			quoted := make([]string, len(names))
			for i, name := range names {
				quoted[i] = regexp.QuoteMeta(name)
			}
			return regexp.QuoteMeta(m.Names.Trunk[0]) + `(.*\.)?(` + strings.Join(quoted, "|") + `)`
		}
	}
	return names
}

// config is the text of adapter_config.json: the keys that peft has always had. Newer ones are
// written where they are not what they are without, since peft refuses those it does not know.
func (f *Fresh) config(targets any, inOut bool) ([]byte, error) {
	var saved []string
	task := "CAUSAL_LM"
	if f.Score != nil {
		task, saved = "SEQ_CLS", []string{"classifier", "score"} // peft's own, for any classifier
	}
	members := []struct {
		key   string
		value any
	}{
		{"auto_mapping", nil},
		{"base_model_name_or_path", f.Base},
		{"bias", "none"},
		{"fan_in_fan_out", inOut},
		{"inference_mode", true},
		{"init_lora_weights", true},
		{"layers_pattern", nil},
		{"layers_to_transform", nil},
		{"lora_alpha", f.Alpha},
		{"lora_dropout", f.Dropout},
		{"modules_to_save", saved},
		{"peft_type", "LORA"},
		{"r", f.R},
		{"revision", nil},
		{"target_modules", targets},
		{"task_type", task},
		{"use_rslora", f.RSLoRA},
	}
	var all []strictjson.Member
	for _, m := range members {
		raw, err := strictjson.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		if m.key != "use_rslora" || f.RSLoRA {
			all = append(all, strictjson.Member{Key: m.key, Value: raw})
		}
	}
	return strictjson.MarshalMembers(all)
}

// Tensors are those of the file, in the order of names.
func (a *Adapter) Tensors() []checkpoint.Tensor {
	var all []checkpoint.Tensor
	for _, name := range a.w.Names() {
		t, _ := a.w.Get(name)
		all = append(all, t)
	}
	return all
}

// Write writes the adapter's two files into a folder, with other tensors.
func (a *Adapter) Write(dir string, tensors []checkpoint.Tensor) error {
	config, err := regular.Read(filepath.Join(a.dir, configFile), maxConfig)
	if err != nil {
		return err
	}
	return write(dir, config, tensors)
}

func write(dir string, config []byte, tensors []checkpoint.Tensor) error {
	if err := os.WriteFile(filepath.Join(dir, configFile), config, 0o666); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, weightsFile))
	if err != nil {
		return err
	}
	err = checkpoint.Write(f, tensors, map[string]string{"format": "pt"})
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
