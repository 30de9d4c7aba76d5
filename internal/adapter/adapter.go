package adapter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Adapter is an adapter's folder.
type Adapter struct {
	dir    string
	config *config
	w      *checkpoint.Weights
}

// Is tells whether a folder holds an adapter.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, configFile))
	return err == nil
}

// Open reads a folder's adapter_config.json and maps its adapter_model.safetensors. Errors name
// the folder.
func Open(dir string) (*Adapter, error) {
	a := &Adapter{dir: dir}
	var err error
	if a.config, err = readConfig(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("adapter: %s: no %s, wanted an adapter that peft has saved", dir, configFile)
		}
		return nil, fmt.Errorf("adapter: %s: %w", dir, err)
	}
	if a.w, err = checkpoint.OpenFile(filepath.Join(dir, weightsFile)); err != nil {
		if _, other := os.Stat(filepath.Join(dir, "adapter_model.bin")); other == nil {
			return nil, fmt.Errorf("adapter: %s: only adapter_model.bin, wanted %s: save the adapter anew with peft (save_pretrained)", dir, weightsFile)
		}
		return nil, fmt.Errorf("adapter: %s: %w", dir, err)
	}
	return a, nil
}

// Classifier tells whether the adapter is one of task SEQ_CLS, which brings a head.
func (a *Adapter) Classifier() bool { return a.config.task == "SEQ_CLS" }

// Close unmaps the tensors, once no Applied uses them.
func (a *Adapter) Close() error { return a.w.Close() }

// Applied is a model with an adapter.
type Applied struct {
	Model   *arch.Model
	Weights *checkpoint.Weights // of the checkpoint and of the adapter; closed on its own
	// Hash is the SHA-256, in hex, of the adapter's tensors and of what its config makes of
	// them: the same for two adapters that compute the same.
	Hash string
	// Sides are the linear layers with a side path, by the tensor of their matrix as
	// arch.Model.Adapted names it, Replaced the tensors of the checkpoint in whose place others
	// stand, by their names.
	Sides    map[string]arch.Side
	Replaced map[string]string
	// Hidden are tensors of the checkpoint that the adapter's model does not have: the
	// vocabulary head beside a classifier's.
	Hidden []string

	by *application // for Merged
}

// application is one call of Apply.
type application struct {
	*Adapter
	m    *arch.Model
	base *checkpoint.Weights
	tied bool // the vocabulary head is the embeddings

	trunk string // of this model's names in transformers
	// params are the tensors of the model by the paths that the adapter may name them by.
	params map[string]tensor
	found  map[string]*found // of linear layers that the file has tensors for, by path
	made   []checkpoint.Tensor
	ratio  map[string][]float64 // of DoRA, by path, unrounded
	out    *Applied
}

// tensor is one of the model's.
type tensor struct {
	arch.Tensor
	key  string // in arch.Model.Adapted
	head bool   // the vocabulary matrix
}

// found are the file's tensors of a linear layer.
type found struct{ a, b, bias, magnitude string }

// prefix begins the names of an adapter's tensors.
const prefix = "base_model.model."

// Apply says what the adapter makes of a model, whose checkpoint is w. It is an error if a
// tensor of the adapter is not used, if one is missing that its config promises, has another
// shape or a value that is not finite.
func (a *Adapter) Apply(ctx context.Context, m *arch.Model, w *checkpoint.Weights) (*Applied, error) {
	p := &application{Adapter: a, m: m, base: w, found: map[string]*found{}, out: &Applied{Sides: map[string]arch.Side{}, Replaced: map[string]string{}}}
	err := p.apply(ctx)
	if err != nil {
		return nil, fmt.Errorf("adapter: %s: %w", a.dir, err)
	}
	return p.out, nil
}

func (p *application) apply(ctx context.Context) error {
	p.index()
	for _, name := range p.w.Names() {
		t, _ := p.w.Get(name)
		if err := t.CheckFinite(); err != nil {
			return err
		}
		if err := p.place(name, t); err != nil {
			return err
		}
	}
	if err := p.complete(); err != nil {
		return err
	}
	paths := slices.Sorted(maps.Keys(p.found))
	for _, path := range paths {
		if err := p.side(path, p.found[path]); err != nil {
			return err
		}
	}
	if p.config.dora {
		if err := p.ratios(ctx, paths); err != nil {
			return err
		}
	}
	if p.m.Head.Layer == nil && p.Classifier() {
		for _, name := range p.base.Names() {
			if p.m.Names.OfHead(name) && !slices.ContainsFunc(p.made, func(t checkpoint.Tensor) bool { return t.Name == name }) {
				p.out.Hidden = append(p.out.Hidden, name)
			}
		}
	}
	var err error
	if p.out.Hash, err = p.hash(ctx, paths); err != nil {
		return err
	}
	p.out.Model = p.m.Adapted(p.out.Sides, p.out.Replaced)
	p.out.Weights, p.out.by = p.base.With(p.made, p.w), p
	return nil
}

// index lists the model's tensors under the paths of transformers' modules: of the beginnings
// that paths may have, the one under which most of the file's names are found.
func (p *application) index() {
	all := p.tensors()
	names := p.w.Names()
	most := -1
	for _, trunk := range p.m.Names.Trunk {
		params := map[string]tensor{}
		for _, t := range all {
			if t.head {
				for _, head := range p.m.Names.Head {
					params[head+".weight"] = t
				}
				continue
			}
			if p.m.Names.OfHead(t.Name) {
				params[t.Name] = t // its bias
				continue
			}
			params[trunk+strings.TrimPrefix(t.Name, p.m.Names.Prefix)] = t
		}
		n := 0
		for _, name := range names {
			param, _ := paramOf(strings.TrimPrefix(name, prefix))
			if _, ok := params[param]; ok {
				n++
			}
		}
		if n > most {
			most, p.trunk, p.params = n, trunk, params
		}
	}
}

// tensors are those of the model: of the embeddings, the blocks, the final norm and the head.
func (p *application) tensors() []tensor {
	all := []tensor{{Tensor: p.m.Embed.Table, key: p.m.Embed.Table.Name}}
	if t := p.m.Embed.Positions; t != nil {
		all = append(all, tensor{Tensor: *t, key: t.Name})
	}
	if p.m.PerLayer != nil {
		all = append(all, tensor{Tensor: p.m.PerLayer.Table, key: p.m.PerLayer.Table.Name})
	}
	for _, l := range p.m.Layers() {
		if l == p.m.Head.Layer {
			break
		}
		for _, t := range l.Tensors {
			all = append(all, tensor{Tensor: t, key: t.Name})
		}
	}
	if p.m.Head.Layer == nil {
		return all
	}
	for _, t := range p.m.Head.Layer.Tensors {
		switch {
		case t.Linear:
			p.tied = t.Name == p.m.Embed.Table.Name
			all = append(all, tensor{Tensor: t, key: p.m.Names.Head[0] + ".weight", head: true})
		case t.Rows:
			all = append(all, tensor{Tensor: t, key: t.Name})
		}
	}
	return all
}

// parts are the ends of the names of a linear layer's tensors in the file, and where each goes.
var parts = []struct {
	end string
	to  func(*found) *string
}{
	{".lora_A.weight", func(f *found) *string { return &f.a }},
	{".lora_B.weight", func(f *found) *string { return &f.b }},
	{".lora_B.bias", func(f *found) *string { return &f.bias }},
	{".lora_magnitude_vector", func(f *found) *string { return &f.magnitude }},
}

// paramOf returns the path of the model's tensor that a tensor of the adapter is about, and the
// path of its module if it is part of a side path.
func paramOf(path string) (param, module string) {
	for _, part := range parts {
		if module, ok := strings.CutSuffix(path, part.end); ok {
			return module + ".weight", module
		}
	}
	for _, of := range []string{"weight", "bias"} {
		if module, ok := strings.CutSuffix(path, ".base_layer."+of); ok {
			return module + "." + of, ""
		}
	}
	return path, ""
}

// ofExpert are the modules of a single expert, which transformers 4 had.
var ofExpert = regexp.MustCompile(`\.experts\.\d+\.`)

// place finds out what a tensor of the file is for.
func (p *application) place(name string, t checkpoint.Tensor) error {
	path, ok := strings.CutPrefix(name, prefix)
	if !ok || path == "" {
		return fmt.Errorf("tensor %q, wanted names that begin with %s", brief(name), prefix)
	}
	param, module := paramOf(path)
	to, known := p.params[param]
	switch {
	case !known && p.m.Ignored(path) && !strings.Contains(path, ".lora_embedding_"):
		return nil // of a part of the model that texts do not pass
	case strings.Contains(path, ".lora_embedding_"), module != "" && !(known && to.Adaptable()):
		return p.unsupported(name, path, module, param, known)
	case module != "":
		f := p.found[module]
		if f == nil {
			f = &found{}
			p.found[module] = f
		}
		for _, part := range parts {
			if strings.HasSuffix(path, part.end) {
				*part.to(f) = name
			}
		}
		return nil
	case strings.Contains(path, ".original_module."):
		return nil // what a module of modules_to_save was before training; bias=all saves it too
	case known:
		return p.replace(name, path, param, to, t)
	case p.m.Head.Layer == nil && (p.config.saves(path) || p.m.Names.OfHead(path)):
		if slices.ContainsFunc(p.m.Tensors(), func(own arch.Tensor) bool { return own.Name == path }) {
			return fmt.Errorf("tensor %q has the name of another of the model's", brief(name))
		}
		t.Name = path
		p.made = append(p.made, t) // of a head that the caller computes
		return nil
	}
	return fmt.Errorf("tensor %q is not used: the model has no such module, or %s does not list it%s", brief(name), configFile, p.headless(param))
}

// replace puts a tensor of the file in the place of one of the checkpoint.
func (p *application) replace(name, path, param string, to tensor, t checkpoint.Tensor) error {
	base, _ := p.base.Get(to.Name)
	same := t.Equal(base)
	embeds := to.head || to.Name == p.m.Embed.Table.Name
	wrapped := strings.Contains(path, ".base_layer.")
	switch saved := p.config.saves(path) && !wrapped; {
	case embeds && !slices.Equal(t.Shape, to.Shape):
		return fmt.Errorf("tensor %q has shape %v, the model's %v: the vocabulary was grown in training, wanted a base that was grown likewise", brief(name), t.Shape, to.Shape)
	case !slices.Equal(t.Shape, to.Shape):
		return fmt.Errorf("tensor %q has shape %v, wanted %v, the model's", brief(name), t.Shape, to.Shape)
	case same:
		return nil
	case saved:
	case embeds && p.tied:
		return fmt.Errorf("tensor %q differs from the model's, whose embeddings and head are one, and %s does not list it in modules_to_save", brief(name), configFile)
	case embeds: // saved whole whether it was trained or not
	case strings.HasSuffix(path, ".bias") && p.config.bias == "all", strings.HasSuffix(path, ".bias") && wrapped && p.config.bias == "lora_only":
	default:
		return fmt.Errorf("tensor %q is of a module that %s does not list (modules_to_save, bias=%s)", brief(name), configFile, p.config.bias)
	}
	if p.out.Replaced[to.key] != "" {
		return fmt.Errorf("tensor %q stands in for %s, and so does %q", brief(name), param, p.out.Replaced[to.key])
	}
	p.out.Replaced[to.key] = name
	p.made = append(p.made, t)
	return nil
}

// complete checks that what the config says is adapted has tensors, and nothing else has.
func (p *application) complete() error {
	for _, path := range slices.Sorted(maps.Keys(p.params)) {
		t := p.params[path]
		module, weight := strings.CutSuffix(path, ".weight")
		_, has := p.found[module]
		switch wants := weight && p.config.modules.has(module, t.head); {
		case t.head && !has: // its other names are no modules
			if wants && !p.headFound() && path == t.key {
				return fmt.Errorf("%s says that %s is adapted, and %s has no %s%s.lora_A.weight", configFile, module, weightsFile, prefix, module)
			}
		case wants && !t.Linear && (t.Name == p.m.Embed.Table.Name || p.m.PerLayer != nil && t.Name == p.m.PerLayer.Table.Name):
			return fmt.Errorf("%s: LoRA on %s, an embedding, is not supported", configFile, module)
		case wants && t.Adaptable() && !has:
			return fmt.Errorf("%s says that %s is adapted, and %s has no %s%s.lora_A.weight", configFile, module, weightsFile, prefix, module)
		case has && weight && !wants:
			return fmt.Errorf("%s has %s%s.lora_A.weight, and %s does not say that %s is adapted", weightsFile, prefix, module, configFile, module)
		}
	}
	return p.completeCopies()
}

func (p *application) headFound() bool {
	return slices.ContainsFunc(p.m.Names.Head, func(head string) bool { return p.found[head] != nil })
}

// completeCopies checks that modules_to_save and bias have their tensors.
func (p *application) completeCopies() error {
	has := func(path string) bool {
		_, plain := p.w.Get(prefix + path)
		i := strings.LastIndexByte(path, '.')
		_, wrapped := p.w.Get(prefix + path[:i] + ".base_layer" + path[i:])
		return plain || wrapped
	}
	for _, path := range slices.Sorted(maps.Keys(p.params)) {
		t := p.params[path]
		module, bias := strings.CutSuffix(path, ".bias")
		switch {
		case t.head && slices.ContainsFunc(p.m.Names.Head, func(head string) bool { return has(head + ".weight") }):
		case t.head && path != t.key:
		case p.config.saves(path) && !has(path):
			return fmt.Errorf("%s: modules_to_save lists the module of %s, and %s has no %s%s", configFile, path, weightsFile, prefix, path)
		case bias && (p.config.bias == "all" || p.config.bias == "lora_only" && p.found[module] != nil) && !has(path):
			return fmt.Errorf("%s: bias=%s, and %s has no %s%s", configFile, p.config.bias, weightsFile, prefix, path)
		}
	}
	if p.m.Head.Layer == nil && p.Classifier() && !slices.ContainsFunc(p.made, func(t checkpoint.Tensor) bool { return strings.HasPrefix(t.Name, "score.") }) {
		return fmt.Errorf("%s: task SEQ_CLS, and %s has no %sscore.weight: the classifier's head was not saved", configFile, weightsFile, prefix)
	}
	return nil
}

// side checks the tensors of a linear layer and notes its side path.
func (p *application) side(path string, f *found) error {
	to := p.params[path+".weight"]
	out, in := to.Shape[0], to.Shape[1]
	if to.InOut {
		out, in = in, out
	}
	r := p.config.rank(path)
	if r > max(out, in) {
		return fmt.Errorf("%s: rank %d of %s, a matrix of %d x %d, wanted at most %d", configFile, r, path, out, in, max(out, in))
	}
	scale := p.config.scale(path)
	if scale-scale != 0 {
		return fmt.Errorf("%s: the scale of %s is %g", configFile, path, scale)
	}
	for _, want := range []struct {
		name, end string
		shape     []int
		wanted    bool
		key       string
	}{
		{f.a, ".lora_A.weight", []int{r, in}, true, "r"},
		{f.b, ".lora_B.weight", []int{out, r}, true, "r"},
		{f.bias, ".lora_B.bias", []int{out}, p.config.loraBias, "lora_bias"},
		{f.magnitude, ".lora_magnitude_vector", []int{out}, p.config.dora, "use_dora"},
	} {
		switch t, _ := p.w.Get(want.name); {
		case want.wanted && want.name == "":
			return fmt.Errorf("%s has no %s%s%s", weightsFile, prefix, path, want.end)
		case !want.wanted && want.name != "":
			return fmt.Errorf("tensor %q, and %s says %s=false", brief(want.name), configFile, want.key)
		case want.wanted && !slices.Equal(t.Shape, want.shape):
			return fmt.Errorf("tensor %q has shape %v, wanted %v by %s", brief(want.name), t.Shape, want.shape, configFile)
		case want.wanted && want.name != f.magnitude: // in whose place the ratio stands
			p.made = append(p.made, t)
		}
	}
	side := arch.Side{A: f.a, B: f.b, Bias: f.bias, R: r, Scale: scale}
	if p.config.dora {
		side.Ratio = f.magnitude + " / norm"
	}
	if _, twice := p.out.Sides[to.key]; twice {
		return fmt.Errorf("tensor %q: another one has the same linear layer", brief(f.a))
	}
	p.out.Sides[to.key] = side
	return nil
}

// hash is of the file's tensors and of each side's numbers.
func (p *application) hash(ctx context.Context, paths []string) (string, error) {
	tensors, err := p.w.Hash(ctx)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "adapter 1\n%s\n", tensors)
	for _, path := range paths {
		line, err := strictjson.Marshal([]any{path, p.config.scale(path), p.config.dora})
		if err != nil {
			return "", err
		}
		h.Write(append(line, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
