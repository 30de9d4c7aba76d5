package serve

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRefusals: what is not done or not well formed is refused, in OpenAI's form, and
// nothing is computed for it.
func TestRefusals(t *testing.T) {
	f := newFake()
	pair := serving(t, f, newFake(), func(o *Options) { o.Limits = Limits{Texts: 3, Tokens: 20, Rows: 2} })
	one := serving(t, f, nil, nil)
	deep := strings.Repeat("[", 100_000)
	for _, c := range []struct {
		s          *Server
		path, body string
		status     int
		param      string
		message    string
	}{
		// the body
		{pair, "completions", ``, 400, "", "the body is empty, wanted a JSON object"},
		{pair, "completions", `[]`, 400, "", "the body begins with '[', wanted a JSON object"},
		{pair, "completions", `{`, 400, "", "the body: byte 1: it ends too early"},
		{pair, "completions", `{"prompt":[1],}`, 400, "", "the body: byte 13: invalid character ',' at start of value"},
		{pair, "completions", `{} {}`, 400, "", "the body: byte 3: text after the end of the value"},
		{pair, "completions", "{\"prompt\":\"a\xff\"}", 400, "", "the body: byte 12: not UTF-8, wanted text"},
		{pair, "completions", `{"prompt":"a\ud800b"}`, 400, "prompt", "the body: byte 12: prompt: half of a surrogate pair, wanted text"},
		{pair, "completions", `{"prompt":"\ud83d\ude00\udc00"}`, 400, "prompt", "the body: byte 23: prompt: half of a surrogate pair, wanted text"},
		{pair, "completions", `{"prompt":` + deep, 400, "", "the body: byte 1009: more than 1000 lists and objects in one another"},
		{pair, "completions", `{"prompt":` + deep + strings.Repeat("]", 100_000) + `}`, 400, "", "the body: byte 1009: more than 1000 lists and objects in one another"},
		{pair, "completions", `{"prompt":[1],"best":1}`, 400, "best", `unrecognized request argument: "best"`},
		{pair, "completions", `{"prompt":[1],"max_tokens":"1"}`, 400, "max_tokens", "max_tokens: a string, wanted an integer"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1.5}`, 400, "max_tokens", "max_tokens: the number 1.5, wanted an integer"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1e30}`, 400, "max_tokens", "max_tokens: the number 1e30, wanted an integer"},
		{pair, "completions", `{"prompt":[1],"echo":1}`, 400, "echo", "echo: a number, wanted true or false"},
		{pair, "completions", `{"prompt":[1],"logit_bias":[]}`, 400, "logit_bias", "logit_bias: a list, wanted an object"},
		{pair, "completions", `{"prompt":[1],"presence_penalty":"x"}`, 400, "presence_penalty", "presence_penalty: a string, wanted a number"},
		// keys that come twice, at any depth, and keys in another case
		{pair, "completions", `{"prompt":[1],"max_tokens":0,"prompt":[2]}`, 400, "prompt", `the body: byte 29: key "prompt" comes twice, wanted once`},
		{pair, "completions", `{"prompt":[1],"logit_bias":{"5":1,"5":2}}`, 400, "5", `the body: byte 34: key "5" comes twice in logit_bias, wanted once`},
		{pair, "completions", `{"Prompt":[1],"max_tokens":0}`, 400, "Prompt", `unrecognized request argument: "Prompt"`},
		{pair, "implicit_reward", `{"prompt":"a","prompt":"b","reply":"Love"}`, 400, "prompt", `the body: byte 14: key "prompt" comes twice, wanted once`},
		{pair, "implicit_reward", `{"Prompt":"b","reply":"Love"}`, 400, "Prompt", `unrecognized request argument: "Prompt"`},
		{pair, "implicit_reward", `{"prompt":"b","reply":"Love","rendering":{"Tuned":"raw"}}`, 400, "rendering.Tuned", `unrecognized request argument: "rendering.Tuned"`},
		{pair, "implicit_reward", `{"messages":[{"role":"user","content":"a","content":"b"}],"reply":"c"}`, 400, "content", `the body: byte 42: key "content" comes twice in messages/0, wanted once`},
		{pair, "implicit_reward", `{"messages":[{"role":"user","Content":"a"}],"reply":"c"}`, 400, "messages", `messages: message 0 has "Content", wanted it in lower case`},
		{pair, "next_token_logprobs", `{"prompt":[1],"ids":[1],"ids":[2]}`, 400, "ids", `the body: byte 24: key "ids" comes twice, wanted once`},
		{pair, "../get_reward", `{"query":["ab"],"prompts":["a"],"query":["ac"]}`, 400, "query", `the body: byte 32: key "query" comes twice, wanted once`},
		{pair, "../tokenize", `{"prompt":"a","prompt":"b"}`, 400, "prompt", `the body: byte 14: key "prompt" comes twice, wanted once`},
		{pair, "../detokenize", `{"tokens":[1],"Tokens":[2]}`, 400, "Tokens", `unrecognized request argument: "Tokens"`},
		// prompts
		{pair, "completions", `{"max_tokens":0}`, 400, "prompt", "prompt is missing, wanted a string, a list of strings, a list of token ids or a list of such lists"},
		{pair, "completions", `{"max_tokens":0,"prompt":null}`, 400, "prompt", "prompt is missing, wanted a string, a list of strings, a list of token ids or a list of such lists"},
		{pair, "completions", `{"max_tokens":0,"prompt":{}}`, 400, "prompt", "prompt: {}, wanted a string, a list of strings, a list of token ids or a list of such lists"},
		{pair, "completions", `{"max_tokens":0,"prompt":[]}`, 400, "prompt", "prompt: an empty list, wanted at least one text"},
		{pair, "completions", `{"max_tokens":0,"prompt":[[]]}`, 400, "prompt", "prompt: text 0 has no tokens, wanted at least one"},
		{pair, "completions", `{"max_tokens":0,"prompt":[[1],2]}`, 400, "prompt", "prompt: 2 among token ids, wanted an integer from 0 to 2147483647"},
		{pair, "completions", `{"max_tokens":0,"prompt":[1,[2]]}`, 400, "prompt", "prompt: a list among token ids, wanted a list of token ids or a list of such lists"},
		{pair, "completions", `{"max_tokens":0,"prompt":[[[1]]]}`, 400, "prompt", "prompt: a list among token ids, wanted a list of token ids or a list of such lists"},
		{pair, "completions", `{"max_tokens":0,"prompt":[1,null]}`, 400, "prompt", "prompt: null among token ids, wanted an integer from 0 to 2147483647"},
		{pair, "completions", `{"max_tokens":0,"prompt":[1.0]}`, 400, "prompt", "prompt: 1.0 among token ids, wanted an integer from 0 to 2147483647"},
		{pair, "completions", `{"max_tokens":0,"prompt":[-1]}`, 400, "prompt", "prompt: -1 among token ids, wanted an integer from 0 to 2147483647"},
		{pair, "completions", `{"max_tokens":0,"prompt":[4294967297]}`, 400, "prompt", "prompt: 4294967297 among token ids, wanted an integer from 0 to 2147483647"},
		{pair, "completions", `{"max_tokens":0,"prompt":[1,"a"]}`, 400, "prompt", `prompt: "a" among token ids, wanted an integer from 0 to 2147483647`},
		{pair, "completions", `{"max_tokens":0,"prompt":["a",1]}`, 400, "prompt", "prompt: wanted nothing but strings in the list"},
		{pair, "completions", `{"max_tokens":0,"prompt":["a",null]}`, 400, "prompt", "prompt: null among strings"},
		{pair, "completions", `{"max_tokens":0,"prompt":[1,100]}`, 400, "prompt", "prompt: text 0: token 1 has id 100, wanted 0 to 99"},
		{pair, "completions", `{"max_tokens":0,"prompt":[[1],[1],[1],[1]]}`, 400, "prompt", "prompt: more than 3 texts, the limit of a request"},
		{pair, "completions", `{"max_tokens":0,"prompt":["a","a","a","a"]}`, 400, "prompt", "prompt: 4 texts, wanted at most 3, the limit of a request"},
		{pair, "completions", `{"max_tokens":0,"prompt":[` + strings.Repeat("1,", 20) + `1]}`, 400, "prompt", "prompt: more than 20 tokens, the limit of a request"},
		{one, "completions", `{"max_tokens":0,"prompt":[` + strings.Repeat("1,", 64) + `1]}`, 400, "prompt", "prompt: text 0: 65 tokens, wanted at most 64, the model's context"},
		{pair, "completions", `{"max_tokens":0,"prompt":"a"}`, 400, "prompt", "prompt: the model fake/tuned has no tokenizer, wanted token ids"},
		// what is not done
		{pair, "completions", `{"prompt":[1],"model":"other"}`, 404, "model", `model "other" is not served, wanted fake/tuned or fake/base`},
		{one, "completions", `{"prompt":[1],"model":"base"}`, 404, "model", `model "base" is not served, wanted fake/tuned`},
		{pair, "completions", `{"prompt":[1]}`, 400, "max_tokens", "max_tokens is missing, which means 16: wanted 0, or 1 for the likeliest next token; this server scores and does not write"},
		{pair, "completions", `{"prompt":[1],"max_tokens":2}`, 400, "max_tokens", "max_tokens: 2, wanted 0, or 1 for the likeliest next token: this server scores and does not write"},
		{pair, "completions", `{"prompt":[1],"max_tokens":-1}`, 400, "max_tokens", "max_tokens: -1, wanted 0, or 1 for the likeliest next token: this server scores and does not write"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"logprobs":21}`, 400, "logprobs", "logprobs: 21, wanted 0 to 20"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"logprobs":-1}`, 400, "logprobs", "logprobs: -1, wanted 0 to 20"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"prompt_logprobs":21}`, 400, "prompt_logprobs", "prompt_logprobs: 21, wanted 0 to 20"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"prompt_logprobs":-1}`, 400, "prompt_logprobs", "prompt_logprobs: -1, wanted 0 to 20"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"prompt_logprobs":true}`, 400, "prompt_logprobs", "prompt_logprobs: true, wanted an integer"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"stream":true}`, 400, "stream", "stream: true, wanted false: answers are not streamed"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"stream_options":{}}`, 400, "stream_options", "stream_options without stream, which is not done"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"n":2}`, 400, "n", "n: 2, wanted 1"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"best_of":0}`, 400, "best_of", "best_of: 0, wanted 1"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"suffix":"x"}`, 400, "suffix", "suffix: not done"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"logit_bias":{"5":1}}`, 400, "logit_bias", "logit_bias: not done"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"presence_penalty":0.5}`, 400, "presence_penalty", "presence_penalty: 0.5, wanted 0"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"frequency_penalty":-1}`, 400, "frequency_penalty", "frequency_penalty: -1, wanted 0"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"top_p":2}`, 400, "top_p", "top_p: 2, wanted a number from 0 to 1"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"temperature":0.7}`, 400, "temperature", "temperature: 0.7, wanted 0: nothing is sampled"},
		{pair, "completions", `{"prompt":[1],"max_tokens":1,"stop":["x"]}`, 400, "stop", "stop with max_tokens 1: not done"},
		// the others
		{pair, "next_token_logprobs", `{"prompt":[1],"messages":[]}`, 400, "prompt", "prompt and messages, wanted one of them"},
		{pair, "next_token_logprobs", `{"messages":[{"role":"user","content":"x"}]}`, 400, "messages", "messages: the model fake/tuned has no tokenizer, wanted token ids as prompt"},
		{pair, "next_token_logprobs", `{"prompt":[1],"ids":5}`, 400, "ids", "ids: 5, wanted a list of token ids"},
		{pair, "next_token_logprobs", `{"prompt":[1],"ids":[]}`, 400, "ids", "ids: wanted a list of token ids, at least one"},
		{pair, "next_token_logprobs", `{"prompt":[1],"ids":[[1]]}`, 400, "ids", "ids: wanted a list of token ids, at least one"},
		{pair, "next_token_logprobs", `{"prompt":[1],"ids":[1,"x"]}`, 400, "ids", `ids: "x" among token ids, wanted an integer from 0 to 2147483647`},
		{pair, "next_token_logprobs", `{"prompt":[1],"ids":[100]}`, 400, "ids", "ids: number 0 is 100, wanted 0 to 99"},
		{pair, "next_token_logprobs", `{"prompt":[[1],[2],[3]]}`, 400, "", "3 whole rows, wanted at most 2, the limit of a request: ask for ids"},
		{one, "implicit_reward", `{"prompt":"a","reply":"b"}`, 404, "", "the server has one model, and rewards are between two: start it with -tuned and -base"},
		{one, "../get_reward", `{"query":["a"],"prompts":["b"]}`, 404, "", "the server has one model, and rewards are between two: start it with -tuned and -base"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b"}`, 400, "replies", "reply 0: tuned model: no tokenizer, wanted one to make tokens of text"},
		{pair, "implicit_reward", `{"prompt":"a"}`, 400, "reply", "wanted reply or replies, one of them"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","replies":["b"]}`, 400, "reply", "wanted reply or replies, one of them"},
		{pair, "implicit_reward", `{"reply":"b"}`, 400, "prompt", "wanted prompt or messages, one of them"},
		{pair, "implicit_reward", `{"prompt":"a","reply":""}`, 400, "replies", "reply 0: empty, wanted text"},
		{pair, "implicit_reward", `{"prompt":"a","replies":[]}`, 400, "replies", "replies: an empty list, wanted at least one"},
		{pair, "implicit_reward", `{"prompt":"a","replies":["b",null]}`, 400, "replies", "replies: null among strings"},
		{pair, "implicit_reward", `{"prompt":"a","replies":["1","2","3","4"]}`, 400, "replies", "replies: 4 texts, wanted at most 3, the limit of a request"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","beta":0}`, 400, "beta", "beta: 0, wanted a number above 0"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","rendering":{"base_bos":"x"}}`, 400, "rendering", `rendering: BOS "x", wanted auto, add, none or extra`},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","rendering":{"base":"x"}}`, 400, "rendering", `rendering: "x", wanted raw or chat`},
		{pair, "implicit_reward", `{"messages":[],"reply":"b"}`, 400, "messages", "messages: an empty list, wanted at least one message"},
		{pair, "implicit_reward", `{"messages":[{"role":"user"}],"reply":"b"}`, 400, "messages", "messages: message 0 has no content, wanted a string"},
		{pair, "implicit_reward", `{"messages":[{"role":"user","content":["b"]}],"reply":"b"}`, 400, "messages", "messages: message 0 has a content that is no string, wanted one"},
		{pair, "implicit_reward", `{"messages":["b"],"reply":"b"}`, 400, "messages", "messages: message 0 is no object, wanted one with role and content, both strings"},
		{pair, "implicit_reward", `{"messages":{"role":"user"},"reply":"b"}`, 400, "messages", "messages: wanted a list of objects with role and content, both strings"},
		{pair, "implicit_reward", `{"messages":[{"role":"tool","content":"b"}],"reply":"b"}`, 400, "messages", `messages: message 0 has the role "tool", wanted system, user or assistant`},
		{pair, "implicit_reward", `{"messages":[{"role":"assistant","content":"b"}],"reply":"b"}`, 400, "messages", "messages: the last one is the assistant's, wanted it as the reply"},
		{pair, "implicit_reward", `{"messages":[{"role":"system","content":"a"},{"role":"user","content":"b"}],"reply":"b","rendering":{"tuned":"chat"}}`, 400, "rendering", "the base model reads raw text, and messages of several turns are none: wanted rendering chat for both models, or one prompt"},
		{pair, "../get_reward", `{"query":["a"]}`, 400, "prompts", "prompts: wanted a list of strings"},
		{pair, "../get_reward", `{"query":[],"prompts":[]}`, 400, "query", "query: an empty list, wanted at least one text"},
		{pair, "../get_reward", `{"query":["a","b"],"prompts":["a"]}`, 400, "prompts", "1 prompts for 2 queries, wanted one each"},
		{pair, "../get_reward", `{"query":["ab"],"prompts":["b"]}`, 400, "query", "query 0: it does not begin with its prompt, even without regard to spaces: was it cut?"},
		{pair, "../get_reward?beta=x", `{"query":["ab"],"prompts":["a"]}`, 400, "beta", `beta: "x", wanted a number`},
		{pair, "../get_reward?missing=NaN", `{"query":["ab"],"prompts":["a"]}`, 400, "missing", `missing: "NaN", wanted a number`},
		{pair, "../get_reward?base=", `{"query":["ab"],"prompts":["a"]}`, 400, "base", `"base": wanted one value`},
		{pair, "../get_reward?base=raw&base=chat", `{"query":["ab"],"prompts":["a"]}`, 400, "base", `"base": wanted one value`},
		{pair, "../get_reward?base=x", `{"query":["ab"],"prompts":["a"]}`, 400, "rendering", `rendering: "x", wanted raw or chat`},
		{pair, "../get_reward?gamma=1", `{"query":["ab"],"prompts":["a"]}`, 400, "gamma", `unrecognized parameter of the address: "gamma", wanted tuned, base, bos, system, beta or missing`},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","system":"c"}`, 400, "system", "system: nothing is rendered as a chat, wanted messages, or rendering chat"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","chat_template_kwargs":{"x":1}}`, 400, "chat_template_kwargs", "chat_template_kwargs: nothing is rendered as a chat, wanted messages, or rendering chat"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","rendering":{"tuned":"chat"},"chat_template_kwargs":[]}`, 400, "chat_template_kwargs", "chat_template_kwargs: wanted an object"},
		{pair, "implicit_reward", `{"prompt":"a","reply":"b","bos":"yes"}`, 400, "bos", `bos: "yes", wanted auto, add, none or extra`},
		{pair, "completions", `{"prompt":"a","max_tokens":0,"bos":"add","add_special_tokens":false}`, 400, "bos", "bos and add_special_tokens, wanted one of them"},
		{pair, "../get_reward?system=x", `{"query":["ab"],"prompts":["a"]}`, 400, "system", "system: nothing is rendered as a chat, wanted messages, or rendering chat"},
		{pair, "../tokenize", `{"prompt":"a"}`, 404, "model", "the model fake/tuned has no tokenizer"},
		{pair, "../detokenize", `{"tokens":[1]}`, 404, "model", "the model fake/tuned has no tokenizer"},
	} {
		path := strings.Replace("/v1/"+c.path, "/v1/..", "", 1)
		w := post(c.s.Handler(), path, c.body)
		e := refusal(t, w)
		param := ""
		if e.Param != nil {
			param = *e.Param
		}
		if w.Code != c.status || param != c.param || e.Message != c.message || e.Type != "invalid_request_error" {
			t.Errorf("%s %.60s: %d %q %q, wanted %d %q %q", path, c.body, w.Code, param, e.Message, c.status, c.param, c.message)
		}
	}
	if calls, _ := f.counts(); calls > 0 {
		t.Errorf("%d calls of the model, wanted none", calls)
	}
}

// TestAccepted: fields that change nothing, or ask for what is done anyway.
func TestAccepted(t *testing.T) {
	s := serving(t, newFake(), newFake(), nil)
	for _, body := range []string{
		`{"prompt":[1],"max_tokens":1,"stop":null,"stream":false,"stream_options":null,"n":1,"best_of":1,"top_p":1,"seed":-5,"user":"x","suffix":null,"logit_bias":null,"presence_penalty":0,"logprobs":null}`,
		`{"prompt":[1],"max_tokens":0,"temperature":1,"stop":["\n"],"model":"tuned"}`,
		`{"prompt":[1],"max_tokens":1,"stop":[],"model":"base"}`,
		` {"prompt" : [ [ 1 , 2 ] , [ 3 ] ] , "max_tokens" : 1 } `,
	} {
		if w := post(s.Handler(), "/v1/completions", body); w.Code != 200 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestMethods: other paths and methods, in OpenAI's form too.
func TestMethods(t *testing.T) {
	s := serving(t, newFake(), nil, nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/completions", 405, "POST"}, {"DELETE", "/v1/models", 405, "GET, HEAD"}, {"POST", "/", 405, "GET, HEAD"},
		{"GET", "/v1/chat/completions", 404, ""}, {"POST", "/v1/chat/completions", 404, ""}, {"GET", "/v1/models/other", 404, ""},
		{"GET", "/tokenizer_info", 404, ""},
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if refusal(t, w); w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %q, wanted %d %q", c.method, c.path, w.Code, w.Header().Get("Allow"), c.status, c.allow)
		}
	}
	for _, path := range []string{"/", "/page.js", "/page.css", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/fake/tuned"} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || w.Body.Len() == 0 || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s: %d, %d bytes, %v", path, w.Code, w.Body.Len(), w.Header())
		}
	}
}

// endless is a body that never ends.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// TestBody: a body that is too large is not read to its end, whether it says its length or
// not; one that comes too slowly is given up, and others are served meanwhile; all bodies
// together are bounded.
func TestBody(t *testing.T) {
	s := serving(t, newFake(), nil, func(o *Options) {
		o.Limits = Limits{Body: 1000, Bodies: 2500, Read: 2 * time.Second}
	})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	send := func(body io.Reader, length int64) (int, error) {
		r, _ := http.NewRequest("POST", server.URL+"/v1/completions", body)
		r.ContentLength = length
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	for _, length := range []int64{1 << 30, -1} {
		e := &endless{}
		if status, err := send(io.LimitReader(e, 1<<30), length); err == nil && status != 413 || e.read.Load() > 64<<20 {
			t.Errorf("length %d: status %d %v after %d bytes, wanted 413", length, status, err, e.read.Load())
		}
	}
	// Three that stop in the middle: two fit into the bound on all bodies. They come one after
	// another: a body arrives in pieces, so that all three at a time may see the bound passed.
	var slow []*io.PipeWriter
	statuses := make(chan int, 3)
	for i := range int64(3) {
		r, w := io.Pipe()
		slow = append(slow, w)
		go func() { status, _ := send(r, -1); statuses <- status }()
		w.Write([]byte(strings.Repeat(" ", 990)))
		for i < 2 && s.bodies.held.Load() < 990*(i+1) {
			time.Sleep(time.Millisecond)
		}
	}
	if status := <-statuses; status != 429 {
		t.Errorf("status %d, wanted 429: the bound on all bodies", status)
	}
	if status, err := send(strings.NewReader(`{"prompt":[1],"max_tokens":1}`), 29); status != 200 {
		t.Errorf("status %d %v beside slow senders, wanted 200", status, err)
	}
	for range 2 {
		if status := <-statuses; status != 408 && status != 0 {
			t.Errorf("status %d of a body that does not come, wanted 408", status)
		}
	}
	for _, w := range slow {
		w.Close()
	}
	if held := s.bodies.held.Load(); held != 0 {
		t.Errorf("%d bytes held after all requests", held)
	}
}

// TestAuth: the token, the name of the host, and scripts of other sites.
func TestAuth(t *testing.T) {
	s := serving(t, newFake(), nil, func(o *Options) { o.Token = "0123456789abcdef" })
	local := serving(t, newFake(), nil, func(o *Options) { o.Loopback = true })
	do := func(s *Server, method, path string, header ...string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, strings.NewReader(`{"prompt":[1],"max_tokens":0}`))
		for i := 0; i < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 400 {
			refusal(t, w)
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %d with WWW-Authenticate %q", path, w.Code, w.Header().Get("WWW-Authenticate"))
		}
		return w.Code
	}
	for path := range s.posts() {
		for _, header := range [][]string{nil, {"Authorization", "Bearer 0123456789abcdeF"}, {"Authorization", "Basic 0123456789abcdef"}, {"Authorization", "0123456789abcdef"}, {"Authorization", "Bearer "}} {
			if status := do(s, "POST", path, header...); status != 401 {
				t.Errorf("%s with %q: %d, wanted 401", path, header, status)
			}
		}
	}
	for path := range s.gets() {
		path = strings.TrimSuffix(path, "{$}")
		want := 401
		if open[path] {
			want = 200
		}
		if status := do(s, "GET", path); status != want {
			t.Errorf("%s: %d, wanted %d", path, status, want)
		}
	}
	for _, scheme := range []string{"Bearer", "bearer"} {
		if status := do(s, "POST", "/v1/completions", "Authorization", scheme+" 0123456789abcdef"); status != 200 {
			t.Errorf("%s: %d, wanted 200", scheme, status)
		}
	}
	for name, want := range map[string]int{"localhost": 200, "localhost:8000": 200, "127.0.0.1:1": 200, "[::1]:80": 200, "127.9.9.9": 200, "LOCALHOST": 200,
		"example.com": 421, "localhost.example.com:8000": 421, "10.0.0.1:8000": 421, "0.0.0.0:8000": 421, "[::]": 421} {
		if status := do(local, "POST", "/v1/completions", "Host", name); status != want {
			t.Errorf("host %s: %d, wanted %d", name, status, want)
		}
	}
	for _, c := range []struct {
		header []string
		want   int
	}{
		{[]string{"Host", "localhost", "Sec-Fetch-Site", "cross-site"}, 403}, {[]string{"Host", "localhost", "Origin", "http://example.com"}, 403},
		{[]string{"Host", "localhost", "Sec-Fetch-Site", "same-origin"}, 200}, {[]string{"Host", "localhost", "Origin", "http://localhost"}, 200},
	} {
		if status := do(local, "POST", "/v1/completions", c.header...); status != c.want {
			t.Errorf("%q: %d, wanted %d", c.header, status, c.want)
		}
	}
}

// TestErrors: an error of the model is a 500 that says nothing of this machine.
func TestErrors(t *testing.T) {
	f := newFake()
	f.broken = 66
	s := serving(t, f, nil, nil)
	w := post(s.Handler(), "/v1/completions", `{"prompt":[1,66],"max_tokens":1}`)
	if e := refusal(t, w); w.Code != 500 || e.Type != "server_error" || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := fmt.Sprint(asAPI(fmt.Errorf("x: %w", refuse("a", "b")))); got != "b" {
		t.Errorf("%s, wanted the error inside", got)
	}
}
