package logprob

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/adapter"
	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
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
// magnitude / norm, in float64 and rounded once. Tensors are read and written one by one.
//
// The new folder has config.json, model.safetensors or shards with their index, and the files
// of the tokenizer, the adapter's if it has one, which must be the base model's. Of a
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
	m := &merger{dir: dir, base: base, out: out, o: *o}
	if m.o.ShardSize == 0 {
		m.o.ShardSize = 5e9
	}
	if err := m.merge(ctx); err != nil {
		return nil, fmt.Errorf("logprob: merge %s+%s: %w", base, dir, err)
	}
	return m.warnings, nil
}

// merger is one call of Merge.
type merger struct {
	base, dir, out string
	o              MergeOptions
	warnings       []error

	adapter *adapter.Adapter
	config  []strictjson.Member
	tensors []adapter.Merged
}

func (m *merger) merge(ctx context.Context) error {
	if err := m.checkOut(); err != nil {
		return err
	}
	switch m.o.DType {
	case dtypes.InvalidDType, dtypes.Float32, dtypes.BFloat16, dtypes.Float16:
	default:
		return fmt.Errorf("dtype %s, wanted float32, bfloat16 or float16", m.o.DType)
	}
	w, err := checkpoint.OpenWeights(m.base)
	if err != nil {
		return err
	}
	defer w.Close()
	if m.adapter, err = adapter.Open(m.dir); err != nil {
		return refusedAdapter(err)
	}
	defer m.adapter.Close()
	keys, err := checkpoint.ReadConfig(m.base)
	if err != nil {
		return err
	}
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
	var untied bool
	if m.tensors, untied, err = applied.Merged(m.o.DType); err != nil {
		return err
	}
	tokenizer, err := m.tokenizer()
	if err != nil {
		return err
	}
	if err := m.configure(keys, model, untied, tokenizer); err != nil {
		return err
	}
	return m.write(ctx, tokenizer)
}

// checkOut refuses a folder that would be replaced.
func (m *merger) checkOut() error {
	info, err := os.Stat(m.out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, in := range []string{m.base, m.dir} {
		if from, err := os.Stat(in); err == nil && os.SameFile(from, info) {
			return fmt.Errorf("%s would be replaced, which is read", m.out)
		}
	}
	if !m.o.Force {
		return fmt.Errorf("%s exists, wanted a new folder", m.out)
	}
	return nil
}

// tokenizer returns the folder whose tokenizer the merged checkpoint has; "" for none.
func (m *merger) tokenizer() (string, error) {
	has := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "tokenizer.json"))
		return err == nil
	}
	switch {
	case has(m.dir) && has(m.base):
		if _, err := tokenize.Same(m.base, m.dir); err != nil {
			return "", fmt.Errorf("the adapter's tokenizer is not the base model's: %w", err)
		}
		return m.dir, nil
	case has(m.dir):
		return m.dir, nil
	case has(m.base):
		return m.base, nil
	}
	m.warnings = append(m.warnings, fmt.Errorf("logprob: %s: no tokenizer.json to copy", m.base))
	return "", nil
}

// classifiers are the classes of transformers for sequence classification, by model_type.
var classifiers = map[string]string{
	"arcee": "ArceeForSequenceClassification", "gemma": "GemmaForSequenceClassification", "gemma2": "Gemma2ForSequenceClassification",
	"gemma3": "Gemma3ForSequenceClassification", "gemma3_text": "Gemma3TextForSequenceClassification", "gpt2": "GPT2ForSequenceClassification",
	"gpt_neox": "GPTNeoXForSequenceClassification", "llama": "LlamaForSequenceClassification", "mistral": "MistralForSequenceClassification",
	"olmo": "OlmoForSequenceClassification", "olmo2": "Olmo2ForSequenceClassification", "olmo3": "Olmo3ForSequenceClassification",
	"phi3": "Phi3ForSequenceClassification", "qwen2": "Qwen2ForSequenceClassification", "qwen3": "Qwen3ForSequenceClassification",
	"seed_oss": "SeedOssForSequenceClassification", "smollm3": "SmolLM3ForSequenceClassification",
}

// configure makes the merged config.json of the base's.
func (m *merger) configure(keys map[string]json.RawMessage, model *arch.Model, untied bool, tokenizer string) error {
	data, err := regular.Read(filepath.Join(m.base, "config.json"), regular.Text)
	if err == nil {
		m.config, err = strictjson.Members(data, "")
	}
	if err != nil {
		return err
	}
	if untied {
		if err := m.set("tie_word_embeddings", false); err != nil {
			return err
		}
	}
	if m.o.DType != dtypes.InvalidDType {
		key := "torch_dtype"
		if _, ok := keys["dtype"]; ok {
			key = "dtype"
		}
		if err := m.set(key, strings.ToLower(m.o.DType.String())); err != nil {
			return err
		}
	}
	if !m.adapter.Classifier() {
		return nil
	}
	return m.configureHead(keys, model.Type, tokenizer)
}

// configureHead sets what a classifier's config.json says of its head.
func (m *merger) configureHead(keys map[string]json.RawMessage, kind, tokenizer string) error {
	i := slices.IndexFunc(m.tensors, func(t adapter.Merged) bool { return t.Name == "score.weight" })
	if i < 0 {
		return errors.New("the classifier's head is not score.weight, wanted what transformers loads")
	}
	n := m.tensors[i].Shape[0]
	var names map[string]string
	if json.Unmarshal(keys["id2label"], &names) != nil || len(names) != n {
		names, ids := map[string]string{}, map[string]int{}
		for i := range n {
			names[fmt.Sprint(i)], ids[fmt.Sprintf("LABEL_%d", i)] = fmt.Sprintf("LABEL_%d", i), i
		}
		if err := errors.Join(m.set("id2label", names), m.set("label2id", ids)); err != nil {
			return err
		}
	}
	if classifiers[kind] == "" {
		return fmt.Errorf("model_type %s, of which transformers has no ForSequenceClassification", kind)
	}
	if err := m.set("architectures", []string{classifiers[kind]}); err != nil {
		return err
	}
	if raw := keys["pad_token_id"]; !strictjson.Null(raw) {
		return nil
	}
	if tokenizer != "" && tokenize.Available {
		t, err := tokenize.Load(tokenizer)
		if err != nil {
			return err
		}
		defer t.Close()
		if name, ok := t.SpecialToken("pad_token"); ok {
			if ids, _, err := t.Encode(name); err == nil && len(ids) == 1 {
				return m.set("pad_token_id", ids[0])
			}
		}
	}
	m.warnings = append(m.warnings, errors.New("logprob: neither config.json nor the tokenizer names a pad token: transformers then scores one text at a time alone"))
	return nil
}

// set sets a key of the config, in its place or at the end.
func (m *merger) set(key string, value any) error {
	raw, err := strictjson.Marshal(value)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(m.config, func(c strictjson.Member) bool { return c.Key == key }); i >= 0 {
		m.config[i].Value = raw
	} else {
		m.config = append(m.config, strictjson.Member{Key: key, Value: raw})
	}
	return nil
}

// copied are the files of a tokenizer and of generation, which are copied as they are.
var copied = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
	"vocab.json", "merges.txt", "tokenizer.model",
}

// write writes the folder: under another name first, under its own once it is complete.
func (m *merger) write(ctx context.Context, tokenizer string) error {
	part := m.out + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(part)
	names, err := m.weights(ctx, part)
	if err != nil {
		return err
	}
	text := []byte("{")
	for i, c := range m.config {
		key, err := strictjson.Marshal(c.Key)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, "\n  "...), key...), ": "...)
		text = append(text, c.Value...)
	}
	if err := os.WriteFile(filepath.Join(part, "config.json"), append(text, "\n}\n"...), 0o666); err != nil {
		return err
	}
	names = append(names, "config.json")
	from := map[string]string{}
	for _, name := range copied {
		from[name] = tokenizer
	}
	if !m.adapter.Classifier() {
		from["generation_config.json"] = m.base
	}
	for name, dir := range from {
		if dir == "" {
			continue
		}
		data, err := regular.Read(filepath.Join(dir, name), regular.Text)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(part, name), data, 0o666)
		}
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	return m.rename(part, names)
}

// rename gives the folder its name, or puts its files in the place of an existing one's.
func (m *merger) rename(part string, names []string) error {
	if _, err := os.Stat(m.out); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(part, m.out)
	}
	old, err := filepath.Glob(filepath.Join(m.out, "model*.safetensors*"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(part, name), filepath.Join(m.out, name)); err != nil {
			return err
		}
	}
	return nil
}

// weights writes the weights, in shards if they are large, and returns the files' names.
func (m *merger) weights(ctx context.Context, dir string) (names []string, err error) {
	var total, done int64
	sizes := make([]int64, len(m.tensors))
	shards := [][]adapter.Merged{nil}
	size := int64(0)
	for i, t := range m.tensors {
		sizes[i] = int64(len(t.Raw()))
		if usable := t.Usable() == nil; usable {
			sizes[i] = int64(t.DType.Size())
			for _, n := range t.Shape {
				sizes[i] *= int64(n)
			}
		}
		if size > 0 && size+sizes[i] > m.o.ShardSize {
			shards, size = append(shards, nil), 0
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], t)
		size += sizes[i]
		total += sizes[i]
	}
	index := map[string]string{}
	for i, shard := range shards {
		name := "model.safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		names = append(names, name)
		byName := map[string]adapter.Merged{}
		var list []checkpoint.Tensor
		for _, t := range shard {
			byName[t.Name], index[t.Name] = t, name
			list = append(list, t.Tensor)
		}
		err := writeShard(filepath.Join(dir, name), list, func(w io.Writer, t checkpoint.Tensor) error {
			err := byName[t.Name].Write(ctx, &counted{w, func(n int) {
				if done += int64(n); m.o.Progress != nil {
					m.o.Progress(done, total)
				}
			}})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(shards) == 1 {
		return names, nil
	}
	text, err := json.MarshalIndent(map[string]any{"metadata": map[string]int64{"total_size": total}, "weight_map": index}, "", "  ")
	if err != nil {
		return nil, err
	}
	const file = "model.safetensors.index.json"
	return append(names, file), os.WriteFile(filepath.Join(dir, file), append(text, '\n'), 0o666)
}

// counted tells of the bytes written.
type counted struct {
	io.Writer
	wrote func(n int)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.wrote(n)
	return n, err
}

func writeShard(path string, tensors []checkpoint.Tensor, data func(w io.Writer, t checkpoint.Tensor) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 1<<20)
	err = checkpoint.WriteFrom(b, tensors, map[string]string{"format": "pt"}, data)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
