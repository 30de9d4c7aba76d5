//go:build !nodaulet

package serve

import (
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// TestReading: a request's system message, variables of the template and BOS say what the
// models read, in every endpoint, and for that request only; members of messages reach the
// template.
func TestReading(t *testing.T) {
	template := "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ m.reasoning_content }}{% endfor %}{% if enable_thinking is false %} quiet{% endif %} go:"
	s, tuned, _ := demoServer(t, "llama", func(o *Options) {
		for _, m := range []*Model{o.Tuned, o.Base} {
			m.As, m.Chat = "chat", &tokenize.ChatOptions{Template: template, BOS: tokenize.BOSAdd}
		}
	})
	tok := tuned.Tokenizer()
	ids := func(body string) []int32 {
		return object[tokenizeResponse](t, post(s.Handler(), "/tokenize", body)).Tokens
	}
	for _, c := range []struct{ body, text string }{
		{`{"messages":[{"role":"user","content":"a"}]}`, "[user] a go:"},
		{`{"messages":[{"role":"user","content":"a"}],"system":"b"}`, "[system] b[user] a go:"},
		{`{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"enable_thinking":false}}`, "[user] a quiet go:"},
		{`{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"enable_thinking":true}}`, "[user] a go:"},
		{`{"messages":[{"role":"assistant","content":"a","reasoning_content":" why"},{"role":"user","content":"b"}]}`, "[assistant] a why[user] b go:"},
	} {
		for _, bos := range []string{"add", "none"} {
			choice, err := tokenize.ParseBOS(bos)
			if err != nil {
				t.Fatal(err)
			}
			want, err := tok.RawBOS(c.text, "", choice)
			if err != nil {
				t.Fatal(err)
			}
			body := c.body
			if bos == "none" { // the server was started with add
				body = strings.TrimSuffix(body, "}") + `,"bos":"none"}`
			}
			if got := ids(body); !slices.Equal(got, want.IDs) {
				t.Errorf("%s: %q, wanted %q", body, tok.Decode(got...), tok.Decode(want.IDs...))
			}
		}
	}
	if got := ids(`{"prompt":"","bos":"none"}`); len(got) != 0 {
		t.Errorf("%v of nothing, wanted no tokens", got)
	}
	if with, without := ids(`{"prompt":"a"}`), ids(`{"prompt":"a","bos":"none"}`); !slices.Equal(with[1:], without) || !slices.Equal(ids(`{"prompt":""}`), with[:1]) {
		t.Errorf("%v and %v, wanted the BOS and none", with, without)
	}
	same := func(path, a, b, field string) {
		t.Helper()
		x, y := post(s.Handler(), path, a), post(s.Handler(), path, b)
		cut := func(text string) string { _, after, _ := strings.Cut(text, `"data":`); return after }
		if x.Code != 200 || y.Code != 200 || cut(x.Body.String()) != cut(y.Body.String()) {
			t.Errorf("%s: %d %.300s, wanted %.300s", field, x.Code, x.Body, y.Body)
		}
	}
	same("/v1/implicit_reward", `{"prompt":"a","reply":"c","system":"b"}`, `{"messages":[{"role":"system","content":"b"},{"role":"user","content":"a"}],"reply":"c"}`, "system")
	same("/v1/implicit_reward", `{"prompt":"a","reply":"c","chat_template_kwargs":{"enable_thinking":false}}`, `{"prompt":"[user] a quiet go:","reply":"c","rendering":{"tuned":"raw","base":"raw"}}`, "variables")
	same("/v1/implicit_reward", `{"prompt":"a","reply":"c","bos":"none"}`, `{"prompt":"a","reply":"c","rendering":{"tuned_bos":"none","base_bos":"none"}}`, "bos")
	same("/v1/next_token_logprobs", `{"messages":[{"role":"user","content":"a"}],"ids":[5],"system":"b"}`, `{"prompt":"[system] b[user] a go:","ids":[5]}`, "next")
	same("/v1/next_token_logprobs", `{"prompt":"a","ids":[5],"bos":"none"}`, `{"prompt":"a","ids":[5],"add_special_tokens":false}`, "next, bos")
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"a","name":"b"}],"reply":"c"}`:                                   `does not read its "name"`,
		`{"messages":[{"role":"user","content":"a","name":"b"}],"reply":"c","rendering":{"tuned":"raw"}}`:       `"name" has no place in raw text`,
		`{"messages":[{"role":"system","content":"a"},{"role":"user","content":"a"}],"reply":"c","system":"b"}`: "one before it, wanted one of them",
		`{"prompt":"a","reply":"c","chat_template_kwargs":{"messages":[]}}`:                                     `variable "messages" of the chat template`,
	} {
		w := post(s.Handler(), "/v1/implicit_reward", body)
		if e := refusal(t, w); w.Code != 400 || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %d %s, wanted %s", body, w.Code, e.Message, want)
		}
	}
}
