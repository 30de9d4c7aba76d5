package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestPairsSpans: where the tokenizers cut a reply differently, its line has the common
// pieces in place of tokens; they spell the reply and add up to its reward.
func TestPairsSpans(t *testing.T) {
	tuned, _ := pair(t, "llama")
	_, base := pair(t, "gemma2")
	const in = `{"prompt": "What is best?", "reply": " は friends<|eot_id|> of powers"}
{"prompt": "What is best?", "reply": " friends"}
`
	stdout, stderr, code := call(t, in, "-tuned", tuned, "-base", base, "-beta", "0.5", "-pairs", "-", "-out", "-")
	if code != 0 || stderr != "2 pairs scored, 0 refused (see \"error\" in their lines)\n" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	type answer struct {
		Reply       string
		Tuned, Base struct {
			LogProbs []float64
			Sum      float64
		}
		Reward   float64
		PerToken []float64 `json:"per_token"`
		PerSpan  []struct {
			Text                string
			Start, End          int
			Tuned, Base, Reward *float64
			TunedTokens         []int `json:"tuned_tokens"`
			BaseTokens          []int `json:"base_tokens"`
		} `json:"per_span"`
		Flags []string
	}
	var got [2]answer
	for i, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		d := json.NewDecoder(strings.NewReader(line))
		if err := d.Decode(&got[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got[1].PerSpan != nil || len(got[1].PerToken) == 0 || len(got[1].Flags) != 0 {
		t.Errorf("a reply that both cut alike: %+v, wanted per_token alone", got[1])
	}
	a := got[0]
	if a.PerToken != nil || strings.Join(a.Flags, " ") != "tuned-special cut" {
		t.Errorf("a reply cut differently: %+v, wanted per_span alone, flagged", a)
	}
	var texts []string
	var tunedAt, baseAt int
	sum := 0.0
	for _, s := range a.PerSpan {
		if s.Start != len(strings.Join(texts, "")) || s.End != s.Start+len(s.Text) || s.TunedTokens[0] != tunedAt || s.BaseTokens[0] != baseAt {
			t.Errorf("piece %+v after %q", s, texts)
		}
		texts, tunedAt, baseAt = append(texts, s.Text), s.TunedTokens[1], s.BaseTokens[1]
		for _, side := range []struct {
			of   []float64
			at   []int
			want float64
		}{{a.Tuned.LogProbs, s.TunedTokens, *s.Tuned}, {a.Base.LogProbs, s.BaseTokens, *s.Base}} {
			for _, v := range side.of[side.at[0]:side.at[1]] {
				side.want -= v
			}
			if !(math.Abs(side.want) < 1e-5) { // the log-probabilities are written as float32
				t.Errorf("piece %+v: its tokens' ln p are off by %v", s, side.want)
			}
		}
		if d := 0.5 * (*s.Tuned - *s.Base); d != *s.Reward {
			t.Errorf("piece %+v: reward %v, wanted %v", s, *s.Reward, d)
		}
		sum += *s.Reward
	}
	if got, want := strings.Join(texts, "|"), " |は| friend|s|<|eot_id|>| of| power|s"; got != want {
		t.Errorf("pieces %q, wanted %q", got, want)
	}
	if tunedAt != len(a.Tuned.LogProbs) || baseAt != len(a.Base.LogProbs) || !(math.Abs(sum-a.Reward) < 1e-12) || a.Reward == 0 {
		t.Errorf("pieces add up to %v over %d and %d tokens, the reward is %v", sum, tunedAt, baseAt, a.Reward)
	}
}
