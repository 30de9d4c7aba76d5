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
