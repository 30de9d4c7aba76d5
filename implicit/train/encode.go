package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Counts say what became of the rows of Data when they became tokens.
type Counts struct {
	Rows     int   `json:"rows"`     // that are trained on
	Tokens   int64 `json:"tokens"`   // of their texts
	Refused  int   `json:"refused"`  // rows left out because they cannot be used (Select.Refused)
	Long     int   `json:"long"`     // rows left out as longer than MaxTokens
	Cut      int   `json:"cut"`      // rows of which a text was cut to MaxTokens
	Same     int   `json:"same"`     // pairs of the same text twice, from which nothing is learnt
	Straddle int   `json:"straddle"` // rows whose prompt has other tokens alone than before the reply
	Special  int   `json:"special"`  // rows that spell out special tokens
	Trimmed  int   `json:"trimmed"`  // rows of which the chat template trims a reply
}

// add counts a row.
func (c *Counts) add(o Counts) {
	c.Rows += o.Rows
	c.Tokens += o.Tokens
	c.Refused += o.Refused
	c.Long += o.Long
	c.Cut += o.Cut
	c.Same += o.Same
	c.Straddle += o.Straddle
	c.Special += o.Special
	c.Trimmed += o.Trimmed
}

// Warnings are the counts that a user should see, in words.
func (c Counts) Warnings() (list []error) {
	for _, w := range []struct {
		n    int
		text string
	}{
		{c.Refused, "left out, as they cannot be used"},
		{c.Long, "left out, as longer than the limit in tokens"},
		{c.Cut, "cut on the right: what a text ends with is not read"},
		{c.Same, "with the same tokens chosen and rejected, from which nothing is learnt"},
		{c.Straddle, "whose prompt has other tokens alone than before the reply: the reply is trained from where they differ, as in TRL"},
		{c.Special, "that spell out special tokens, which are read as those tokens"},
	} {
		if w.n > 0 {
			list = append(list, fmt.Errorf("train: %d rows %s", w.n, w.text))
		}
	}
	return list
}

// errLong is the reason of a row that is too long.
var errLong = errors.New("too long")

// encode makes the rows tokens, in order, without those that are too long (o.Long, o.MaxTokens),
// or refused if that was selected.
//
// Texts are those of TRL 1.16: of RewardTrainer, DPOTrainer and SFTTrainer. Conversations are
// rendered with the reply as the last message and without a generation prompt; the prompt of dpo
// and of sft's completions is rendered with one, and ends where its tokens differ from the whole
// text's (of pairs: the shorter of both).
func (d *Data) encode(ctx context.Context, tok *tokenize.Tokenizer, o Options) ([]row, Counts, error) {
	var total Counts
	if err := d.refusal(); err != nil {
		return nil, total, fmt.Errorf("train: %w", err)
	}
	if o.Long != "" && o.Long != "drop" && o.Long != "cut" {
		return nil, total, fmt.Errorf("train: long %q, wanted drop or cut", o.Long)
	}
	if (o.Task == Reward || o.Task == DPO) != (d.task == Reward || d.task == DPO) {
		return nil, total, fmt.Errorf("train: rows read for %s, wanted for %s", d.task, o.Task)
	}
	enc := newEncoder(tok, &o)
	done := make([]encoded, len(d.rows))
	var workers sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for w := range n {
		workers.Go(func() {
			for i := w; i < len(d.rows) && ctx.Err() == nil; i += n {
				done[i] = enc.row(&d.rows[i])
				done[i].row.index = i
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, total, fmt.Errorf("train: %w", err)
	}
	total.Refused = d.left
	var rows []row
	for i, r := range done {
		switch {
		case r.err == errLong:
			r.counts = Counts{Long: 1}
		case r.err != nil && d.skip:
			r.counts = Counts{Refused: 1}
		case r.err != nil:
			return nil, total, fmt.Errorf("train: row %d: %w", d.rows[i].number, r.err)
		default:
			rows = append(rows, r.row)
		}
		total.add(r.counts)
	}
	if len(rows) == 0 {
		return nil, total, fmt.Errorf("train: no row of %d is left: %d are longer than %d tokens, %d refused", len(d.rows), total.Long, enc.limit, total.Refused)
	}
	return rows, total, nil
}

// trained says how o has the texts of a reward model rendered; nil for rows of token ids.
func (d *Data) trained(o Options) (*rewardmodel.Trained, error) {
	first := &d.rows[0]
	if first.kind == ids {
		return nil, nil
	}
	t, err := rewardmodel.NewTrained(first.kind == plain && !o.Turns, o.Chat)
	return &t, err
}

// encoder makes rows tokens.
type encoder struct {
	tok   *tokenize.Tokenizer // nil for rows of token ids
	task  Task
	whole bool // the reply of a text does not matter, but its end
	pairs bool // it does, of pairs
	limit int
	cut   bool
	turns bool
	chat  tokenize.ChatOptions
}

// encoded is a row in tokens, or why there is none.
type encoded struct {
	row    row
	counts Counts
	err    error
}

func newEncoder(tok *tokenize.Tokenizer, o *Options) encoder {
	c := encoder{tok: tok, task: o.Task, limit: cmp.Or(o.MaxTokens, 1024), cut: o.Long == "cut", turns: o.Turns}
	c.whole = o.Task == Reward && o.SFT == 0 // GRM's regulariser reads the reply
	c.pairs = o.Task == DPO || o.Task == Reward && !c.whole
	if o.Chat != nil {
		c.chat = *o.Chat
	}
	return c
}

// row makes a row tokens.
func (c *encoder) row(e *example) (r encoded) {
	r.row.number = e.number
	if v, ok := e.column("source"); ok {
		r.row.source = v.text
	}
	if e.margin != nil && c.task == Reward {
		r.row.margin = *e.margin
	}
	if c.turns && e.kind == plain {
		if e, r.err = e.asTurns(c.task); r.err != nil {
			return r
		}
	}
	switch {
	case e.kind == ids:
		for _, t := range e.texts {
			r.row.texts = append(r.row.texts, text{slices.Clone(t.ids), t.from})
		}
	case c.tok == nil:
		r.err = errors.New("text, and the model has no tokenizer: wanted token ids")
	case e.kind == chat:
		r.err = c.chats(e, &r)
	default:
		r.err = c.plain(e, &r)
	}
	if r.err == nil {
		r.err = c.fit(&r)
	}
	return r
}

// fit applies the limit, and refuses texts without a token to train.
func (c *encoder) fit(r *encoded) error {
	texts := r.row.texts
	for i := range texts {
		t := &texts[i]
		if c.whole {
			t.from = 0
		} else if t.from = max(t.from, 1); t.from >= len(t.ids) { // nothing predicts the first token
			return errors.New("no token to train, wanted one after the first or the prompt")
		}
	}
	long := func(t text) bool { return len(t.ids) > c.limit }
	if slices.ContainsFunc(texts, long) {
		if !c.cut {
			return errLong
		}
		for i := range texts {
			t := &texts[i]
			t.ids = t.ids[:min(len(t.ids), c.limit)]
			if t.from >= len(t.ids) { // the prompt alone is as long
				return errLong
			}
		}
		r.counts.Cut = 1
	}
	r.counts.Rows = 1
	for _, t := range texts {
		r.counts.Tokens += int64(len(t.ids))
	}
	if len(texts) == 2 && slices.Equal(texts[0].ids, texts[1].ids) {
		r.counts.Same = 1
	}
	return nil
}

// mark counts what is particular about a text.
func (r *encoded) mark(t tokenize.Encoded) {
	if t.Special > 0 {
		r.counts.Special = 1
	}
	if t.Trimmed {
		r.counts.Trimmed = 1
	}
}

// asTurns makes prompt and replies that are texts messages.
func (e *example) asTurns(task Task) (*example, error) {
	if !e.split || e.prompt == "" {
		return nil, errors.New("text without a prompt, wanted one as the user's message")
	}
	turns := *e
	turns.kind, turns.messages = chat, []tokenize.Message{{Role: "user", Content: e.prompt}}
	return &turns, nil
}

// chats renders a row of messages.
func (c *encoder) chats(e *example, r *encoded) error {
	for _, reply := range e.replies {
		t, err := c.tok.Transcript(e.messages, reply, &c.chat)
		if err != nil {
			return err
		}
		r.mark(t)
		r.row.texts = append(r.row.texts, text{ids: t.IDs})
	}
	if c.whole || !e.split {
		return nil
	}
	prompt, err := c.tok.Conversation(e.messages, "", &c.chat)
	if err != nil {
		return err
	}
	r.divide(prompt.IDs)
	return nil
}

// plain encodes a row of strings.
func (c *encoder) plain(e *example, r *encoded) error {
	prompt, replies := e.prompt, e.replies
	if c.pairs && !e.split {
		prompt, replies = common(replies[0], replies[1])
	}
	front := 0
	for i, reply := range replies {
		t, err := c.tok.Ended(prompt, reply, c.chat.BOS)
		if err != nil {
			return err
		}
		if i == 0 || t.Reply < front {
			front = t.Reply
		}
		r.mark(t)
		r.row.texts = append(r.row.texts, text{ids: t.IDs})
	}
	switch {
	case c.whole || !c.pairs && !e.split:
		return nil
	case prompt == "": // the tokenizer's BOS alone
		r.divide(slices.Clone(r.row.texts[0].ids[:front]))
		return nil
	}
	t, err := c.tok.RawBOS(prompt, "", c.chat.BOS)
	if err != nil {
		return err
	}
	r.divide(t.IDs)
	return nil
}

// divide sets where replies begin: where the prompt's ids end to be a prefix of the texts'.
func (r *encoded) divide(prompt []int32) {
	from := len(prompt)
	for _, t := range r.row.texts {
		n := 0
		for n < from && n < len(t.ids) && prompt[n] == t.ids[n] {
			n++
		}
		from = n
	}
	if from < len(prompt) {
		r.counts.Straddle = 1
	}
	for i := range r.row.texts {
		r.row.texts[i].from = from
	}
}

// common splits what both texts begin with from them, less a space at its end: TRL's
// extract_prompt. Of texts of which one begins the other, the last character is no prompt.
func common(chosen, rejected string) (prompt string, replies []string) {
	n, last := 0, 0 // bytes in common, and of the last character
	for {
		if n == len(chosen) || n == len(rejected) {
			n -= last
			break
		}
		_, size := utf8.DecodeRuneInString(chosen[n:])
		if !strings.HasPrefix(rejected[n:], chosen[n:n+size]) {
			if n > 0 && chosen[n-1] == ' ' {
				n--
			}
			break
		}
		n, last = n+size, size
	}
	return chosen[:n], []string{chosen[n:], rejected[n:]}
}
