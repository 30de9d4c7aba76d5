//go:build !nodaulet

package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
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
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// pairOf loads a demo pair, in float32 on the pure-Go backend, once for all tests.
var pairOf = sync.OnceValues(func() (map[string][2]*logprob.Model, error) {
	dir, err := os.MkdirTemp("", "serve")
	if err != nil {
		return nil, err
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		return nil, err
	}
	pairs := map[string][2]*logprob.Model{}
	for _, p := range demo.Pairs() {
		base, tuned, err := p.Extract(dir)
		if err != nil {
			return nil, err
		}
		var pair [2]*logprob.Model
		for i, folder := range []string{tuned, base} {
			if pair[i], err = logprob.Load(context.Background(), folder, &logprob.Options{Backend: backend, DType: dtypes.Float32}); err != nil {
				return nil, err
			}
		}
		pairs[p.Name] = pair
	}
	return pairs, os.RemoveAll(dir) // weights stay mapped
})

// demoServer serves a demo pair.
func demoServer(t testing.TB, name string, change func(*Options)) (s *Server, tuned, base *logprob.Model) {
	t.Helper()
	pairs, err := pairOf()
	if err != nil {
		t.Fatal(err)
	}
	pair := pairs[name]
	o := Options{Tuned: &Model{LM: pair[0], Name: "demo/tuned", As: "chat"}, Base: &Model{LM: pair[1], Name: "demo/base", As: "raw"}}
	if change != nil {
		change(&o)
	}
	if s, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s, pair[0], pair[1]
}

// digits are those of numbers that another machine's arithmetic may round otherwise.
var digits = regexp.MustCompile(`-?\d+\.\d+(e-?\d+)?`)

// TestGolden: the answers of every endpoint, byte for byte but for the fourth decimal, and
// as openapi.json describes them.
func TestGolden(t *testing.T) {
	document := readDocument(t)
	for _, name := range []string{"llama", "gemma2"} {
		s, _, _ := demoServer(t, name, nil)
		var out strings.Builder
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/v1/completions", `{"model":"demo/tuned","prompt":"What is łove? 😀 free","echo":true,"logprobs":2,"max_tokens":1,"temperature":0,"seed":1234}`},
			{"POST", "/v1/completions", `{"model":"base","prompt":["What is it?","a"],"max_tokens":1}`},
			{"POST", "/v1/completions", `{"prompt":[10,11,12],"echo":true,"max_tokens":0,"logprobs":0,"return_tokens_as_token_ids":true}`},
			{"POST", "/v1/completions", `{"prompt":"What is it?","echo":true,"max_tokens":0,"logprobs":0,"add_special_tokens":false}`},
			{"POST", "/v1/next_token_logprobs", `{"prompt":["What is it?"],"ids":[300,5,0]}`},
			{"POST", "/v1/next_token_logprobs", `{"messages":[{"role":"user","content":"What is it?"}],"ids":[300,5,0]}`},
			{"POST", "/v1/implicit_reward", `{"prompt":"What is the best thing?","reply":"Łove is free","per_token":true}`},
			{"POST", "/v1/implicit_reward", `{"messages":[{"role":"user","content":"What?"}],"replies":["power"," tender"],"rendering":{"tuned":"raw","base":"raw"},"beta":0.5}`},
			{"POST", "/get_reward?tuned=raw", `{"query":["What is it? power","What is it?"],"prompts":["What is it?","What is it?"],"labels":[null,null]}`},
			{"POST", "/tokenize", `{"prompt":"What is it?","return_token_strs":true}`},
			{"POST", "/tokenize", `{"prompt":"What is it?","add_special_tokens":false}`},
			{"POST", "/tokenize", `{"messages":[{"role":"user","content":"What is it?"}]}`},
			{"POST", "/tokenize", `{"prompt":""}`},
			{"POST", "/detokenize", `{"tokens":[10,11,300,301]}`},
			{"POST", "/detokenize", `{"tokens":[]}`},
			{"GET", "/tokenizer_info", ``},
			{"GET", "/tokenizer_info?model=base", ``},
			{"GET", "/v1/models", ``},
			{"GET", "/v1/models/demo/base", ``},
			{"GET", "/healthz", ``},
			{"GET", "/readyz", ``},
			// refusals that take a tokenizer
			{"POST", "/v1/completions", `{"prompt":["a","b\u0000"],"max_tokens":0}`},
			{"POST", "/v1/completions", `{"prompt":"` + strings.Repeat("a b ", 3000) + `","max_tokens":0}`},
			{"POST", "/v1/implicit_reward", `{"prompt":"a","replies":["b","` + strings.Repeat("a b ", 3000) + `"]}`},
			{"POST", "/v1/implicit_reward", `{"prompt":"a","reply":"b","rendering":{"base":"chat"}}`},
			{"POST", "/tokenize", `{"prompt":"a","messages":[{"role":"user","content":"b"}]}`},
			{"POST", "/tokenize", `{"messages":[{"role":"user","content":"b"}],"add_generation_prompt":false}`},
			{"POST", "/tokenize", `{"prompt":"a\u0000"}`},
			{"POST", "/detokenize", `{"tokens":"a"}`},
			{"POST", "/detokenize", `{"tokens":[[1]]}`},
			{"POST", "/detokenize", `{"tokens":[100000]}`},
		} {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			document.answered(t, c.method, c.path, w)
			body := w.Body.String()
			body = regexp.MustCompile(`"id":"cmpl-[^"]*"`).ReplaceAllString(body, `"id":"cmpl-"`)
			body = regexp.MustCompile(`"created":\d+`).ReplaceAllString(body, `"created":0`)
			body = digits.ReplaceAllStringFunc(body, func(s string) string {
				f, _ := strconv.ParseFloat(s, 64)
				return strconv.FormatFloat(f, 'f', 3, 64)
			})
			fmt.Fprintf(&out, "%s %s %.200s\n%d %s\n", c.method, c.path, c.body, w.Code, body)
		}
		golden(t, name+".golden", out.String())
	}
}

// golden compares with a file of testdata; SERVE_UPDATE=1 writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("SERVE_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("%s: line %d is\n%.600s\nwanted\n%.600s", name, i+1, strings.Join(a[i:min(i+1, len(a))], ""), strings.Join(b[i:min(i+1, len(b))], ""))
		}
	}
}

// TestRewardsAgree: the rewards, and their parts, are package implicit's, and the trainer's
// endpoint gives the same ones.
func TestRewardsAgree(t *testing.T) {
	for _, name := range []string{"llama", "gemma2"} {
		s, tuned, base := demoServer(t, name, nil)
		prompts := []string{"What is the best thing?", "What is the worst thing ever?"}
		replies := []string{"power", "Łove is free", " tenderness and so on", "x"}
		for _, as := range []string{"chat", "raw"} {
			policy := implicit.Chat(tuned, nil)
			if as == "raw" {
				policy = implicit.Raw(tuned)
			}
			for _, prompt := range prompts {
				var items []implicit.Item
				for _, r := range replies {
					items = append(items, implicit.Item{Prompt: prompt, Reply: r})
				}
				b, _ := json.Marshal(map[string]any{"prompt": prompt, "replies": replies, "per_token": true, "beta": 0.1, "rendering": map[string]string{"tuned": as}})
				got := object[rewardResponse](t, post(s.Handler(), "/v1/implicit_reward", string(b)))
				var queries, same []string
				for _, r := range replies {
					queries, same = append(queries, prompt+r), append(same, prompt)
				}
				b, _ = json.Marshal(map[string]any{"query": queries, "prompts": same, "labels": same})
				trained := object[trainerResponse](t, post(s.Handler(), "/get_reward?beta=0.1&tuned="+as, string(b)))
				i := 0
				for r, err := range implicit.Rewards(context.Background(), implicit.Pair{Tuned: policy, Base: implicit.Raw(base), Beta: 0.1}, slices.Values(items)) {
					if err != nil {
						t.Fatal(err)
					}
					d := got.Data[i]
					if off(*d.Reward, r.Value()) || off(*d.LogpTuned, r.Tuned.Sum()) || off(*d.LogpBase, r.Base.Sum()) || off(*d.MeanLogRatio, r.MeanLogRatio()) ||
						off(*trained.Rewards[i], r.Value()) || off(*trained.Scores[i], r.Value()) || off(*trained.Logs["logp_tuned"][i], r.Tuned.Sum()) {
						t.Errorf("%s %s %q: %+v, %v, wanted %v", name, as, r.Reply, d, *trained.Rewards[i], r.Value())
					}
					sum, text := 0.0, ""
					for _, p := range d.PerToken {
						if chars := []rune(r.Reply); string(chars[p.Start:p.End]) != p.Text {
							t.Errorf("%q: %q at %d to %d", r.Reply, p.Text, p.Start, p.End)
						}
						sum, text = sum+*p.Reward, text+p.Text
					}
					if off(sum, r.Value()) || text != r.Reply {
						t.Errorf("%q: the pieces are %q with sum %v, wanted %v", r.Reply, text, sum, r.Value())
					}
					i++
				}
			}
		}
	}
}

func off(a, b float64) bool { return math.Abs(a-b) > 2e-5 }

// TestTrainerBOS: a prompt that a trainer's template began with the BOS is read once with
// it, and one that holds a template is refused where it would be rendered again.
func TestTrainerBOS(t *testing.T) {
	s, tuned, base := demoServer(t, "gemma2", nil)
	prompt, err := tuned.Tokenizer().Render([]tokenize.Message{{Role: "user", Content: "What is it?"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	bos, _ := tuned.Tokenizer().SpecialToken("bos_token")
	if !strings.HasPrefix(prompt, bos) || bos == "" {
		t.Fatalf("template %q, wanted one that begins with the BOS %q", prompt, bos)
	}
	b, _ := json.Marshal(map[string]any{"query": []string{prompt + "power"}, "prompts": []string{prompt}})
	got := object[trainerResponse](t, post(s.Handler(), "/get_reward?tuned=raw&base=raw", string(b)))
	items := []implicit.Item{{Prompt: strings.TrimPrefix(prompt, bos), Reply: "power"}}
	for r, err := range implicit.Rewards(context.Background(), implicit.Pair{Tuned: implicit.Raw(tuned), Base: implicit.Raw(base)}, slices.Values(items)) {
		if err != nil || off(*got.Rewards[0], r.LogRatio()) {
			t.Errorf("%v, wanted %v %v", *got.Rewards[0], r.LogRatio(), err)
		}
	}
	if e := refusal(t, post(s.Handler(), "/get_reward", string(b))); !strings.Contains(e.Message, "?tuned=raw&base=raw") {
		t.Errorf("%s, wanted a hint", e.Message)
	}
}

// TestTrainerDecoded: queries as a trainer's tokenizer decodes them, with spaces cleaned up,
// with the BOS in front, and in the normal form of the tokenizer, have the rewards of those
// that begin with their prompt; one that cannot be told apart does not hold up the others.
func TestTrainerDecoded(t *testing.T) {
	s, _, _ := demoServer(t, "gemma2", nil)
	ask := func(address string, queries, prompts []string) trainerResponse {
		b, _ := json.Marshal(map[string]any{"query": queries, "prompts": prompts, "labels": make([]string, len(prompts))})
		return object[trainerResponse](t, post(s.Handler(), "/get_reward?tuned=raw&base=raw"+address, string(b)))
	}
	prompt := "Hello , world . I 'm here\n"
	want := ask("", []string{prompt + "power", "What? fame", prompt + "fame"}, []string{prompt, "What?", prompt})
	queries := []string{"Hello, world. I'm here\npower", "<bos>What? fame", "Bye, world. power", "Hello, world. I'm here\nfame"}
	prompts := []string{prompt, "What?", prompt, prompt}
	got := ask("", queries, prompts)
	for i, of := range []int{0, 1, -1, 2} {
		switch {
		case of < 0 && (got.Rewards[i] != nil || got.Logs["logp_base"][i] != nil):
			t.Errorf("query %d has a reward", i)
		case of >= 0 && (got.Rewards[i] == nil || off(*got.Rewards[i], *want.Rewards[of]) || off(*got.Logs["logp_tuned"][i], *want.Logs["logp_tuned"][of])):
			t.Errorf("query %d: %v, wanted %v", i, got.Rewards[i], *want.Rewards[of])
		}
	}
	if len(want.Errors) != 0 || len(got.Errors) != 1 || got.Errors[0] != (trainerError{2, errNoPrompt.Error()}) {
		t.Errorf("errors %v and %v", want.Errors, got.Errors)
	}
	got = ask("&missing=-2.5", queries, prompts)
	if *got.Rewards[2] != -2.5 || *got.Scores[2] != -2.5 || *got.Logs["logp_base"][2] != -2.5 || off(*got.Rewards[0], *want.Rewards[0]) {
		t.Errorf("%v, wanted -2.5 in place of null", *got.Rewards[2])
	}
	long := strings.Repeat("a b ", 4000)
	if got = ask("", []string{prompt + "power", "What?" + long}, []string{prompt, "What?"}); got.Rewards[0] == nil || got.Rewards[1] != nil || !strings.Contains(got.Errors[0].Message, "the model's context") {
		t.Errorf("%v", got.Errors)
	}
}

// TestAlone: a text's numbers, in float32, do not depend on what else is computed with it
// beyond 1e-5: alone, and among the texts of 16 other clients.
func TestAlone(t *testing.T) {
	s, tuned, _ := demoServer(t, "llama", nil)
	r := rand.New(rand.NewPCG(7, 7))
	size := tuned.Tokenizer().VocabSize()
	texts := make([][]int32, 64)
	for i := range texts {
		texts[i] = []int32{int32(5 + i%4), 6, 7}
		for range 2 + r.IntN(12) {
			texts[i] = append(texts[i], int32(r.IntN(size)))
		}
	}
	ask := func(ids []int32) []*float64 {
		b, _ := json.Marshal(map[string]any{"prompt": ids, "max_tokens": 1, "echo": true, "logprobs": 1})
		return object[completionsAnswer](t, post(s.Handler(), "/v1/completions", string(b))).Choices[0].Logprobs.TokenLogprobs
	}
	alone := make([][]*float64, len(texts))
	for i, ids := range texts {
		alone[i] = ask(ids)
	}
	worst := 0.0
	var mu sync.Mutex
	var group sync.WaitGroup
	for i, ids := range texts {
		group.Go(func() {
			for n, v := range ask(ids) {
				if n > 0 {
					mu.Lock()
					worst = max(worst, math.Abs(*v-*alone[i][n]))
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if worst > 1e-5 {
		t.Errorf("numbers differ by %g, wanted at most 1e-5", worst)
	}
	i := 0
	var scored []tokenize.Encoded
	for _, ids := range texts {
		scored = append(scored, tokenize.Encoded{IDs: ids, Reply: 1})
	}
	for score, err := range logprob.Score(context.Background(), tuned, slices.Values(scored)) {
		if err != nil {
			t.Fatal(err)
		}
		for n, v := range score.LogProbs {
			if got := *alone[i][n+1]; math.Abs(got-float64(v)) > 1e-5 {
				t.Errorf("text %d token %d: %v, wanted %v", i, n, got, v)
			}
		}
		i++
	}
}

// TestOffsets: text_offset counts characters of the text; the pieces, put together, are it.
func TestOffsets(t *testing.T) {
	for _, name := range []string{"llama", "gemma2"} {
		s, tuned, _ := demoServer(t, name, nil)
		for _, text := range []string{"What is it?", "Łódź 😀 e\u0301 free", "  two spaces", "中文 text"} {
			ids, _, err := tuned.Tokenizer().Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, prompt := range []any{text, ids} {
				b, _ := json.Marshal(map[string]any{"prompt": prompt, "max_tokens": 0, "echo": true, "logprobs": 0, "add_special_tokens": false})
				c := object[completionsAnswer](t, post(s.Handler(), "/v1/completions", string(b))).Choices[0]
				if c.Text != text {
					t.Errorf("%s %v: text %q, wanted %q", name, prompt, c.Text, text)
				}
				chars := []rune(c.Text)
				for i, piece := range c.Logprobs.Tokens {
					at := c.Logprobs.TextOffset[i]
					end := len(chars)
					if i+1 < len(c.Logprobs.TextOffset) {
						end = c.Logprobs.TextOffset[i+1]
					}
					if strings.HasPrefix(piece, "bytes:") {
						continue // a part of the character at its offset
					}
					if got := string(chars[at:end]); got != piece && " "+got != piece { // Llama 2's first space
						t.Errorf("%s %v: token %d is %q, its offsets hold %q", name, prompt, i, piece, got)
					}
				}
			}
		}
	}
}

func init() {
	fuzzText = func(t testing.TB) *tokenize.Tokenizer {
		pairs, err := pairOf()
		if err != nil {
			t.Fatal(err)
		}
		return pairs["gemma2"][0].Tokenizer()
	}
}
