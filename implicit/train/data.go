package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/implicitreward/implicitreward/implicit/preference"
)

// Data are rows to train on or to evaluate, as Read reads them. Tokens they become when a model's
// tokenizer is at hand, in Run.
type Data struct {
	hash     string // SHA-256 of the file, in hex: a resumed run must read the same
	task     Task
	rows     []example
	refused  []error // of rows that cannot be used, each with its number
	left     int     // refused rows that Select left out
	skip     bool    // rows that cannot be rendered are left out too
	selected []string
}

// row is a row in tokens: a pair, chosen before rejected, or a text alone.
type row struct {
	index  int    // of the row in Data, from 0: Options.Order means it
	number int    // in its file, from 1
	source string // its column source; "" without one
	margin float64
	texts  []text
}

// text is a text in tokens. Those from from on are trained by dpo, sft and lm, and by GRM's
// regulariser; reward reads the state of the last.
type text struct {
	ids  []int32
	from int
}

// Read reads a file for a task: JSON Lines, a JSON array (either of them optionally gzipped) or
// Parquet, with rows as TRL reads them.
//
// Rows of reward and dpo are pairs:
//
//   - chosen and rejected are texts, prompt a text or absent. The text trained on is prompt +
//     reply + EOS, without a chat template. Without prompt, dpo takes what both begin with;
//   - or they are conversations, in the forms that package preference reads: they are rendered
//     with the chat template. That is also how texts beside a system text, or with a prompt of
//     another name (instruction, messages), are read;
//   - or token ids: chosen_ids and rejected_ids (chosen_input_ids, rejected_input_ids), of dpo
//     with prompt_ids before them.
//
// Of reward, margin is a number of every row or of none.
//
// Rows of sft and lm are texts, and the reply alone is trained where there is a prompt:
//
//   - text; or prompt and completion, both texts: an EOS ends them;
//   - messages (or conversations) that end with the assistant's; or prompt and completion, both
//     messages: the chat template renders them;
//   - input_ids, with completion_mask or labels (-100 for tokens that are not trained) if the
//     first tokens are not trained.
//
// All rows of a file are of one kind. A row that cannot be used is among Refused, and Run fails
// unless Select leaves such rows out. Other columns are kept for Select if they are text of at
// most 1,024 bytes, numbers or booleans.
func Read(ctx context.Context, r io.Reader, task Task) (*Data, error) {
	if !slices.Contains([]Task{Reward, DPO, SFT, LM}, task) {
		return nil, fmt.Errorf("train: task %q, wanted reward, dpo, sft or lm", task)
	}
	hash := sha256.New()
	r = io.TeeReader(r, hash)
	d := &Data{task: task}
	names := interned{}
	for o, err := range preference.Objects(ctx, r) {
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		e, err := parse(o, task, names)
		if err == nil && len(d.rows) > 0 {
			err = e.alike(&d.rows[0])
		}
		if err != nil {
			d.refused = append(d.refused, fmt.Errorf("row %d: %w", o.Number, err))
			continue
		}
		d.rows = append(d.rows, e)
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // what stands behind the last row
		return nil, fmt.Errorf("train: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	d.hash = hex.EncodeToString(hash.Sum(nil))
	if len(d.rows) == 0 {
		return nil, fmt.Errorf("train: no row can be used: %w", d.refusal())
	}
	return d, nil
}

// Len returns the number of rows that can be used.
func (d *Data) Len() int { return len(d.rows) }

// Form is what the rows are, all of them: "text", "a conversation" or "token ids".
func (d *Data) Form() string { return d.rows[0].kind.String() }

// SHA256 is the hash of the file, in hex.
func (d *Data) SHA256() string { return d.hash }

// Refused returns why rows of the file cannot be used, in order.
func (d *Data) Refused() []error { return slices.Clone(d.refused) }

// refusal is an error of the refused rows, nil without any.
func (d *Data) refusal() error {
	switch n := len(d.refused); {
	case n == 0:
		return nil
	case n == 1:
		return d.refused[0]
	case n > 1:
		return fmt.Errorf("%w (and %d more rows)", d.refused[0], n-1)
	}
	return errors.New("no rows")
}
