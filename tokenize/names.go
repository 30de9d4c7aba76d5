package tokenize

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// The names that objects of a tokenizer.json may have, for all supported kinds of a
// component together: those that tokenizers 0.23.3 writes, and str_rep and a Metaspace's
// add_prefix_space, which older versions wrote. A misspelt name would silently leave a
// setting at its default.
var (
	fileNames  = strings.Fields("version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model")
	modelNames = strings.Fields("type dropout unk_token continuing_subword_prefix end_of_word_suffix fuse_unk byte_fallback ignore_merges vocab merges")
	addedNames = strings.Fields("id content single_word lstrip rstrip normalized special")
	partNames  = strings.Fields(`type normalizers pretokenizers processors decoders pattern String Regex behavior invert content prepend
		add_prefix_space trim_offsets use_regex individual_digits replacement prepend_scheme split str_rep single pair special_tokens
		start stop prefix suffix cleanup sep cls pad_token word_delimiter_token SpecialToken Sequence id type_id ids tokens`)
)

// checkNames refuses names that the tokenizers library does not know, repeated names, and
// added tokens that lack a member. The library itself refuses the last and unknown names at
// the top level, but skips unknown names inside components, and mostly takes the last of
// repeated names.
func checkNames(data []byte) error {
	top, err := only(data, "", fileNames)
	if err != nil {
		return err
	}
	for _, m := range top {
		switch {
		case m.Key == "model" && !strictjson.Null(m.Value):
			if _, err := only(m.Value, "model: ", modelNames); err != nil {
				return err
			}
		case m.Key == "added_tokens" && !strictjson.Null(m.Value):
			if err := checkAddedNames(m.Value); err != nil {
				return err
			}
		case slices.Contains([]string{"normalizer", "pre_tokenizer", "post_processor", "decoder"}, m.Key):
			if err := checkPartNames(m.Value, m.Key+": "); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkAddedNames(data []byte) error {
	list, err := strictjson.List(data)
	if err != nil {
		return fmt.Errorf("added_tokens: %w", err)
	}
	for i, raw := range list {
		members, err := only(raw, fmt.Sprintf("added_tokens: entry %d: ", i+1), addedNames)
		if err != nil {
			return err
		}
		for _, name := range addedNames {
			if !slices.ContainsFunc(members, func(m strictjson.Member) bool { return m.Key == name && !strictjson.Null(m.Value) }) {
				return fmt.Errorf("added_tokens: entry %d: no %s, wanted one", i+1, name)
			}
		}
	}
	return nil
}

// checkPartNames checks a component and its parts. The names in special_tokens are those of
// tokens.
func checkPartNames(data json.RawMessage, where string) error {
	switch {
	case strictjson.Null(data) || data[0] != '{' && data[0] != '[':
		return nil
	case data[0] == '[':
		list, err := strictjson.List(data)
		for _, raw := range list {
			if err := checkPartNames(raw, where); err != nil {
				return err
			}
		}
		return err
	}
	members, err := only(data, where, partNames)
	if err != nil {
		return err
	}
	for _, m := range members {
		values := []strictjson.Member{m}
		if m.Key == "special_tokens" && m.Value[0] == '{' {
			if values, err = strictjson.Members(m.Value, ""); err != nil {
				return fmt.Errorf("%sspecial_tokens: %w", where, err)
			}
		}
		for _, v := range values {
			if err := checkPartNames(v.Value, where); err != nil {
				return err
			}
		}
	}
	return nil
}

func only(data []byte, where string, names []string) ([]strictjson.Member, error) {
	members, err := strictjson.Members(data, "")
	if err != nil {
		return nil, fmt.Errorf("%s%w", where, err)
	}
	for _, m := range members {
		if !slices.Contains(names, m.Key) {
			return nil, fmt.Errorf("%s%q, wanted one of %s", where, m.Key, strings.Join(names, ", "))
		}
	}
	return members, nil
}

// configNames are the names of tokenizer_config.json and special_tokens_map.json that are
// read here, and one that is one letter away from one of them.
var configNames = append(strings.Fields(`add_bos_token add_eos_token tokenizer_class split_special_tokens added_tokens_decoder
	additional_special_tokens extra_special_tokens chat_template`), namedTokens[:]...)

// checkConfigNames refuses names that differ from one of configNames in case or by one
// letter. All others may be a model's own, and so may NAME_token and add_NAME_token for any
// NAME.
func checkConfigNames(file string, members strictMembers) error {
	for _, m := range members {
		if slices.Contains(configNames, m.Key) {
			continue
		}
		for _, name := range configNames {
			own := strings.HasSuffix(m.Key, "_token") && (slices.Contains(namedTokens[:], name) ||
				strings.HasPrefix(m.Key, "add_") && len(m.Key) == len(name))
			if strings.EqualFold(m.Key, name) || !own && oneOff(m.Key, name) {
				return fmt.Errorf("%s: %q, wanted %s, or a name that is less like it", file, m.Key, name)
			}
		}
	}
	return nil
}

// oneOff reports whether a and b differ by one byte, replaced or missing.
func oneOff(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch len(b) - len(a) {
	case 0:
		return i < len(a) && a[i+1:] == b[i+1:]
	case 1:
		return a[i:] == b[i+1:]
	}
	return false
}
