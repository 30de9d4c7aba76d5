package logprob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/adapter"
	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/tokenize"
)

// MergeOptions change how Merge writes. The zero value is a good default.
type MergeOptions struct {
	// DType is the type of the merged weights: dtypes.Float32, BFloat16 or Float16. The
	// default is each tensor's own in the base checkpoint.
	DType dtypes.DType
	// ShardSize bounds the bytes of a weights file, 5e9 by default; a tensor is in one file.
	ShardSize int64
	// Force lets files of an existing folder be replaced.
	Force bool
	// Progress, if not nil, is called with the bytes of weights written.
	Progress func(done, total int64)
}

// Merge writes a checkpoint that computes without an adapter what the base model, a folder, does
// with the adapter, a folder that peft has saved: W' = W + s B A, with DoRA each row times
// magnitude / norm, in float64 and rounded once. Tensors are read and written one by one. "" for
// dir is no adapter: the weights are the base's, decoded where they are quantised or in a GGUF file.
//
// The new folder has config.json, model.safetensors or shards with their index, and the files
// of the tokenizer, the adapter's if it has one, which must be the base model's; where a GGUF file
// has none beside it, those that its metadata amount to. Of a
// classifier's adapter (task SEQ_CLS) it is a ForSequenceClassification checkpoint: with the
// head, without the vocabulary head, with id2label and the tokenizer's pad token. Where an
// adapter has changed one of two tied matrices, both are written, and config.json ties them no
// more.
//
// The warnings are doubts that did not stop the work. An existing folder is an error unless
// Force is set, and always if it is one of those that are read.
func Merge(ctx context.Context, base, dir, out string, o *MergeOptions) (warnings []error, err error) {
	if o == nil {
		o = &MergeOptions{}
	}
	m := &merger{dir: dir, base: base, o: *o, folder: folder{out: out, rendering: dir, shard: o.ShardSize, progress: o.Progress}}
	merge, name := m.merge, base+"+"+dir
	if dir == "" {
		merge, name = m.decode, base
	}
	if err := merge(ctx); err != nil {
		return nil, fmt.Errorf("logprob: merge %s: %w", name, err)
	}
	return m.warnings, nil
}

// merger is one call of Merge.
type merger struct {
	base, dir string
	o         MergeOptions
	folder    // of the result

	adapter *adapter.Adapter
}

// decode is merge without an adapter.
func (m *merger) decode(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	c, err := openPlan(m.base, false)
	if err != nil {
		return err
	}
	defer c.weights.Close()
	if c.weights.Format() == "" && checkpoint.GGUF(m.base) == "" && m.o.DType == dtypes.InvalidDType {
		return errors.New("nothing to merge or to decode, wanted an adapter or another type")
	}
	names, _, err := c.kept(&CheckpointOptions{})
	if err != nil {
		return err
	}
	for _, name := range names {
		t, _ := c.weights.Get(name)
		same := adapter.Unchanged(t, m.o.DType)
		m.tensors = append(m.tensors, savedTensor{same.Tensor, same.Write})
	}
	m.takeTokenizer(m.base)
	m.generation = checkpoint.Folder(m.base)
	if err := m.readConfig(m.base); err != nil {
		return err
	}
	if m.o.DType != dtypes.InvalidDType {
		if err := m.setDType(m.o.DType); err != nil {
			return err
		}
	}
	return m.write(ctx)
}

func (m *merger) merge(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	keys, w, err := checkpoint.Open(m.base)
	if err != nil {
		return err
	}
	defer w.Close()
	if m.adapter, err = adapter.Open(m.dir); err != nil {
		return refusedAdapter(err)
	}
	defer m.adapter.Close()
	build := arch.New
	if m.adapter.Classifier() {
		build = arch.Trunk
	}
	model, err := build(keys, func(name string) bool { _, ok := w.Get(name); return ok })
	if err != nil {
		return err
	}
	applied, err := m.adapter.Apply(ctx, model, w)
	if err != nil {
		return refusedAdapter(err)
	}
	defer applied.Weights.Close()
	merged, untied, err := applied.Merged(m.o.DType)
	if err != nil {
		return err
	}
	for _, t := range merged {
		m.tensors = append(m.tensors, savedTensor{t.Tensor, t.Write})
	}
	if err := m.mergeTokenizers(); err != nil {
		return err
	}
	if err := m.configure(keys, model, untied); err != nil {
		return err
	}
	return m.write(ctx)
}

// check refuses a type that there is not, and a folder that would be replaced.
func (m *merger) check() error {
	switch m.o.DType {
	case dtypes.InvalidDType, dtypes.Float32, dtypes.BFloat16, dtypes.Float16:
	default:
		return fmt.Errorf("dtype %s, wanted float32, bfloat16 or float16", m.o.DType)
	}
	info, err := os.Stat(m.out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, in := range []string{checkpoint.Folder(m.base), m.dir} {
		if from, err := os.Stat(in); err == nil && os.SameFile(from, info) {
			return fmt.Errorf("%s would be replaced, which is read", m.out)
		}
	}
	if !m.o.Force {
		return fmt.Errorf("%s exists, wanted a new folder", m.out)
	}
	return nil
}

// mergeTokenizers takes the adapter's tokenizer, which must be the base's, or the base's.
func (m *merger) mergeTokenizers() error {
	has := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "tokenizer.json"))
		return err == nil
	}
	if !has(m.dir) {
		m.takeTokenizer(m.base)
		return nil
	}
	if base := checkpoint.Folder(m.base); has(base) {
		if _, err := tokenize.Same(base, m.dir); err != nil {
			return fmt.Errorf("the adapter's tokenizer is not the base model's: %w", err)
		}
	}
	m.tokenizer = m.dir
	return nil
}

// configure makes the merged config.json of the base's.
func (m *merger) configure(keys map[string]json.RawMessage, model *arch.Model, untied bool) error {
	if err := m.readConfig(m.base); err != nil {
		return err
	}
	if untied {
		if err := m.set("tie_word_embeddings", false); err != nil {
			return err
		}
	}
	if m.o.DType != dtypes.InvalidDType {
		if err := m.setDType(m.o.DType); err != nil {
			return err
		}
	}
	if !m.adapter.Classifier() {
		m.generation = checkpoint.Folder(m.base)
		return nil
	}
	i := slices.IndexFunc(m.tensors, func(t savedTensor) bool { return t.Name == "score.weight" })
	if i < 0 {
		return errors.New("the classifier's head is not score.weight, wanted what transformers loads")
	}
	return m.classify(keys, model.Type, m.tensors[i].Shape[0])
}
