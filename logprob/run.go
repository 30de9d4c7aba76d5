package logprob

import (
	"context"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/internal/engine"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Run computes some thousands of hidden states at a time, and common prefixes once, and draws the
// requests for as many more meanwhile; of a model on several devices each has so many at a time. A
// request longer than MaxTokens, an id outside the vocabulary, and a reply that begins at
// the first token are errors. ctx is checked between executions. See LM.
func (m *Model) Run(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		asked := func(yield func(engine.Request) bool) {
			for r := range requests {
				r.TopK, r.Within = max(r.TopK, 0), m.withRows(r.Within)
				if !yield(engine.Request(r)) {
					return
				}
			}
		}
		for r, err := range m.engine.Run(ctx, asked) {
			if err != nil {
				err = fmt.Errorf("logprob: %s: %w", m.dir, err)
			}
			if !yield(resultOf(r), err) {
				return
			}
		}
	}
}

// withRows returns a set without trailing tokens that the model has no row of logits for;
// they are never generated.
func (m *Model) withRows(set []bool) []bool {
	for id := len(set) - 1; id >= m.arch.V && m.beyond[int32(id)] != ""; id-- {
		set = set[:id]
	}
	return set
}

func resultOf(r engine.Result) Result {
	out := Result{LogProbs: r.LogProbs, Greedy: r.Greedy, Distribution: r.Distribution, Within: r.Within, States: r.States}
	if r.Top != nil {
		out.Top = make([][]TokenLogProb, len(r.Top))
	}
	for i, top := range r.Top {
		out.Top[i] = make([]TokenLogProb, len(top))
		for j, t := range top {
			out.Top[i][j] = TokenLogProb(t)
		}
	}
	return out
}

// Table computes ln p of every token after each prompt. Rows of logits that are no token of
// the tokenizer take part in the softmax, as in transformers, but are not in the table; nor
// are tokens that the model has no row for (see Warnings).
func (m *Model) Table(ctx context.Context, prompts []Prompt) (*Table, error) {
	if m.tok == nil {
		return nil, fmt.Errorf("logprob: table: %w", m.NoTokenizer())
	}
	seen := map[string]bool{}
	for i, p := range prompts { // before the work, not after it
		if err := checkPrompt(p.Name, seen); err != nil {
			return nil, fmt.Errorf("logprob: table: prompt %d: %w", i, err)
		}
	}
	meta, err := m.Meta(ctx)
	if err != nil {
		return nil, err
	}
	meta.Rendered = map[string]string{}
	t := &Table{Meta: meta}
	for token := range m.tok.Vocab() {
		if int(token.ID) >= m.arch.V {
			continue
		}
		t.Tokens = append(t.Tokens, token)
	}
	texts := func(yield func(tokenize.Encoded) bool) {
		for _, p := range prompts {
			if !yield(p.Text) {
				return
			}
		}
	}
	for row, err := range Next(ctx, m, texts) {
		if err != nil {
			return nil, err
		}
		p := prompts[len(t.Prompts)]
		t.Prompts = append(t.Prompts, p.Name)
		meta.Rendered[p.Name] = p.Text.Rendered
		column := make([]float32, len(t.Tokens))
		for i, token := range t.Tokens {
			column[i] = row[token.ID]
		}
		t.LogProb = append(t.LogProb, column)
	}
	return t, t.Check()
}
