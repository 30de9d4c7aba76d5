package serve

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
)

// TestCompletions: values, shapes and lengths of every combination of echo, logprobs and
// max_tokens, for one text of ids and for several.
func TestCompletions(t *testing.T) {
	f := newFake()
	s := serving(t, f, nil, nil)
	texts := [][]int32{{5, 6, 7, 8}, {5, 6, 9}, {42}}
	for _, echo := range []bool{false, true} {
		for maxTokens := range 2 {
			for logprobs := -1; logprobs <= 3; logprobs++ {
				name := fmt.Sprintf("echo %v max_tokens %d logprobs %d", echo, maxTokens, logprobs)
				body := map[string]any{"prompt": texts, "echo": echo, "max_tokens": maxTokens, "temperature": 0, "seed": 1234, "model": "fake/tuned"}
				if logprobs >= 0 {
					body["logprobs"] = logprobs
				}
				b, _ := json.Marshal(body)
				got := object[completionsAnswer](t, post(s.Handler(), "/v1/completions", string(b)))
				if got.Object != "text_completion" || got.Model != "fake/tuned" || len(got.Choices) != len(texts) || got.Usage != (usage{8, 3 * maxTokens, 8 + 3*maxTokens}) {
					t.Fatalf("%s: %+v", name, got)
				}
				for i, c := range got.Choices {
					wantText, ids := "", []int32{}
					if echo {
						ids = texts[i]
					}
					if maxTokens == 1 {
						ids = append(slices.Clone(ids), likeliest(f.row(texts[i]), 1)[0].ID)
					}
					var offsets []int
					for _, id := range ids {
						offsets = append(offsets, len(wantText))
						wantText += fmt.Sprintf("token_id:%d", id)
					}
					if c.Index != i || c.Text != wantText || c.FinishReason != "length" || (c.Logprobs != nil) != (logprobs >= 0) {
						t.Fatalf("%s: choice %+v, wanted text %q", name, c, wantText)
					}
					if c.Logprobs == nil {
						continue
					}
					l := c.Logprobs
					if len(l.Tokens) != len(ids) || len(l.TokenLogprobs) != len(ids) || len(l.TopLogprobs) != len(ids) || !slices.Equal(l.TextOffset, offsets) {
						t.Fatalf("%s: logprobs %+v, wanted %d values each, offsets %v", name, l, len(ids), offsets)
					}
					for n, id := range ids {
						before := texts[i]
						if echo {
							before = texts[i][:min(n, len(texts[i]))]
						}
						piece := fmt.Sprintf("token_id:%d", id)
						if l.Tokens[n] != piece {
							t.Errorf("%s: token %q, wanted %q", name, l.Tokens[n], piece)
						}
						if len(before) == 0 {
							if l.TokenLogprobs[n] != nil || l.TopLogprobs[n] != nil {
								t.Errorf("%s: the first token has a log-probability", name)
							}
							continue
						}
						row := f.row(before)
						want := map[string]float64{piece: near(row[id])}
						for _, top := range likeliest(row, max(logprobs, 0)) {
							want[fmt.Sprintf("token_id:%d", top.ID)] = near(top.LogProb)
						}
						if *l.TokenLogprobs[n] != near(row[id]) || !reflect.DeepEqual(l.TopLogprobs[n], want) {
							t.Errorf("%s: text %d token %d: %v %v, wanted %v %v", name, i, n, *l.TokenLogprobs[n], l.TopLogprobs[n], row[id], want)
						}
					}
				}
			}
		}
	}
}

// near is a float32 as it comes back from JSON's shortest digits.
func near(v float32) float64 {
	b, _ := json.Marshal(v)
	var f float64
	json.Unmarshal(b, &f)
	return f
}

// TestHarness: what lm-eval makes of the answer (parse_logprobs of its local-completions:
// the sum of token_logprobs[ctxlen:-1], and greedy if each of them is the highest of its
// top_logprobs) is the sum of the continuation and whether greedy decoding writes it.
func TestHarness(t *testing.T) {
	f := newFake()
	s := serving(t, f, nil, nil)
	prompt := []int32{3, 1, 4}
	greedy := slices.Clone(prompt)
	for range 4 {
		greedy = append(greedy, likeliest(f.row(greedy), 1)[0].ID)
	}
	other := slices.Clone(greedy)
	other[5] = (other[5] + 1) % 100
	b, _ := json.Marshal(map[string]any{"model": "fake/tuned", "prompt": [][]int32{greedy, other}, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": true})
	got := object[completionsAnswer](t, post(s.Handler(), "/v1/completions", string(b)))
	for i, ids := range [][]int32{greedy, other} {
		want := 0.0
		for n := len(prompt); n < len(ids); n++ {
			want += float64(f.row(ids[:n])[ids[n]])
		}
		l := got.Choices[i].Logprobs
		sum, isGreedy := 0.0, true
		for n := len(prompt); n < len(l.TokenLogprobs)-1; n++ {
			v, best := *l.TokenLogprobs[n], math.Inf(-1)
			for _, top := range l.TopLogprobs[n] {
				best = max(best, top)
			}
			sum += v
			isGreedy = isGreedy && v == best
		}
		if math.Abs(sum-want) > 1e-6 || isGreedy != (i == 0) {
			t.Errorf("text %d: %v %v, wanted %v %v", i, sum, isGreedy, want, i == 0)
		}
	}
}

// TestTopTokens: tokens of one text collide, and the likeliest stays; -Inf has a number.
func TestTopTokens(t *testing.T) {
	tops := topTokens{}.add("a<", -1).add("b", finite(float32(math.Inf(-1)))).add("a<", -2)
	if b := encodeJSON(tops); string(b) != `{"a<":-1,"b":-9999}` {
		t.Errorf("%s", b)
	}
	if b := encodeJSON(topTokens(nil)); string(b) != "null" {
		t.Errorf("%s, wanted null", b)
	}
	if b := encodeJSON(values{-1.5, float32(math.Inf(-1)), 0}); string(b) != "[-1.5,null,0]" {
		t.Errorf("%s", b)
	}
}

func TestNext(t *testing.T) {
	f := newFake()
	s := serving(t, f, nil, nil)
	type answer struct {
		IDs  []int32
		Data []struct {
			Index    int
			Logprobs []float64
		}
	}
	all := object[answer](t, post(s.Handler(), "/v1/next_token_logprobs", `{"prompt":[[5,6],[7]]}`))
	for i, ids := range [][]int32{{5, 6}, {7}} {
		row := f.row(ids)
		for id, v := range all.Data[i].Logprobs {
			if v != near(row[id]) {
				t.Fatalf("text %d id %d: %v, wanted %v", i, id, v, row[id])
			}
		}
		if len(all.Data[i].Logprobs) != 100 || all.IDs != nil {
			t.Errorf("%d values, ids %v, wanted 100 and null", len(all.Data[i].Logprobs), all.IDs)
		}
	}
	some := object[answer](t, post(s.Handler(), "/v1/next_token_logprobs", `{"prompt":[5,6],"ids":[99,0,99]}`))
	row := f.row([]int32{5, 6})
	if want := []float64{near(row[99]), near(row[0]), near(row[99])}; !slices.Equal(some.Data[0].Logprobs, want) || !slices.Equal(some.IDs, []int32{99, 0, 99}) {
		t.Errorf("%+v, wanted %v", some, want)
	}
}
