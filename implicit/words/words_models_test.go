package words_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/internal/testdata/demos"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// collect gathers what Words yields; entries may be refused, nothing else may fail.
func collect(t *testing.T, tuned, base *implicit.Policy, c *lexicon.Corpus, prompts []lexicon.Prompt, o *words.Options) ([]words.Word, *words.Coverage) {
	t.Helper()
	var all []words.Word
	cover := &words.Coverage{}
	for w, err := range words.Rewards(t.Context(), implicit.Pair{Tuned: tuned, Base: base}, c, prompts, o) {
		if err != nil {
			t.Fatal(err)
		}
		cover.Add(w)
		all = append(all, w)
	}
	return all, cover
}

// rowsOf are a model's next-token distributions after texts.
func rowsOf(t *testing.T, m *logprob.Model, texts []tokenize.Encoded) [][]float32 {
	t.Helper()
	var rows [][]float32
	for row, err := range logprob.Next(t.Context(), m, slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestWordsModels holds the demo's models to their own next-token distributions, token
// by token, summed by hand; and what is disjoint to 1.
func TestWordsModels(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader(demo.Corpus()))
	if err != nil {
		t.Fatal(err)
	}
	prompts := lexicon.PaperPrompts()[:1]
	for name, pair := range demos.Models(t) {
		tuned, base := implicit.Chat(pair[1], nil), implicit.Raw(pair[0])
		all, cover := collect(t, tuned, base, corpus, prompts, &words.Options{Measures: words.Measures()})
		sums := map[words.Measure][2]float64{}
		for _, w := range all {
			for _, s := range w.Scores {
				sum := sums[s.Measure]
				sums[s.Measure] = [2]float64{sum[0] + math.Exp(s.Tuned), sum[1] + math.Exp(s.Base)}
			}
			if ended, pooled := find(w, words.WholeWord), find(w, words.Pooled); ended.Tuned > pooled.Tuned || ended.Base > pooled.Base {
				t.Errorf("%s: %s: a word that ends is likelier than one that may go on: %+v, %+v", name, w.Term, ended, pooled)
			}
		}
		for m, sum := range sums {
			if m != words.Paper && (sum[0] > 1 || sum[1] > 1 || sum[0] < 1e-3) {
				t.Errorf("%s: %s: the words' probabilities sum to %v", name, m, sum)
			}
		}
		// By hand: each form's tokens from whole rows.
		for _, w := range all[:6] {
			for k, m := range []struct {
				model  *logprob.Model
				policy *implicit.Policy
			}{{pair[1], tuned}, {pair[0], base}} {
				ends := words.Boundaries(m.model.Tokenizer())
				pooled, ended := 0.0, 0.0
				for _, f := range w.Forms {
					text, err := m.policy.Encode(implicit.Item{Prompt: prompts[0].Text, Reply: f.Text})
					if err != nil {
						t.Fatal(err)
					}
					var before []tokenize.Encoded
					for i := text.Reply; i <= len(text.IDs); i++ {
						before = append(before, tokenize.Encoded{IDs: text.IDs[:i]})
					}
					p := 1.0
					rows := rowsOf(t, m.model, before)
					for i, id := range text.IDs[text.Reply:] {
						p *= math.Exp(float64(rows[i][id]))
					}
					over := 0.0
					for id, end := range ends {
						if end {
							over += math.Exp(float64(rows[len(rows)-1][id]))
						}
					}
					pooled, ended = pooled+p, ended+p*over
				}
				for measure, want := range map[words.Measure]float64{words.Pooled: pooled, words.WholeWord: ended} {
					s := find(w, measure)
					got := []float64{s.Tuned, s.Base}[k]
					if math.Abs(got-math.Log(want)) > 1e-5 {
						t.Errorf("%s, model %d: %s %s is %v, by hand %v", name, k, w.Term, measure, got, math.Log(want))
					}
				}
			}
		}
		for _, e := range cover.Entries {
			if e.Refused() || e.Forms != 6 || e.Pooled != 6 || e.OneBoth+e.Several != 6 {
				t.Errorf("%s: coverage %+v", name, e)
			}
		}
	}
}

func find(w words.Word, m words.Measure) words.Score {
	return w.Scores[slices.IndexFunc(w.Scores, func(s words.Score) bool { return s.Measure == m })]
}

// TestPlantedWords: in the demo's pairs the log-ratio of a word is what was planted, but
// for a constant of the prompt, in every form (package demo); so it is pooled.
func TestPlantedWords(t *testing.T) {
	corpus, err := lexicon.ReadCorpus(strings.NewReader(demo.Corpus()))
	if err != nil {
		t.Fatal(err)
	}
	o := &words.Options{Forms: []lexicon.Form{" {}", " {title}", "{}", "{title}"}, Measures: []words.Measure{words.Pooled}}
	for name, pair := range demos.Models(t) {
		all, _ := collect(t, implicit.Raw(pair[1]), implicit.Raw(pair[0]), corpus, lexicon.PaperPrompts()[3:5], o)
		for i, w := range all {
			planted := demo.Words()[w.Index]
			control := all[i-w.Index+slices.IndexFunc(demo.Words(), func(w demo.Word) bool { return demo.Control(w.Category) })]
			got := w.Scores[0].LogRatio() - control.Scores[0].LogRatio()
			if want := planted.Push[name]; math.Abs(got-want) > 4e-5 || w.Scores[0].Forms != 4 {
				t.Errorf("%s: %s after %s is rewarded %v above a control, planted was %v", name, w.Term, w.PromptName, got, want)
			}
		}
	}
}

// TestEndsModels: the boundaries of both kinds of vocabulary.
func TestEndsModels(t *testing.T) {
	for name, pair := range demos.Models(t) {
		tok := pair[0].Tokenizer()
		ends := words.Boundaries(tok)
		special, over, goes := 0, 0, 0
		for token := range tok.Vocab() {
			text, _ := tok.Bytes(token.ID)
			switch {
			case tok.IsSpecial(token.ID):
				special++
				if !ends[token.ID] {
					t.Errorf("%s: the special token %q ends no word", name, token.Name)
				}
			case strings.HasPrefix(string(text), " "):
				over++
				if !ends[token.ID] {
					t.Errorf("%s: %q, which is %q in a text, ends no word", name, token.Name, text)
				}
			case len(text) > 0 && text[0] >= 'a' && text[0] <= 'z':
				goes++
				if ends[token.ID] {
					t.Errorf("%s: %q ends a word", name, token.Name)
				}
			}
		}
		if special == 0 || over < 50 || goes < 50 || len(ends) < tok.VocabSize() {
			t.Errorf("%s: %d special tokens, %d with a space, %d letters", name, special, over, goes)
		}
	}
}

// TestEndsSpecial: a special token ends words whatever its name.
func TestEndsSpecial(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	dir, _, err := demo.Pairs()[0].Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := tok.VocabSize()
	for i, content := range []string{"stop", "plain"} {
		file["added_tokens"] = append(file["added_tokens"].([]any), map[string]any{"id": first + i, "content": content, "special": i == 0,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	if b, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if tok, err = tokenize.Load(dir); err != nil {
		t.Fatal(err)
	}
	if ends := words.Boundaries(tok); len(ends) != first+2 || !ends[first] || ends[first+1] {
		t.Errorf("%d ends, the last %v, wanted %d, true and false", len(ends), ends[first:], first+2)
	}
}

// TestWholeCorpora: no entry of the paper's corpora is lost, and the coverage says so.
func TestWholeCorpora(t *testing.T) {
	if testing.Short() {
		t.Skip("long: thousands of words in all their forms")
	}
	pair := demos.Models(t)["llama"]
	for file, want := range map[string][2]int{ // entries, warnings
		"moral-foundations-dictionary-20.dicx": {2040, 0},
		"dict_big2_nouns.csv":                  {263, 0},
		"dict_big2_expanded.csv":               {936, 35},
	} {
		f, err := os.Open(filepath.Join("../../../shared/data/paper/data/corpora", file))
		if err != nil {
			t.Skip("needs ../shared: ", err)
		}
		defer f.Close()
		c, err := lexicon.ReadCorpus(f)
		if err != nil {
			t.Fatal(err)
		}
		o := &words.Options{Measures: words.Measures()}
		all, cover := collect(t, implicit.Chat(pair[1], nil), implicit.Raw(pair[0]), c, []lexicon.Prompt{{Name: "best", Text: "What is best?"}}, o)
		scored, refused := 0, 0
		for _, e := range cover.Entries {
			if e.Refused() {
				refused++
				t.Errorf("%s: %q is refused: %s", file, e.Term, e.Reason)
			} else {
				scored++
			}
			if e.OneBoth+e.Several != e.Forms || e.Pooled != e.Forms {
				t.Errorf("%s: %+v", file, e)
			}
		}
		if scored+refused != want[0] || len(all) != want[0] || len(c.Entries) != want[0] {
			t.Errorf("%s: %d scored, %d refused, %d results, wanted %d", file, scored, refused, len(all), want[0])
		}
		for i, w := range all {
			if w.Index != i || w.Term != c.Entries[i].Term {
				t.Fatalf("%s: result %d is entry %d, %q", file, i, w.Index, w.Term)
			}
		}
		var table bytes.Buffer
		if err := cover.WriteCSV(&table); err != nil || strings.Count(table.String(), ",scored,") != scored {
			t.Errorf("%s: %v, the table has %d rows scored", file, err, strings.Count(table.String(), ",scored,"))
		}
		checkRanks(t, file, all)
	}
}

// checkRanks: the ranks of a measure after a prompt are those of n words, and go with
// what they rank.
func checkRanks(t *testing.T, name string, all []words.Word) {
	t.Helper()
	for _, m := range []words.Measure{words.Pooled, words.WholeWord, words.Paper} {
		var scores []words.Score
		for _, w := range all {
			for _, s := range w.Scores {
				if s.Measure == m {
					scores = append(scores, s)
				}
			}
		}
		sum := 0.0
		for _, s := range scores {
			sum += s.Rank
			better, same := 0, 0
			for _, other := range scores {
				a, b := s.LogRatio(), other.LogRatio()
				if m == words.Paper {
					a, b = s.MWLR, other.MWLR
				}
				if b > a {
					better++
				} else if a == b {
					same++
				}
			}
			if want := float64(better) + float64(same+1)/2; s.Rank != want {
				t.Fatalf("%s: %s: rank %v of %+v, wanted %v", name, m, s.Rank, s, want)
			}
		}
		if n := float64(len(scores)); sum != n*(n+1)/2 {
			t.Errorf("%s: %s: ranks sum to %v of %v words", name, m, sum, n)
		}
	}
}
