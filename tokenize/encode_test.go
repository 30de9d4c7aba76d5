//go:build !nodaulet

package tokenize

import (
	"slices"
	"strings"
	"testing"
)

// TestEncode: the ids are Raw's without the BOS, also where Raw refuses the text.
func TestEncode(t *testing.T) {
	for _, name := range []string{"llama2", "gemma", "smollm2", "qwen2", "neox"} {
		tok := testdata(t, name)
		const s = "What is it? Łódź"
		plain, err := tok.Raw(s, "")
		if err != nil {
			t.Fatal(err)
		}
		ids, spans, err := tok.Encode(s)
		n := len(plain.IDs) - len(ids)
		if _, bos := tok.BOS(); err != nil || bos != (n == 1) || n > 1 || !slices.Equal(ids, plain.IDs[n:]) || !slices.Equal(spans, plain.Spans[n:]) {
			t.Errorf("%s: %v %v %v, wanted the end of %v %v", name, ids, spans, err, plain.IDs, plain.Spans)
		}
		if ids, spans, err := tok.Encode(""); len(ids) != 0 || len(spans) != 0 || err != nil {
			t.Errorf("%s: %v %v %v of an empty text, wanted nothing", name, ids, spans, err)
		}
		if bos, ok := tok.BOS(); ok {
			if ids, _, err := tok.Encode(tok.name(bos)); err != nil || !slices.Equal(ids, []int32{bos}) {
				t.Errorf("%s: %v %v, wanted the BOS alone", name, ids, err)
			}
		}
	}
	for s, want := range map[string]string{
		"a\x00":  "tokenize: text: a NUL byte at byte 1, wanted none",
		"aa\xff": "tokenize: text: byte 0xff at byte 2 is not UTF-8",
	} {
		if _, _, err := testdata(t, "gemma").Encode(s); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, wanted %s", s, err, want)
		}
	}
}

func TestNamed(t *testing.T) {
	tok := testdata(t, "smollm2")
	if eos, ok := tok.SpecialToken("eos_token"); !ok || eos != "<|im_end|>" {
		t.Errorf("eos_token %q %v, wanted <|im_end|>", eos, ok)
	}
	if s, ok := tok.SpecialToken("mask_token"); ok {
		t.Errorf("mask_token %q, wanted none", s)
	}
	if s := tok.Template(); !strings.Contains(s, "add_generation_prompt") {
		t.Errorf("template %q, wanted one that knows of the generation prompt", s)
	}
}

// TestConversation: Chat is a conversation of one message; more are rendered by the
// template, once, and special tokens are looked for in all of them.
func TestConversation(t *testing.T) {
	tok := testdata(t, "smollm2")
	one, err := tok.Chat("What is it?", "Love", nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := tok.Conversation([]Message{{Role: "user", Content: "What is it?"}}, "Love", nil)
	if err != nil || same.Rendered != one.Rendered || !slices.Equal(same.IDs, one.IDs) || same.Reply != one.Reply {
		t.Errorf("%+v %v, wanted %+v", same, err, one)
	}
	messages := []Message{{Role: "user", Content: "What is it?"}, {Role: "assistant", Content: "What?"}, {Role: "user", Content: "It <|im_end|>"}}
	rendered, err := tok.Render(messages, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := tok.Conversation(messages, "Love", nil)
	if err != nil || text.Rendered != rendered+"Love" || text.Start != len(rendered) || text.Special != 1 || text.Reply == len(text.IDs) {
		t.Errorf("%+v %v, wanted %q and the reply after it, one special token", text, err, rendered)
	}
	_, err = tok.Conversation([]Message{{Role: "system", Content: "a\x00"}, {Role: "user", Content: "b"}}, "c", nil)
	if want := "tokenize: message of the system: a NUL byte at byte 1, wanted none"; err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %s", err, want)
	}
}

// TestTurn: the reply as the assistant's message is the template's text of the whole
// conversation after the generation prompt; a template that trims the reply sets Trimmed,
// and one that changes it or the text before it fails.
func TestTurn(t *testing.T) {
	user := []Message{{Role: "user", Content: "What is it?"}}
	tok := testdata(t, "smollm2")
	before, err := tok.Render(user, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"Love", " Love, \n", ""} {
		text, err := tok.Turn(user, reply, nil)
		if err != nil || text.Rendered != before+reply+"<|im_end|>\n" || text.Start != len(before) || text.Trimmed || text.Special != 0 {
			t.Errorf("%q: %+v, %v", reply, text, err)
			continue
		}
		end := text.IDs[len(text.IDs)-2:]
		if got := tok.Decode(text.IDs[text.Reply:]...); got != reply+"<|im_end|>\n" || !tok.IsSpecial(end[0]) {
			t.Errorf("%q: the reply's tokens are %q", reply, got)
		}
	}
	const messages = "{% for m in messages %}[{{ m.role }}]{{ m.content }}[/]{% endfor %}"
	const turn = "{% if add_generation_prompt %}[assistant]{% endif %}"
	for template, want := range map[string]string{
		messages + turn: "",
		strings.Replace(messages, "m.content", "m.content | trim", 1) + turn:           "trimmed",
		strings.Replace(messages, "m.content", "m.content | upper", 1) + turn:          "tokenize: chat template: it writes the assistant's message otherwise than it is, wanted it as it is or trimmed",
		messages + "{% if add_generation_prompt %}[assistant]<think>{% endif %}":       "tokenize: chat template: it writes the conversation otherwise where the assistant's message follows, wanted the same text as for a generation",
		"{{ messages[0].content }}{% if add_generation_prompt %}?{% endif %}{{ 1/0 }}": "tokenize: chat template: ",
	} {
		text, err := withTemplate(t, "smollm2", template).Turn(user, " Love ", nil)
		switch {
		case want == "" || want == "trimmed":
			if err != nil || text.Trimmed != (want == "trimmed") || text.Rendered[:text.Start] != "[user]What is it?[/][assistant]" {
				t.Errorf("%s: %+v, %v", template, text, err)
			}
		case err == nil || !strings.HasPrefix(err.Error(), want):
			t.Errorf("%s: error %v, wanted %s", template, err, want)
		}
	}
}
