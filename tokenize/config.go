package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// maxFile bounds each file of a tokenizer; the largest in use have a third of it.
const maxFile = 100_000_000

// config is what tokenizer_config.json, special_tokens_map.json and
// chat_template.jinja say, as far as it decides ids.
type config struct {
	class        string
	addBOS       *bool             // add_bos_token
	v5           bool              // written by transformers 5, which keeps the BOS in tokenizer.json alone
	splitSpecial bool              // split_special_tokens: special tokens in a text are no tokens
	named        map[string]string // bos_token, eos_token ...: what a chat template sees
	added        []addedToken      // tokens that transformers adds to those of tokenizer.json
	templates    []namedTemplate   // chat templates
	noTemplate   error             // why none of them is that of a chat, nil if one is
}

// namedTokens are SPECIAL_TOKENS_ATTRIBUTES of transformers, in its order.
var namedTokens = [...]string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

func readConfig(dir string) (*config, error) {
	c := &config{named: map[string]string{}}
	fields, err := readFields(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	if raw, ok := fields["added_tokens_decoder"]; ok {
		if err := c.decoderTokens(raw); err != nil {
			return nil, fmt.Errorf("tokenizer_config.json: %w", err)
		}
	} else {
		// transformers reads this file of older checkpoints only here.
		more, err := readFields(filepath.Join(dir, "special_tokens_map.json"))
		if err != nil {
			return nil, err
		}
		for name, raw := range more {
			if fields == nil {
				fields = map[string]json.RawMessage{}
			}
			fields[name] = raw
		}
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
	for _, name := range namedTokens {
		if s := c.named[name]; s != "" {
			c.added = append(c.added, addedToken{Content: s, Special: true})
		}
	}
	c.templates, c.noTemplate, err = readTemplates(dir, fields["chat_template"])
	return c, err
}

// readFields reads a JSON object; a file that is not there is an empty one.
func readFields(path string) (map[string]json.RawMessage, error) {
	data, err := regular.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return fields, nil
}

// tokenText is a token written as a string or as an object with its content.
func tokenText(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil && !none(raw) {
		return s, true
	}
	var t struct{ Content *string }
	if json.Unmarshal(raw, &t) == nil && t.Content != nil {
		return *t.Content, true
	}
	return "", false
}

// decoderTokens reads added_tokens_decoder: id -> token.
func (c *config) decoderTokens(raw json.RawMessage) error {
	var byID map[string]addedToken
	if err := json.Unmarshal(raw, &byID); err != nil {
		return fmt.Errorf("added_tokens_decoder: %w", err)
	}
	for id, t := range byID {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil {
			return fmt.Errorf("added_tokens_decoder: id %q, wanted a number", id)
		}
		t.ID = n
		c.added = append(c.added, t)
	}
	slices.SortFunc(c.added, func(a, b addedToken) int { return int(a.ID - b.ID) })
	return nil
}

// namedTemplate is one of a checkpoint's chat templates. "default" is that of a chat.
type namedTemplate struct{ Name, Template string }

// readTemplates returns the chat templates: the file first, then the entry of
// tokenizer_config.json, which is a text or a list of named ones. A checkpoint without one
// for chats is fit for raw text, so that is not an error of reading.
func readTemplates(dir string, raw json.RawMessage) (list []namedTemplate, missing, err error) {
	data, err := regular.Read(filepath.Join(dir, "chat_template.jinja"), maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var text string
	switch {
	case err == nil:
		list = []namedTemplate{{"default", string(data)}}
	case none(raw):
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
