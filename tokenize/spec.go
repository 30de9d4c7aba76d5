package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

const (
	maxVocab = 1 << 22 // entries of a vocabulary
	maxAdded = 1 << 16 // added tokens; the library compares each with all
)

// spec is a tokenizer.json. Only settings that are known to be computed correctly, and never
// to crash the encoder, are accepted; any other is an error that names it.
type spec struct {
	Version       string
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    json.RawMessage
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage
	Model         json.RawMessage

	vocab map[string]int32 // of the model
}

type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Lstrip     bool   `json:"lstrip"`
	Rstrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// part is a component of any kind with the fields that are needed here.
type part struct {
	Type          string
	Normalizers   []json.RawMessage
	Pretokenizers []json.RawMessage
	Processors    []json.RawMessage
	Decoders      []json.RawMessage
	Behavior      string
	Pattern       struct{ String, Regex *string }
	Content       string
	Start, Stop   int
	Single        []struct {
		SpecialToken *struct{ ID string }
		Sequence     *struct{ ID string }
	}
	SpecialTokens map[string]struct{ IDs []int32 } `json:"special_tokens"`
	Replacement   string
	PrependScheme *string `json:"prepend_scheme"`
	AddPrefix     *bool   `json:"add_prefix_space"`
}

func parseSpec(data []byte) (*spec, error) {
	s := &spec{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	if s.Version != "1.0" {
		return nil, fmt.Errorf("version %q, wanted 1.0", s.Version)
	}
	if err := s.checkModel(); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name  string
		raw   json.RawMessage
		known map[string]func(part) error
	}{
		{"normalizer", s.Normalizer, normalizers()},
		{"pre_tokenizer", s.PreTokenizer, preTokenizers()},
		{"post_processor", s.PostProcessor, map[string]func(part) error{"ByteLevel": nil, "TemplateProcessing": nil}},
	} {
		// If the library reports an error, a NUL byte in its message would end the process.
		if bytes.Contains(c.raw, []byte(`\u0000`)) {
			return nil, fmt.Errorf("%s: a NUL character, wanted none", c.name)
		}
		if _, err := flatten(c.name, c.raw, c.known); err != nil {
			return nil, err
		}
	}
	if err := checkNames(data); err != nil {
		return nil, err
	}
	return s, s.checkAdded()
}

// checkModel reads the model, and rewrites it with only what was read.
func (s *spec) checkModel() error {
	if bytes.Contains(s.Model, []byte(`\u0000`)) {
		return errors.New("model: a NUL character, wanted none")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(s.Model, &fields); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	var dropout *float64
	var kind, unk, prefix, suffix *string
	for name, to := range map[string]any{"type": &kind, "dropout": &dropout, "unk_token": &unk, "continuing_subword_prefix": &prefix, "end_of_word_suffix": &suffix} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return fmt.Errorf("model: %s: %w", name, err)
			}
		}
	}
	empty := func(s *string) bool { return s == nil || *s == "" }
	switch {
	case kind != nil && *kind != "BPE":
		return fmt.Errorf("model: type %q, wanted BPE", *kind)
	case dropout != nil && *dropout != 0:
		return fmt.Errorf("model: dropout %v, wanted none: it makes ids random", *dropout)
	case !empty(prefix) || !empty(suffix):
		return errors.New("model: continuing_subword_prefix or end_of_word_suffix, wanted neither")
	case strictjson.Null(fields["vocab"]) || strictjson.Null(fields["merges"]):
		return errors.New("model: no vocab or no merges, wanted both")
	}
	if err := s.readVocab(fields["vocab"]); err != nil {
		return err
	}
	if !empty(unk) {
		if _, ok := s.vocab[*unk]; !ok {
			return fmt.Errorf("model: unk_token %q, wanted one that is in the vocabulary", *unk)
		}
	}
	var b bytes.Buffer
	b.WriteString(`{"type":"BPE"`)
	for _, name := range []string{"unk_token", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"} {
		if raw, ok := fields[name]; ok {
			fmt.Fprintf(&b, ",%q:%s", name, raw)
		}
	}
	b.WriteByte('}')
	s.Model = b.Bytes()
	return nil
}

// readVocab reads the vocabulary, in which no id may have two names.
func (s *spec) readVocab(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &s.vocab); err != nil {
		return fmt.Errorf("model: vocab: %w", err)
	}
	if len(s.vocab) == 0 || len(s.vocab) > maxVocab {
		return fmt.Errorf("model: %d entries, wanted 1 to %d", len(s.vocab), maxVocab)
	}
	names := make(map[int32]string, len(s.vocab))
	for name, id := range s.vocab {
		if id < 0 {
			return fmt.Errorf("model: id %d of %q, wanted 0 to 2^31-1", id, name)
		}
		if other, ok := names[id]; ok {
			return fmt.Errorf("model: id %d of both %q and %q", id, min(name, other), max(name, other))
		}
		names[id] = name
	}
	return nil
}

// checkAdded checks that the ids that the library will assign to the added tokens, ignoring
// the file's, are those of the file.
func (s *spec) checkAdded() error {
	if len(s.AddedTokens) > maxAdded {
		return fmt.Errorf("added_tokens: %d, wanted at most %d", len(s.AddedTokens), maxAdded)
	}
	for i, id := range s.assign() {
		if t := s.AddedTokens[i]; id != t.ID && t.Content != "" {
			return fmt.Errorf("added_tokens: %q has id %d, but the library would give it %d: ids must follow the vocabulary without a gap", t.Content, t.ID, id)
		}
	}
	return nil
}

// assign follows add_tokens of tokenizers' added_vocabulary.rs: it returns the ids of the
// added tokens, in order.
func (s *spec) assign() []int64 {
	ids := make([]int64, len(s.AddedTokens))
	given := map[string]int64{}
	top, size := int64(-1), int64(len(s.vocab))
	for i, t := range s.AddedTokens {
		id, ok := given[t.Content]
		if !ok {
			if v, in := s.vocab[t.Content]; in {
				id = int64(v)
			} else {
				id = max(top+1, size)
			}
		}
		if t.Content != "" {
			given[t.Content] = id
			top = max(top, id)
		}
		ids[i] = id
	}
	return ids
}

// add appends tokens that are missing from the file, as transformers adds those named by
// tokenizer_config.json, and assigns their ids.
func (s *spec) add(tokens []addedToken) error {
	last := map[string]addedToken{} // the last of several entries for a token counts
	for _, t := range s.AddedTokens {
		last[t.Content] = t
	}
	for _, t := range tokens {
		if old, ok := last[t.Content]; !ok || !old.sameAs(t) {
			s.AddedTokens = append(s.AddedTokens, t)
			last[t.Content] = t
		}
	}
	for i, id := range s.assign() {
		s.AddedTokens[i].ID = id
	}
	if len(s.AddedTokens) > maxAdded {
		return fmt.Errorf("added tokens: %d, wanted at most %d", len(s.AddedTokens), maxAdded)
	}
	return nil
}

// encoderFile returns the library's input: the file without what this package does itself (the
// post-processor's BOS, decoding) and what transformers turns off (truncation and padding).
func (s *spec) encoderFile() ([]byte, error) {
	added, err := json.Marshal(s.AddedTokens)
	if err != nil {
		return nil, err
	}
	or := func(raw json.RawMessage) json.RawMessage {
		if strictjson.Null(raw) {
			return json.RawMessage("null")
		}
		return raw
	}
	return fmt.Appendf(nil, `{"version":"1.0","added_tokens":%s,"normalizer":%s,"pre_tokenizer":%s,"model":%s}`,
		added, or(s.Normalizer), or(s.PreTokenizer), s.Model), nil
}

// prefix returns the tokens that the post-processor puts before and after a text.
func (s *spec) prefix() (before, after []int32, err error) {
	parts, err := flatten("post_processor", s.PostProcessor, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range parts {
		if p.Type != "TemplateProcessing" {
			continue
		}
		text := false
		for _, piece := range p.Single {
			switch {
			case piece.Sequence != nil && piece.Sequence.ID == "A" && !text:
				text = true
			case piece.SpecialToken != nil:
				ids := p.SpecialTokens[piece.SpecialToken.ID].IDs
				if len(ids) == 0 {
					return nil, nil, fmt.Errorf("post_processor: no ids of %q", piece.SpecialToken.ID)
				}
				if text {
					after = append(after, ids...)
				} else {
					before = append(before, ids...)
				}
			default:
				return nil, nil, errors.New("post_processor: a template that is not special tokens around one text")
			}
		}
		if !text {
			return nil, nil, errors.New("post_processor: a template without the text")
		}
	}
	return before, after, nil
}

// flatten returns the parts of a component, with those of a Sequence one by one. If known is
// not nil, other types are an error.
func flatten(name string, raw json.RawMessage, known map[string]func(part) error) ([]part, error) {
	return flattenTo(nil, name, raw, known, 0)
}

func flattenTo(parts []part, name string, raw json.RawMessage, known map[string]func(part) error, depth int) ([]part, error) {
	if strictjson.Null(raw) {
		return parts, nil
	}
	if depth > 8 {
		return nil, fmt.Errorf("%s: a Sequence more than 8 deep", name)
	}
	var p part
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if p.Type == "Sequence" {
		for _, list := range [][]json.RawMessage{p.Normalizers, p.Pretokenizers, p.Processors, p.Decoders} {
			for _, raw := range list {
				var err error
				if parts, err = flattenTo(parts, name, raw, known, depth+1); err != nil {
					return nil, err
				}
			}
		}
		return parts, nil
	}
	if known != nil {
		check, ok := known[p.Type]
		if !ok {
			return nil, fmt.Errorf("%s: type %q is not supported", name, p.Type)
		}
		if check != nil {
			if err := check(p); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, p.Type, err)
			}
		}
	}
	return append(parts, p), nil
}

func normalizers() map[string]func(part) error {
	return map[string]func(part) error{
		"NFC": nil, "NFD": nil, "NFKC": nil, "NFKD": nil, "Lowercase": nil, "Prepend": nil,
		"Replace": func(p part) error {
			if p.Pattern.String == nil || *p.Pattern.String == "" {
				return errors.New("a pattern that is not a string")
			}
			return nil
		},
	}
}

func preTokenizers() map[string]func(part) error {
	keeps := func(p part) error {
		if strings.EqualFold(p.Behavior, "removed") {
			return errors.New("behavior Removed, wanted one that keeps all of the text")
		}
		return nil
	}
	return map[string]func(part) error{"ByteLevel": nil, "Digits": nil, "Metaspace": nil, "Split": keeps, "Punctuation": keeps}
}
