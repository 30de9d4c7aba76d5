package logprob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/adapter"
	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/tokenize"
)

// SplitAdapter splits the name of a model with an adapter, BASE+ADAPTER, each a folder or a hub
// id ("org/name", "org/name@revision"). adapter is "" if the name has no plus sign, or is that
// of a folder. Of several plus signs the one counts whose sides are folders, both rather than
// one, and the first of equals.
func SplitAdapter(name string) (base, adapter string) {
	folder := func(name string) int {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			return 1
		}
		return 0
	}
	if !strings.Contains(name, "+") || folder(name) == 1 {
		return name, ""
	}
	best, at := -1, 0
	for i := range name {
		if name[i] != '+' || i == 0 || i == len(name)-1 {
			continue
		}
		if n := folder(name[:i]) + folder(name[i+1:]); n > best {
			best, at = n, i
		}
	}
	if best < 0 {
		return name, ""
	}
	return name[:at], name[at+1:]
}

// adapted is what a model with an adapter has beside others.
type adapted struct {
	dir      string // of the adapter
	applied  *adapter.Applied
	base     *checkpoint.Weights // the base model's own
	template string              // the adapter's chat template, if it differs from the base model's
	// tokenizer is the hash of the base model's tokenizer, if the adapter's gives the same ids.
	tokenizer string
	doubts    []error
}

// WithAdapter returns the model with a LoRA adapter, a folder that peft has saved. The two share
// what they have in common on the device, weights and executables, and are closed each on its
// own, in any order; m itself computes what it did before. Side paths are computed in float32
// in any dtype.
//
// Of the options Backend, Devices, Split, DType and MemoryLimit are m's: the limit is for all models that share
// its weights. With Trunk, or if m was loaded so, the model has no vocabulary head; the adapter
// of a classifier (task SEQ_CLS) must be loaded so. Adapter is not read.
//
// The tokenizer is the adapter's if its folder has one, with its chat template; it must be that
// of the base model. What the adapter asks for that is not computed is an UnsupportedError.
func (m *Model) WithAdapter(ctx context.Context, dir string, o *Options) (*Model, error) {
	if o == nil {
		o = &Options{}
	}
	out := &Model{dir: m.dir + "+" + dir, config: m.config, backend: m.backend, hash: m.hash, tokDir: m.tokDir, adapted: &adapted{dir: dir}}
	if m.adapted != nil {
		return nil, fmt.Errorf("logprob: %s: a model with an adapter, wanted one without", m.dir)
	}
	if err := out.loadAdapter(ctx, m, o); err != nil {
		out.Close()
		return nil, fmt.Errorf("logprob: %s: %w", out.dir, err)
	}
	return out, nil
}

func (m *Model) loadAdapter(ctx context.Context, base *Model, o *Options) error {
	if err := o.check(base.engine.Replicas()); err != nil {
		return err
	}
	a, err := adapter.Open(m.adapted.dir)
	if err != nil {
		return refusedAdapter(err)
	}
	defer a.Close()
	plain := base.arch
	if o.Trunk && base.arch.Head.Layer != nil {
		if plain, err = arch.Trunk(base.config, base.exists); err != nil {
			return err
		}
	}
	if a.Classifier() && plain.Head.Layer != nil {
		return errors.New("the adapter is a classifier's (task_type SEQ_CLS), wanted it as a reward model")
	}
	m.adapted.base = base.weights.With(nil)
	if m.adapted.applied, err = a.Apply(ctx, plain, base.weights); err != nil {
		return refusedAdapter(err)
	}
	m.arch, m.weights = m.adapted.applied.Model, m.adapted.applied.Weights
	m.doubts = m.weights.Doubts()
	m.setLongest(o)
	m.adapted.doubts = m.roundedCopies(base.engine.DType())
	if err := m.loadAdapterTokenizer(base, o.Tokenizer); err != nil {
		return err
	}
	if m.engine, err = base.engine.Adapted(ctx, m.arch, m.weights, m.engineOptions(o)); err != nil {
		return err
	}
	return o.Programs.keep(m.engine)
}

// refusedAdapter makes the adapter's UnsupportedError this package's.
func refusedAdapter(err error) error {
	if u := (*adapter.UnsupportedError)(nil); errors.As(err, &u) {
		return &UnsupportedError{Keys: u.Keys, err: err}
	}
	return err
}

// roundedCopies are doubts about matrices that the adapter stores in more digits than the model
// computes in.
func (m *Model) roundedCopies(dtype dtypes.DType) []error {
	var doubts []error
	if dtype != dtypes.BFloat16 {
		return nil
	}
	for _, name := range m.adapted.applied.Replaced {
		if t, ok := m.weights.Get(name); ok && len(t.Shape) > 1 && t.DType != dtypes.BFloat16 {
			doubts = append(doubts, fmt.Errorf("logprob: %s: tensor %s is %v, and the model computes in bfloat16: it is rounded (dtype f32 computes it as it is)", m.adapted.dir, name, t.DType))
		}
	}
	slices.SortFunc(doubts, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return doubts
}

// loadAdapterTokenizer loads the tokenizer of a given folder, else the adapter's if its folder has
// one, else another copy of the base model's.
func (m *Model) loadAdapterTokenizer(base *Model, given string) error {
	if given != "" {
		m.tokDir = given
		return m.loadTokenizer(given)
	}
	file := func(name string) bool {
		_, err := os.Stat(filepath.Join(m.adapted.dir, name))
		return err == nil
	}
	dir := m.adapted.dir
	if !file("tokenizer.json") {
		if file("chat_template.jinja") || file("tokenizer_config.json") {
			m.adapted.doubts = append(m.adapted.doubts, fmt.Errorf("logprob: %s: a chat template or tokenizer_config.json without tokenizer.json: the base model's tokenizer and chat template are used", dir))
		}
		return m.loadTokenizer(base.tokDir)
	}
	m.tokDir = dir
	if base.tok == nil {
		return m.loadTokenizer(dir)
	}
	added, err := base.sameTokenizer(dir)
	if err != nil {
		return fmt.Errorf("the adapter's tokenizer is not the base model's: %w (without its files in the adapter's folder, the base model's is used)", err)
	}
	if len(added) > 0 {
		m.adapted.doubts = append(m.adapted.doubts, fmt.Errorf("logprob: %s: its tokenizer, which is used, has %d tokens that the base model's has not, the first %q", dir, len(added), added[0]))
	}
	if err := m.loadTokenizer(dir); err != nil {
		return err
	}
	if len(added) == 0 && !base.ownTokenizer() { // the same tokens, perhaps in a file of another release
		m.adapted.tokenizer = base.tok.Hash()
	}
	switch text := m.tok.Template(); {
	case text == "" && base.tok.Template() != "": // saved by a program that writes none
		if err := m.tok.Close(); err != nil {
			return err
		}
		m.tokDir = base.tokDir
		return m.loadTokenizer(m.tokDir)
	case text != base.tok.Template():
		m.adapted.template = text
		m.adapted.doubts = append(m.adapted.doubts, fmt.Errorf("logprob: %s: its chat template, which is used, is not the base model's", dir))
	}
	return nil
}

// ownTokenizer tells whether the tokenizer is made of a GGUF file's metadata.
func (m *Model) ownTokenizer() bool {
	info, err := os.Stat(m.tokDir)
	return err == nil && !info.IsDir()
}

// sameTokenizer is tokenize.Same of the model's tokenizer and a folder's. One that is made of
// metadata is not written as files are: of it the tokens are compared.
func (m *Model) sameTokenizer(dir string) (added []string, err error) {
	if !m.ownTokenizer() {
		return tokenize.Same(m.tokDir, dir)
	}
	other, err := tokenize.Load(dir)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	names := map[int32]string{}
	for token := range other.Vocab() {
		names[token.ID] = token.Name
	}
	for token := range m.tok.Vocab() {
		if names[token.ID] != token.Name {
			return nil, fmt.Errorf("logprob: %s: token %d is %q, and %q in %s", dir, token.ID, names[token.ID], token.Name, m.tokDir)
		}
		delete(names, token.ID)
	}
	return slices.Sorted(maps.Values(names)), nil
}

// weightsHash is the hash of a checkpoint's weights, computed once for all models that share
// them.
type weightsHash struct {
	mu  sync.Mutex
	sum string // "" before it is asked for
}

// of returns the hash of w.
func (h *weightsHash) of(ctx context.Context, w *checkpoint.Weights) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sum == "" {
		sum, err := w.Hash(ctx)
		if err != nil {
			return "", err
		}
		h.sum = sum
	}
	return h.sum, nil
}

// describe sets what a model's provenance says of its adapter. The weights' hash is that of
// both hashes.
func (a *adapted) describe(meta *Meta) {
	meta.Adapter, meta.AdapterHash, meta.BaseHash = a.dir, a.applied.Hash, meta.WeightsHash
	sum := sha256.Sum256([]byte("base " + meta.BaseHash + "\nadapter " + meta.AdapterHash + "\n"))
	meta.WeightsHash = hex.EncodeToString(sum[:])
	if a.template != "" {
		sum := sha256.Sum256([]byte(a.template))
		meta.Template = hex.EncodeToString(sum[:])
	}
}

// beside leaves out of the tensors beside a trunk those that the adapter stands in for,
// and those that its model does not have.
func (a *adapted) beside(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		return a.applied.Replaced[name] != "" || slices.Contains(a.applied.Hidden, name)
	})
}
