package demo_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// load loads a pair on the pure-Go backend.
func load(t *testing.T, p demo.Pair) (base, tuned *logprob.Model) {
	t.Helper()
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	baseDir, tunedDir, err := p.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	open := func(dir string) *logprob.Model {
		m, err := logprob.Load(context.Background(), dir, &logprob.Options{Backend: backend})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	return open(baseDir), open(tunedDir)
}

// some of the paper's prompts: each adjective, scope and wording.
func some() []lexicon.Prompt {
	var list []lexicon.Prompt
	for i, p := range lexicon.PaperPrompts() {
		if i%5 == 0 {
			list = append(list, p)
		}
	}
	return list
}

// next returns ln p of the whole vocabulary after each prompt.
func next(t *testing.T, m *logprob.Model, prompts []lexicon.Prompt) map[string][]float32 {
	t.Helper()
	var texts []tokenize.Encoded
	for _, p := range prompts {
		text, err := m.Tokenizer().Raw(p.Text, "")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	rows := map[string][]float32{}
	for row, err := range logprob.Next(context.Background(), m, slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		rows[prompts[len(rows)].Name] = row
	}
	return rows
}

// push returns delta by token id: the truth, from the list and the tokenizer alone.
func push(t *testing.T, p demo.Pair, tok *tokenize.Tokenizer) map[int32]float64 {
	t.Helper()
	delta := map[int32]float64{}
	for _, w := range demo.Words() {
		for i, form := range demo.Forms(w.Text) {
			text, err := tok.Raw("Say:", form)
			if err != nil {
				t.Fatal(err)
			}
			reply := text.IDs[text.Reply:]
			if want := map[bool]int{true: 1, false: 2}[i < w.Whole[p.Name]]; len(reply) != want {
				t.Errorf("%s: %q is %d tokens, wanted %d", p.Name, form, len(reply), want)
			}
			delta[reply[0]] = w.Push[p.Name]
		}
	}
	return delta
}

// What the library measures is the closed form of the package comment. The bound is that
// comment's: h, the value of the planted channel, is short of 1 by half the sum of squares of
// the other channels over 8192^2, some 2e-6 here, times pushes and logits of a few nats; and logits
// in float32 round to 1e-6.
func TestClosedForm(t *testing.T) {
	const bound = 2e-5
	for _, p := range demo.Pairs() {
		t.Run(p.Name, func(t *testing.T) {
			base, tuned := load(t, p)
			prompts := some()
			delta := push(t, p, base.Tokenizer())
			constant := map[string]float64{} // c(x)
			for name, row := range next(t, base, prompts) {
				sum := 0.0
				for id, logp := range row {
					sum += math.Exp(float64(logp) + delta[int32(id)])
				}
				constant[name] = math.Log(sum)
			}
			items := func(yield func(implicit.Item) bool) {
				for _, x := range prompts {
					for _, w := range demo.Words() {
						for _, form := range demo.Forms(w.Text) {
							if !yield(implicit.Item{Prompt: x.Text, Reply: form, PromptName: x.Name}) {
								return
							}
						}
					}
				}
			}
			pushes, of := map[string]float64{}, map[string]string{} // words, by form
			for _, w := range demo.Words() {
				pushes[w.Text] = w.Push[p.Name]
				for _, form := range demo.Forms(w.Text) {
					of[form] = w.Text
				}
			}
			n, several, worst := 0, 0, 0.0
			for r, err := range implicit.Rewards(context.Background(), implicit.Pair{Tuned: implicit.Raw(tuned), Base: implicit.Raw(base)}, items) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				want := pushes[of[r.Reply]] - constant[r.PromptName]
				off := math.Abs(r.LogRatio() - want)
				worst = max(worst, off)
				if !(off <= bound) {
					t.Errorf("%s, %q: log-ratio %.6f, wanted %.6f", r.PromptName, r.Reply, r.LogRatio(), want)
				}
				each, ok := r.PerToken()
				if !ok {
					t.Fatalf("%q: the pair's tokenizers cut it differently", r.Reply)
				}
				for _, rest := range each[1:] { // the models agree on how a word ends, exactly
					several++
					if rest != 0 {
						t.Errorf("%s, %q: reward %g of the second token, wanted 0", r.PromptName, r.Reply, rest)
					}
				}
			}
			if want := len(prompts) * 32 * 4; n != want || several == 0 {
				t.Errorf("%d rewards, wanted %d; %d second tokens, wanted some", n, want, several)
			}
			t.Logf("%d rewards, %d of them of two tokens, off by %.1e at most", n, several, worst)
		})
	}
}

// The lean of a base is the mean log-probability of a category's first tokens over that of the controls, after every prompt: a
// normaliser and the random part of the logits cancel. The bound is rounding's.
func TestLean(t *testing.T) {
	for _, p := range demo.Pairs() {
		base, _ := load(t, p)
		first := map[string][]int32{} // by category, of " word"
		for _, w := range demo.Words() {
			text, err := base.Tokenizer().Raw("Say:", " "+w.Text)
			if err != nil {
				t.Fatal(err)
			}
			first[w.Category] = append(first[w.Category], text.IDs[text.Reply])
		}
		for name, row := range next(t, base, some()) {
			mean := map[string]float64{}
			for c, ids := range first {
				for _, id := range ids {
					mean[c] += float64(row[id]) / float64(len(ids))
				}
			}
			for _, c := range demo.Categories() {
				control := (mean["weather"] + mean["kitchen"]) / 2
				if got, want := mean[c]-control, p.Lean(c); math.Abs(got-want) > 2e-5 {
					t.Errorf("%s, %s: %s leans %.6f, wanted %g", p.Name, name, c, got, want)
				}
			}
		}
	}
}

// Bias is what the base makes likely, measured as its comment says.
func TestBias(t *testing.T) {
	for _, p := range demo.Pairs() {
		base, _ := load(t, p)
		prompts, words := lexicon.PaperPrompts(), demo.Words()
		items := func(yield func(implicit.Item) bool) {
			for _, x := range prompts {
				for _, w := range words {
					if !yield(implicit.Item{Prompt: x.Text, Reply: " " + w.Text}) {
						return
					}
				}
			}
		}
		mean, control := make([]float64, len(words)), 0.0
		policy := implicit.Raw(base)
		for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: policy, Base: policy}, items) {
			if err != nil {
				t.Fatal(err)
			}
			mean[r.Index%len(words)] += r.Base.Sum() / float64(len(prompts))
		}
		for i, w := range words {
			if demo.Control(w.Category) {
				control += mean[i] / 16
			}
		}
		for i, w := range words {
			if got, want := mean[i]-control, w.Bias[p.Name]; !(math.Abs(got-want) <= 0.02) {
				t.Errorf("%s, %s: the base's bias is %.3f, wanted %g", p.Name, w.Text, got, want)
			}
		}
	}
}

// The models are no tables: prompts and what stands earlier in them change what they make likely, and no token takes all.
func TestPromptsMatter(t *testing.T) {
	for _, p := range demo.Pairs() {
		base, _ := load(t, p)
		prompts := []lexicon.Prompt{
			{Name: "best", Text: "What, in one word, is the best thing ever?"},
			{Name: "worst", Text: "What, in one word, is the worst thing ever?"},
			{Name: "swapped", Text: "What, in best word, is the one thing ever?"},
		}
		rows := next(t, base, prompts)
		for _, other := range []string{"worst", "swapped"} {
			kl := 0.0
			for id, a := range rows["best"] {
				kl += math.Exp(float64(a)) * float64(a-rows[other][id])
			}
			if kl < 0.01 {
				t.Errorf("%s: KL of %s from best is %g, wanted more than 0.01 nats", p.Name, other, kl)
			}
		}
		if top := math.Exp(float64(slices.Max(rows["best"]))); top > 0.5 {
			t.Errorf("%s: the likeliest token has %g, wanted at most 1/2", p.Name, top)
		}
	}
}

// The tuned models have a chat template, the bases none.
func TestChat(t *testing.T) {
	want := map[string]string{
		"llama":  "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nBest?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nLove",
		"gemma2": "<bos><start_of_turn>user\nBest?<end_of_turn>\n<start_of_turn>model\nLove",
	}
	for _, p := range demo.Pairs() {
		base, tuned := load(t, p)
		text, err := tuned.Tokenizer().Chat("Best?", "Love", nil)
		if err != nil {
			t.Fatal(err)
		}
		if text.Rendered != want[p.Name] {
			t.Errorf("%s: %q, wanted %q", p.Name, text.Rendered, want[p.Name])
		}
		if n := len(text.IDs) - text.Reply; n != 1 {
			t.Errorf("%s: a reply of %d tokens, wanted 1", p.Name, n)
		}
		if _, err := base.Tokenizer().Chat("Best?", "Love", nil); err == nil {
			t.Errorf("%s: the base renders a chat, wanted an error", p.Name)
		}
	}
}

// The list is a corpus as the programs read it.
func TestCorpus(t *testing.T) {
	c, err := lexicon.ReadCorpus(strings.NewReader(demo.Corpus()))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Entries) != 32 || !slices.Equal(c.Categories, demo.Categories()) || c.Warnings != nil {
		t.Errorf("%d entries, categories %q, warnings %v", len(c.Entries), c.Categories, c.Warnings)
	}
}
