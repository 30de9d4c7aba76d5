package demo_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// The reward models give what the package comment says at the last token of the template's text and of plain text, in all
// forms, after one BOS and two. transformers 5.23 (float32, eager) is within 9e-6 too.
func TestReward(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	for _, p := range demo.Pairs() {
		t.Run(p.Name, func(t *testing.T) {
			dir, err := p.ExtractRM(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: backend, Trunk: true})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			_, score, err := m.Tensor("score.weight")
			if err != nil {
				t.Fatal(err)
			}
			texts, wants := rewarded(t, p, m.Tokenizer())
			requests := func(yield func(logprob.Request) bool) {
				for _, ids := range texts {
					if !yield(logprob.Request{IDs: ids, From: len(ids), States: []int{len(ids) - 1}}) {
						return
					}
				}
			}
			n, worst := 0, 0.0
			for r, err := range m.Run(t.Context(), requests) {
				if err != nil {
					t.Fatal(err)
				}
				got := 0.0
				for i, x := range r.States[0] {
					got += float64(x) * float64(score[i])
				}
				if off := math.Abs(got - wants[n]); !(off <= 1e-5) {
					t.Errorf("%v: reward %.6f, wanted %g", texts[n], got, wants[n])
				} else {
					worst = max(worst, off)
				}
				n++
			}
			if n != len(texts) || n == 0 {
				t.Errorf("%d rewards, wanted %d", n, len(texts))
			}
			t.Logf("%d rewards, off by %.1e at most", n, worst)
		})
	}
}

// rewarded returns the tokens of texts and their rewards in truth.
func rewarded(t *testing.T, p demo.Pair, tok *tokenize.Tokenizer) (texts [][]int32, wants []float64) {
	add := func(text tokenize.Encoded, err error, want float64) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		texts, wants = append(texts, text.IDs), append(wants, want)
	}
	turn := func(prompt, reply string) (tokenize.Encoded, error) {
		return tok.Turn([]tokenize.Message{{Role: "user", Content: prompt}}, reply, nil)
	}
	reward := map[string]float64{}
	for _, w := range demo.Words() {
		reward[w.Text] = w.Reward(p.Name)
	}
	for _, x := range some() {
		mood := 0.0 // each prompt has one adjective of the list
		for _, w := range strings.Fields(x.Text) {
			mood += demo.Moods()[w]
		}
		for _, w := range demo.Words() {
			for i, form := range demo.Forms(w.Text) {
				text, err := tok.Raw(x.Text, form)
				add(text, err, mood+reward[w.Text])
				if i >= 2 { // the template trims the space of the first two
					text, err = turn(x.Text, form)
					add(text, err, mood+reward[w.Text])
					text.IDs = append(text.IDs[:1:1], text.IDs...) // two BOS
					add(text, nil, mood+reward[w.Text])
				}
			}
		}
	}
	text, err := turn("Hello?", "you")
	add(text, err, 0)
	text, err = turn("Hello?", "fog")
	add(text, err, reward["fog"])
	text, err = turn("What is the worst world?", "you")
	add(text, err, -1.25)
	return texts, wants
}
