package logprob_test

import (
	"math"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestRun: all answers to a request agree with each other to the last bit (a reply's token
// among the likeliest, greedy or not, the row after the text) and with Score and Next.
func TestRun(t *testing.T) {
	m := load(t, "testdata/families/gemma2-base", pureGo(t), 0)
	texts := someTexts(40)
	texts = append(texts, tokenize.Encoded{IDs: []int32{1}, Reply: 1})
	requests := func(yield func(logprob.Request) bool) {
		for _, x := range texts {
			if !yield(logprob.Request{IDs: x.IDs, From: x.Reply, TopK: m.VocabSize() + 1, Distribution: true}) {
				return
			}
		}
	}
	want, next := scores(t, m, texts...), rows(t, m, texts...)
	n := 0
	for a, err := range m.Run(t.Context(), requests) {
		if err != nil {
			t.Fatal(err)
		}
		reply := texts[n].IDs[texts[n].Reply:]
		if len(a.Top) != len(reply)+1 || len(a.Distribution) != m.VocabSize() {
			t.Fatalf("request %d: %d places, a row of %d", n, len(a.Top), len(a.Distribution))
		}
		greedy := true
		for i, id := range reply {
			at := slices.IndexFunc(a.Top[i], func(l logprob.TokenLogProb) bool { return l.ID == id })
			if at < 0 || a.Top[i][at].LogProb != a.LogProbs[i] {
				t.Fatalf("request %d, place %d: %v among the likeliest, %v in the reply", n, i, a.Top[i][at], a.LogProbs[i])
			}
			greedy = greedy && a.LogProbs[i] == a.Top[i][0].LogProb
			if math.Abs(float64(a.LogProbs[i]-want[n].LogProbs[i])) > 1e-5 {
				t.Errorf("request %d, place %d: %v, Score %v", n, i, a.LogProbs[i], want[n].LogProbs[i])
			}
		}
		if a.Greedy != greedy {
			t.Errorf("request %d: greedy %v, wanted %v", n, a.Greedy, greedy)
		}
		for j, l := range a.Top[len(reply)] {
			if a.Distribution[l.ID] != l.LogProb || j > 0 && l.LogProb > a.Top[len(reply)][j-1].LogProb {
				t.Fatalf("request %d: %v is number %d after the text, in the row %v", n, l, j, a.Distribution[l.ID])
			}
			if math.Abs(float64(l.LogProb-next[n][l.ID])) > 1e-5 {
				t.Fatalf("request %d: %v after the text, Next %v", n, l, next[n][l.ID])
			}
		}
		n++
	}
	if n != len(texts) {
		t.Errorf("%d answers, wanted %d", n, len(texts))
	}
}
