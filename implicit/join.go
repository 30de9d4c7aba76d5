package implicit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// JoinOptions says which tokens of two tables are the same; nil is the zero value.
type JoinOptions struct {
	// ByID matches tokens by id. The ids, names and texts of the two vocabularies must be
	// identical, or Join fails. Tokens that decode to the same text (parts of characters
	// decode to U+FFFD) stay apart, so the full distributions are compared.
	ByID bool
	// DropNA omits the tokens that pandas reads as missing ("", "NA", "null", "None", "nan"
	// ...), as the paper's code does.
	DropNA bool
}

// Joined holds two tables p and q and their shared tokens and prompts. Values are computed
// from the tables on request, prompt by prompt.
type Joined struct {
	Prompts  []string         // in both tables, in p's order
	Tokens   []tokenize.Token // in both tables, as in p and in p's order; the first of several with the same text
	Coverage Coverage
	Warnings []error // prompts in one table only, tables of different data types

	p, q side
}

// Coverage counts the rows of the tables that were joined.
type Coverage struct {
	Shared             int // len(Tokens)
	P, Q               int // rows of each table
	RepeatedP          int // rows of p whose token occurs in an earlier row
	RepeatedQ          int
	OnlyP, OnlyQ       int // rows whose token is missing from the other table
	DroppedP, DroppedQ int // rows omitted by DropNA
}

// side is one of the two tables.
type side struct {
	columns [][]float32 // of the shared prompts
	index   []int32     // row -> index in Tokens, or -1
}

// Join matches two tables by prompt name and by the decoded text of their tokens, so that
// models with different tokenizers can be compared; JoinOptions.ByID matches by id instead.
// If several tokens of a table decode to the same text (byte tokens and ordinary ones; all
// parts of a character decode to U+FFFD, where "the same text" says little), the
// log-probability is that of the likeliest, prompt by prompt, as in the paper's code, and
// Coverage counts the others. It is an error if no prompt or no token is shared.
func Join(p, q *logprob.Table, o *JoinOptions) (*Joined, error) {
	if o == nil {
		o = &JoinOptions{}
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("implicit: join: p: %w", err)
	}
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("implicit: join: q: %w", err)
	}
	j := &Joined{Coverage: Coverage{P: len(p.Tokens), Q: len(q.Tokens)}}
	if err := j.joinPrompts(p, q); err != nil {
		return nil, fmt.Errorf("implicit: join: %w", err)
	}
	if p.Meta.DType != q.Meta.DType && p.Meta.DType != "" && q.Meta.DType != "" {
		j.Warnings = append(j.Warnings, fmt.Errorf("implicit: join: p was computed in %s, q in %s: the rounding differs", p.Meta.DType, q.Meta.DType))
	}
	if err := stored(p.Meta.Quantised, q.Meta.Quantised); err != nil && p.Meta.WeightsHash != "" && q.Meta.WeightsHash != "" {
		j.Warnings = append(j.Warnings, fmt.Errorf("implicit: join: %w", err))
	}
	if d := p.Meta.Machine(q.Meta); d != "" {
		j.Warnings = append(j.Warnings, fmt.Errorf("implicit: join: p and q were computed %s: the rounding differs", d))
	}
	if o.ByID {
		if err := sameVocabulary(p.Tokens, q.Tokens); err != nil {
			return nil, fmt.Errorf("implicit: join: by id: %w", err)
		}
	}
	j.joinTokens(p.Tokens, q.Tokens, o)
	if len(j.Tokens) == 0 {
		return nil, fmt.Errorf("implicit: join: the tables share none of their %d and %d tokens", len(p.Tokens), len(q.Tokens))
	}
	return j, nil
}

func (j *Joined) joinPrompts(p, q *logprob.Table) error {
	var missing []string
	for i, name := range p.Prompts {
		column, ok := q.Column(name)
		if !ok {
			missing = append(missing, name)
			continue
		}
		j.Prompts = append(j.Prompts, name)
		j.p.columns, j.q.columns = append(j.p.columns, p.LogProb[i]), append(j.q.columns, column)
	}
	if len(j.Prompts) == 0 {
		return fmt.Errorf("no prompt in both tables: p has %s, q has %s", some(p.Prompts), some(q.Prompts))
	}
	for _, name := range q.Prompts {
		if _, ok := p.Column(name); !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		j.Warnings = append(j.Warnings, fmt.Errorf("implicit: join: %d prompts in one table only: %s", len(missing), some(missing)))
	}
	return nil
}

func (j *Joined) joinTokens(p, q []tokenize.Token, o *JoinOptions) {
	type key struct {
		id   int32
		text string
	}
	of := func(t tokenize.Token) key {
		if o.ByID {
			return key{id: t.ID}
		}
		return key{text: t.Text}
	}
	drop := func(t tokenize.Token) bool { return o.DropNA && table.PandasMissing(t.Text) }
	inQ := make(map[key]int32, len(q)) // -> index in Tokens, or -1 until p has the token
	for _, t := range q {
		if !drop(t) {
			inQ[of(t)] = -1
		}
	}
	c := &j.Coverage
	onlyP := map[key]bool{}
	j.p.index = make([]int32, len(p))
	for row, t := range p {
		k := of(t)
		at, shared := inQ[k]
		j.p.index[row] = -1
		switch {
		case drop(t):
			c.DroppedP++
		case !shared && onlyP[k], shared && at >= 0:
			c.RepeatedP++
			if shared {
				j.p.index[row] = at
			}
		case !shared:
			c.OnlyP++
			onlyP[k] = true
		default:
			j.p.index[row] = int32(len(j.Tokens))
			inQ[k] = int32(len(j.Tokens))
			j.Tokens = append(j.Tokens, t)
		}
	}
	seen := make(map[key]bool, len(q))
	j.q.index = make([]int32, len(q))
	for row, t := range q {
		k := of(t)
		j.q.index[row] = -1
		if drop(t) {
			c.DroppedQ++
			continue
		}
		j.q.index[row] = inQ[k]
		switch {
		case seen[k]:
			c.RepeatedQ++
		case inQ[k] < 0:
			c.OnlyQ++
		}
		seen[k] = true
	}
	c.Shared = len(j.Tokens)
}

// sameVocabulary returns an error if two lists of tokens differ.
func sameVocabulary(p, q []tokenize.Token) error {
	for i := range min(len(p), len(q)) {
		if p[i] != q[i] {
			return fmt.Errorf("token %d is %q (%q) in p, token %d is %q (%q) in q, wanted one vocabulary", p[i].ID, p[i].Name, p[i].Text, q[i].ID, q[i].Name, q[i].Text)
		}
	}
	if len(p) != len(q) {
		return fmt.Errorf("%d tokens in p, %d in q, wanted one vocabulary", len(p), len(q))
	}
	return nil
}

func some(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// LogProb returns ln p and ln q of every token of Tokens, as new slices, after the prompt
// Prompts[prompt].
func (j *Joined) LogProb(prompt int) (p, q []float32) {
	return j.p.values(prompt, len(j.Tokens)), j.q.values(prompt, len(j.Tokens))
}

func (s side) values(prompt, n int) []float32 {
	v := slices.Repeat([]float32{float32(math.Inf(-1))}, n)
	for row, at := range s.index {
		if at >= 0 {
			v[at] = max(v[at], s.columns[prompt][row])
		}
	}
	return v
}

// LogRatio returns ln p - ln q of every token of Tokens. With p the tuned and q the base
// model it is the implicit reward of each one-token reply for beta = 1, without c(x). Zero
// probabilities are treated as in the function LogRatio.
func (j *Joined) LogRatio(prompt int) []float64 {
	return j.each(prompt, LogRatio)
}

// MWLR returns the mean-weighted log-ratio ½(p+q)(ln p − ln q) of every token of Tokens; see
// the function MWLR.
func (j *Joined) MWLR(prompt int) []float64 {
	return j.each(prompt, MWLR)
}

func (j *Joined) each(prompt int, f func(lnP, lnQ float64) float64) []float64 {
	p, q := j.LogProb(prompt)
	v := make([]float64, len(p))
	for i := range v {
		v[i] = f(float64(p[i]), float64(q[i]))
	}
	return v
}

// LogRatio returns ln p - ln q. It is 0 if both are equal, including both -Inf, and +Inf or
// -Inf if only q or only p is 0.
func LogRatio(lnP, lnQ float64) float64 {
	if lnP == lnQ {
		return 0
	}
	return lnP - lnQ
}

// MWLR returns the mean-weighted log-ratio ½(p+q)(ln p − ln q) of two probabilities given as
// natural logarithms (Christian et al. 2026). It is 0 if both are equal, including both
// -Inf, and +Inf or -Inf if only q or only p is 0. Swapping p and q changes its sign, and
// its sum over a full vocabulary is (KL(p|q) − KL(q|p))/2. It weights tokens by their
// probability, and is not a monotone function of the log-ratio.
func MWLR(lnP, lnQ float64) float64 {
	switch {
	case lnP == lnQ:
		return 0
	case math.IsInf(lnQ, -1):
		return math.Inf(1)
	case math.IsInf(lnP, -1):
		return math.Inf(-1)
	}
	return (math.Exp(lnP) + math.Exp(lnQ)) / 2 * (lnP - lnQ)
}
