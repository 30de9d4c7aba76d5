//go:build !nodaulet

package logprob_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// beyondRows copies the demo's base model and gives its tokenizer one added token more
// than the model has rows, as Gemma 3's text models are published: <image_soft_token>
// has id 262144, config.json a vocab_size of 262144.
func beyondRows(t *testing.T) (dir string, id int) {
	t.Helper()
	const from = "../internal/demo/data/llama/base"
	dir = t.TempDir()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "tokenizer.json" {
			tok, err := tokenize.Load(from)
			if err != nil {
				t.Fatal(err)
			}
			id = tok.VocabSize()
			tok.Close()
			old := []byte(`"added_tokens":[`)
			if !bytes.Contains(b, old) {
				old = []byte(`"added_tokens": [`)
			}
			token := fmt.Sprintf(`{"id":%d,"content":"<image>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},`, id)
			changed := bytes.Replace(b, old, append(slices.Clone(old), token...), 1)
			if bytes.Equal(changed, b) {
				t.Fatal("no added_tokens")
			}
			b = changed
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, id
}

// TestBeyondRows: an added token without a row is doubted once, refused in a text, no row
// of a table and no end of a word; all else is as without it.
func TestBeyondRows(t *testing.T) {
	dir, id := beyondRows(t)
	m := load(t, dir, pureGo(t), 0)
	if m.VocabSize() != id {
		t.Fatalf("%d rows, wanted %d", m.VocabSize(), id)
	}
	want := fmt.Sprintf(`logprob: the model has %d rows, and none for 1 tokens of tokenizer.json, the first "<image>" with id %d`, id, id)
	if w := m.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0].Error(), want) {
		t.Errorf("warnings %v, wanted %s", w, want)
	}
	plain := load(t, "../internal/demo/data/llama/base", pureGo(t), 0)
	if w := plain.Warnings(); len(w) != 0 {
		t.Errorf("warnings %v of the model itself, wanted none", w)
	}
	text := func(m *logprob.Model, reply string) tokenize.Encoded {
		x, err := m.Tokenizer().Raw("What is it?", reply)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	sum := func(m *logprob.Model) (s float32) {
		ends := words.Boundaries(m.Tokenizer())
		for score, err := range m.Run(t.Context(), asking(ends, text(m, " freedom"))) {
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range score.LogProbs {
				s += x
			}
			s += score.Within
		}
		return s
	}
	if got, want := sum(m), sum(plain); got != want {
		t.Errorf("ln p %g, wanted %g", got, want)
	}
	for _, err := range logprob.Score(t.Context(), m, slices.Values([]tokenize.Encoded{text(m, " an <image>")})) {
		want := fmt.Sprintf(`is "<image>" with id %d, which the model has no row for (config.json's vocab_size is %d)`, id, id)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, wanted %s", err, want)
		}
	}
	table := func(m *logprob.Model) *logprob.Table {
		x, err := m.Table(t.Context(), []logprob.Prompt{{Name: "p", Text: text(m, "")}})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	got, base := table(m), table(plain)
	if len(got.Tokens) != id || !slices.Equal(got.LogProb[0], base.LogProb[0]) || !slices.Equal(got.Tokens, base.Tokens) {
		t.Errorf("a table of %d rows that differs, wanted %d", len(got.Tokens), id)
	}
}

// TestNeoXTwice: a checkpoint as transformers 4.57 saves it, whose rotary settings stand
// under two names each, and whose tokenizer has three ids beyond the 660 rows, with a hole
// before them. The numbers are those of the same weights saved by 4.44, with one name each.
func TestNeoXTwice(t *testing.T) {
	m := load(t, "testdata/neox-4.57", pureGo(t), 0)
	if w := m.Warnings(); len(w) != 1 || !strings.Contains(w[0].Error(), "none for 3 tokens of tokenizer.json") {
		t.Errorf("warnings %v, wanted one of three tokens", w)
	}
	text, err := m.Tokenizer().Raw("The best thing is", " love")
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{-6.8533, -5.6109} // " lo" "ve"
	for score, err := range logprob.Score(t.Context(), m, slices.Values([]tokenize.Encoded{text})) {
		if err != nil {
			t.Fatal(err)
		}
		if len(score.LogProbs) != len(want) {
			t.Fatalf("%d tokens, wanted %d", len(score.LogProbs), len(want))
		}
		for i, x := range score.LogProbs {
			if d := float64(x) - want[i]; !(d < 1e-4 && d > -1e-4) {
				t.Errorf("token %d: ln p %.4f, wanted %.4f", i, x, want[i])
			}
		}
	}
}
