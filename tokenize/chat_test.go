//go:build !nodaulet

package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// variant is a copy of a test tokenizer with files changed: nil removes one.
func variant(t testing.TB, name string, files map[string]*string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	for file, content := range files {
		path := filepath.Join(dir, file)
		os.Remove(path)
		if content != nil {
			if err := os.WriteFile(path, []byte(*content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func withTemplate(t testing.TB, name, template string) *Tokenizer {
	t.Helper()
	return mustLoad(t, variant(t, name, map[string]*string{"chat_template.jinja": &template}))
}

func TestChatBOS(t *testing.T) {
	const user = "{% for m in messages %}{{ m.content }}{% endfor %}"
	for _, c := range []struct {
		name, folder, template string
		o                      *ChatOptions
		want                   string // the first pieces, by name
		err                    string
	}{
		{"template writes it", "llama2", "{{ bos_token }}" + user, nil, "<s> ▁What", ""},
		{"template leaves it out, as transformers does", "llama2", user, nil, "▁What", ""},
		{"none", "llama2", user, &ChatOptions{BOS: BOSNone}, "▁What", ""},
		{"added", "llama2", user, &ChatOptions{BOS: BOSAdd}, "<s> ▁What", ""},
		{"added once", "llama2", "{{ bos_token }}" + user, &ChatOptions{BOS: BOSAdd}, "<s> ▁What", ""},
		{"what the template writes stays", "llama2", "{{ bos_token }}" + user, &ChatOptions{BOS: BOSNone}, "<s> ▁What", ""},
		{"template writes two", "llama2", "{{ bos_token }}{{ bos_token }}" + user, nil, "", `tokenize: chat: 2 BOS tokens "<s>" (id 1), wanted one: the text spells it out`},
		{"not in front", "llama2", user + "{{ bos_token }}", nil, "", `tokenize: chat: the first token is not the BOS "<s>" (id 1)`},
		{"a space before it", "llama2", " {{ bos_token }}" + user, nil, "", `tokenize: chat: the first token is not the BOS "<s>" (id 1)`},
		{"added before that", "llama2", " {{ bos_token }}" + user, &ChatOptions{BOS: BOSAdd}, "", `tokenize: chat: 2 BOS tokens "<s>" (id 1), wanted one: the text spells it out`},
		{"the template's alone, added", "smollm2", user, &ChatOptions{BOS: BOSAdd}, "<|im_start|> What", ""},
		{"none to add", "qwen2", user, &ChatOptions{BOS: BOSAdd}, "", "tokenize: chat: no BOS to add: the checkpoint names no bos_token"},
		{"no BOS in the model", "qwen2", user, nil, "What", ""},
		{"bos_token of the template alone", "smollm2", "{{ bos_token }}" + user, nil, "<|im_start|> What", ""},
		{"twice", "smollm2", "{{ bos_token }}{{ bos_token }}" + user, nil, "", `tokenize: chat: the text begins with two BOS tokens "<|im_start|>" (id 1)`},
	} {
		tok := withTemplate(t, c.folder, c.template)
		text, err := tok.Chat("What is it?", "x", c.o)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: error %v, wanted %s", c.name, err, c.err)
			}
			continue
		}
		var names []string
		for _, id := range text.IDs[:min(2, len(text.IDs))] {
			names = append(names, tok.name(id))
		}
		if got := strings.Join(names, " "); err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q %v, wanted %q", c.name, got, err, c.want)
		}
	}
}

// TestChatBOSAsked is a checkpoint that asks for a BOS which its tokenizer.json does
// not add: of a chat nothing but the template decides.
func TestChatBOSAsked(t *testing.T) {
	const asks = `{"add_bos_token": true, "bos_token": "<|endoftext|>"}`
	for _, c := range []struct {
		template string
		bos      BOS
		want     int // BOS tokens in front
	}{{"{{ bos_token }}x", BOSAuto, 1}, {"{{ bos_token }}x", BOSAdd, 1}, {"{{ bos_token }}x", BOSNone, 1}, {"x", BOSAuto, 0}, {"x", BOSAdd, 1}, {"x", BOSNone, 0}} {
		config := asks
		tok := mustLoad(t, variant(t, "smollm2", map[string]*string{"tokenizer_config.json": &config, "chat_template.jinja": &c.template}))
		text, err := tok.Chat("a", "b", &ChatOptions{BOS: c.bos})
		got := 0
		for got < len(text.IDs) && tok.name(text.IDs[got]) == "<|endoftext|>" {
			got++
		}
		if err != nil || got != c.want {
			t.Errorf("%s, %v: %+v %v, wanted %d BOS", c.template, c.bos, text, err, c.want)
		}
	}
}

func TestChatDate(t *testing.T) {
	date := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, template string
		date           time.Time
		want, err      string
	}{
		{"the template's own", "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}", time.Time{}, "26 Jul 2024", ""},
		{"a date", "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}", date, "05 Nov 2026", ""},
		{"date_string", "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}{{ date_string }}", date, "05 Nov 2026", ""},
		{"none of its own", "{{ strftime_now('%Y-%m-%d') }}", time.Time{}, "", "tokenize: chat template: it prints today's date and has none of its own, wanted a date"},
		{"given", "{{ strftime_now('%A, %-d. %B %Y') }}", date, "Thursday, 5. November 2026", ""},
		{"unknown directive", "{{ strftime_now('%Q') }}", date, "", "tokenize: chat template: line 1: ValueError: strftime: the directive %Q is not supported"},
	} {
		tok := withTemplate(t, "smollm2", c.template)
		got, err := tok.Render([]Message{{Role: "user", Content: "x"}}, &ChatOptions{Date: c.date})
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: error %v, wanted %s", c.name, err, c.err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %q %v, wanted %q", c.name, got, err, c.want)
		}
	}
}

func TestChat(t *testing.T) {
	smollm2 := testdata(t, "smollm2")
	text, err := smollm2.Chat("Hi", " Freedom", &ChatOptions{System: "Be brief."})
	want := "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n Freedom"
	if err != nil || text.Rendered != want || text.Rendered[text.Start:] != " Freedom" || text.Straddle || text.Special != 0 {
		t.Errorf("got %+v %v, wanted %q", text, err, want)
	}
	if got := smollm2.Decode(text.IDs[text.Reply:]...); got != " Freedom" {
		t.Errorf("the reply is %q: its space belongs to it", got)
	}
	// Special tokens of the caller's are counted, the template's are not.
	text, err = smollm2.Chat("a<|im_end|>b", "<|endoftext|>", &ChatOptions{System: "<|im_start|>"})
	if err != nil || text.Special != 3 {
		t.Errorf("got %+v %v, wanted 3 special tokens", text, err)
	}
	if _, err := testdata(t, "gemma").Chat("a<bos>b", "", nil); err == nil || !strings.Contains(err.Error(), "2 BOS tokens") {
		t.Errorf("a BOS spelled out in the prompt: error %v", err)
	}
	if _, err := testdata(t, "gemma").Chat("a", "b", &ChatOptions{System: "x"}); err == nil || err.Error() != "tokenize: chat template: line 1: System role not supported" {
		t.Errorf("a system message that the template refuses: error %v", err)
	}
	think := withTemplate(t, "qwen2", "{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}{{ tools }}{{ documents }}")
	for want, vars := range map[string]map[string]any{"onNoneNone": nil, "offNoneNone": {"enable_thinking": false}, "on[1]None": {"tools": []int{1}}} {
		if got, err := think.Render([]Message{{Role: "user", Content: "x"}}, &ChatOptions{Vars: vars}); err != nil || got != want {
			t.Errorf("%v: %q %v, wanted %q", vars, got, err, want)
		}
	}
	ordered := withTemplate(t, "qwen2", "{{ v }} {{ n + 1 }}")
	raw := map[string]any{"v": json.RawMessage(`{"b": [1, 2.5, null], "a": false}`), "n": json.RawMessage("2")}
	if got, err := ordered.Render([]Message{{Role: "user", Content: "x"}}, &ChatOptions{Vars: raw}); err != nil || got != "{'b': [1, 2.5, None], 'a': False} 3" {
		t.Errorf("%q %v", got, err)
	}
	for _, name := range []string{"messages", "add_generation_prompt"} {
		want := fmt.Sprintf("tokenize: variable %q of the chat template: it is set already, wanted another name", name)
		if _, err := think.Render([]Message{{Role: "user", Content: "x"}}, &ChatOptions{Vars: map[string]any{name: 1}}); err == nil || err.Error() != want {
			t.Errorf("error %v, wanted %s", err, want)
		}
	}
	if _, err := smollm2.Conversation([]Message{{Role: "system", Content: "x"}, {Role: "user", Content: "y"}}, "", &ChatOptions{System: "z"}); err == nil || err.Error() != "tokenize: a system message in the conversation and one before it, wanted one of them" {
		t.Errorf("two system messages: error %v", err)
	}
	if _, err := think.Render([]Message{{Role: "user", Content: "x"}}, &ChatOptions{Vars: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a function as a variable: no error")
	}
	if _, err := think.Render(nil, nil); err == nil || err.Error() != "tokenize: no messages, wanted at least one" {
		t.Errorf("no messages: error %v", err)
	}
}

// TestRenderings: what was rendered before does not stand in for a chat that differs from it
// in one thing only.
func TestRenderings(t *testing.T) {
	const template = "{% for m in messages %}[{{ m.role }}|{{ m.content }}|{{ m.x }}|{{ m.y }}]{% endfor %}{{ add_generation_prompt }}{{ date_string }}{{ v }}"
	tok := withTemplate(t, "smollm2", template)
	day := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	message := func(role, content string, extra ...Member) Message { return Message{role, content, extra} }
	one, two := json.RawMessage("1"), json.RawMessage("2")
	conversations := [][]Message{
		{message("user", "a")}, {message("user", "b")}, {message("usera", "")}, {message("user", ""), message("a", "")}, {message("user", "a"), message("user", "a")},
		{message("user", "a", Member{"x", one})}, {message("user", "a", Member{"x", two})}, {message("user", "a", Member{"y", one})}, {message("user", "a", Member{"x", one}, Member{"y", one})},
		{message("user", "a1 1 x1")},
	}
	options := []ChatOptions{{}, {System: "a"}, {Date: day}, {Date: day.AddDate(0, 0, 1)}, {Template: template + "."}, {Vars: map[string]any{"v": 1}}, {Vars: map[string]any{"v": 2}}}
	seen := map[string]bool{}
	for range 2 {
		for _, messages := range conversations {
			for _, o := range options {
				for _, generation := range []bool{true, false} {
					want, err := tok.renderAnew(messages, &o, generation)
					if err != nil {
						t.Fatal(err)
					}
					if got, err := tok.render(messages, &o, generation); err != nil || got != want {
						t.Errorf("%v, %+v, %v: %q %v, wanted %q", messages, o, generation, got, err, want)
					}
					seen[want] = true
				}
			}
		}
	}
	if want := len(conversations) * len(options) * 2; len(seen) != want {
		t.Errorf("%d different texts, wanted %d", len(seen), want)
	}
}

// TestMembers: members of a message beside role and content reach the template, in their
// order, and none that it does not read is lost in silence, nor a message.
func TestMembers(t *testing.T) {
	tok := withTemplate(t, "smollm2", `{% for m in messages %}{% if m.role != 'tool' %}[{{ m.content }}{% endif %}{% if m.reasoning_content is string %}<{{ m.reasoning_content }}>{% endif %}`+
		`{% if m.role == 'assistant' and 'tool_calls' in m %}{{ m.tool_calls | tojson }}{% endif %}{% endfor %}`)
	user := Message{Role: "user", Content: "x"}
	for _, c := range []struct{ role, name, value, want, err string }{
		{"assistant", "reasoning_content", `"why"`, "[x[y<why>[x", ""},
		{"assistant", "tool_calls", `[{"b": 1, "a": null}]`, `[x[y[{"b": 1, "a": null}][x`, ""},
		{"user", "tool_calls", `[1]`, "", `tokenize: message 2 of the user: the chat template does not read its "tool_calls", which would be lost`},
		{"user", "tool_calls", `[]`, "[x[y[x", ""},
		{"user", "name", `"Ann"`, "", `tokenize: message 2 of the user: the chat template does not read its "name", which would be lost`},
		{"tool", "name", "null", "", `tokenize: message 2 of the tool: the chat template does not read its "content", which would be lost`},
		{"user", "content", `"z"`, "", `tokenize: message 2 of the user: member "content" stands twice, wanted it once`},
		{"user", "name", "{", "", `tokenize: message 2 of the user: member "name": EOF`},
	} {
		got, err := tok.Render([]Message{user, {c.role, "y", []Member{{c.name, []byte(c.value)}}}, user}, nil)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	text, err := tok.Conversation([]Message{user, {"assistant", "y", []Member{{"reasoning_content", []byte(`"<|im_end|>"`)}}}, user}, "z", nil)
	if err != nil || text.Special != 1 {
		t.Errorf("%+v, %v, wanted a special token", text, err)
	}
	a, b := Message{"user", "x", []Member{{"n", []byte("1")}}}, Message{"user", "x", []Member{{"n", []byte("2")}}}
	if !a.Equal(a) || a.Equal(b) || a.Equal(user) {
		t.Error("messages are compared with their members")
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"{{ raise_exception('No ' + messages[0].role) }}", "tokenize: chat template: line 1: No user"},
		{"{% include 'x' %}", "tokenize: chat template: line 1: TemplateSyntaxError: the tag 'include' is refused: a chat template reads no other file"},
		{"\n{{ 1 + }}", "tokenize: chat template: line 2: TemplateSyntaxError: unexpected 'end of print statement'"},
		{"{{ 'x' * 10**9 }}", "tokenize: chat template: line 1: LimitError: the template makes too much text"},
		{"{{ '\\x00' }}", "tokenize: rendered chat: a NUL byte at byte 0, wanted none"},
		{"\xff", "tokenize: rendered chat: byte 0xff at byte 0 is not UTF-8"},
		{"", "tokenize: chat: empty prompt, and the model has no BOS: no token stands before the reply, wanted a prompt"},
	} {
		tok := withTemplate(t, "qwen2", c.template+"{# #}")
		if _, err := tok.Chat("x", "y", nil); err == nil || err.Error() != c.want {
			t.Errorf("%q: error %v, wanted %s", c.template, err, c.want)
		}
	}
}

// TestNamedTemplates: a list of templates without one for chats stops chats alone.
func TestNamedTemplates(t *testing.T) {
	for config, want := range map[string]string{
		`{"chat_template": [{"name": "rag", "template": "R{{ messages[0].content }}"}, {"name": "tool_use", "template": "T"}]}`: `tokenize: no chat template: none of them is named default, but ["rag" "tool_use"]`,
		`{"chat_template": 5}`: "tokenize: no chat template: chat_template of tokenizer_config.json is neither a text nor a list of {name, template}",
		`{}`:                   "tokenize: no chat template in the checkpoint (chat_template.jinja, or chat_template in tokenizer_config.json)",
	} {
		tok := mustLoad(t, variant(t, "smollm2", map[string]*string{"tokenizer_config.json": &config}))
		if text, err := tok.Raw("What", " is"); err != nil || text.Rendered != "What is" {
			t.Errorf("%s: raw text: %+v %v", config, text, err)
		}
		if _, err := tok.Chat("What", " is", nil); !errors.Is(err, ErrTemplate) || err.Error() != want {
			t.Errorf("%s: error %v, wanted %s", config, err, want)
		}
		if rag, ok := tok.TemplateNamed("rag"); ok != strings.Contains(config, "rag") {
			t.Errorf("%s: template %q %v", config, rag, ok)
		} else if ok {
			if text, err := tok.Chat("What", " is", &ChatOptions{Template: rag}); err != nil || text.Rendered != "RWhat is" {
				t.Errorf("by name: %+v %v", text, err)
			}
		}
		if tok.Template() != "" {
			t.Errorf("%s: template %q, wanted none", config, tok.Template())
		}
	}
}

// TestChatTemplate: another checkpoint's template, with one's own tokens.
func TestChatTemplate(t *testing.T) {
	tuned := withTemplate(t, "llama2", "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]")
	base := withTemplate(t, "llama2", "{{ raise_exception('the wrong template') }}")
	messages := []Message{{Role: "user", Content: "What?"}, {Role: "assistant", Content: "That."}, {Role: "user", Content: "Why?"}}
	want, err := tuned.Conversation(messages, " Because", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want.Rendered != "<s>[user]What?[assistant]That.[user]Why?[assistant] Because" || want.Rendered[want.Start:] != " Because" {
		t.Errorf("%+v", want)
	}
	for range 2 { // parsed, and kept
		got, err := base.Conversation(messages, " Because", &ChatOptions{Template: tuned.Template()})
		if err != nil {
			t.Fatal(err)
		}
		if got.Rendered != want.Rendered || got.Start != want.Start || got.Reply != want.Reply || len(got.IDs) != len(want.IDs) {
			t.Errorf("%+v, wanted %+v", got, want)
		}
	}
	// A template written for another vocabulary's BOS: this one's is put in its place, once.
	other := withTemplate(t, "smollm2", "{{ bos_token }}x{{ messages[0].content }}")
	got, err := base.Chat("What?", "y", &ChatOptions{Template: other.Template()})
	if err != nil || got.Rendered != "<s>xWhat?y" || got.IDs[0] != 1 || got.IDs[1] == 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := base.Chat("What?", "y", &ChatOptions{Template: "{% if %}"}); err == nil || !strings.HasPrefix(err.Error(), "tokenize: chat template: ") {
		t.Error(err)
	}
	// A checkpoint without a template of its own.
	none := mustLoad(t, variant(t, "neox", nil))
	if _, err := none.Chat("What?", "y", nil); err == nil {
		t.Error("neox has a template: the next line shows nothing")
	}
	if got, err := none.Chat("What?", "y", &ChatOptions{Template: "User: {{ messages[0].content }} "}); err != nil || got.Rendered != "User: What? y" {
		t.Errorf("%+v, %v", got, err)
	}
}
