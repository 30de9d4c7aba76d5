package preference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

const wantedReply = "wanted text, a message {\"role\": ..., \"content\": ...}, a list of messages, or a list of texts"

// repliesOf splits the replies of a side from the messages before them, nil for none. A list
// of texts, or of lists of messages, holds several replies.
func repliesOf(raw json.RawMessage, name string) (before []tokenize.Message, replies []string, err error) {
	list, err := strictjson.List(raw)
	if err != nil || len(list) == 0 || list[0][0] == '{' { // not a list, or a list of messages
		before, reply, err := replyOf(raw, name)
		return before, []string{reply}, err
	}
	for i, raw := range list {
		name := fmt.Sprintf("%s: reply %d", name, i+1)
		if raw[0] != '"' && raw[0] != '[' {
			return nil, nil, fmt.Errorf("%s: %s among others, wanted texts, or lists of messages", name, kind(raw))
		}
		turns, reply, err := replyOf(raw, name)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 && !slices.EqualFunc(before, turns, tokenize.Message.Equal) {
			return nil, nil, fmt.Errorf("%s: answers another conversation than the first", name)
		}
		before, replies = turns, append(replies, reply)
	}
	return before, replies, nil
}

// replyOf splits a reply from the messages before it.
func replyOf(raw json.RawMessage, name string) (before []tokenize.Message, reply string, err error) {
	if strictjson.Null(raw) {
		return nil, "", fmt.Errorf("%s: null, wanted a reply", name)
	}
	if text, isText, err := strictjson.String(raw); isText || err != nil {
		turns, isTranscript := transcriptOf(text)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("%s: %w", name, err)
		case !isTranscript:
			return nil, text, nil
		}
		before, last := split(turns)
		if last.Role != "assistant" {
			return nil, "", fmt.Errorf("%s: the transcript does not end with the Assistant's turn", name)
		}
		return before, last.Content, nil
	}
	var turns []tokenize.Message
	switch raw[0] {
	case '{':
		m, err := messageOf(raw)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
		turns = []tokenize.Message{m}
	case '[':
		if turns, err = messagesOf(raw, name); err != nil {
			return nil, "", err
		}
		if n := len(turns); n > 1 && !slices.ContainsFunc(turns, func(m tokenize.Message) bool { return m.Role != "assistant" }) {
			return nil, "", fmt.Errorf("%s: %d messages, all of the assistant, wanted one reply, or a list of texts", name, n)
		}
	default:
		return nil, "", fmt.Errorf("%s: %s, %s", name, kind(raw), wantedReply)
	}
	before, last := split(turns)
	if last.Role != "assistant" {
		return nil, "", fmt.Errorf("%s: the last of %d messages is not of the assistant", name, len(turns))
	}
	for _, e := range last.Extra {
		if !empty(e.Value) {
			return nil, "", fmt.Errorf("%s: the reply has %q beside its text, which would not be scored, wanted role and content alone", name, e.Name)
		}
	}
	return before, last.Content, nil
}

// split removes the last message; before is nil if there is only one.
func split(turns []tokenize.Message) (before []tokenize.Message, last tokenize.Message) {
	n := len(turns)
	switch n {
	case 0:
		return nil, last
	case 1:
		return nil, turns[0]
	}
	return turns[: n-1 : n-1], turns[n-1]
}

// messagesOf parses a list of messages, or one message.
func messagesOf(raw json.RawMessage, name string) ([]tokenize.Message, error) {
	list := []json.RawMessage{raw}
	if raw[0] != '{' {
		var err error
		if list, err = strictjson.List(raw); err != nil {
			return nil, fmt.Errorf("%s: %s, wanted text or a list of messages {\"role\": ..., \"content\": ...}", name, kind(raw))
		}
	}
	messages := make([]tokenize.Message, 0, len(list))
	for i, raw := range list {
		m, err := messageOf(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: message %d: %w", name, i+1, err)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// roles are the accepted roles; templates decide which of them they support.
var roles = []string{"system", "developer", "user", "assistant", "tool"}

// shareGPT maps the roles of ShareGPT and LLaMA-Factory to them.
var shareGPT = map[string]string{"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}

// messageOf parses a message. Empty members are omitted.
func messageOf(raw json.RawMessage) (m tokenize.Message, err error) {
	members, err := strictjson.Members(raw, `{"role": ..., "content": ...}`)
	if err != nil {
		return m, fmt.Errorf("%s, wanted an object {\"role\": ..., \"content\": ...}", kind(raw))
	}
	keys := [2]string{"role", "content"}
	if slices.ContainsFunc(members, func(m strictjson.Member) bool { return m.Key == "from" && !strictjson.Null(m.Value) }) {
		keys = [2]string{"from", "value"}
	}
	var role, content json.RawMessage
	for _, e := range members {
		folded := strings.ToLower(e.Key)
		switch {
		case e.Key == keys[0]:
			role = e.Value
		case e.Key == keys[1]:
			content = e.Value
		case folded == keys[0] || folded == keys[1]:
			return m, fmt.Errorf("%q, wanted %q in small letters", e.Key, folded)
		case !strictjson.Null(e.Value) && (!empty(e.Value) || e.Value[0] == '"'):
			m.Extra = append(m.Extra, tokenize.Member{Name: e.Key, Value: bytes.Clone(e.Value)})
		}
	}
	if role == nil && content == nil {
		return m, fmt.Errorf("neither role nor content, found %s", found(members))
	}
	var ok bool
	if m.Role, ok, err = strictjson.String(role); err != nil || !ok {
		return m, fmt.Errorf("%s is no text", keys[0])
	}
	if keys[0] == "from" {
		if m.Role, ok = shareGPT[m.Role]; !ok {
			return m, fmt.Errorf("from %s, wanted system, human or gpt", role)
		}
	}
	if !slices.Contains(roles, m.Role) {
		return m, fmt.Errorf("of the role %q, wanted %s", m.Role, strings.Join(roles, ", "))
	}
	m.Content, err = contentOf(content, keys[1])
	return m, err
}

// contentOf parses the content of a message: text, or one part of text.
func contentOf(raw json.RawMessage, key string) (string, error) {
	text, isText, err := strictjson.String(raw)
	if isText || err != nil {
		return text, err
	}
	if strictjson.Null(raw) || raw[0] != '[' {
		return "", fmt.Errorf("%s is no text", key)
	}
	parts, err := strictjson.List(raw)
	if err != nil {
		return "", err
	}
	if len(parts) != 1 {
		return "", fmt.Errorf("%s: %d parts, which templates join in different ways, wanted one part of text", key, len(parts))
	}
	members, err := strictjson.Members(parts[0], `{"type": "text", "text": ...}`)
	if err != nil {
		return "", fmt.Errorf("%s: a list of %s, wanted text, or a part {\"type\": \"text\", \"text\": ...}", key, kind(parts[0]))
	}
	typ, found := "", false
	for _, e := range members {
		switch e.Key {
		case "type":
			typ, _, err = strictjson.String(e.Value)
		case "text":
			text, found, err = strictjson.String(e.Value)
		default:
			if !empty(e.Value) {
				err = fmt.Errorf("a part with %q, wanted type and text alone", e.Key)
			}
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
	}
	if typ != "text" {
		return "", fmt.Errorf("%s: a part of the type %q, wanted text", key, typ)
	}
	if !found {
		return "", errors.New(key + ": a part of text without text")
	}
	return text, nil
}

var turn = regexp.MustCompile(`\n\n(Human|Assistant):`)

// transcriptOf parses a transcript in the format of Anthropic's hh-rlhf into turns, trimmed;
// ok is false if text is not one.
func transcriptOf(text string) (turns []tokenize.Message, ok bool) {
	const first = "\n\nHuman:"
	if !strings.HasPrefix(text, first) || !strings.Contains(text, "\n\nAssistant:") {
		return nil, false
	}
	marks := turn.FindAllStringSubmatchIndex(text, -1)
	for i, m := range marks {
		end, role := len(text), "user"
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if text[m[2]:m[3]] == "Assistant" {
			role = "assistant"
		}
		turns = append(turns, tokenize.Message{Role: role, Content: strings.TrimSpace(text[m[1]:end])})
	}
	return turns, true
}
