package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// fuzzText is a tokenizer for fuzzing, nil in a build without one: see models_test.go.
var fuzzText func(t testing.TB) *tokenize.Tokenizer

// fuzzPath posts any body to a path. The answer is JSON as the document describes it, and
// never a server error.
func fuzzPath(f *testing.F, path string, bodies ...string) {
	tuned, base := newFake(), newFake()
	if fuzzText != nil {
		tuned.tok, base.tok = fuzzText(f), fuzzText(f)
		tuned.rows, base.rows = tuned.tok.VocabSize(), base.tok.VocabSize()
	}
	fuzzServer(f, serving(f, tuned, base, func(o *Options) { o.Limits = Limits{Texts: 50, Tokens: 500, Wait: 1} }), path, bodies...)
}

func fuzzServer(f *testing.F, s *Server, path string, bodies ...string) {
	d := readDocument(f)
	name, _, _ := strings.Cut(path, "?")
	operation := d.Paths[name]["post"]
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := post(s.Handler(), path, string(body))
		var v any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatalf("status %d: %v: %s", w.Code, err, w.Body)
		}
		switch w.Code {
		case 200, 400, 404:
		default:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		for status, r := range operation.Responses {
			if schema := r.Content["application/json"].Schema; (status == "200") == (w.Code == 200) {
				if bad := d.check(schema, v, "answer", true); bad != "" {
					t.Fatalf("%d: %s: %s", w.Code, bad, w.Body)
				}
			}
		}
		if requests, tokens := s.queue.waiting(); requests != 0 || tokens != 0 {
			t.Fatalf("%d requests and %d tokens are left", requests, tokens)
		}
	})
}

func FuzzCompletions(f *testing.F) {
	fuzzPath(f, "/v1/completions", `{"prompt":[1,2,3],"max_tokens":1,"echo":true,"logprobs":2}`, `{"prompt":[[1],[2,3]],"max_tokens":0,"echo":true,"logprobs":0}`,
		`{"prompt":"What is łove? \ud83d\ude00","max_tokens":1,"echo":true,"logprobs":5,"temperature":0,"seed":1}`, `{"prompt":["a","b"],"max_tokens":1,"add_special_tokens":false,"return_tokens_as_token_ids":true}`,
		`{"prompt":"a\ud800","max_tokens":0}`, `{"prompt":[1,null],"n":2,"stop":["x"],"logit_bias":{"1":2}}`, "{\"prompt\":\"\xff\"}", `[[[`)
}

func FuzzNext(f *testing.F) {
	fuzzPath(f, "/v1/next_token_logprobs", `{"prompt":[1,2,3],"ids":[5,6]}`, `{"prompt":["a"],"ids":null}`, `{"messages":[{"role":"user","content":"x"}],"ids":[1]}`, `{"prompt":[1],"ids":[[1]]}`)
}

func FuzzReward(f *testing.F) {
	fuzzPath(f, "/v1/implicit_reward", `{"prompt":"What is it?","reply":"Łove","per_token":true}`, `{"messages":[{"role":"user","content":"x"}],"replies":["a"," b"],"beta":0.1,"rendering":{"tuned":"raw","base":"raw"}}`,
		`{"prompt":"a<s>","replies":["</s>"],"beta":1e308,"per_token":true}`, `{"prompt":"","reply":"x","rendering":{"tuned":"chat","base":"chat"}}`)
}

func FuzzTrainer(f *testing.F) {
	fuzzPath(f, "/get_reward?tuned=raw&base=raw", `{"query":["ab","a"],"prompts":["a","a"],"labels":["",null]}`, `{"query":["<s>a b</s>"],"prompts":["<s>a"]}`, `{"query":[1],"prompts":[null]}`)
}

// fuzzRM is fuzzPath for a server of a reward model alone.
func fuzzRM(f *testing.F, path string, bodies ...string) {
	rm := fakeRM("a", "b")
	if fuzzText != nil {
		rm.Tokenizer = fuzzText(f)
		rm.VocabSize = rm.Tokenizer.VocabSize()
	}
	fuzzServer(f, alone(f, rm, func(o *Options) { o.Limits = Limits{Texts: 50, Tokens: 500, Wait: 1} }), path, bodies...)
}

func FuzzExplicit(f *testing.F) {
	fuzzRM(f, "/v1/reward", `{"prompt":"What is it?","reply":"Łove","ids":true}`, `{"messages":[{"role":"user","content":"x"}],"replies":["a"," b"],"model":"rm"}`, `{"prompt":"","replies":[""]}`, `{"prompt":"a","reply":"b","rendering":"raw","bos":"none"}`)
}

func FuzzClassify(f *testing.F) {
	fuzzRM(f, "/classify", `{"input":["<bos>a<end_of_turn>"],"add_special_tokens":false,"use_activation":false}`, `{"input":[[1],[2,3]],"truncate_prompt_tokens":-1}`, `{"input":"a\ud800"}`, `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}`, `{"input":"<bos>a","bos":"extra"}`)
}

func FuzzScore(f *testing.F) {
	fuzzRM(f, "/score", `{"text_1":"a","text_2":["b","c"],"use_activation":false}`, `{"queries":["a","b"],"documents":["c","d"],"activation":false}`, `{"data_1":[1],"data_2":null,"items":{}}`)
}

func FuzzTrainerExplicit(f *testing.F) {
	fuzzRM(f, "/get_reward", `{"query":["<bos><start_of_turn>user\na<end_of_turn>b"],"prompts":["<bos><start_of_turn>user\na"]}`, `{"query":["ab","a"],"prompts":["a","a"],"labels":["",null]}`, `{"query":[1],"prompts":[null]}`)
}

func FuzzTrainerChat(f *testing.F) {
	fuzzRM(f, "/get_reward?rm=chat&missing=0", `{"query":["ab<end_of_turn>","a"],"prompts":["a","a"]}`)
}

func FuzzTokenize(f *testing.F) {
	fuzzPath(f, "/tokenize", `{"prompt":"test","add_special_tokens":false}`, `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},{"role":"user","content":"z"}],"return_token_strs":true}`, `{"prompt":"<s>"}`)
}

func FuzzDetokenize(f *testing.F) {
	fuzzPath(f, "/detokenize", `{"tokens":[1,2,3]}`, `{"tokens":[]}`, `{"tokens":[1e3]}`, `{"tokens":[[1]]}`)
}

// FuzzIDLists: what is read as ids is what encoding/json reads, where that is a list of
// numbers or of lists of numbers and nothing else.
func FuzzIDLists(f *testing.F) {
	for _, s := range []string{`[1,2]`, `[[1,2],[3]]`, `[]`, `[[]]`, `[1,[2]]`, `[null]`, ` [ 0 , 7 ] `, `[1e1]`, `[-0]`, `[2147483648]`, `["1"]`, `[[1],2]`, `[00]`} {
		f.Add([]byte(s))
	}
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = []byte(strings.TrimSpace(string(raw)))
		if !json.Valid(raw) || raw[0] != '[' {
			return
		}
		lists, nested, err := idLists(raw, limits)
		if err != nil {
			return
		}
		got, want := [][]int32{}, [][]int32{}
		if nested {
			err = json.Unmarshal(raw, &want)
		} else {
			want = append(want, nil)
			err = json.Unmarshal(raw, &want[0])
		}
		if err != nil {
			t.Fatalf("%s: read as %v, but encoding/json says %v", raw, lists, err)
		}
		for _, l := range lists {
			got = append(got, append([]int32{}, l...))
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Fatalf("%s: read as %s, wanted %s", raw, a, b)
		}
	})
}
