package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// given is a token in a file: its text alone, or an AddedToken with flags.
type given struct {
	addedToken
	text   bool
	typed  bool // an object of tokenizer_config.json that declares itself an AddedToken
	object bool // an object that does not
}

// member is a name and its value.
type member struct {
	name string
	to   given
}

// names is what the files say, as collected by one version of transformers.
type names struct {
	version    int
	named      map[string]given // namedTokens
	additional []given          // additional_special_tokens
	extra      []given          // extra_special_tokens as a list
	own        []member         // the model's own tokens; version 5 takes any NAME_token
	plain      []member         // those of own that are plain text in tokenizer_config.json
	dict       []member         // extra_special_tokens as an object
	has        struct{ additional, extra bool }
	last       string // the last of special_tokens_map.json's additional_special_tokens
}

// read adds a file. legacy is special_tokens_map.json, which is read second.
func (n *names) read(members strictMembers, legacy bool) error {
	for _, f := range members {
		var err error
		switch {
		case slices.Contains(namedTokens[:], f.Key):
			err = n.readNamed(f, legacy)
		case f.Key == "additional_special_tokens":
			err = n.readAdditional(f.Value, legacy)
		case f.Key == "extra_special_tokens":
			err = n.readExtra(f.Value, legacy)
		case n.version == 5 && strings.HasSuffix(f.Key, "_token") && (f.Value[0] == '"' || f.Value[0] == '{'):
			err = n.readOwn(f, legacy)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Key, err)
		}
	}
	if n.version == 5 && !legacy && n.has.additional && len(n.extra)+len(n.dict) == 0 {
		n.extra, n.additional = n.additional, nil
		n.has.extra, n.has.additional = true, false
	}
	return nil
}

// readNamed reads one of namedTokens.
func (n *names) readNamed(f strictjson.Member, legacy bool) error {
	delete(n.named, f.Key)
	if strictjson.Null(f.Value) {
		return nil
	}
	t, err := readToken(f.Value, legacy)
	if err == nil && !t.text && t.Content == "" {
		err = errors.New("an object without content, wanted a token")
	}
	t.object = false // transformers refuses it
	n.named[f.Key] = t
	return err
}

// readOwn reads a NAME_token that is none of namedTokens.
func (n *names) readOwn(f strictjson.Member, legacy bool) error {
	t, err := readToken(f.Value, legacy)
	switch {
	case err != nil || t.object:
	case t.text && !legacy:
		n.plain = put(n.plain, member{f.Key, t})
	default:
		n.own = put(n.own, member{f.Key, t})
	}
	return err
}

func (n *names) readAdditional(raw json.RawMessage, legacy bool) error {
	n.has.additional = true
	list, err := readTokens(raw, legacy && n.version == 4)
	if !legacy || n.version == 5 {
		n.additional = list
		return err
	}
	for _, t := range list {
		if n.last = t.Content; !slices.Contains(n.additional, t) {
			n.additional = append(n.additional, t)
		}
	}
	return err
}

func (n *names) readExtra(raw json.RawMessage, legacy bool) (err error) {
	dict := raw[0] == '{'
	switch {
	case n.version == 4 && (legacy || !dict && !strictjson.Null(raw)):
		return errors.New("wanted an object in tokenizer_config.json, for transformers 4")
	case dict:
		if n.has.extra = false; legacy {
			n.extra = nil
		}
		list, err := readDict(raw)
		for _, m := range list {
			n.dict = put(n.dict, m)
		}
		return err
	}
	n.has.extra = true
	list, err := readTokens(raw, legacy)
	for _, t := range list {
		if !legacy || !slices.Contains(n.extra, t) {
			n.extra = append(n.extra, t)
		}
	}
	return err
}

// put assigns to a key as in Python: a new key comes last.
func put(list []member, m member) []member {
	if i := slices.IndexFunc(list, func(o member) bool { return o.name == m.name }); i >= 0 {
		list[i] = m
		return list
	}
	return append(list, m)
}

// readToken reads a token: a string or an object. legacy is special_tokens_map.json, where
// objects are special tokens; elsewhere they declare themselves AddedTokens.
func readToken(raw json.RawMessage, legacy bool) (given, error) {
	var s string
	if raw[0] == '"' {
		err := json.Unmarshal(raw, &s)
		return given{addedToken: addedToken{Content: s}, text: true}, err
	}
	var o struct {
		addedToken
		Type       string `json:"__type"`
		Normalized *bool  `json:"normalized"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return given{}, err
	}
	t := given{addedToken: o.addedToken, typed: o.Type != "", object: !legacy && o.Type == ""}
	t.ID = 0
	t.Special = t.Special || legacy
	t.Normalized = !t.Special
	if o.Normalized != nil {
		t.Normalized = *o.Normalized
	}
	return t, nil
}

func readTokens(raw json.RawMessage, legacy bool) ([]given, error) {
	if strictjson.Null(raw) {
		return nil, nil
	}
	list, err := strictjson.List(raw)
	if err != nil {
		return nil, err
	}
	tokens := make([]given, len(list))
	for i, raw := range list {
		if strictjson.Null(raw) {
			return nil, errors.New("null, wanted a token")
		}
		if tokens[i], err = readToken(raw, legacy); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

func readDict(raw json.RawMessage) ([]member, error) {
	members, err := strictjson.Members(raw, "")
	if err != nil {
		return nil, err
	}
	var list []member
	for _, f := range members {
		if strictjson.Null(f.Value) {
			return nil, fmt.Errorf("%s: null, wanted a token", f.Key)
		}
		t, err := readToken(f.Value, false)
		if err != nil {
			return nil, err
		}
		list = append(list, member{f.Key, t})
	}
	return list, nil
}

// decoderTokens reads added_tokens_decoder: id -> token.
func decoderTokens(raw json.RawMessage) ([]addedToken, error) {
	var byID map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byID); err != nil {
		return nil, fmt.Errorf("added_tokens_decoder: %w", err)
	}
	var tokens []addedToken
	for id, raw := range byID {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("added_tokens_decoder: id %q, wanted a number", id)
		}
		if strictjson.Null(raw) || raw[0] != '{' {
			return nil, fmt.Errorf("added_tokens_decoder: id %q: wanted an object", id)
		}
		t, err := readToken(raw, false)
		if err != nil {
			return nil, fmt.Errorf("added_tokens_decoder: id %q: %w", id, err)
		}
		t.ID = n
		tokens = append(tokens, t.addedToken)
	}
	slices.SortFunc(tokens, func(a, b addedToken) int { return int(a.ID - b.ID) })
	return tokens, nil
}
