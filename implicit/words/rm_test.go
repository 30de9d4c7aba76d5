package words_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/tokenize"
)

// trimming is a reward model whose template trims the reply, and ends its turn with a token.
type trimming struct{ *implicittest.FakeRM }

func (r trimming) Encode(it implicit.Item) (tokenize.Encoded, error) {
	given := it.Reply
	it.Reply = strings.TrimSpace(given)
	text, err := r.FakeRM.Encode(it)
	text.Trimmed = it.Reply != given
	return text, err
}

func corpusOf(t *testing.T, text string) *lexicon.Corpus {
	t.Helper()
	c, err := lexicon.ReadCorpus(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var twoPrompts = []lexicon.Prompt{{Name: "p", Text: "What is best?"}, {Name: "q", Text: "And worst?"}}

// TestScores: every entry after every prompt in order, what cannot be scored in its place with
// its reason, words that stand twice, coverage, and progress.
func TestScores(t *testing.T) {
	rm := &implicittest.FakeRM{Seed: 3, Names: []string{"help", "harm"}, Limit: 60}
	c := corpusOf(t, "DicTerm,A,B\nlove,X,\nso*,X,\n"+strings.Repeat("long", 20)+",X,\nlove,,X\n\"\",X,\nOne,X,X\n")
	type told struct{ done, total int }
	var last told
	o := &words.ScoreOptions{Forms: lexicon.AllForms(), Measures: words.ScoreMeasures(), Progress: func(done, total int) {
		if done != last.done+1 {
			t.Errorf("progress %d after %d", done, last.done)
		}
		last = told{done, total}
	}}
	cover := &words.Coverage{}
	var all []words.ScoredWord
	var reasons []string
	for w, err := range words.Scores(t.Context(), rm, c, twoPrompts, o) {
		if err != nil {
			t.Fatal(err)
		}
		if want := twoPrompts[len(all)/6].Name; w.PromptName != want || w.Index != len(all)%6 || w.Term != c.Entries[w.Index].Term {
			t.Fatalf("result %d is %q (%d) after %s", len(all), w.Term, w.Index, w.PromptName)
		}
		if w.Err != nil {
			var item *implicit.ItemError
			if !errors.As(w.Err, &item) || item.Item.PromptName != w.PromptName || len(w.Scores) > 0 {
				t.Fatalf("%q: %v, scores %v", w.Term, w.Err, w.Scores)
			}
			reasons = append(reasons, w.Err.Error())
		}
		cover.AddScored(w)
		all = append(all, w)
	}
	const replies = 2 * (6 + 6 + 6 + 1 + 6) // love, long..., love, "", One
	if len(all) != 12 || last != (told{replies, replies}) {
		t.Errorf("%d results, told %v, wanted 12 and %d", len(all), last, replies)
	}
	wanted := []string{
		`implicit: reply "so*" to p: a wildcard, wanted a word: expand it with a list of words`,
		`implicit: reply "` + strings.Repeat("long", 20) + `" to p: 113 tokens, wanted at most 60`,
		`implicit: reply "" to p: empty, wanted text`,
	}
	if len(reasons) != 6 || !slices.Equal(reasons[:3], wanted) {
		t.Errorf("refused: %q, wanted %q", reasons, wanted)
	}
	if a, b := all[0].Scores, all[3].Scores; !slices.EqualFunc(a, b, func(x, y words.WordScore) bool { return x.Reward == y.Reward && x.Rank == y.Rank }) {
		t.Errorf("a word that stands twice is scored %+v and %+v", a, b)
	}
	var table strings.Builder
	if err := cover.WriteScoresCSV(&table); err != nil {
		t.Fatal(err)
	}
	want := `entry,wildcard,category,status,reason,prompts,forms,refused_forms,same_text
love,,A,scored,,2,6,0,0
so*,,A,refused,"a wildcard, wanted a word: expand it with a list of words",0,0,0,0
` + strings.Repeat("long", 20) + `,,A,refused,"113 tokens, wanted at most 60",0,0,0,0
love,,B,scored,,2,6,0,0
,,A,refused,"empty, wanted text",0,0,0,0
One,,A;B,scored,,2,6,0,0
`
	if table.String() != want {
		t.Errorf("coverage\n%s\nwanted\n%s", table.String(), want)
	}
	rows := all[5].Records()
	first, score := rows[0], all[5].Scores[0]
	outputs, err := json.Marshal(map[string]float64{"help": score.Outputs[0], "harm": score.Outputs[1]}) // sorted: harm, help
	if err != nil {
		t.Fatal(err)
	}
	var named map[string]float64
	if err := json.Unmarshal([]byte(first.Outputs), &named); err != nil || !strings.HasPrefix(first.Outputs, `{"help":`) || len(named) != 2 || len(outputs) != len(first.Outputs) {
		t.Errorf("outputs %s, wanted the members of %s (%v)", first.Outputs, outputs, err)
	}
	if len(rows) != 8 || first.Word != "One" || first.Category != "A;B" || first.Reward != score.Reward || first.Rank != score.Rank || first.NTokens != 3 || first.Forms != 1 || rows[6].Measure != "best" || rows[7].Forms != 6 {
		t.Errorf("rows %+v", rows)
	}
}

// TestScoreMeasures: each measure is what rewardmodel.Scores gives for the forms one by one,
// and texts that a template makes equal count once.
func TestScoreMeasures(t *testing.T) {
	fake := &implicittest.FakeRM{Seed: 8, Names: []string{"a", "b"}}
	c := corpusOf(t, "love\nOne\npower of words\n")
	for _, rm := range []rewardmodel.RM{fake, trimming{fake}} {
		_, trims := rm.(trimming)
		var seen []words.ScoredWord
		for w, err := range words.Scores(t.Context(), rm, c, twoPrompts, &words.ScoreOptions{Forms: lexicon.AllForms(), Measures: words.ScoreMeasures()}) {
			if err != nil || w.Err != nil {
				t.Fatal(err, w.Err)
			}
			seen = append(seen, w)
			prompt := twoPrompts[0]
			if w.PromptName == "q" {
				prompt = twoPrompts[1]
			}
			var texts []string
			for _, f := range lexicon.AllForms() {
				if text := f.Of(w.Term); !slices.Contains(texts, text) {
					texts = append(texts, text)
				}
			}
			items := func(yield func(implicit.Item) bool) {
				for _, text := range texts {
					if !yield(implicit.Item{Prompt: prompt.Text, Reply: text}) {
						return
					}
				}
			}
			best, sum, second, n := math.Inf(-1), 0.0, 0.0, 0
			bestText := ""
			i := 0
			for s, err := range rewardmodel.Scores(t.Context(), rm, items) {
				if err != nil {
					t.Fatal(err)
				}
				repeated := trims && strings.HasPrefix(texts[i], " ")
				exact := w.Scores[i]
				if exact.Measure != words.ExactForm || exact.Text != texts[i] || exact.Reward != s.Reward || exact.Forms != 1 || !slices.Equal(exact.Outputs, s.Outputs) {
					t.Errorf("%q: %+v, wanted %v of %v", texts[i], exact, s.Reward, s.Outputs)
				}
				if wanted := len(strings.TrimPrefix(texts[i], " ")); trims && exact.Tokens != wanted || !trims && exact.Tokens != len(texts[i]) {
					t.Errorf("%q: %d tokens", texts[i], exact.Tokens)
				}
				if repeated != slices.Equal(exact.Flags, []string{"trimmed", "same-text"}) || !repeated && len(exact.Flags) > 0 {
					t.Errorf("%q: flags %q", texts[i], exact.Flags)
				}
				if i++; repeated {
					continue
				}
				if n++; s.Reward > best {
					best, bestText = s.Reward, s.Reply
				}
				sum, second = sum+s.Reward, second+s.Outputs[1]
			}
			rest := w.Scores[len(texts):]
			if len(rest) != 2 || rest[0].Measure != words.BestForm || rest[0].Reward != best || rest[0].Text != bestText || rest[0].Forms != n {
				t.Errorf("%s: %+v, wanted the best %q, %v", w.Term, rest[0], bestText, best)
			}
			if m := rest[1]; m.Measure != words.MeanForm || m.Reward != sum/float64(n) || m.Text != "" || m.Forms != n || m.Outputs[1] != second/float64(n) || trims != slices.Contains(m.Flags, "same-text") {
				t.Errorf("%s: %+v, wanted the mean %v of %d", w.Term, m, sum/float64(n), n)
			}
		}
		checkScoreRanks(t, seen[:3])
		checkScoreRanks(t, seen[3:])
	}
}

// checkScoreRanks holds ranks to their definition: one more than the number of words with a greater
// reward in the same form, or by the same measure.
func checkScoreRanks(t *testing.T, of []words.ScoredWord) {
	t.Helper()
	for _, w := range of {
		for _, s := range w.Scores {
			if s.Measure == words.ExactForm {
				continue
			}
			rank := 1.0
			for _, v := range of {
				for _, r := range v.Scores {
					if r.Measure == s.Measure && r.Reward > s.Reward {
						rank++
					}
				}
			}
			if s.Rank != rank {
				t.Errorf("%s, %s: rank %v, wanted %v", w.Term, s.Measure, s.Rank, rank)
			}
		}
		for _, f := range w.Forms {
			rank := 1.0
			form := f.Forms[0]
			for _, v := range of {
				for _, g := range v.Forms {
					if slices.Contains(g.Forms, form) && g.Reward > f.Reward {
						rank++
					}
				}
			}
			at := slices.IndexFunc(w.Scores, func(s words.WordScore) bool { return s.Measure == words.ExactForm && s.Text == f.Text })
			if w.Scores[at].Rank != rank {
				t.Errorf("%q: rank %v, wanted %v", f.Text, w.Scores[at].Rank, rank)
			}
		}
	}
}

// TestScoresPartly: forms that cannot be scored leave the others; ties share their mean rank.
func TestScoresPartly(t *testing.T) {
	rm := &implicittest.FakeRM{Limit: 38} // "User: What is best?\nAssistant: x.....\n" with a BOS
	c := corpusOf(t, "loves\nloves\nlo\n")
	o := &words.ScoreOptions{Forms: []lexicon.Form{"{}", " {}"}, Measures: []words.ScoreMeasure{words.MeanForm}}
	var ranks []float64
	for w, err := range words.Scores(t.Context(), rm, c, twoPrompts[:1], o) {
		if err != nil || w.Err != nil {
			t.Fatal(err, w.Err)
		}
		if w.Term == "loves" && (w.Forms[1].Err == nil || w.Scores[0].Forms != 1 || w.Scores[0].Text != "loves" || w.Scores[0].Reward != w.Forms[0].Reward) {
			t.Errorf("%+v", w)
		}
		ranks = append(ranks, w.Scores[0].Rank)
	}
	if !slices.Equal(ranks, []float64{1.5, 1.5, 3}) && !slices.Equal(ranks, []float64{2.5, 2.5, 1}) {
		t.Errorf("ranks %v", ranks)
	}
}

// TestScoresWrong: wrong options, and a model that fails.
func TestScoresWrong(t *testing.T) {
	c := corpusOf(t, "love\npower\n")
	broken := errors.New("broken")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		rm   rewardmodel.RM
		o    *words.ScoreOptions
		want string
	}{
		{t.Context(), nil, nil, "words: no reward model, wanted one"},
		{t.Context(), &implicittest.FakeRM{}, &words.ScoreOptions{Measures: []words.ScoreMeasure{"pooled"}}, `words: measure "pooled", wanted exact, best or mean`},
		{t.Context(), &implicittest.FakeRM{}, &words.ScoreOptions{Measures: []words.ScoreMeasure{"best", "best"}}, `words: measure "best" stands twice, wanted each once`},
		{t.Context(), &implicittest.FakeRM{}, &words.ScoreOptions{Forms: []lexicon.Form{"word"}}, `lexicon: form "word", wanted one of {}, {lower}, {title}, {upper} in it, where the word goes`},
		{t.Context(), &implicittest.FakeRM{Fail: func(tokenize.Encoded) error { return broken }}, nil, "rewardmodel: scores: implicittest: text 0: broken"},
		{stopped, &implicittest.FakeRM{}, nil, "rewardmodel: scores: context canceled"},
	} {
		n := 0
		for w, err := range words.Scores(test.ctx, test.rm, c, twoPrompts, test.o) {
			if err == nil || err.Error() != test.want || w.Scores != nil {
				t.Errorf("%v, %+v, wanted %s", err, w, test.want)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%s: %d results, wanted the error alone", test.want, n)
		}
	}
	if _, err := (words.ScoredWord{Entry: lexicon.Entry{Term: "x"}}).Measure(words.MeanForm); err == nil || err.Error() != `words: "x": no form could be scored` {
		t.Errorf("%v", err)
	}
	if _, err := (words.ScoredWord{}).Measure("pooled"); err == nil {
		t.Error("an unknown measure")
	}
}

// scoredBy collects what Scores yields.
func scoredBy(t *testing.T, rm rewardmodel.RM, c *lexicon.Corpus, prompts []lexicon.Prompt, o *words.ScoreOptions) iter.Seq2[words.ScoredWord, error] {
	return words.Scores(t.Context(), rm, c, prompts, o)
}

// TestScoreTable: the paper's file has a row a word in lower case and a column a prompt, with
// the rewards of the long rows; what was not scored after every prompt has no row.
func TestScoreTable(t *testing.T) {
	rm := &implicittest.FakeRM{Seed: 1, Limit: 44}
	prompts := append(slices.Clone(twoPrompts), lexicon.Prompt{Name: "r,s", Text: "A longer one, is it?"})
	c := corpusOf(t, "Category,token_decoded\nA,love\nB,Love\nA,\"so, so\"\nB,lo*\nA,power of words\n")
	table, err := words.NewScoreTable(scoredBy(t, rm, c, prompts, nil), prompts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(table.Responses, []string{"love"}) || !slices.Equal(table.Partly, []string{"so, so", "power of words"}) {
		t.Fatalf("%+v", table)
	}
	rm.Limit = 0
	if table, err = words.NewScoreTable(scoredBy(t, rm, c, prompts, nil), prompts); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := table.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	want := "response,p,q,\"r,s\"\n"
	for _, word := range []string{"love", "so, so", "power of words"} {
		cells := []string{word}
		if strings.Contains(word, ",") {
			cells[0] = `"` + word + `"`
		}
		for _, p := range prompts {
			text, _ := rm.Encode(implicit.Item{Prompt: p.Text, Reply: word})
			for r := range rm.Run(t.Context(), func(yield func(tokenize.Encoded) bool) { yield(text) }) {
				cells = append(cells, strconv.FormatFloat(r.Reward, 'g', -1, 64))
			}
		}
		want += strings.Join(cells, ",") + "\n"
	}
	if b.String() != want {
		t.Errorf("got\n%s\nwanted\n%s", b.String(), want)
	}
	for o, want := range map[*words.ScoreOptions]string{
		{Forms: []lexicon.Form{"{}"}}: `words: table: "love" and "Love" are one response, "love", with rewards `,
		{Forms: lexicon.AllForms()}:   `words: table: "love" has 6 scores after p, wanted one: one form, or the measure best or mean`,
	} {
		if _, err := words.NewScoreTable(scoredBy(t, rm, c, prompts, o), prompts); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, wanted %s", err, want)
		}
	}
	o := &words.ScoreOptions{Forms: []lexicon.Form{"{lower}", "{title}"}, Measures: []words.ScoreMeasure{words.BestForm}}
	if table, err = words.NewScoreTable(scoredBy(t, rm, c, prompts, o), prompts); err != nil || len(table.Responses) != 3 {
		t.Errorf("%v, %v", table, err)
	}
}
