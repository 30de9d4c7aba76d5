package logprob

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// folder is a checkpoint's folder before it is written.
type folder struct {
	out      string
	config   []strictjson.Member // of config.json
	tensors  []savedTensor
	shard    int64 // bytes of a weights file at most; 0: 5e9
	progress func(done, total int64)
	// tokenizer, generation and rendering are the folders whose tokenizer, generation_config.json
	// and rendering.json (how a reward model was trained to read texts) are copied; "" for none.
	tokenizer, generation, rendering string
	made                             map[string][]byte // a tokenizer's files that are in no folder, by name
	warnings                         []error
}

// savedTensor is a tensor without data, and what writes its data.
type savedTensor struct {
	checkpoint.Tensor
	write func(ctx context.Context, w io.Writer) error
}

// add adds a float32 tensor, whose numbers are made when it is written.
func (f *folder) add(name string, shape []int, values func() ([]float32, error)) {
	t := checkpoint.Tensor{Name: name, DType: dtypes.Float32, Shape: shape}
	f.tensors = append(f.tensors, savedTensor{t, func(ctx context.Context, w io.Writer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		all, err := values()
		if err != nil {
			return err
		}
		_, err = w.Write(checkpoint.Float32(name, all, shape...).Data)
		return err
	}})
}

// takeTokenizer takes the tokenizer of a base: that of the files beside its weights, or else what a
// GGUF file's metadata amount to.
func (f *folder) takeTokenizer(base string) {
	place := tokenizerPlace(base, &Options{})
	if _, err := os.Stat(filepath.Join(place, "tokenizer.json")); err == nil {
		f.tokenizer = place
		return
	}
	doubt := fmt.Errorf("logprob: %s: no tokenizer.json to copy", base)
	if file := checkpoint.GGUF(place); file != "" {
		var err error
		if f.made, err = checkpoint.Tokenizer(file); err != nil {
			doubt = fmt.Errorf("logprob: %s: no tokenizer is written: %w", base, err)
		} else {
			doubt = ofMetadata(file)
		}
	}
	f.warnings = append(f.warnings, doubt)
}

// readConfig begins with a folder's config.json, or with what a GGUF file amounts to.
func (f *folder) readConfig(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		keys, w, err := checkpoint.Open(dir)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			f.config = append(f.config, strictjson.Member{Key: key, Value: keys[key]})
		}
		return w.Close()
	}
	data, err := regular.Read(filepath.Join(dir, "config.json"), regular.Text)
	if err == nil {
		f.config, err = strictjson.Members(checkpoint.Infinite(data), "")
	}
	// What is written is decoded.
	f.config = slices.DeleteFunc(f.config, func(m strictjson.Member) bool { return m.Key == checkpoint.QuantisationKey })
	return err
}

// classify makes config.json that of a classifier of a family, with a row for each label.
func (f *folder) classify(keys map[string]json.RawMessage, kind string, labels int) error {
	var names map[string]string
	if json.Unmarshal(keys["id2label"], &names) != nil || len(names) != labels {
		names, ids := map[string]string{}, map[string]int{}
		for i := range labels {
			names[fmt.Sprint(i)], ids[fmt.Sprintf("LABEL_%d", i)] = fmt.Sprintf("LABEL_%d", i), i
		}
		if err := errors.Join(f.set("id2label", names), f.set("label2id", ids)); err != nil {
			return err
		}
	}
	family, _ := arch.FamilyOf(kind)
	if family.Classifier == "" {
		return fmt.Errorf("model_type %s, of which transformers has no ForSequenceClassification", kind)
	}
	if err := f.set("architectures", []string{family.Classifier + "ForSequenceClassification"}); err != nil {
		return err
	}
	if raw := keys["pad_token_id"]; !strictjson.Null(raw) {
		return nil
	}
	if f.tokenizer != "" && tokenize.Available {
		t, err := tokenize.Load(f.tokenizer)
		if err != nil {
			return err
		}
		defer t.Close()
		if name, ok := t.SpecialToken("pad_token"); ok {
			if ids, _, err := t.Encode(name); err == nil && len(ids) == 1 {
				return f.set("pad_token_id", ids[0])
			}
		}
	}
	f.warnings = append(f.warnings, errors.New("logprob: neither config.json nor the tokenizer names a pad token: transformers then scores one text at a time alone"))
	return nil
}

// set sets a key of the config, in its place or at the end.
func (f *folder) set(key string, value any) error {
	raw, err := strictjson.Marshal(value)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(f.config, func(c strictjson.Member) bool { return c.Key == key }); i >= 0 {
		f.config[i].Value = raw
	} else {
		f.config = append(f.config, strictjson.Member{Key: key, Value: raw})
	}
	return nil
}

// setDType sets the type of the weights under the key that the config has for it.
func (f *folder) setDType(dtype dtypes.DType) error {
	key := "torch_dtype"
	if slices.ContainsFunc(f.config, func(c strictjson.Member) bool { return c.Key == "dtype" }) {
		key = "dtype"
	}
	return f.set(key, strings.ToLower(dtype.String()))
}

// ofTokenizer are the files of a tokenizer, which are copied as they are.
var ofTokenizer = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
	"vocab.json", "merges.txt", "tokenizer.model",
}

// copyFiles copies those of a folder's files that there are, and returns their names. "" for
// the folder means none.
func copyFiles(from, to string, names ...string) (copied []string, err error) {
	if from == "" {
		return nil, nil
	}
	for _, name := range names {
		data, err := regular.Read(filepath.Join(from, name), regular.Text)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o666)
		}
		if err != nil {
			return nil, err
		}
		copied = append(copied, name)
	}
	return copied, nil
}

// checkNew refuses a folder that is there already.
func checkNew(out string) error {
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s exists, wanted a new folder", out))
	}
	return nil
}

// beside makes the folder that out is written in before it has its name. Missing folders above
// it are made, and what a killed process left there is removed.
func beside(out string) (part string, err error) {
	part = filepath.Clean(out) + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	return part, os.MkdirAll(part, 0o777)
}

// whole makes a new folder, which appears under its name once write has filled it, and not at
// all after an error.
func whole(out string, write func(part string) error) error {
	if err := checkNew(out); err != nil {
		return err
	}
	part, err := beside(out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := write(part); err != nil {
		return err
	}
	return os.Rename(part, out)
}

// write writes the folder, in the place of an existing one's files.
func (f *folder) write(ctx context.Context) error {
	part, err := beside(f.out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	names, err := f.fill(ctx, part)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(f.out); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(part, f.out)
	}
	return f.replace(part, names)
}

// fill writes the files, and returns their names.
func (f *folder) fill(ctx context.Context, dir string) (names []string, err error) {
	if names, err = f.weights(ctx, dir); err != nil {
		return nil, err
	}
	text, err := strictjson.MarshalMembers(f.config)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666)
	}
	if err != nil {
		return nil, err
	}
	tokenizer, err := copyFiles(f.tokenizer, dir, ofTokenizer...)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(f.made)) {
		if err := os.WriteFile(filepath.Join(dir, name), f.made[name], 0o666); err != nil {
			return nil, err
		}
		tokenizer = append(tokenizer, name)
	}
	generation, err := copyFiles(f.generation, dir, "generation_config.json")
	if err != nil {
		return nil, err
	}
	rendering, err := copyFiles(f.rendering, dir, "rendering.json")
	return slices.Concat(names, []string{"config.json"}, tokenizer, generation, rendering), err
}

// replace puts the files in the place of an existing folder's.
func (f *folder) replace(part string, names []string) error {
	old, err := filepath.Glob(filepath.Join(f.out, "model*.safetensors*"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(part, name), filepath.Join(f.out, name)); err != nil {
			return err
		}
	}
	return nil
}

// bytes is the size of the tensor's data.
func (t savedTensor) bytes() int64 {
	if t.Usable() != nil {
		return int64(len(t.Raw()))
	}
	size := int64(t.DType.Size())
	for _, n := range t.Shape {
		size *= int64(n)
	}
	return size
}

// weights writes the weights, in shards if they are large, and returns the files' names.
func (f *folder) weights(ctx context.Context, dir string) (names []string, err error) {
	limit := f.shard
	if limit == 0 {
		limit = 5e9
	}
	var total, size, done int64
	shards := [][]savedTensor{nil}
	for _, t := range f.tensors {
		n := t.bytes()
		if size > 0 && size+n > limit {
			shards, size = append(shards, nil), 0
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], t)
		size, total = size+n, total+n
	}
	index := map[string]string{}
	for i, shard := range shards {
		name := "model.safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		names = append(names, name)
		byName := map[string]savedTensor{}
		var list []checkpoint.Tensor
		for _, t := range shard {
			byName[t.Name], index[t.Name] = t, name
			list = append(list, t.Tensor)
		}
		err := writeShard(filepath.Join(dir, name), list, func(w io.Writer, t checkpoint.Tensor) error {
			return byName[t.Name].write(ctx, &counted{w, func(n int) {
				if done += int64(n); f.progress != nil {
					f.progress(done, total)
				}
			}})
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
