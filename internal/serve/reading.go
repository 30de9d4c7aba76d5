package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// reading are the fields of a request that say how text is read. What they leave out is as
// the server's flags say.
type reading struct {
	System *string         `json:"system"`               // the system message of chats
	Vars   json.RawMessage `json:"chat_template_kwargs"` // vLLM: further variables of the chat template
	BOS    *string         `json:"bos"`                  // auto, add, none or extra
}

// of returns a model as it reads text for the request. chats says whether anything is
// rendered by a template, without which a system message and variables have no place.
func (r *reading) of(m *Model, chats bool) (*Model, error) {
	vars := !strictjson.Null(r.Vars)
	if r.System == nil && !vars && r.BOS == nil {
		return m, nil
	}
	var o tokenize.ChatOptions
	if m.Chat != nil {
		o = *m.Chat
	}
	switch {
	case !chats && r.System != nil:
		return nil, refuse("system", "system: nothing is rendered as a chat, wanted messages, or rendering chat")
	case !chats && vars:
		return nil, refuse("chat_template_kwargs", "chat_template_kwargs: nothing is rendered as a chat, wanted messages, or rendering chat")
	}
	if r.System != nil {
		o.System = *r.System
	}
	if vars {
		members, err := strictjson.Members(r.Vars, "")
		if err != nil {
			return nil, refuse("chat_template_kwargs", "chat_template_kwargs: wanted an object")
		}
		if o.Vars = maps.Clone(o.Vars); o.Vars == nil {
			o.Vars = map[string]any{}
		}
		for _, v := range members {
			o.Vars[v.Key] = v.Value
		}
	}
	if r.BOS != nil {
		var err error
		if o.BOS, err = tokenize.ParseBOS(*r.BOS); err != nil {
			return nil, refuse("bos", "bos: %.20q, wanted auto, add, none or extra", *r.BOS)
		}
	}
	as := *m
	as.Chat = &o
	return &as, nil
}

// strings tells whether strings get the BOS, by vLLM's field add_special_tokens.
func (r *reading) strings(addSpecialTokens *bool) (bool, error) {
	if addSpecialTokens != nil && r.BOS != nil {
		return false, refuse("bos", "bos and add_special_tokens, wanted one of them")
	}
	return addSpecialTokens == nil || *addSpecialTokens, nil
}

// bos is the choice of the BOS of raw text.
func (m *Model) bos() tokenize.BOS {
	if m.Chat == nil {
		return tokenize.BOSAuto
	}
	return m.Chat.BOS
}

// raw encodes text as it stands.
func (m *Model) raw(prompt, reply string) (tokenize.Encoded, error) {
	text, err := m.Tokenizer().RawBOS(prompt, reply, m.bos())
	return text, withChoice(err)
}

// withChoice says how a request decides what the tokenizer leaves open.
func withChoice(err error) error {
	if errors.Is(err, tokenize.ErrBOS) {
		err = fmt.Errorf("%w: choose with bos add or none", err)
	}
	return err
}

// front is what stands before any raw text.
func (m *Model) front(bos tokenize.BOS) ([]int32, error) {
	with, err := m.Tokenizer().RawBOS("x", "", bos)
	if err != nil {
		return nil, withChoice(err)
	}
	without, err := m.Tokenizer().RawBOS("x", "", tokenize.BOSNone)
	if err != nil {
		return nil, withChoice(err)
	}
	return with.IDs[:len(with.IDs)-len(without.IDs)], nil
}

// whole encodes a text as it stands, special tokens that it spells out as these. A BOS is in
// front by bos: with none there is none but the text's own; with auto and add one that the text
// spells out too is an error; with extra it stands there as with auto whatever the text has.
func (m *Model) whole(text string, bos tokenize.BOS) ([]int32, error) {
	if text == "" {
		return nil, errors.New("empty, wanted text")
	}
	var front []int32
	switch bos {
	case tokenize.BOSAuto, tokenize.BOSAdd:
		e, err := m.Tokenizer().RawBOS(text, "", bos)
		return e.IDs, withChoice(err)
	case tokenize.BOSExtra:
		var err error
		if front, err = m.front(tokenize.BOSAuto); err != nil {
			return nil, err
		}
	}
	ids, _, err := m.Tokenizer().Encode(text)
	return slices.Concat(front, ids), err
}
