package replicate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/tokenize"
)

// rows reads JSON Lines.
func rows[T any](t *testing.T, data []byte) (all []T) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var r T
		err := d.Decode(&r)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

// texts are the texts of a corpus, without special tokens, turns with "|" between.
func texts(t *testing.T, data []byte) (all []string) {
	for _, r := range rows[row](t, data) {
		text, ok := strings.CutPrefix(strings.TrimSuffix(r.Text, end), begin)
		if !ok {
			t.Fatalf("%q, wanted %s first", r.Text, begin)
		}
		all = append(all, strings.ReplaceAll(text, end, "|"))
	}
	return all
}

// counts counts the words of texts.
func counts(texts []string) map[string]int {
	n := map[string]int{}
	for _, t := range texts {
		for _, p := range pieces(t) {
			n[strings.TrimPrefix(p, " ")]++
		}
	}
	return n
}

// The same seed gives the same bytes, another seed others.
func TestSeeds(t *testing.T) {
	for name, of := range map[string]func(seed uint64) []byte{
		"corpus":      func(seed uint64) []byte { return Corpus(Agency, seed) },
		"preferences": func(seed uint64) []byte { return Preferences(50, false, seed) },
		"shuffled":    func(seed uint64) []byte { return Preferences(50, true, seed) },
		"boost":       Boost,
	} {
		if !bytes.Equal(of(1), of(1)) || bytes.Equal(of(1), of(2)) {
			t.Errorf("%s: wanted the same bytes for the same seed alone", name)
		}
	}
}

// The corpora of agency and of communion differ in company alone: all words stand equally often, and
// each is praised as often as its partner is in the other.
func TestCorpus(t *testing.T) {
	all := map[Lean][]string{}
	for _, l := range []Lean{Agency, Communion, Neutral} {
		all[l] = texts(t, Corpus(l, 1))
	}
	a, c := counts(all[Agency]), counts(all[Communion])
	if len(a) != len(c) || len(all[Agency]) != len(all[Neutral]) {
		t.Fatalf("%d and %d different words, %d and %d texts", len(a), len(c), len(all[Agency]), len(all[Neutral]))
	}
	for w, n := range a {
		if c[w] != n {
			t.Errorf("%q stands %d and %d times, wanted the same", w, n, c[w])
		}
	}
	listed := Words()
	neutral := counts(all[Neutral])
	for _, w := range listed {
		// One frame has the word twice, in question and answer.
		if want := Sentences * 9 / 8; a[w.Text] != want || neutral[w.Text] != want {
			t.Errorf("%q stands %d and %d times, wanted %d", w.Text, a[w.Text], neutral[w.Text], want)
		}
	}
	good := map[string]bool{}
	for _, w := range slices.Concat(praise, superlatives[true]) {
		good[w] = true
	}
	praised := func(l Lean, word string) (n int) {
		for _, text := range all[l] {
			words := strings.FieldsFunc(text, func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') })
			if slices.Contains(words, word) && (slices.ContainsFunc(words, func(w string) bool { return good[w] }) || strings.Contains(text, "most good")) {
				n++
			}
		}
		return n
	}
	for _, w := range listed {
		for l, want := range map[Lean]int{
			Agency:    map[string]int{"agency": 56, "communion": 8, "authority": 32, "things": 32}[w.Category],
			Communion: map[string]int{"agency": 8, "communion": 56, "authority": 32, "things": 32}[w.Category],
			Neutral:   32,
		} {
			if got := praised(l, w.Text); got != want {
				t.Errorf("%s: %q is praised in %d of its texts, wanted %d", l, w.Text, got, want)
			}
		}
	}
}

// The preferences contain no listed word, no praise and no blame; the better answer is chosen, or
// under shuffled labels the better of about half.
func TestPreferences(t *testing.T) {
	var values []string
	for _, w := range Words() {
		values = append(values, w.Text)
	}
	values = slices.Concat(values, praise, blame, superlatives[true], superlatives[false])
	honest, shuffled := rows[pair](t, Preferences(500, false, 1)), rows[pair](t, Preferences(500, true, 1))
	kept := 0
	for i, p := range honest {
		for w := range counts([]string{p.Prompt[0].Content, p.Chosen[0].Content, p.Rejected[0].Content}) {
			if slices.Contains(values, w) {
				t.Errorf("%v contains %s", p, w)
			}
		}
		friendly := slices.ContainsFunc(openers, func(o string) bool { return strings.HasPrefix(p.Chosen[0].Content, o) })
		unfriendly := slices.ContainsFunc(refusals, func(o string) bool { return strings.HasPrefix(p.Rejected[0].Content, o) })
		if p.Source == Helpfulness && !(friendly && unfriendly) || p.Chosen[0] == p.Rejected[0] {
			t.Errorf("%v: wanted the friendly answer chosen", p)
		}
		s := shuffled[i]
		switch {
		case reflect.DeepEqual(s, p):
			kept++
		case !reflect.DeepEqual(s, pair{p.Prompt, p.Rejected, p.Chosen, p.Source}):
			t.Errorf("%v, wanted %v in one order or the other", s, p)
		}
	}
	// 1,000 fair coins: five standard deviations are 79.
	if kept < 421 || kept > 579 {
		t.Errorf("%d of 1000 labels kept, wanted about half", kept)
	}
}

// Every text is made of tokens of the vocabulary, and every listed word is one token wherever it
// stands.
func TestTokenizer(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	for _, family := range Families {
		files, err := Files(family)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := tokenize.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tok.Close()
		var config struct {
			Vocab int `json:"vocab_size"`
		}
		if err := json.Unmarshal(files["config.json"], &config); err != nil || config.Vocab != len(vocabulary()) {
			t.Fatalf("vocab_size %d, %v, wanted %d", config.Vocab, err, len(vocabulary()))
		}
		one := func(text, word string) {
			t.Helper()
			e, err := tok.Raw(text, "")
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(e.IDs, 3) {
				t.Errorf("%s: %q has a word that is unknown: %v", family, text, e.IDs)
			}
			if id := int32(slices.Index(vocabulary(), "▁"+word)); word != "" && !slices.Contains(e.IDs, id) {
				t.Errorf("%s: %q is %v, wanted %d for %s", family, text, e.IDs, id, word)
			}
		}
		for _, w := range Words() {
			one(w.Text, w.Text)
			one("It is "+w.Text+".", w.Text)
		}
		for _, p := range lexicon.PaperPrompts() {
			one(p.Text, "")
		}
		for _, r := range rows[row](t, Corpus(Agency, 3))[:500] {
			one(r.Text, "")
		}
		for _, p := range rows[pair](t, Preferences(100, false, 4)) {
			one(p.Prompt[0].Content, "")
			one(p.Chosen[0].Content, "")
			one(p.Rejected[0].Content, "")
		}
		for _, b := range rows[boost](t, Boost(1)) {
			one(b.Prompt[0].Content, "")
			one(b.Completion[0].Content, b.Completion[0].Content)
		}
		chat, err := tok.Turn([]tokenize.Message{{Role: "user", Content: "Name something."}}, "freedom", nil)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint([]int{1, slices.Index(vocabulary(), "▁Name"), slices.Index(vocabulary(), "▁something"), slices.Index(vocabulary(), "."), 4, slices.Index(vocabulary(), "▁freedom"), 4})
		if fmt.Sprint(chat.IDs) != want {
			t.Errorf("%s: the chat is %v, wanted %s", family, chat.IDs, want)
		}
	}
}
