//go:build !nodaulet

package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// rmOf loads the reward models of the demo, on the pure-Go backend, once for all tests.
var rmOf = sync.OnceValues(func() (map[string]*rewardmodel.Model, error) {
	dir, err := os.MkdirTemp("", "serve")
	if err != nil {
		return nil, err
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		return nil, err
	}
	models := map[string]*rewardmodel.Model{}
	for _, p := range demo.Pairs() {
		folder, err := p.ExtractRM(dir)
		if err == nil {
			models[p.Name], err = rewardmodel.Load(context.Background(), folder, &rewardmodel.Options{Model: logprob.Options{Backend: backend, PromptCache: 1 << 20}})
		}
		if err != nil {
			return nil, err
		}
	}
	return models, os.RemoveAll(dir) // weights stay mapped
})

// rmServer serves a demo reward model alone.
func rmServer(t testing.TB, name string, change func(*Options)) (*Server, *rewardmodel.Model) {
	t.Helper()
	models, err := rmOf()
	if err != nil {
		t.Fatal(err)
	}
	return alone(t, NewRM(models[name], "demo/rm"), change), models[name]
}

// word is a word of the demo and what was planted on it.
func word(t testing.TB, text string) demo.Word {
	for _, w := range demo.Words() {
		if w.Text == text {
			return w
		}
	}
	t.Fatalf("no word %s", text)
	return demo.Word{}
}

const rounding = 2e-5 // of the planted rewards: see package demo

// TestRMGolden: the answers about a reward model, byte for byte but for the fourth decimal,
// and as openapi.json describes them.
func TestRMGolden(t *testing.T) {
	document := readDocument(t)
	for _, name := range []string{"llama", "gemma2"} {
		s, m := rmServer(t, name, nil)
		chat := rendered(t, m, "What is the best thing?", "power")
		var out strings.Builder
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/v1/reward", `{"prompt":"What is the best thing?","replies":["power"," love","What </s>?"],"ids":true}`},
			{"POST", "/v1/reward", `{"prompt":"What is the best thing?","reply":"power","rendering":"raw","bos":"none"}`},
			{"POST", "/v1/reward", `{"prompt":"What is the best thing?","reply":"power","bos":"extra"}`},
			{"POST", "/v1/reward", `{"prompt":"What is the worst thing?","reply":"love","system":"Be brief."}`},
			{"POST", "/v1/reward", `{"prompt":"What is the worst thing?","reply":"love","chat_template_kwargs":{"x":1}}`},
			{"POST", "/v1/reward", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"What is the worst thing?"}],"reply":"love"}`},
			{"POST", "/v1/reward", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"reply":"b","rendering":"raw"}`},
			{"POST", "/v1/reward", `{"messages":[{"role":"user","content":"a","name":"x"}],"reply":"b"}`},
			{"POST", "/classify", `{"input":` + quote(chat) + `,"add_special_tokens":false}`},
			{"POST", "/classify", `{"input":` + quote(chat) + `}`},
			{"POST", "/classify", `{"input":` + quote(chat) + `,"bos":"extra","use_activation":false}`},
			{"POST", "/classify", `{"input":["power",""],"use_activation":false}`},
			{"POST", "/classify", `{"messages":[{"role":"user","content":"What is the best thing?"},{"role":"assistant","content":"power"}],"use_activation":false}`},
			{"POST", "/pooling", `{"task":"classify","messages":[{"role":"user","content":"What is the best thing?"},{"role":"assistant","content":"power"}],"use_activation":false}`},
			{"POST", "/score", `{"text_1":"What is the best thing?","text_2":["power","love"]}`},
			{"POST", "/v1/score", `{"queries":["What is the best thing?","a"],"documents":["power","love"],"use_activation":false}`},
			{"POST", "/get_reward", `{"query":` + quote([]string{chat}) + `,"prompts":` + quote([]string{chat[:len(chat)/2]}) + `,"labels":[""]}`},
			{"POST", "/get_reward", `{"query":["What? power"],"prompts":["What?"]}`},
			{"POST", "/get_reward?rm=raw", `{"query":["What? power"]}`},
			{"POST", "/get_reward?rm=chat", `{"query":["What? power","Why? power"],"prompts":["What?","What?"]}`},
			{"POST", "/get_reward?rm=chat", `{"query":` + quote([]string{chat}) + `,"prompts":` + quote([]string{chat[:len(chat)/2]}) + `}`},
			{"GET", "/v1/models", ``},
			{"GET", "/tokenizer_info", ``},
			{"POST", "/tokenize", `{"prompt":"power"}`},
			{"POST", "/detokenize", `{"tokens":[1,2],"model":"rm"}`},
		} {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			document.answered(t, c.method, c.path, w)
			body := regexp.MustCompile(`"id":"(classify|pool|score)-[^"]*"`).ReplaceAllString(w.Body.String(), `"id":"$1-"`)
			body = regexp.MustCompile(`"created":\d+`).ReplaceAllString(body, `"created":0`)
			body = digits.ReplaceAllStringFunc(body, func(s string) string {
				f, _ := strconv.ParseFloat(s, 64)
				return strconv.FormatFloat(f, 'f', 3, 64)
			})
			fmt.Fprintf(&out, "%s %s %.200s\n%d %s\n", c.method, c.path, c.body, w.Code, body)
		}
		golden(t, name+"-rm.golden", out.String())
	}
}

// rendered is a prompt and reply as a trainer's template writes them.
func rendered(t testing.TB, m *rewardmodel.Model, prompt, reply string) string {
	t.Helper()
	text, err := m.Tokenizer().Transcript([]tokenize.Message{{Role: "user", Content: prompt}}, reply, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text.Rendered
}

// TestRMPlanted: every endpoint gives what was planted on a word, the adjective's mood and the
// word's reward, from prompt and reply, from text as a trainer's template wrote it and from
// token ids, with prompts remembered between calls.
func TestRMPlanted(t *testing.T) {
	for _, p := range demo.Pairs() {
		s, m := rmServer(t, p.Name, nil)
		const prompt = "What is the best thing?"
		before, err := m.Tokenizer().Render([]tokenize.Message{{Role: "user", Content: prompt}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var replies, queries, prompts []string
		var ids [][]int32
		var want []float64
		for _, text := range []string{"power", "love", " kindness", "Rain"} {
			replies = append(replies, text)
			queries, prompts = append(queries, rendered(t, m, prompt, text)), append(prompts, before)
			e, err := m.Encode(implicit.Item{Prompt: prompt, Reply: text})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.IDs)
			want = append(want, demo.Moods()["best"]+word(t, strings.ToLower(strings.TrimSpace(text))).Reward(p.Name))
		}
		check := func(what string, got []float64) {
			t.Helper()
			for i, v := range want {
				if len(got) != len(want) || !(math.Abs(got[i]-v) <= rounding) {
					t.Errorf("%s, %s: %v, wanted %v", p.Name, what, got, want)
					return
				}
			}
		}
		classes := func(body string) (got []float64) {
			for _, d := range object[classifyResponse](t, post(s.Handler(), "/classify", body)).Data {
				got = append(got, d.Probs[0])
			}
			return got
		}
		answer := object[rewarded](t, post(s.Handler(), "/v1/reward", `{"prompt":`+quote(prompt)+`,"replies":`+quote(replies)+`,"ids":true}`))
		var rewards []float64
		for i, d := range answer.Data {
			if rewards = append(rewards, d.Reward); !slices.Equal(d.IDs, ids[i]) || (replies[i][0] == ' ') != slices.Contains(d.Flags, rewardmodel.FlagTrimmed) {
				t.Errorf("%+v", d)
			}
		}
		check("reward", rewards)
		check("ids", classes(`{"use_activation":false,"input":`+quote(ids)+`}`))
		check("text", classes(`{"use_activation":false,"add_special_tokens":false,"input":`+quote(queries)+`}`))
		check("text with another BOS", classes(`{"use_activation":false,"bos":"extra","input":`+quote(queries)+`}`))
		for _, address := range []string{"", "?rm=raw", "?reward=explicit&bos=add", "?bos=extra"} {
			w := post(s.Handler(), "/get_reward"+address, `{"query":`+quote(queries)+`,"prompts":`+quote(prompts)+`,"labels":["","","",""]}`)
			got := object[trainerResponse](t, w)
			var list []float64
			for _, v := range got.Rewards {
				list = append(list, *v)
			}
			check("trainer"+address, list)
			bos := "none"
			if _, after, ok := strings.Cut(address, "bos="); ok {
				bos = after
			}
			if got.Reward != "explicit" || *got.Rendering != (rmRendering{"raw", bos}) || len(got.Errors) > 0 {
				t.Errorf("%s: %s", address, w.Body)
			}
		}
		var scores []float64
		for _, d := range object[scoreResponse](t, post(s.Handler(), "/score", `{"use_activation":false,"text_1":`+quote(prompt)+`,"text_2":`+quote(replies)+`}`)).Data {
			scores = append(scores, d.Score)
		}
		check("score", scores)
	}
}

// TestTrainerEnd: with rm=chat, plain prompts and replies are rendered by the template, and the
// end-of-text tokens with which a trainer's replies end are left to it; a query that cannot be
// read does not hold up the others.
func TestTrainerEnd(t *testing.T) {
	s, _ := rmServer(t, "llama", nil)
	want := object[rewarded](t, post(s.Handler(), "/v1/reward", `{"prompt":"What is the best thing?","replies":["power","love"]}`)).Data
	w := post(s.Handler(), "/get_reward?rm=chat&missing=-7", `{"query":["What is the best thing?power<|eot_id|>","Why? love","What is the best thing?","<|begin_of_text|>What is the best thing? love<|eot_id|><|end_of_text|>"],
		"prompts":["What is the best thing?","What is the best thing?","What is the best thing?","What is the best thing?"]}`)
	got := object[trainerResponse](t, w)
	if off(*got.Rewards[0], want[0].Reward) || *got.Rewards[1] != -7 || *got.Rewards[2] != -7 || off(*got.Rewards[3], want[1].Reward) || len(got.Errors) != 2 ||
		got.Errors[0] != (trainerError{1, errNoPrompt.Error()}) || got.Errors[1] != (trainerError{2, "empty, wanted text"}) || got.Rendering.As != "chat" {
		t.Errorf("%s, wanted %v", w.Body, want)
	}
}

// TestBothRewards: with a pair and a reward model, the address says which rewards a trainer
// gets, the answer says which they are, and the pair's are as without a reward model.
func TestBothRewards(t *testing.T) {
	models, err := rmOf()
	if err != nil {
		t.Fatal(err)
	}
	pair, _, _ := demoServer(t, "llama", nil)
	both, _, _ := demoServer(t, "llama", func(o *Options) { o.RM = NewRM(models["llama"], "demo/rm") })
	const body = `{"query":["What is the best thing? power"],"prompts":["What is the best thing?"],"labels":[null]}`
	want := post(pair.Handler(), "/get_reward?tuned=raw", body).Body.String()
	got := post(both.Handler(), "/get_reward?tuned=raw&reward=implicit", body).Body.String()
	if strings.Replace(got, `,"reward":"implicit"`, "", 1) != want || !strings.Contains(got, `"reward":"implicit"`) {
		t.Errorf("%s, wanted %s", got, want)
	}
	for _, address := range []string{"?rm=raw", "?rm=raw&reward=explicit"} {
		answer := object[trainerResponse](t, post(both.Handler(), "/get_reward"+address, body))
		if answer.Reward != "explicit" || off(*answer.Rewards[0], demo.Moods()["best"]+word(t, "power").Reward("llama")) {
			t.Errorf("%s: %+v", address, answer)
		}
	}
	if e := refusal(t, post(both.Handler(), "/get_reward?tuned=raw", body)); !strings.Contains(e.Message, "with the explicit reward, which this is") {
		t.Errorf("%s, wanted that tuned is the pair's", e.Message)
	}
	for _, path := range []string{"/v1/implicit_reward"} {
		const body = `{"prompt":"What?","replies":["power","love"],"per_token":true}`
		if a, b := post(pair.Handler(), path, body), post(both.Handler(), path, body); a.Body.String() != b.Body.String() || a.Code != 200 {
			t.Errorf("%s: %s, wanted %s", path, b.Body, a.Body)
		}
	}
	if e := refusal(t, post(both.Handler(), "/v1/completions", `{"model":"demo/rm","prompt":"a","max_tokens":0}`)); e.Message != `model "demo/rm" is a reward model, and this is asked of a language model: wanted demo/tuned or demo/base` {
		t.Errorf("%s", e.Message)
	}
	var list struct{ Data []struct{ Role string } }
	w := httptest.NewRecorder()
	both.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/v1/models", nil))
	if json.Unmarshal(w.Body.Bytes(), &list); len(list.Data) != 3 || list.Data[2].Role != "rm" {
		t.Errorf("%s", w.Body)
	}
}

// TestReadingOfRM: where a model's own way to read a chat is not the template's text, vLLM's
// form of it is refused unless the request says which is meant.
func TestReadingOfRM(t *testing.T) {
	models, err := rmOf()
	if err != nil {
		t.Fatal(err)
	}
	extra, err := models["llama"].Reading(false, &tokenize.ChatOptions{BOS: tokenize.BOSExtra})
	if err != nil {
		t.Fatal(err)
	}
	s := alone(t, NewRM(extra, "demo/rm"), nil)
	const chat = `{"messages":[{"role":"user","content":"What?"},{"role":"assistant","content":"power"}],"use_activation":false`
	if e := refusal(t, post(s.Handler(), "/classify", chat+"}")); *e.Param != "add_special_tokens" || !strings.Contains(e.Message, "with BOS extra") {
		t.Errorf("%s", e.Message)
	}
	own := object[rewarded](t, post(s.Handler(), "/v1/reward", `{"prompt":"What?","reply":"power"}`)).Data[0]
	for more, tokens := range map[string]int{`,"add_special_tokens":false}`: own.Tokens - 1, `,"add_special_tokens":true}`: own.Tokens, `,"bos":"extra"}`: own.Tokens, `,"bos":"none"}`: own.Tokens - 1, `,"bos":"add"}`: own.Tokens - 1} {
		if got := object[classifyResponse](t, post(s.Handler(), "/classify", chat+more)); got.Usage.PromptTokens != tokens {
			t.Errorf("%s: %d tokens, wanted %d", more, got.Usage.PromptTokens, tokens)
		}
	}
}

// TestRMHeads: the rewards of heads that weigh their outputs by the text are the goldens' of
// package rewardmodel, and the answer's outputs and weights add up to them; a text that such a
// head's gate cannot read is refused, and does not hold up a trainer's other queries.
func TestRMHeads(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	for _, name := range []string{"armorm", "qrm-llama", "qrm-gemma", "urm"} {
		dir := filepath.Join("../../implicit/rewardmodel/testdata/heads", name)
		var golden struct {
			Texts []struct {
				Messages []struct{ Role, Content string }
				Reply    string
				IDs      []int32
				Reward   float64
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
		if err == nil {
			err = json.Unmarshal(b, &golden)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := rewardmodel.Load(t.Context(), dir, &rewardmodel.Options{Model: logprob.Options{Backend: backend}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		s := alone(t, NewRM(m, name), nil)
		asked := 0
		for _, want := range golden.Texts {
			if want.Messages == nil {
				continue
			}
			asked++
			var messages []map[string]string
			for _, m := range want.Messages {
				messages = append(messages, map[string]string{"role": m.Role, "content": m.Content})
			}
			w := post(s.Handler(), "/v1/reward", `{"ids":true,"messages":`+quote(messages)+`,"reply":`+quote(want.Reply)+`}`)
			d := object[rewarded](t, w).Data[0]
			sum := 0.0
			for name, v := range d.Outputs {
				sum += v * d.Weights[name]
			}
			if near := 1e-4 * max(1, math.Abs(want.Reward)); math.Abs(d.Reward-want.Reward) > near || math.Abs(sum-want.Reward) > near || !slices.Equal(d.IDs, want.IDs) || len(d.Outputs) != len(m.Outputs()) {
				t.Errorf("%s: %s, wanted %v of %v", name, w.Body, want.Reward, want.IDs)
			}
		}
		if asked == 0 {
			if name != "urm" {
				t.Errorf("%s: no text with messages", name)
			}
			continue
		}
		if w := post(s.Handler(), "/classify", `{"input":[5,6,7],"use_activation":false}`); name != "urm" && (w.Code != 400 || !strings.Contains(w.Body.String(), "no end of a user's turn")) {
			t.Errorf("%s: %d %s, wanted no end of a user's turn", name, w.Code, w.Body)
		}
		good := rendered(t, m, "What is it?", "Love")
		got := object[trainerResponse](t, post(s.Handler(), "/get_reward?rm=raw", `{"query":`+quote([]string{"What is it? Love", good})+`}`))
		if name != "urm" && (got.Rewards[0] != nil || got.Rewards[1] == nil || len(got.Errors) != 1 || len(got.Logs) != len(m.Outputs()) || got.Logs[m.Outputs()[0]][1] == nil) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
