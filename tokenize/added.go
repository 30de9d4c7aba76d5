package tokenize

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Some tokens are named by tokenizer_config.json, special_tokens_map.json or
// added_tokens.json and missing from tokenizer.json. transformers adds them in an order, and
// so with ids, on which its versions 4 and 5 can disagree. Both are followed here, as of
// 4.57.3 and 5.23.0 (_from_pretrained of tokenization_utils_base.py, __init__ of
// tokenization_utils_fast.py and tokenization_utils_tokenizers.py), and a checkpoint for
// which they give different tokens is refused.

// namedTokens are SPECIAL_TOKENS_ATTRIBUTES of transformers, in its order.
var namedTokens = [...]string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// naming is what the files say, before a version of transformers makes tokens of it.
type naming struct {
	decoder    []addedToken // added_tokens_decoder, or else added_tokens.json
	legacy     bool         // no added_tokens_decoder: special_tokens_map.json counts, and the tokens of tokenizer.json
	config, of strictMembers
}

type strictMembers []strictjson.Member

func (read reader) members(file string) (strictMembers, error) {
	data, err := read.small(file)
	if err != nil || data == nil {
		return nil, err
	}
	members, err := strictjson.Members(data, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if file == "added_tokens.json" { // its keys are tokens
		return members, nil
	}
	return members, checkConfigNames(file, members)
}

// readNaming reads the files.
func readNaming(read reader) (n *naming, err error) {
	n = &naming{}
	if n.config, err = read.members("tokenizer_config.json"); err != nil {
		return nil, err
	}
	for _, f := range n.config {
		if f.Key == "added_tokens_decoder" {
			if n.decoder, err = decoderTokens(f.Value); err != nil {
				return nil, fmt.Errorf("tokenizer_config.json: %w", err)
			}
			return n, nil
		}
	}
	n.legacy = true
	if n.of, err = read.members("special_tokens_map.json"); err != nil {
		return nil, err
	}
	added, err := read.members("added_tokens.json")
	if err != nil {
		return nil, err
	}
	for _, f := range added {
		t := addedToken{Content: f.Key}
		if err := json.Unmarshal(f.Value, &t.ID); err != nil {
			return nil, fmt.Errorf("added_tokens.json: %q: %w", f.Key, err)
		}
		n.decoder = append(n.decoder, t)
	}
	return n, nil
}

// tokens returns the tokens that transformers adds to those of tokenizer.json, in order.
func (n *naming) tokens(file []addedToken, vocab map[string]int32) ([]addedToken, error) {
	var made [2][]addedToken
	var failed [2]error
	for i, version := range []int{4, 5} {
		made[i], failed[i] = n.like(version, file)
	}
	switch {
	case failed[0] != nil && failed[1] != nil:
		return nil, failed[1]
	case failed[0] != nil:
		return made[1], nil
	case failed[1] != nil:
		return made[0], nil
	}
	var ends [2]map[string]addedToken
	for i := range ends {
		s := &spec{AddedTokens: slices.Clone(file), vocab: vocab}
		if err := s.add(made[i]); err != nil {
			return nil, err
		}
		ends[i] = map[string]addedToken{}
		for _, t := range s.AddedTokens {
			t.Special = false // which does not change how a text is tokenized
			ends[i][t.Content] = t
		}
	}
	var differ []string
	for i := range ends {
		for name, t := range ends[i] {
			if other, ok := ends[1-i][name]; (!ok || other != t) && !slices.Contains(differ, name) {
				differ = append(differ, name)
			}
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return nil, fmt.Errorf("tokens that tokenizer.json lacks, or has in another way: of what tokenizer_config.json, special_tokens_map.json and added_tokens.json say of %q, transformers 4 and 5 make different tokens: wanted them in tokenizer.json", differ)
	}
	for i := range made[1] { // a token is special if either version says so
		t := &made[1][i]
		t.Special = t.Special || slices.ContainsFunc(made[0], func(o addedToken) bool { return o.Content == t.Content && o.Special })
	}
	return made[1], nil
}

// like returns the tokens that a version of transformers adds.
func (n *naming) like(version int, file []addedToken) ([]addedToken, error) {
	s := &names{version: version, named: map[string]given{}}
	if err := s.read(n.config, false); err != nil {
		return nil, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	if err := s.read(n.of, true); err != nil {
		return nil, fmt.Errorf("special_tokens_map.json: %w", err)
	}
	decoder := n.decoder
	if n.legacy {
		decoder = s.flagged(n.decoder)
	}
	byName := map[string]addedToken{}
	for _, t := range decoder {
		if version == 4 && n.legacy { // by a mistake of 4.57.3, all by this name
			byName[s.last] = t
		} else {
			byName[t.Content] = t
		}
	}
	if n.legacy {
		for _, t := range file {
			byName[t.Content] = t
		}
		decoder = byID(decoder, file)
	}
	for name, t := range s.named {
		if known, ok := byName[t.Content]; ok {
			s.named[name] = given{addedToken: known}
		}
	}
	list, special := s.specialTokens()
	return addAll(version, list, special, decoder, file)
}

// specialTokens lists the special tokens in the order in which the version adds them.
// special has the texts of all but those of extra.
func (n *names) specialTokens() (list []given, special map[string]bool) {
	if n.version == 5 && n.has.additional && !n.has.extra {
		n.extra = n.additional
	}
	var own []member
	for _, m := range slices.Concat(n.own, n.plain, n.dict) {
		if slices.Contains(namedTokens[:], m.name) {
			n.named[m.name] = m.to
		} else {
			own = put(own, m)
		}
	}
	special = map[string]bool{}
	take := func(tokens ...given) {
		if n.version == 4 { // each text once, but for those within a list
			tokens = slices.DeleteFunc(slices.Clone(tokens), func(t given) bool { return special[t.Content] })
		}
		list = append(list, tokens...)
		for _, t := range tokens {
			special[t.Content] = true
		}
	}
	for _, name := range namedTokens {
		if t, ok := n.named[name]; ok && t.Content != "" {
			take(t)
		}
	}
	if n.version == 4 {
		take(n.additional...)
	}
	for _, m := range own {
		take(m.to)
	}
	if n.version == 5 {
		list = append(list, n.extra...)
	}
	return list, special
}

// addAll follows __init__ of a fast tokenizer: first tokens by id that tokenizer.json lacks
// or has with other flags, then the named ones.
func addAll(version int, list []given, special map[string]bool, decoder, file []addedToken) ([]addedToken, error) {
	known := map[string]bool{}
	for _, t := range file {
		known[t.Content] = true
	}
	var add []given
	for _, t := range decoder {
		if !slices.ContainsFunc(file, t.sameAs) {
			add = append(add, given{addedToken: t})
			known[t.Content] = true
		}
	}
	for _, t := range list {
		if t.object {
			return nil, fmt.Errorf("%q: an object without __type, wanted a text or an AddedToken", t.Content)
		}
		in := known[t.Content] && (version == 5 || t.text)
		if !in && !slices.ContainsFunc(add, func(a given) bool { return a.text == t.text && a.sameAs(t.addedToken) }) {
			add = append(add, t)
		}
	}
	tokens := make([]addedToken, len(add))
	for i, t := range add {
		tokens[i] = t.addedToken
		tokens[i].ID = 0
		tokens[i].Special = t.Special || t.text || special[t.Content]
	}
	return tokens, nil
}

// flagged returns the tokens of added_tokens.json, which has no flags.
func (n *names) flagged(tokens []addedToken) []addedToken {
	special := map[string]bool{}
	mark := func(t given) {
		if !t.typed { // still an object, and compared as one
			special[t.Content] = true
		}
	}
	for _, t := range n.named {
		mark(t)
	}
	list := n.additional
	if n.version == 5 {
		list = n.extra
	}
	for _, t := range list {
		mark(t)
	}
	tokens = slices.Clone(tokens)
	for i := range tokens {
		t := &tokens[i]
		t.Special = special[t.Content]
		t.Normalized = !t.Special
	}
	return tokens
}

// byID sorts tokens by id; those of tokenizer.json replace others with the same id.
func byID(tokens, file []addedToken) []addedToken {
	all := map[int64]addedToken{}
	for _, t := range slices.Concat(tokens, file) {
		all[t.ID] = t
	}
	list := slices.Collect(maps.Values(all))
	slices.SortFunc(list, func(a, b addedToken) int { return int(a.ID - b.ID) })
	return list
}

// sameAs compares everything but the ids.
func (t addedToken) sameAs(other addedToken) bool {
	t.ID = other.ID
	return t == other
}
