package implicit_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"iter"
	"log"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// unigram is a model without context: the log-probability of each word.
type unigram map[int32]float32

func (unigram) Tokenizer() *tokenize.Tokenizer { return nil }
func (unigram) VocabSize() int                 { return math.MaxInt32 }
func (unigram) MaxTokens() int                 { return math.MaxInt }

func (u unigram) Run(_ context.Context, requests iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		for r := range requests {
			var s logprob.Result
			for _, id := range r.IDs[r.From:] {
				s.LogProbs = append(s.LogProbs, u[id])
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// policy is a policy over a unigram model whose tokens are words with the space before them.
func policy(words map[string]float32) *implicit.Policy {
	u := unigram{}
	for word, p := range words {
		u[id(word)] = p
	}
	return &implicit.Policy{LM: u, Encode: encode}
}

// id hashes a word, instead of a vocabulary.
func id(word string) int32 { return int32(crc32.ChecksumIEEE([]byte(strings.TrimSpace(word))) >> 1) }

func encode(it implicit.Item) (tokenize.Encoded, error) {
	t := tokenize.Encoded{Rendered: it.Prompt + it.Reply, Start: len(it.Prompt)}
	for from := 0; from < len(t.Rendered); {
		to := len(t.Rendered)
		if i := strings.IndexByte(t.Rendered[from+1:], ' '); i >= 0 {
			to = from + 1 + i
		}
		if from < t.Start {
			t.Reply++
		}
		t.IDs = append(t.IDs, id(t.Rendered[from:to]))
		t.Spans = append(t.Spans, [2]int{from, to})
		from = to
	}
	return t, nil
}

// A Policy for a real model is implicit.Chat(m, nil) or implicit.Raw(m), where m comes from logprob.Load.
func ExampleRewards() {
	base := policy(map[string]float32{"love": -3, "power": -3, "of": -1})
	tuned := policy(map[string]float32{"love": -1, "power": -4.5, "of": -1})
	items := []implicit.Item{
		{Prompt: "The greatest thing is", Reply: " love"},
		{Prompt: "The greatest thing is", Reply: " power"},
		{Prompt: "The greatest thing is", Reply: " love of power"},
	}
	for r, err := range implicit.Rewards(context.Background(), implicit.Pair{Tuned: tuned, Base: base, Beta: 0.1}, slices.Values(items)) {
		if err != nil {
			log.Fatal(err)
		}
		steps, _ := r.PerToken()
		fmt.Printf("%-15q %5.2f = sum of %.2f, with beta 0.1: %.3f\n", r.Reply, r.LogRatio(), steps, r.Value())
	}
	// Output:
	// " love"          2.00 = sum of [2.00], with beta 0.1: 0.200
	// " power"        -1.50 = sum of [-1.50], with beta 0.1: -0.150
	// " love of power"  0.50 = sum of [2.00 0.00 -1.50], with beta 0.1: 0.050
}

// A word's surface forms are pooled: "love", "Love" and "LOVE", with a space before them.
func ExampleWords() {
	base := policy(map[string]float32{"love": -2, "Love": -3, "LOVE": -8, "power": -2, "Power": -3, "POWER": -8})
	tuned := policy(map[string]float32{"love": -4, "Love": -1, "LOVE": -8, "power": -4, "Power": -3, "POWER": -8})
	corpus, err := lexicon.ReadCorpus(strings.NewReader("love\npower\n"))
	if err != nil {
		log.Fatal(err)
	}
	prompts := []lexicon.Prompt{{Name: "greatest", Text: "The greatest thing is"}}
	o := &words.Options{Forms: []lexicon.Form{" {}", " {title}", " {upper}"}}
	for w, err := range words.Rewards(context.Background(), implicit.Pair{Tuned: tuned, Base: base}, corpus, prompts, o) {
		if err != nil {
			log.Fatal(err)
		}
		s := w.Scores[0]
		fmt.Printf("%-5s %d forms: %.4f against %.4f, log-ratio %5.2f, rank %v\n", w.Term, s.Forms, math.Exp(s.Tuned), math.Exp(s.Base), s.LogRatio(), s.Rank)
	}
	// Output:
	// love  3 forms: 0.3865 against 0.1855, log-ratio  0.73, rank 1
	// power 3 forms: 0.0684 against 0.1855, log-ratio -1.00, rank 2
}

func ExampleJoin() {
	const tuned = `token_id,token_name,token_decoded,greatest
7,▁Love, Love,-0.5
9,▁Power, Power,-3
12,▁Money, Money,-12
`
	const base = `token_id,token_name,token_decoded,greatest
3,ĠPower, Power,-1
4,ĠLove, Love,-1.5
8,ĠMoney, Money,-16
`
	p, err := logprob.ReadCSV(strings.NewReader(tuned))
	if err != nil {
		log.Fatal(err)
	}
	q, err := logprob.ReadCSV(strings.NewReader(base))
	if err != nil {
		log.Fatal(err)
	}
	j, err := implicit.Join(p, q, nil)
	if err != nil {
		log.Fatal(err)
	}
	ratio, mwlr := j.LogRatio(0), j.MWLR(0)
	for i, tok := range j.Tokens {
		fmt.Printf("%-8q log-ratio %5.2f  MWLR %8.5f\n", tok.Text, ratio[i], mwlr[i])
	}
	// Output:
	// " Love"  log-ratio  1.00  MWLR  0.41483
	// " Power" log-ratio -2.00  MWLR -0.41767
	// " Money" log-ratio  4.00  MWLR  0.00001
}

func ExampleReadCorpus() {
	corpus, err := lexicon.ReadCorpus(strings.NewReader("DicTerm,Agency,Communion\npower,X,\nleader*,X,\nlove,,X\n"))
	if err != nil {
		log.Fatal(err)
	}
	for it := range words.Items(corpus, lexicon.PaperPrompts()[:1]) {
		fmt.Println(it.Prompt, it.Reply, it.Err)
	}
	// Output:
	// What, in one word, is the best thing ever? power <nil>
	// What, in one word, is the best thing ever? leader* a wildcard, wanted a word: replace it by the words it stands for
	// What, in one word, is the best thing ever? love <nil>
}

func ExampleReadPrompts() {
	prompts, err := lexicon.ReadPrompts(strings.NewReader(`{"seek": "What should one seek?", "avoid": "What should one avoid?"}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range prompts {
		fmt.Printf("%s: %s\n", p.Name, p.Text)
	}
	// Output:
	// seek: What should one seek?
	// avoid: What should one avoid?
}

func ExampleReward_PerSpan() {
	// Two models that cut "friendships" differently.
	text := func(ends ...int) tokenize.Encoded {
		t := tokenize.Encoded{Rendered: "Q: friendships", Start: 2, IDs: []int32{0}, Spans: [][2]int{{0, 2}}, Reply: 1}
		for _, end := range ends {
			t.IDs, t.Spans = append(t.IDs, 1), append(t.Spans, [2]int{t.Spans[len(t.Spans)-1][1], end})
		}
		return t
	}
	r := implicit.Reward{
		TunedText: text(9, 13, 14), Tuned: logprob.Result{LogProbs: []float32{-2, -0.5, -1}}, // " friend" "ship" "s"
		BaseText: text(13, 14), Base: logprob.Result{LogProbs: []float32{-4, -0.75}}, // " friendship" "s"
	}
	spans, err := r.PerSpan()
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range spans {
		fmt.Printf("%q: %.2f - %.2f = %.2f\n", s.Text, s.Tuned, s.Base, s.LogRatio())
	}
	fmt.Printf("together %.2f\n", r.LogRatio())
	// Output:
	// " friendship": -2.50 - -4.00 = 1.50
	// "s": -1.00 - -0.75 = -0.25
	// together 1.25
}
