package tokenize

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Same compares the tokenizers of two folders, of which one was saved from the other, perhaps
// by another release of the tokenizers library. It is nil if other gives every text the ids
// that the first one gives it; added are tokens that other has besides, such as a padding
// token, which text that spells them out becomes. Chat templates are not compared.
func Same(dir, other string) (added []string, err error) {
	var read [2]map[string]any
	var tokens [2]map[string]addedToken
	for i, dir := range []string{dir, other} {
		if read[i], tokens[i], err = readParts(dir); err != nil {
			return nil, fmt.Errorf("tokenize: %s: %w", dir, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(read[0])) {
		if !reflect.DeepEqual(read[0][key], read[1][key]) {
			return nil, fmt.Errorf("tokenize: %s: tokenizer.json differs in %s from that of %s", other, key, dir)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tokens[0])) {
		if tokens[1][name] != tokens[0][name] {
			return nil, fmt.Errorf("tokenize: %s: the added token %q differs from that of %s", other, name, dir)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tokens[1])) {
		if _, ok := tokens[0][name]; !ok {
			added = append(added, name)
		}
	}
	return added, nil
}

// readParts returns what decides a text's ids: the members of a folder's tokenizer.json, but for
// how it pads and truncates, and all added tokens by their text.
func readParts(dir string) (map[string]any, map[string]addedToken, error) {
	read := folder(dir)
	data, err := read("tokenizer.json")
	if err != nil {
		return nil, nil, err
	}
	s, err := parseSpec(data)
	if err != nil {
		return nil, nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	c, err := readConfig(read)
	if err != nil {
		return nil, nil, err
	}
	more, err := c.naming.tokens(s.AddedTokens, s.vocab)
	if err != nil {
		return nil, nil, err
	}
	tokens := map[string]addedToken{}
	for _, t := range append(s.AddedTokens, more...) {
		tokens[t.Content] = t
	}
	parts := map[string]any{"splitting of special tokens": c.splitSpecial}
	for name, raw := range map[string]json.RawMessage{
		"normalizer": s.Normalizer, "pre_tokenizer": s.PreTokenizer, "post_processor": s.PostProcessor, "decoder": s.Decoder, "model": s.Model,
	} {
		var value any
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &value); err != nil {
				return nil, nil, fmt.Errorf("tokenizer.json: %s: %w", name, err)
			}
		}
		parts[name] = value
	}
	if model, ok := parts["model"].(map[string]any); ok {
		joinMerges(model)
		maps.DeleteFunc(model, func(_ string, v any) bool { return v == nil || v == false }) // as if absent
	}
	return parts, tokens, nil
}

// joinMerges writes merges as older releases do, "a b" for ["a", "b"].
func joinMerges(model map[string]any) {
	merges, _ := model["merges"].([]any)
	for i, m := range merges {
		pair, ok := m.([]any)
		if !ok || len(pair) != 2 {
			continue
		}
		a, first := pair[0].(string)
		b, second := pair[1].(string)
		if first && second && !strings.Contains(a, " ") && !strings.Contains(b, " ") {
			merges[i] = a + " " + b
		}
	}
}
