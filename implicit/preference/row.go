package preference

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// sides name the two kinds of replies.
var sides = [2]string{"chosen", "rejected"}

// Names of members, by meaning.
var (
	chosenNames   = []string{"chosen", "chosen_response"}
	rejectedNames = []string{"rejected", "rejected_response"}
	promptNames   = []string{"prompt", "question", "instruction", "input", "messages", "conversations", "conversation"}
	systemNames   = []string{"system", "system_prompt"}
	otherNames    = []string{"history", "subset", "id"}
	// refusedNames are parts of a conversation that are not supported.
	refusedNames = []string{"tools", "functions", "documents", "image", "images", "video", "videos", "audio", "audios", "chat_template_kwargs"}
)

var knownNames = slices.Concat(chosenNames, rejectedNames, promptNames, systemNames, otherNames, refusedNames)

// missedNames are those whose absence could change the conversation, so that a misspelling
// of one must not pass as an unread member.
var missedNames = slices.DeleteFunc(slices.Clone(knownNames), func(name string) bool { return name == "id" || name == "subset" })

// slip reports whether a name is another one with a letter changed, omitted or added. A
// plural's singular is a name of its own.
func slip(name, of string) bool {
	if len(name) > len(of) {
		name, of = of, name
	} else if name+"s" == of {
		return false
	}
	i := 0
	for i < len(name) && name[i] == of[i] {
		i++
	}
	switch len(of) - len(name) {
	case 0:
		return i < len(name) && name[i+1:] == of[i+1:]
	case 1:
		return name[i:] == of[i+1:]
	}
	return false
}

// fields are the non-empty members of a row, by name.
type fields map[string]json.RawMessage

// Row reads the object as a preference, or sets the row's Err.
func (o Object) Row() Row {
	row := Row{Number: o.Number, Err: o.err}
	if row.Err != nil {
		return row
	}
	f := fields{}
	for _, m := range o.members {
		switch {
		case !slices.Contains(knownNames, m.Key):
			row.Unread = append(row.Unread, m.Key)
		case !strictjson.Null(m.Value) || slices.Contains(chosenNames, m.Key) || slices.Contains(rejectedNames, m.Key):
			f[m.Key] = m.Value
		}
	}
	row.Err = o.Misspelt()
	if err := f.name(&row); row.Err == nil {
		row.Err = err
	}
	if row.Err == nil {
		row.Messages, row.Chosen, row.Rejected, row.Err = f.conversation(o.members)
	}
	if row.Err != nil {
		row.Messages, row.Chosen, row.Rejected = nil, nil, nil
	}
	return row
}

// Misspelt returns an error for a member that is not read and whose name is nearly that of one
// that would change the conversation, or of more: with another case, or a letter changed,
// omitted or added.
func (o Object) Misspelt(more ...string) error {
	missed := slices.Concat(missedNames, more)
	for _, m := range o.members {
		folded := strings.ToLower(m.Key)
		switch {
		case slices.Contains(knownNames, m.Key) || slices.Contains(more, m.Key):
			continue
		case slices.Contains(knownNames, folded) || slices.Contains(more, folded):
			return fmt.Errorf("%q, wanted %q in small letters", m.Key, folded)
		case strings.ContainsFunc(m.Key, unicode.IsControl):
			return fmt.Errorf("%.40q holds a control character, wanted a name", m.Key)
		}
		if i := slices.IndexFunc(missed, func(name string) bool { return slip(folded, name) }); i >= 0 {
			return fmt.Errorf("%.40q, wanted %q, or another name for what is not read", m.Key, missed[i])
		}
	}
	return nil
}

// name reads id and subset.
func (f fields) name(row *Row) (err error) {
	var ok bool
	if raw, given := f["subset"]; given {
		if row.Subset, ok, err = strictjson.String(raw); err != nil || !ok {
			return fmt.Errorf("subset: %s, wanted text", kind(raw))
		}
	}
	if raw, given := f["id"]; given {
		if row.ID, ok, err = strictjson.String(raw); err != nil {
			return fmt.Errorf("id: %w", err)
		} else if !ok {
			if row.ID = string(raw); raw[0] == '{' || raw[0] == '[' {
				row.ID = ""
				return fmt.Errorf("id: %s, wanted text or a number", kind(raw))
			}
		}
	}
	return nil
}

// one returns which of several synonymous members is present, "" for none.
func (f fields) one(names []string) (name string, err error) {
	for _, n := range names {
		if _, ok := f[n]; !ok {
			continue
		}
		if name != "" {
			return "", fmt.Errorf("%s and %s, wanted one of them", name, n)
		}
		name = n
	}
	return name, nil
}

// conversation reads the replies and the messages before them, which several members may
// contain.
func (f fields) conversation(members []strictjson.Member) (messages []tokenize.Message, chosen, rejected []string, err error) {
	for _, name := range refusedNames {
		if raw, ok := f[name]; ok && !empty(raw) {
			return nil, nil, nil, fmt.Errorf("%s: not read, and a conversation without it is another one, wanted none", name)
		}
	}
	messages, chosen, err = f.side(chosenNames, members)
	if err != nil {
		return nil, nil, nil, err
	}
	before, rejected, err := f.side(rejectedNames, members)
	if err != nil {
		return nil, nil, nil, err
	}
	if messages != nil && before != nil && !slices.EqualFunc(messages, before, tokenize.Message.Equal) {
		return nil, nil, nil, errors.New("chosen and rejected answer different conversations")
	}
	if before != nil {
		messages = before
	}
	transcript := false
	if messages, transcript, err = f.prompts(messages, chosen); err != nil {
		return nil, nil, nil, err
	}
	if messages == nil {
		return nil, nil, nil, fmt.Errorf("no \"prompt\", and no messages before the replies, wanted one of them, found %s", found(members))
	}
	if messages, err = f.before(messages); err != nil {
		return nil, nil, nil, err
	}
	if err := checkRoles(messages); err != nil {
		return nil, nil, nil, err
	}
	for side, replies := range [][]string{chosen, rejected} {
		for i := range replies {
			if transcript {
				replies[i] = strings.TrimSpace(replies[i])
			}
			if replies[i] == "" {
				return nil, nil, nil, fmt.Errorf("%s: empty, wanted text", sides[side])
			}
		}
	}
	return messages, chosen, rejected, nil
}

// side reads the replies of one side, and the messages before them, nil if there are none.
func (f fields) side(names []string, members []strictjson.Member) (before []tokenize.Message, replies []string, err error) {
	name, err := f.one(names)
	switch {
	case err != nil:
		return nil, nil, err
	case name == "":
		return nil, nil, fmt.Errorf("no %q, found %s", names[0], found(members))
	}
	return repliesOf(f[name], name)
}

// checkRoles refuses a conversation that no reply can follow.
func checkRoles(messages []tokenize.Message) error {
	if len(messages) == 0 {
		return errors.New("prompt: no messages, wanted at least one")
	}
	if last := messages[len(messages)-1].Role; last != "user" && last != "tool" {
		return fmt.Errorf("the last message before the replies is of the %s, wanted the user's", last)
	}
	if !slices.ContainsFunc(messages, func(m tokenize.Message) bool { return m.Role == "user" }) {
		return errors.New("no message of the user before the replies, wanted one")
	}
	return nil
}

// prompts combines the prompt members with the messages before the replies, nil if there are
// none. transcript reports that a prompt is a transcript.
func (f fields) prompts(before []tokenize.Message, chosen []string) (messages []tokenize.Message, transcript bool, err error) {
	messages = before
	for _, name := range promptNames {
		raw, ok := f[name]
		if !ok {
			continue
		}
		turns, isTranscript, err := f.prompt(name, raw, messages)
		if err != nil {
			return nil, false, err
		}
		transcript = transcript || isTranscript
		if turns == nil {
			continue
		}
		if messages != nil && !slices.EqualFunc(messages, turns, tokenize.Message.Equal) && !answered(turns, messages, chosen) {
			return nil, false, fmt.Errorf("%s is another conversation than that before the replies", name)
		}
		if messages == nil {
			messages = turns
		}
	}
	return messages, transcript, nil
}

// prompt reads one prompt member beside the messages that are known, nil if none are. turns
// is nil if it adds nothing to them.
func (f fields) prompt(name string, raw json.RawMessage, messages []tokenize.Message) (turns []tokenize.Message, transcript bool, err error) {
	text, isText, err := strictjson.String(raw)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	if name == "instruction" && isText {
		if text, err = f.input(text); err != nil {
			return nil, false, err
		}
	}
	if _, ok := f["instruction"]; name == "input" && ok || isText && text == "" && messages != nil {
		return nil, false, nil
	}
	turns, transcript = transcriptOf(text)
	switch {
	case transcript:
		if n := len(turns); turns[n-1].Role == "assistant" && turns[n-1].Content == "" {
			turns = turns[:n-1]
		}
		return turns, true, nil
	case isText && messages == nil:
		return []tokenize.Message{{Role: "user", Content: text}}, false, nil
	case isText && (len(messages) == 0 || messages[len(messages)-1].Content != text):
		return nil, false, fmt.Errorf("%s is another text than the last message before the replies", name)
	case isText:
		return nil, false, nil
	}
	turns, err = messagesOf(raw, name)
	return turns, false, err
}

// answered reports whether turns are the messages and the chosen reply, as in
// UltraFeedback's column messages, beside its prompt.
func answered(turns, messages []tokenize.Message, chosen []string) bool {
	n := len(messages)
	return len(turns) == n+1 && slices.EqualFunc(turns[:n], messages, tokenize.Message.Equal) &&
		turns[n].Role == "assistant" && slices.Contains(chosen, turns[n].Content)
}

// input returns an instruction with its input, joined as in LLaMA-Factory.
func (f fields) input(instruction string) (string, error) {
	raw, ok := f["input"]
	if !ok {
		return instruction, nil
	}
	text, isText, err := strictjson.String(raw)
	if err != nil || !isText {
		return "", fmt.Errorf("input: %s, wanted text after the instruction", kind(raw))
	}
	if text == "" {
		return instruction, nil
	}
	return instruction + "\n" + text, nil
}

// before puts the system text and the earlier turns of history before the messages.
func (f fields) before(messages []tokenize.Message) ([]tokenize.Message, error) {
	if raw, ok := f["history"]; ok && !empty(raw) {
		if len(messages) != 1 {
			return nil, errors.New("history beside a conversation, wanted one of them")
		}
		earlier, err := historyOf(raw)
		if err != nil {
			return nil, err
		}
		messages = append(earlier, messages...)
	}
	name, err := f.one(systemNames)
	if err != nil || name == "" {
		return messages, err
	}
	text, ok, err := strictjson.String(f[name])
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case !ok:
		return nil, fmt.Errorf("%s: %s, wanted text", name, kind(f[name]))
	case text == "" || len(messages) > 0 && messages[0].Role == "system" && messages[0].Content == text:
		return messages, nil
	case len(messages) > 0 && messages[0].Role == "system":
		return nil, fmt.Errorf("%s is another text than the system message", name)
	}
	return append([]tokenize.Message{{Role: "system", Content: text}}, messages...), nil
}

// historyOf reads earlier turns: pairs of the user's text and the assistant's.
func historyOf(raw json.RawMessage) (earlier []tokenize.Message, err error) {
	turns, err := strictjson.List(raw)
	if err != nil {
		return nil, fmt.Errorf("history: %s, wanted pairs of texts", kind(raw))
	}
	for i, turn := range turns {
		pair, err := strictjson.List(turn)
		if err != nil || len(pair) != 2 {
			return nil, fmt.Errorf("history: turn %d: wanted a pair of texts", i+1)
		}
		for k, role := range []string{"user", "assistant"} {
			text, ok, err := strictjson.String(pair[k])
			if err != nil || !ok {
				return nil, fmt.Errorf("history: turn %d: wanted a pair of texts", i+1)
			}
			earlier = append(earlier, tokenize.Message{Role: role, Content: text})
		}
	}
	return earlier, nil
}

// found lists the members of a row, for errors.
func found(members []strictjson.Member) string {
	if len(members) == 0 {
		return "nothing"
	}
	names := make([]string, 0, len(members))
	for i, m := range members {
		if i == 10 {
			names = append(names, fmt.Sprintf("and %d more", len(members)-i))
			break
		}
		names = append(names, fmt.Sprintf("%.40q", m.Key))
	}
	return strings.Join(names, ", ")
}

// empty reports whether a value is empty.
func empty(raw json.RawMessage) bool {
	compact := strings.NewReplacer(" ", "", "\t", "", "\n", "", "\r", "").Replace(string(raw[:min(len(raw), 64)]))
	return strictjson.Null(raw) || compact == `""` || compact == "[]" || compact == "{}"
}

// kind names the type of a value, for errors.
func kind(raw json.RawMessage) string {
	switch {
	case strictjson.Null(raw):
		return "null"
	case raw[0] == '"':
		return "text"
	case raw[0] == '[':
		return "a list"
	case raw[0] == '{':
		return "an object"
	case raw[0] == 't' || raw[0] == 'f':
		return "true or false"
	}
	return "a number"
}
