package serve

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// prompt is one text of a request as the model reads it.
type prompt struct {
	ids     []int32
	text    string // what echo returns: as it was sent, or the text of ids
	offsets []int  // of each id in text, in characters (code points)
}

// prompts reads OpenAI's field: a string, a list of strings, a list of token ids, or a list
// of such lists. One of texts and ids is not nil.
func prompts(raw json.RawMessage, field string, limits Limits) (texts []string, ids [][]int32, err error) {
	switch {
	case strictjson.Null(raw):
		return nil, nil, refuse(field, "%s is missing, wanted a string, a list of strings, a list of token ids or a list of such lists", field)
	case raw[0] == '"':
		s, _, err := strictjson.String(raw)
		if err != nil {
			return nil, nil, refuse(field, "%s: %v", field, err)
		}
		return []string{s}, nil, nil
	case raw[0] != '[':
		return nil, nil, refuse(field, "%s: %.20s, wanted a string, a list of strings, a list of token ids or a list of such lists", field, raw)
	}
	var first byte
	for _, c := range raw[1:] {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			first = c
			break
		}
	}
	switch first {
	case ']':
		return nil, nil, refuse(field, "%s: an empty list, wanted at least one text", field)
	case '"':
		texts, err := stringList(raw, limits)
		if err != nil {
			return nil, nil, refuse(field, "%s: %v", field, err)
		}
		return texts, nil, nil
	}
	if ids, _, err = idLists(raw, limits); err != nil {
		return nil, nil, refuse(field, "%s: %v", field, err)
	}
	for i, list := range ids {
		if len(list) == 0 {
			return nil, nil, refuse(field, "%s: text %d has no tokens, wanted at least one", field, i)
		}
	}
	return nil, ids, nil
}

// stringList reads a JSON list of strings.
func stringList(raw json.RawMessage, limits Limits) ([]string, error) {
	list, err := strictjson.List(raw)
	if err != nil {
		return nil, errors.New("wanted a list of strings")
	}
	if len(list) > limits.Texts {
		return nil, fmt.Errorf("%d texts, wanted at most %d, the limit of a request", len(list), limits.Texts)
	}
	texts := make([]string, len(list))
	for i, raw := range list {
		text, ok, err := strictjson.String(raw)
		switch {
		case strictjson.Null(raw):
			return nil, errors.New("null among strings")
		case err != nil:
			return nil, err
		case !ok:
			return nil, errors.New("wanted nothing but strings in the list")
		}
		texts[i] = text
	}
	return texts, nil
}

// read makes prompts of a request's field. bos says whether strings get the model's BOS;
// ids are taken as they are.
func (s *Server) read(raw json.RawMessage, field string, m *Model, bos bool) ([]prompt, error) {
	texts, ids, err := prompts(raw, field, s.limits)
	if err != nil {
		return nil, err
	}
	if len(texts) > 0 && m.Tokenizer() == nil {
		return nil, refuse(field, "%s: the model %s has no tokenizer, wanted token ids", field, m.Name)
	}
	list := make([]prompt, 0, len(texts)+len(ids))
	for i, text := range texts {
		p, err := plain(m, text, bos)
		if err != nil {
			return nil, refuse(field, "%s: text %d: %v", field, i, err)
		}
		list = append(list, p)
	}
	spelling := speller{tok: m.Tokenizer()}
	for _, list1 := range ids {
		p := prompt{ids: list1}
		p.text, p.offsets = spelling.spell(list1)
		list = append(list, p)
	}
	for i, p := range list {
		if err := checkIDs(p.ids, m); err != nil {
			return nil, refuse(field, "%s: text %d: %v", field, i, err)
		}
	}
	return list, nil
}

// plain encodes a string as it stands. A BOS is in front of its text, at offset 0, and no
// part of it.
func plain(m *Model, text string, bos bool) (prompt, error) {
	t := tokenize.Encoded{Rendered: text}
	var err error
	if bos {
		t, err = m.raw(text, "")
	} else {
		t.IDs, t.Spans, err = m.Tokenizer().Encode(text)
	}
	if err == nil && len(t.IDs) == 0 {
		err = errors.New("no tokens, wanted at least one")
	}
	return prompt{ids: t.IDs, text: text, offsets: spanOffsets(text, t.Spans)}, err
}

// checkIDs refuses what the model cannot score.
func checkIDs(ids []int32, m *Model) error {
	if len(ids) > m.MaxTokens() {
		return fmt.Errorf("%d tokens, wanted at most %d, the model's context", len(ids), m.MaxTokens())
	}
	for i, id := range ids {
		if id < 0 || int(id) >= m.VocabSize() {
			return fmt.Errorf("token %d has id %d, wanted 0 to %d", i, id, m.VocabSize()-1)
		}
	}
	return nil
}
