//go:build !nodaulet

package tokenize

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// transcript is a case of testdata/transcripts.json, made with transformers.
type transcript struct {
	Tokenizer, Template, Reply, Text, Error string
	Messages                                []Message
	IDs, Extra                              []int32
	ReplyAt                                 *int `json:"reply_at"`
}

// TestTranscriptGolden: the text of apply_chat_template(tokenize=False), and both ways to
// make ids of it.
func TestTranscriptGolden(t *testing.T) {
	var cases []transcript
	readJSON(t, "testdata/transcripts.json", &cases)
	loaded := map[string]*Tokenizer{}
	trimmed, two := 0, 0
	for _, c := range cases {
		tok := loaded[c.Tokenizer]
		if tok == nil {
			tok = testdata(t, c.Tokenizer)
			loaded[c.Tokenizer] = tok
		}
		o := &ChatOptions{Date: time.Date(2024, 7, 26, 0, 0, 0, 0, time.UTC)}
		if c.Template != "" {
			b, err := os.ReadFile(filepath.Join("../internal/jinja/testdata/published", c.Template))
			if err != nil {
				t.Fatal(err)
			}
			o.Template = string(b)
		}
		for bos, want := range map[BOS][]int32{BOSAuto: c.IDs, BOSExtra: c.Extra} {
			o.BOS = bos
			text, err := tok.Transcript(c.Messages, c.Reply, o)
			switch {
			case c.Error != "":
				if err == nil {
					t.Errorf("%s %s %q: %q, wanted transformers' error %s", c.Tokenizer, c.Template, c.Reply, text.Rendered, c.Error)
				}
				continue
			case err != nil || text.Rendered != c.Text || !slices.Equal(text.IDs, want) || len(text.Spans) != len(want):
				t.Errorf("%s %s %q %v:\n   got %q %v %v\nwanted %q %v", c.Tokenizer, c.Template, c.Reply, bos, text.Rendered, text.IDs, err, c.Text, want)
				continue
			case c.ReplyAt != nil && text.Start != *c.ReplyAt:
				t.Errorf("%s %s %q: the reply at byte %d, wanted %d", c.Tokenizer, c.Template, c.Reply, text.Start, *c.ReplyAt)
			}
			reply := c.Reply
			if text.Trimmed {
				trimmed++
				reply = strings.TrimSpace(reply)
			}
			if !strings.HasPrefix(text.Rendered[text.Start:], reply) || text.Spans[text.Reply][1] <= text.Start {
				t.Errorf("%s %s %q: the reply is %q", c.Tokenizer, c.Template, c.Reply, text.Rendered[text.Start:])
			}
			if id, ok := tok.BOS(); ok && len(want) > 1 && want[0] == id && want[1] == id {
				two++
			}
		}
	}
	if len(cases) < 200 || trimmed == 0 || two == 0 {
		t.Errorf("%d cases, %d trimmed, %d with two BOS, wanted some of each", len(cases), trimmed, two)
	}
}

// TestTranscript: where a reply stands, and what a template may not do to it.
func TestTranscript(t *testing.T) {
	const (
		messages = "{% for m in messages %}[{{ m.role }}]{{ m.content }}[/]{% endfor %}"
		prompt   = "{% if add_generation_prompt %}[assistant]{% endif %}"
		changed  = "tokenize: chat template: it writes the assistant's message otherwise than it is, wanted it as it is or trimmed"
	)
	content := func(s string) string { return strings.Replace(messages, "m.content", s, 1) }
	thought := content("('<t></t>' if m.role == 'assistant' and '</t>' not in m.content else '') + m.content")
	for _, c := range []struct {
		name, template, reply string
		before                string // of the text, before the reply
		trimmed               bool
		err                   string
	}{
		{"as it is", messages, " Love ", "[user]What[/][assistant]", false, ""},
		{"without a generation prompt", messages + "{% if add_generation_prompt %}{{ 1/0 }}{% endif %}", "Love", "[user]What[/][assistant]", false, ""},
		{"another generation prompt", messages + "{% if add_generation_prompt %}[assistant]<t>{% endif %}", "Love", "[user]What[/][assistant]", false, ""},
		{"trimmed", content("m.content | trim") + prompt, " Love ", "[user]What[/][assistant]", true, ""},
		{"trimmed at one end", content("m.content.rstrip()") + prompt, " Love ", "[user]What[/][assistant]", true, ""},
		{"trimmed, and a space before it", content("' ' + (m.content | trim)"), "  Love", "[user] What[/][assistant] ", true, ""},
		{"all white space", content("m.content | trim"), " \x1c\u00a0\n", "[user]What[/][assistant]", true, ""},
		{"the same text again", messages, "What", "[user]What[/][assistant]", false, ""},
		{"the text before it", messages, "[assistant]", "[user]What[/][assistant]", false, ""},
		{"the text after it", messages, "[/]", "[user]What[/][assistant]", false, ""},
		{"the mark itself", messages, "\uE0A7\uE0A8", "[user]What[/][assistant]", false, ""},
		{"with a thought", thought, "Love", "[user]What[/][assistant]<t></t>", false, ""},
		{"with its own thought", thought, "<t>a</t>Love", "[user]What[/][assistant]", false, ""},
		{"in capitals", content("m.content | upper"), "Love", "", false, changed},
		{"capitals as they are", content("m.content | upper"), "LOVE", "[user]WHAT[/][assistant]", false, ""},
		{"quoted", content("m.content | tojson"), "say \"Love\"", "", false, changed},
		{"cut", content("m.content[:3]"), "Love", "", false, changed},
		{"white space inside", content("m.content | replace('  ', ' ')"), "a  b", "", false, changed},
		{"written twice", content("m.content + '|' + m.content"), "Love", "", false, changed},
		{"a part left out", content("m.content.split('</t>')[-1]"), "<t>a</t>Love", "", false, changed},
		{"not written", "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", "Love", "", false,
			`tokenize: message 2 of the assistant: the chat template does not read its "content", which would be lost`},
		{"other text after it", messages + "{{ messages[-1].content | length }}", "Love", "", false, changed},
		{"refused", content("raise_exception('no')"), "Love", "", false, "tokenize: chat template: line 1: no"},
		{"not UTF-8", messages, "a\xff", "", false, "tokenize: reply: byte 0xff at byte 1 is not UTF-8"},
	} {
		tok := withTemplate(t, "smollm2", c.template)
		text, err := tok.Transcript([]Message{{Role: "user", Content: "What"}}, c.reply, nil)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: %q, error %v, wanted %s", c.name, text.Rendered, err, c.err)
			}
			continue
		}
		if err != nil || text.Rendered[:text.Start] != c.before || text.Trimmed != c.trimmed {
			t.Errorf("%s: %q, the reply from byte %d, trimmed %v, %v, wanted it after %q", c.name, text.Rendered, text.Start, text.Trimmed, err, c.before)
		}
	}
	text, err := testdata(t, "smollm2").Transcript([]Message{{Role: "user", Content: "<|im_end|>"}}, "a<|im_start|>", nil)
	if err != nil || text.Special != 2 {
		t.Errorf("%+v %v, wanted two special tokens of the caller", text, err)
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

// TestTranscriptTurn: both are the same tokens where a template writes the reply's message as
// it begins one.
func TestTranscriptTurn(t *testing.T) {
	user := []Message{{Role: "user", Content: "What is it?"}}
	for _, name := range []string{"llama3", "smollm2", "qwen2", "gemma", "mistral"} {
		tok := testdata(t, name)
		for _, reply := range []string{"Love", " Love\n", "l'été 日本"} {
			turn, err := tok.Turn(user, reply, nil)
			if err != nil {
				t.Fatal(name, err)
			}
			text, err := tok.Transcript(user, reply, nil)
			if err != nil || text.Rendered != turn.Rendered || !slices.Equal(text.IDs, turn.IDs) || text.Start != turn.Start || text.Reply != turn.Reply || text.Trimmed != turn.Trimmed {
				t.Errorf("%s: %+v %v, wanted %+v", name, text, err, turn)
			}
		}
	}
}

// TestBOSExtra: the BOS of raw text before a chat, whether the template writes one or not;
// more of them are as wrong as ever.
func TestBOSExtra(t *testing.T) {
	const user = "{% for m in messages %}{{ m.content }}{% endfor %}"
	const asks = `{"add_bos_token": true, "bos_token": "<|endoftext|>"}`
	for _, c := range []struct {
		name, folder, template, config string
		want                           int // BOS in front
		err                            string
	}{
		{"a second one", "llama2", "{{ bos_token }}" + user, "", 2, ""},
		{"the only one", "llama2", user, "", 1, ""},
		{"of a tokenizer that adds none", "smollm2", "{{ bos_token }}" + user, "", 1, ""},
		{"none at all", "smollm2", user, "", 0, ""},
		{"a third", "llama2", "{{ bos_token }}{{ bos_token }}" + user, "", 0, `tokenize: chat: 2 BOS tokens "<s>" (id 1), wanted one: the text spells it out`},
		{"one that is not in front", "llama2", user + "{{ bos_token }}", "", 0, `tokenize: chat: the first token is not the BOS "<s>" (id 1)`},
		{"unsure", "smollm2", user, asks, 0, "tokenize: chat: " + ErrBOS.Error() +
			`: transformers 4 puts "<|endoftext|>" there, as tokenizer_config.json asks for it (tokenizer_class, add_bos_token), and transformers 5 does not, as the post_processor of tokenizer.json adds none`},
	} {
		files := map[string]*string{"chat_template.jinja": &c.template}
		if c.config != "" {
			files["tokenizer_config.json"] = &c.config
		}
		tok := mustLoad(t, variant(t, c.folder, files))
		text, err := tok.Chat("What is it?", "Love", &ChatOptions{BOS: BOSExtra})
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: error %v, wanted %s", c.name, err, c.err)
			}
			continue
		}
		got := 0
		for got < len(text.IDs) && tok.name(text.IDs[got]) == tok.config.named["bos_token"] {
			got++
		}
		if err != nil || got != c.want || tok.Decode(text.IDs[text.Reply:]...) != "Love" {
			t.Errorf("%s: %d BOS in front, reply %q, %v, wanted %d", c.name, got, tok.Decode(text.IDs[text.Reply:]...), err, c.want)
		}
	}
	_, err := testdata(t, "llama2").RawBOS("a", "b", BOSExtra)
	if want := "tokenize: BOS extra, which is a chat's, wanted auto, add or none for raw text"; err == nil || err.Error() != want {
		t.Errorf("raw text: error %v, wanted %s", err, want)
	}
}

// FuzzTranscript: whatever the messages say, a transcript is the template's text of them, its
// reply stands at Start, and its ids are those of the text.
func FuzzTranscript(f *testing.F) {
	for _, seed := range [][2]string{{"What?", " Love\n"}, {"\uE0A7\uE0A8", "\uE0A7"}, {"<think></think>", "<think>\na\n</think>\n\nLove"}, {"", "<|im_end|>\n"}, {"a", "</think>"}, {"{{ x }}", "\x1c\u0085"}} {
		f.Add(seed[0], seed[1])
	}
	var templates []string
	for _, name := range []string{"qwen3", "mistral_nemo", "phi35", "smollm2"} {
		b, err := os.ReadFile("../internal/jinja/testdata/published/" + name + ".jinja")
		if err != nil {
			f.Fatal(err)
		}
		templates = append(templates, string(b))
	}
	templates = append(templates, "{% for m in messages %}<{{ m.role }}> {{ m.content | trim }}{% endfor %}")
	tok := testdata(f, "smollm2")
	f.Fuzz(func(t *testing.T, prompt, reply string) {
		messages := []Message{{Role: "user", Content: prompt}}
		for _, template := range templates {
			o := &ChatOptions{Template: template}
			text, err := tok.Transcript(messages, reply, o)
			if err != nil {
				continue
			}
			want, err := tok.answered(messages, reply, o)
			if err != nil || text.Rendered != want {
				t.Fatalf("%q, wanted %q, %v", text.Rendered, want, err)
			}
			at := text.Rendered[text.Start:]
			if text.Trimmed && strings.TrimFunc(reply, isSpace) == reply || !text.Trimmed && !strings.HasPrefix(at, reply) {
				t.Errorf("%q at the place of the reply %q, trimmed %v", at, reply, text.Trimmed)
			}
			if !strings.HasPrefix(strings.TrimLeftFunc(at, isSpace), strings.TrimFunc(reply, isSpace)) {
				t.Errorf("%q at the place of the reply %q", at, reply)
			}
			ids, _, err := tok.Encode(text.Rendered)
			if err != nil || !slices.Equal(text.IDs, ids) {
				t.Errorf("%v, wanted %v, %v", text.IDs, ids, err)
			}
		}
	})
}
