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

// JoinOptions says which tokens of two tables are the same. nil is the zero value.
type JoinOptions struct {
	// ByID joins the tokens of one vocabulary id by id. Ids, names and texts of the
	// tables must be the same throughout, or Join fails. It keeps tokens apart that
	// decode to the same text (parts of a character all decode to U+FFFD), so that
	// over a base model and a model tuned from it the full distributions are
	// compared.
	ByID bool
	// DropNA leaves out the tokens that pandas reads as missing ("", "NA", "null",
	// "None", "nan" ...), as the paper's code does.
	DropNA bool
}

// Joined is two tables p and q on the tokens and prompts that they share. It keeps
// the tables, and computes a prompt's values when asked.
type Joined struct {
	Prompts  []string         // in both tables, in p's order
	Tokens   []tokenize.Token // in both tables, as p has them, in p's order; of several with the same text the first
	Coverage Coverage
	Warnings []error // prompts that only one table has, tables computed in different types

	p, q side
}

// Coverage counts the rows of the tables that went into a Joined.
type Coverage struct {
	Shared             int // len(Tokens)
	P, Q               int // rows of each table
	RepeatedP          int // rows of p whose token stands in an earlier row already
	RepeatedQ          int
	OnlyP, OnlyQ       int // rows whose token the other table lacks
	DroppedP, DroppedQ int // rows left out by DropNA
}

// side is one of the tables.
type side struct {
	columns [][]float32 // of the shared prompts
	index   []int32     // row -> place in Tokens, -1 for none
}

// Join puts two tables together, token by token and prompt by prompt. Prompts are the
// same when their names are. Tokens are the same when their decoded texts are,
// whatever their ids, so that models with different tokenizers can be compared;
// options may change that. Several tokens of a table may decode to one text (byte
// tokens and ordinary tokens; all parts of a character decode to U+FFFD, where "the
// same text" means little): then its log-probability is that of the likeliest, prompt
// by prompt, as in the paper's code, and Coverage counts the others. No shared prompt
// or no shared token is an error.
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
	inQ := make(map[key]int32, len(q)) // -> place in Tokens, -1 while p has not shown it
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

// sameVocabulary refuses two lists of tokens that differ.
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

// LogProb returns ln p and ln q of every token of Tokens after prompt number prompt
// of Prompts, in new slices.
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

// LogRatio returns ln p - ln q of every token: with p the tuned and q the base model,
// the implicit reward of the one-token reply for beta = 1, without the unknown c(x).
// It is 0 where both are equal, also where both are -Inf, and +Inf or -Inf where only
// q or only p is 0.
func (j *Joined) LogRatio(prompt int) []float64 {
	return j.each(prompt, LogRatio)
}

// MWLR returns the mean-weighted log-ratio of every token, ½(p+q)(ln p − ln q): see
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

// LogRatio returns ln p - ln q of two probabilities given by their natural logarithms. It is
// 0 where both are equal, also where both are -Inf, and +Inf or -Inf where only q or only p
// is 0.
func LogRatio(lnP, lnQ float64) float64 {
	if lnP == lnQ {
		return 0
	}
	return lnP - lnQ
}

// MWLR returns the mean-weighted log-ratio ½(p+q)(ln p − ln q) of two probabilities
// given by their natural logarithms (Christian et al. 2026). It is 0 where both are
// equal, also where both are -Inf, and +Inf or -Inf where only q or only p is 0. It
// changes sign when the two change places, and its sum over a full vocabulary is
// (KL(p|q) − KL(q|p))/2. Unlike the log-ratio it lets tokens count by their
// probability, and is no monotone function of it.
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
