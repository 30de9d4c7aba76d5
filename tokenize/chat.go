package tokenize

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/implicitreward/implicitreward/internal/jinja"
)

// ErrDate and ErrTemplate are errors of a chat that options can fix: ChatOptions.Date for
// the first, ChatOptions.Template for the second, or use Raw.
var (
	ErrDate     = errors.New("chat template: it prints today's date and has none of its own, wanted a date")
	ErrTemplate = errors.New("no chat template")
)

// ChatOptions say how a chat is rendered. The zero value, or nil, is the checkpoint's own
// way.
type ChatOptions struct {
	// Date is the day that a template may print: strftime_now formats it, and date_string is
	// the date as "26 Jul 2024". The zero Date defines neither, so that a template with a
	// default date (Llama 3.1: "26 Jul 2024") prints that, and one without a default fails.
	Date time.Time
	// System is the system message; "" for none. Some templates (Gemma) fail on one, and it
	// is an error if the conversation has a system message too.
	System string
	// BOS says what stands before the template's text: see "Chat" in the package
	// documentation.
	BOS BOS
	// Vars are further variables of the template, such as "enable_thinking": false for Qwen
	// 3: nil, booleans, numbers, strings, slices and maps of them, and json.RawMessage,
	// whose objects keep their order. They precede the checkpoint's named tokens and the
	// date, and cannot be "messages" or "add_generation_prompt".
	Vars map[string]any
	// Template replaces the checkpoint's chat template, for example by that of a model tuned
	// from it (Tokenizer.Template), so that a base model reads the same text; "" is the
	// checkpoint's own. Tokens that the template names, {{ bos_token }}, are the
	// checkpoint's, or empty if it names none; tokens that it spells out are tokens only if
	// they are in the checkpoint's vocabulary.
	Template string
}

// Chat encodes prompt as a user message in the checkpoint's chat template, with the
// generation prompt after it, followed by reply as raw text: not as a message, which
// templates trim. Errors are those of Raw, and a missing or failing template.
func (t *Tokenizer) Chat(prompt, reply string, o *ChatOptions) (Encoded, error) {
	return t.Conversation([]Message{{Role: "user", Content: prompt}}, reply, o)
}

// Conversation is Chat after several messages, of which the last usually is the user's: the
// text of Render, followed by reply as raw text.
func (t *Tokenizer) Conversation(messages []Message, reply string, o *ChatOptions) (Encoded, error) {
	return t.conversation(messages, reply, o, func(o *ChatOptions) (chat, error) {
		rendered, err := t.Render(messages, o)
		return chat{text: rendered + reply, start: len(rendered)}, err
	})
}

// chat is a conversation with its reply, rendered.
type chat struct {
	text    string
	start   int  // byte at which the reply begins
	trimmed bool // the template trimmed the reply
}

// conversation encodes the text that render makes of messages and a reply.
func (t *Tokenizer) conversation(messages []Message, reply string, o *ChatOptions, render func(*ChatOptions) (chat, error)) (Encoded, error) {
	if o == nil {
		o = &ChatOptions{}
	}
	special := 0
	var invalid error // of the first text that is
	check := func(name, s string) {
		special += t.special.count(s)
		if invalid == nil {
			invalid = valid(name, s)
		}
	}
	check("system text", o.System)
	check("reply", reply)
	for _, m := range messages {
		name := "message of the " + m.Role
		if m.Role == "user" && len(messages) == 1 {
			name = "prompt"
		}
		check(name, m.Content)
		for _, e := range m.Extra {
			check(name, string(e.Value))
		}
	}
	if invalid != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", invalid)
	}
	rendered, err := render(o)
	if err != nil {
		return Encoded{}, err
	}
	if err := valid("rendered chat", rendered.text[:rendered.start]); err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	front, err := t.chatFront(rendered.text, o.BOS)
	if err != nil {
		return Encoded{}, fmt.Errorf("tokenize: chat: %w", err)
	}
	text, err := t.text(rendered.text, rendered.start, front)
	if err != nil {
		return Encoded{}, fmt.Errorf("tokenize: chat: %w", err)
	}
	text.Special, text.Trimmed = special, rendered.trimmed
	return text, nil
}

// Render returns messages as rendered by the checkpoint's chat template, with the generation
// prompt at the end, and with the system message of o, if any, first. The error of a
// template that raises an exception has its message. It is an error if the template does not
// read a further member of a message, or the content of one that is not the user's, since
// that would be lost.
func (t *Tokenizer) Render(messages []Message, o *ChatOptions) (string, error) {
	if o == nil {
		o = &ChatOptions{}
	}
	return t.render(messages, o, true)
}

// rendering is what a rendered chat depends on, if ChatOptions.Vars are empty.
type rendering struct {
	template, system, messages string
	date                       time.Time
	generation                 bool
}

// render is Render, with or without the generation prompt. Many replies have the same
// messages before them: what was rendered lately is not rendered again.
func (t *Tokenizer) render(messages []Message, o *ChatOptions, generation bool) (string, error) {
	if len(o.Vars) > 0 {
		return t.renderAnew(messages, o, generation)
	}
	var all []byte
	for _, m := range messages {
		all = fmt.Appendf(all, "%d %d %d %s%s", len(m.Role), len(m.Content), len(m.Extra), m.Role, m.Content)
		for _, e := range m.Extra {
			all = fmt.Appendf(all, "%d %d %s%s", len(e.Name), len(e.Value), e.Name, e.Value)
		}
	}
	key := rendering{o.Template, o.System, string(all), o.Date, generation}
	if text, ok := t.rendered.get(key); ok {
		return text, nil
	}
	text, err := t.renderAnew(messages, o, generation)
	if err == nil {
		t.rendered.put(key, text, 256+len(o.Template)+len(o.System)+len(all)+len(text))
	}
	return text, err
}

// renderAnew is render.
func (t *Tokenizer) renderAnew(messages []Message, o *ChatOptions, generation bool) (string, error) {
	template, err := t.template(o.Template)
	if err != nil {
		return "", fmt.Errorf("tokenize: %w", err)
	}
	if o.System != "" {
		if len(messages) > 0 && messages[0].Role == "system" {
			return "", errors.New("tokenize: a system message in the conversation and one before it, wanted one of them")
		}
		messages = append([]Message{{Role: "system", Content: o.System}}, messages...)
	}
	var list []any
	dicts := make([]*jinja.Dict, len(messages))
	for i, m := range messages {
		if dicts[i], err = m.dict(); err != nil {
			return "", fmt.Errorf("tokenize: message %d of the %s: %w", i+1, m.Role, err)
		}
		list = append(list, dicts[i])
	}
	if len(list) == 0 {
		return "", errors.New("tokenize: no messages, wanted at least one")
	}
	vars := map[string]any{"tools": nil, "documents": nil}
	for name, token := range t.config.named {
		vars[name] = token
	}
	if !o.Date.IsZero() {
		vars["date_string"] = o.Date.Format("02 Jan 2006")
		vars["strftime_now"] = jinja.Func("strftime_now", func(format string) (string, error) {
			return jinja.Strftime(o.Date, format)
		})
	}
	for name, v := range o.Vars {
		if name == "messages" || name == "add_generation_prompt" {
			return "", fmt.Errorf("tokenize: variable %q of the chat template: it is set already, wanted another name", name)
		}
		vars[name] = v
	}
	vars["messages"] = list
	vars["add_generation_prompt"] = generation
	text, err := template.Render(vars, jinja.Limits{})
	if err != nil {
		var e *jinja.Error
		if errors.As(err, &e) && e.Kind == "UndefinedError" && strings.HasPrefix(e.Message, "'strftime_now' ") {
			return "", fmt.Errorf("tokenize: %w", ErrDate)
		}
		return "", fmt.Errorf("tokenize: chat template: %w", err)
	}
	for i, m := range messages {
		if name := m.unread(dicts[i]); name != "" {
			return "", fmt.Errorf("tokenize: message %d of the %s: the chat template does not read its %q, which would be lost", i+1, m.Role, name)
		}
	}
	return text, nil
}

// template returns a parsed template, the checkpoint's own for "".
func (t *Tokenizer) template(text string) (*jinja.Template, error) {
	if text == "" {
		return t.chat, t.chatErr
	}
	if parsed, ok := t.templates.get(text); ok {
		return parsed, nil
	}
	parsed, err := jinja.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	t.templates.put(text, parsed, maxRecent/maxTemplates)
	return parsed, nil
}

// maxTemplates bounds how many parsed templates are remembered.
const maxTemplates = 16
