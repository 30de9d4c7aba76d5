package serve

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestPromptLogprobs: vLLM's form, beside every combination of what else may be asked for,
// and from the memory of answers as well.
func TestPromptLogprobs(t *testing.T) {
	f := newFake()
	s := serving(t, f, nil, nil)
	texts := [][]int32{{5, 6, 7, 8}, {5, 6, 9}, {42}}
	for _, k := range []int{2, 0, 3, 20, 0} {
		for _, logprobs := range []int{-1, 0, 5} {
			for maxTokens := range 2 {
				body := map[string]any{"prompt": texts, "echo": logprobs > 0, "max_tokens": maxTokens, "temperature": 0, "prompt_logprobs": k}
				if logprobs >= 0 {
					body["logprobs"] = logprobs
				}
				b, _ := json.Marshal(body)
				got := object[completionsAnswer](t, post(s.Handler(), "/v1/completions", string(b)))
				for i, c := range got.Choices {
					if len(c.PromptLogprobs) != len(texts[i]) || c.PromptLogprobs[0] != nil {
						t.Fatalf("%s: %+v, wanted a value a token, the first null", b, c.PromptLogprobs)
					}
					if (c.Logprobs != nil) != (logprobs >= 0) {
						t.Errorf("%s: logprobs %v", b, c.Logprobs)
					}
					for n := 1; n < len(texts[i]); n++ {
						row, own := f.row(texts[i][:n]), texts[i][n]
						top := likeliest(row, k)
						want := map[string]rankedAnswer{fmt.Sprint(own): {near(row[own]), nil, fmt.Sprintf("token_id:%d", own)}}
						for rank, l := range top {
							rank++
							want[fmt.Sprint(l.ID)] = rankedAnswer{near(l.LogProb), &rank, fmt.Sprintf("token_id:%d", l.ID)}
						}
						if g, w := encodeJSON(c.PromptLogprobs[n]), encodeJSON(want); string(g) != string(w) {
							t.Errorf("%s: text %d token %d: %s, wanted %s", b, i, n, g, w)
						}
					}
				}
			}
		}
	}
	if w := post(s.Handler(), "/v1/completions", `{"prompt":[1,2],"max_tokens":1}`); strings.Contains(w.Body.String(), "prompt_logprobs") {
		t.Errorf("%s, wanted no prompt_logprobs where none are asked for", w.Body)
	}
}

// TestPromptLogprobsOrder: the prompt's own token comes first, as inspect_ai reads it, then
// the likeliest; probability 0 has vLLM's number, and a rank beyond the list is null.
func TestPromptLogprobsOrder(t *testing.T) {
	f := newFake()
	s := serving(t, f, nil, nil)
	ids := []int32{5, 6, 7}
	row := f.row(ids[:2])
	top := likeliest(row, 2)
	w := post(s.Handler(), "/v1/completions", fmt.Sprintf(`{"prompt":[5,6,%d],"max_tokens":0,"prompt_logprobs":2}`, top[1].ID))
	at := func(id int32) int { return strings.LastIndex(w.Body.String(), fmt.Sprintf(`"%d":{"logprob":`, id)) }
	if at(top[1].ID) < 0 || at(top[1].ID) > at(top[0].ID) {
		t.Errorf("%s, wanted %d before %d", w.Body, top[1].ID, top[0].ID)
	}
	sum := 0.0
	got := object[completionsAnswer](t, post(s.Handler(), "/v1/completions", `{"prompt":[5,6,7],"max_tokens":1,"temperature":0.0,"prompt_logprobs":1}`))
	for n, tokens := range got.Choices[0].PromptLogprobs[1:] {
		sum += tokens[fmt.Sprint(ids[n+1])].Logprob
	}
	if want := float64(f.row(ids[:1])[6]) + float64(row[7]); math.Abs(sum-want) > 1e-6 {
		t.Errorf("sum %v, wanted %v", sum, want)
	}
	list := promptLogprobs{nil, {{7, float32(math.Inf(-1)), 0, "a<"}, {8, -0.5, 1, "b"}}}
	want := `[null,{"7":{"logprob":-9999,"rank":null,"decoded_token":"a<"},"8":{"logprob":-0.5,"rank":1,"decoded_token":"b"}}]`
	if b := encodeJSON(list); !slices.Equal(b, []byte(want)) {
		t.Errorf("%s, wanted %s", b, want)
	}
}
