package serve

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestRMRefusals: what is not done, or would be another number, is refused by name, and
// nothing is computed for it.
func TestRMRefusals(t *testing.T) {
	calls := atomic.Int64{}
	rm := fakeRM()
	rm.RM.(*implicittest.FakeRM).Fail = func(tokenize.Encoded) error { calls.Add(1); return nil }
	several := fakeRM("a", "b")
	several.Problem = "regression"
	small := func(o *Options) { o.Limits = Limits{Texts: 3, Tokens: 300} }
	s, many, none := alone(t, rm, small), alone(t, several, small), serving(t, newFake(), newFake(), nil)
	gated := fakeRM()
	gated.Check = func(ids []int32) error {
		if !slices.Contains(ids, 7) {
			return errors.New("no end of the user's turn")
		}
		return nil
	}
	gate := alone(t, gated, nil)
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		s          *Server
		path, body string
		status     int
		param      string
		message    string
	}{
		{none, "/v1/reward", `{"prompt":"a","reply":"b"}`, 404, "", "the server has no explicit reward model: start it with -rm"},
		{none, "/classify", `{"input":"a"}`, 404, "", "the server has no explicit reward model: start it with -rm"},
		{none, "/score", `{"text_1":"a","text_2":"b"}`, 404, "", "the server has no explicit reward model: start it with -rm"},
		{none, "/get_reward?reward=explicit", `{"query":["a"]}`, 404, "", "the server has no explicit reward model: start it with -rm"},
		{none, "/get_reward?rm=raw", `{"query":["a"],"prompts":["a"]}`, 400, "rm", `unrecognized parameter of the address: "rm", wanted tuned, base, bos, system, beta or missing`},
		{s, "/v1/implicit_reward", `{"prompt":"a","reply":"b"}`, 404, "", "the server has an explicit reward model alone (/v1/reward), and implicit rewards are between two language models: start it with -tuned and -base too"},
		{s, "/get_reward?reward=implicit", `{"query":["a"],"prompts":["a"]}`, 404, "", "the server has an explicit reward model alone (/v1/reward), and implicit rewards are between two language models: start it with -tuned and -base too"},
		{s, "/get_reward?reward=both", `{"query":["a"]}`, 400, "reward", `reward: ["both"], wanted one of explicit and implicit`},
		{s, "/get_reward?reward=explicit&reward=implicit", `{"query":["a"]}`, 400, "reward", `reward: ["explicit" "implicit"], wanted one of explicit and implicit`},
		{s, "/get_reward?beta=1", `{"query":["a"],"prompts":["a"]}`, 400, "beta", `unrecognized parameter of the address: "beta", wanted rm, bos, system or missing with the explicit reward, which this is`},
		{s, "/get_reward?rm=x", `{"query":["a"],"prompts":["a"]}`, 400, "rm", `rm: "x", wanted raw or chat`},
		{s, "/get_reward?system=x", `{"query":["a"],"prompts":["a"]}`, 400, "system", "system: nothing is rendered as a chat, wanted rm=chat"},
		{s, "/get_reward?bos=x", `{"query":["a"],"prompts":["a"]}`, 400, "bos", `bos: "x", wanted auto, add, none or extra`},
		{s, "/get_reward?missing=x", `{"query":["a"],"prompts":["a"]}`, 400, "missing", `missing: "x", wanted a number`},
		{s, "/get_reward", `{"query":["a"],"prompts":["a"]}`, 400, "query", "query: the reward model has no tokenizer"},
		{s, "/v1/completions", `{"prompt":[1],"max_tokens":0}`, 404, "model", "the server has an explicit reward model alone (/v1/reward, /classify, /score, /get_reward), and this is asked of a language model: start it with -model, or -tuned and -base, too"},
		{s, "/v1/next_token_logprobs", `{"prompt":[1],"model":"fake/rm"}`, 404, "model", "the server has an explicit reward model alone (/v1/reward, /classify, /score, /get_reward), and this is asked of a language model: start it with -model, or -tuned and -base, too"},
		{s, "/tokenize", `{"prompt":"a"}`, 404, "model", "the model fake/rm has no tokenizer"},
		{s, "/v1/reward", `{"model":"tuned","prompt":"a","reply":"b"}`, 404, "model", `model "tuned" is not the reward model that is served, wanted fake/rm`},
		{s, "/v1/reward", `{"prompt":"a"}`, 400, "reply", "wanted reply or replies, one of them"},
		{s, "/v1/reward", `{"reply":"a"}`, 400, "prompt", "wanted prompt or messages, one of them"},
		{s, "/v1/reward", `{"prompt":"a","reply":""}`, 400, "replies", "reply 0: empty, wanted text"},
		{s, "/v1/reward", `{"prompt":"a","replies":["b",""]}`, 400, "replies", "reply 1: empty, wanted text"},
		{s, "/v1/reward", `{"prompt":"a","replies":["1","2","3","4"]}`, 400, "replies", "replies: 4 texts, wanted at most 3, the limit of a request"},
		{s, "/v1/reward", `{"prompt":"a","reply":"` + long + `"}`, 400, "replies", "reply 0: 321 tokens, wanted at most 200, the model's context"},
		{s, "/v1/reward", `{"prompt":"a","reply":"b","rendering":"x"}`, 400, "rendering", `rendering: "x", wanted raw or chat`},
		{s, "/v1/reward", `{"prompt":"a","reply":"b","rendering":"raw"}`, 400, "rendering", "the reward model reads text as it was loaded, chat: wanted no rendering, system, chat_template_kwargs or bos"},
		{s, "/v1/reward", `{"prompt":"a","reply":"b","beta":1}`, 400, "beta", `unrecognized request argument: "beta"`},
		{s, "/v1/reward", `{"prompt":"a","reply":"b","reply":"c"}`, 400, "reply", `the body: byte 26: key "reply" comes twice, wanted once`},
		{s, "/v1/reward", `{"messages":[{"role":"assistant","content":"b"}],"reply":"b"}`, 400, "messages", "messages: the last one is the assistant's, wanted it as the reply"},
		{s, "/v1/reward", `[`, 400, "", "the body begins with '[', wanted a JSON object"},
		{gate, "/v1/reward", `{"prompt":"a","reply":"b"}`, 400, "replies", "reply 0: no end of the user's turn"},
		{gate, "/classify", `{"input":[[7],[1]]}`, 400, "input", "input: text 1: no end of the user's turn"},
		{s, "/classify", `{}`, 400, "input", "wanted input or messages, one of them"},
		{s, "/classify", `{"input":"a","messages":[]}`, 400, "input", "wanted input or messages, one of them"},
		{s, "/classify", `{"input":"a"}`, 400, "input", "input: the model fake/rm has no tokenizer, wanted token ids"},
		{s, "/classify", `{"input":[]}`, 400, "input", "input: an empty list, wanted at least one text"},
		{s, "/classify", `{"input":[1,257]}`, 400, "input", "input: text 0: token 1 has id 257, wanted 0 to 256"},
		{s, "/classify", `{"input":[[1],[]]}`, 400, "input", "input: text 1 has no tokens, wanted at least one"},
		{s, "/classify", `{"input":[[1],[2],[3],[4]]}`, 400, "input", "input: more than 3 texts, the limit of a request"},
		{s, "/classify", `{"input":[1],"truncate_prompt_tokens":-2}`, 400, "truncate_prompt_tokens", "truncate_prompt_tokens: -2, wanted -1 or more"},
		{s, "/classify", `{"input":[1,2,3],"truncate_prompt_tokens":2}`, 400, "truncate_prompt_tokens", "text 0: 3 tokens, which truncate_prompt_tokens would cut to 2: that is another text, and not done"},
		{s, "/classify", `{"input":[1],"truncation_side":"middle"}`, 400, "truncation_side", `truncation_side: "middle", wanted left or right`},
		{s, "/classify", `{"input":[1],"padding":"max_length"}`, 400, "padding", `padding: "max_length", wanted do_not_pad: texts are not padded`},
		{s, "/classify", `{"input":[1],"priority":1}`, 400, "priority", "priority: 1, wanted 0: requests wait in turn"},
		{s, "/classify", `{"input":[1],"cache_salt":"x"}`, 400, "cache_salt", "cache_salt: not done, what is kept of prompts serves all clients"},
		{s, "/classify", `{"input":[1],"mm_processor_kwargs":{}}`, 400, "mm_processor_kwargs", "mm_processor_kwargs: not done, texts are all that is read"},
		{s, "/classify", `{"input":[1],"media_io_kwargs":{}}`, 400, "media_io_kwargs", "media_io_kwargs: not done, texts are all that is read"},
		{s, "/classify", `{"input":[1],"chat_template":"x"}`, 400, "chat_template", "chat_template: not done, wanted the model's own, or input rendered by yours with add_special_tokens false"},
		{s, "/classify", `{"input":[1],"add_generation_prompt":true}`, 400, "add_generation_prompt", "add_generation_prompt: true, wanted false: a reward model reads a finished reply"},
		{s, "/classify", `{"input":[1],"continue_final_message":true}`, 400, "continue_final_message", "continue_final_message: true, wanted false: a reward model reads a finished reply"},
		{s, "/classify", `{"input":[1],"softmax":true}`, 400, "softmax", `unrecognized request argument: "softmax"`},
		{s, "/classify", `{"input":[1],"use_activation":true,"activation":false}`, 400, "activation", "use_activation: true and activation: false, its old name, wanted one of them"},
		{s, "/classify", `{"messages":[{"role":"user","content":"a"}]}`, 400, "messages", "messages: wanted a list of at least two objects with role and content, the last of them the assistant's reply"},
		{s, "/classify", `{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}`, 400, "messages", "messages: the last one is the user's, wanted the assistant's: a reward model scores a reply"},
		{s, "/classify", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","name":"c"}]}`, 400, "messages", `messages: the last one has "name", wanted role and content of the reply`},
		{s, "/classify", `{"messages":[{"role":"user","content":"a"},{"role":"assistant"}]}`, 400, "messages", "messages: message 1 has no content, wanted a string"},
		{s, "/pooling", `{"input":[1]}`, 400, "task", "task is missing: by their version, vLLM's servers then answer with one value a text or one a token: wanted classify"},
		{s, "/pooling", `{"input":[1],"task":"token_classify"}`, 400, "task", `task: "token_classify", wanted classify: a text has one reward`},
		{s, "/pooling", `{"input":[1],"task":"classify","encoding_format":"base64"}`, 400, "encoding_format", `encoding_format: "base64", wanted float`},
		{s, "/pooling", `{"input":[1],"task":"classify","dimensions":1}`, 400, "dimensions", "dimensions: not done, wanted none"},
		{s, "/score", `{"text_1":"a"}`, 400, "text_1", "wanted text_1 and text_2, queries and documents, queries and items, or data_1 and data_2"},
		{s, "/score", `{"text_1":"a","documents":"b"}`, 400, "text_1", "wanted text_1 and text_2, queries and documents, queries and items, or data_1 and data_2"},
		{s, "/score", `{"text_1":"a","text_2":"b","items":"c"}`, 400, "text_1", "wanted text_1 and text_2, queries and documents, queries and items, or data_1 and data_2"},
		{s, "/score", `{"queries":"a","documents":"b","items":"b"}`, 400, "text_1", "wanted text_1 and text_2, queries and documents, queries and items, or data_1 and data_2"},
		{s, "/score", `{"text_1":["a","b"],"text_2":["c","d","e"]}`, 400, "text_1", "2 text_1 for 3 text_2, wanted one, or one each"},
		{s, "/score", `{"text_1":[1],"text_2":"b"}`, 400, "text_1", "text_1: wanted a string or a list of strings"},
		{s, "/score", `{"text_1":"a","text_2":{"content":[]}}`, 400, "text_2", `text_2: {"content":[]}, wanted a string, a list of strings, a list of token ids or a list of such lists`},
		{s, "/score", `{"text_1":"a","text_2":["b",""]}`, 400, "text_2", "pair 1: empty, wanted text"},
		{s, "/score", `{"text_1":"a","text_2":"b","truncate_prompt_tokens":4}`, 400, "text_2", "pair 0: 22 tokens, which truncate_prompt_tokens would cut to 4: that is another text, and not done"},
		{s, "/score", `{"text_1":"a","text_2":"b","max_tokens_per_doc":4}`, 400, "max_tokens_per_doc", "max_tokens_per_doc: 4, wanted 0: nothing is cut"},
		{s, "/score", `{"text_1":"a","text_2":"b","max_tokens_per_query":4}`, 400, "max_tokens_per_query", "max_tokens_per_query: 4, wanted 0: nothing is cut"},
		{s, "/score", `{"text_1":"a","text_2":"b","instruction":"x"}`, 400, "instruction", "instruction: not done, wanted system or chat_template_kwargs"},
		{many, "/score", `{"text_1":"a","text_2":"b"}`, 400, "use_activation", "use_activation: vLLM scores with models of one output, and this one has 2: wanted false, which gives its reward"},
	} {
		w := post(c.s.Handler(), c.path, c.body)
		e := refusal(t, w)
		param := ""
		if e.Param != nil {
			param = *e.Param
		}
		if w.Code != c.status || param != c.param || e.Message != c.message || e.Type != "invalid_request_error" {
			t.Errorf("%s %.80s: %d %q %q, wanted %d %q %q", c.path, c.body, w.Code, param, e.Message, c.status, c.param, c.message)
		}
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("%d texts computed, wanted none", n)
	}
	if _, err := New(Options{Base: &Model{LM: newFake()}, RM: rm}); err == nil {
		t.Error("a base model without a tuned one, and no error")
	}
}
