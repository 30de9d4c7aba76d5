package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// maxFile bounds each file of a tokenizer, in bytes; the largest in use are a third of it.
const maxFile = 100_000_000

// config is what tokenizer_config.json, special_tokens_map.json and chat_template.jinja say
// that can change token ids.
type config struct {
	class        string
	addBOS       *bool             // add_bos_token
	v5           bool              // written by transformers 5, where only tokenizer.json decides the BOS
	splitSpecial bool              // split_special_tokens: special tokens spelled out in a text are ordinary text
	named        map[string]string // bos_token, eos_token ...: variables of chat templates
	naming       *naming           // tokens that transformers adds to those of tokenizer.json
	templates    []namedTemplate   // chat templates
	noTemplate   error             // why there is no template for chats; nil if there is
}

func readConfig(read reader) (*config, error) {
	c := &config{named: map[string]string{}}
	var err error
	if c.naming, err = readNaming(read); err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	for _, m := range slices.Concat(c.naming.config, c.naming.of) {
		fields[m.Key] = m.Value
	}
	for name, to := range map[string]any{"tokenizer_class": &c.class, "add_bos_token": &c.addBOS, "split_special_tokens": &c.splitSpecial} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return nil, fmt.Errorf("tokenizer_config.json: %s: %w", name, err)
			}
		}
	}
	_, c.v5 = fields["backend"]
	for name, raw := range fields {
		if strings.HasSuffix(name, "_token") && !strings.HasPrefix(name, "add_") {
			if s, ok := tokenText(raw); ok {
				c.named[name] = s
			}
		}
	}
	c.templates, c.noTemplate, err = readTemplates(read, fields["chat_template"])
	return c, err
}

// reader reads one of a tokenizer's files by its name.
type reader func(name string) ([]byte, error)

// folder reads the files of a folder.
func folder(dir string) reader {
	return func(name string) ([]byte, error) { return regular.Read(filepath.Join(dir, name), maxFile) }
}

// small reads a file; nil if it does not exist.
func (read reader) small(name string) ([]byte, error) {
	data, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// tokenText returns a token given as a string or as an object with its content.
func tokenText(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil && !strictjson.Null(raw) {
		return s, true
	}
	var t struct{ Content *string }
	if json.Unmarshal(raw, &t) == nil && t.Content != nil {
		return *t.Content, true
	}
	return "", false
}

// namedTemplate is one of a checkpoint's chat templates; "default" is the one for chats.
type namedTemplate struct{ Name, Template string }

// readTemplates returns the chat templates: first the file, then the entry of
// tokenizer_config.json, a string or a list of named ones. A checkpoint without one for
// chats still encodes raw text, so that is returned as missing, not err.
func readTemplates(read reader, raw json.RawMessage) (list []namedTemplate, missing, err error) {
	data, err := read("chat_template.jinja")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var text string
	switch {
	case err == nil:
		list = []namedTemplate{{"default", string(data)}}
	case strictjson.Null(raw):
	case json.Unmarshal(raw, &text) == nil:
		list = []namedTemplate{{"default", text}}
	case json.Unmarshal(raw, &list) != nil:
		return nil, fmt.Errorf("%w: chat_template of tokenizer_config.json is neither a text nor a list of {name, template}", ErrTemplate), nil
	}
	list = slices.DeleteFunc(list, func(t namedTemplate) bool { return t.Template == "" })
	var names []string
	for _, t := range list {
		if t.Name == "default" {
			return list, nil, nil
		}
		names = append(names, t.Name)
	}
	if len(names) > 0 {
		return list, fmt.Errorf("%w: none of them is named default, but %q", ErrTemplate, names), nil
	}
	return nil, fmt.Errorf("%w in the checkpoint (chat_template.jinja, or chat_template in tokenizer_config.json)", ErrTemplate), nil
}
