package logprob

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Prompt is a text after which every token of the vocabulary is scored. Its name is a column
// of a Table.
type Prompt struct {
	Name string
	Text tokenize.Encoded
}

// Table holds ln p(token | prompt) for every token of a vocabulary and every prompt, a
// matrix. It is written as CSV (the format of the paper's code) or as Parquet; both restore
// every float32 and every byte of a token exactly.
type Table struct {
	Prompts []string         // column names, in order
	Tokens  []tokenize.Token // one for each row, in id order
	LogProb [][]float32      // LogProb[prompt][row] = ln p(token | prompt); -Inf is allowed, NaN is not
	Meta    Meta
}

// Meta says how the numbers of a table were made. Empty fields are unknown. A Parquet file
// contains it; for a CSV it is a file of its own, by WriteJSON and ReadMeta.
type Meta struct {
	Model         string            `json:"model,omitempty"`          // as the user named it
	ModelType     string            `json:"model_type,omitempty"`     // of config.json
	WeightsHash   string            `json:"weights_hash,omitempty"`   // SHA-256, hex; with an adapter of its hash and the base's
	Adapter       string            `json:"adapter,omitempty"`        // folder of the adapter; "" without one
	AdapterHash   string            `json:"adapter_hash,omitempty"`   // SHA-256, hex, of its tensors and scales
	BaseHash      string            `json:"base_hash,omitempty"`      // WeightsHash of the model without its adapter
	TokenizerHash string            `json:"tokenizer_hash,omitempty"` // SHA-256, hex, of the files that decide token ids
	Quantised     string            `json:"quantised,omitempty"`      // how the weights are stored, from which they are decoded, such as "fp8 128x128"; "" for floats
	DType         string            `json:"dtype,omitempty"`          // of the computation: "f32", "bf16"
	Backend       string            `json:"backend,omitempty"`        // "xla:cpu", "go"
	Description   string            `json:"description,omitempty"`    // the backend's description of itself, without folders
	Plugin        string            `json:"plugin,omitempty"`         // file name of XLA's plugin; "" on the pure-Go backend
	PluginHash    string            `json:"plugin_hash,omitempty"`    // SHA-256, hex, of that file
	Processor     string            `json:"processor,omitempty"`      // see Processor
	Rendering     string            `json:"rendering,omitempty"`      // "raw" or "chat"
	Date          string            `json:"date,omitempty"`           // date given to a chat template, 2006-01-02; "" for the template's own
	BOS           string            `json:"bos,omitempty"`            // whether texts begin with the BOS: a tokenize.BOS, "auto", "add" or "none"
	System        string            `json:"system,omitempty"`         // the system message of every chat
	Vars          map[string]any    `json:"template_vars,omitempty"`  // variables given to a chat template
	Template      string            `json:"template,omitempty"`       // SHA-256, hex, of a chat template used instead of the checkpoint's default
	Version       string            `json:"version,omitempty"`        // of this library
	VocabRows     int               `json:"vocab_rows,omitempty"`     // rows of the logits, over which the softmax runs; may exceed the number of tokens
	Certificate   *Certificate      `json:"certificate,omitempty"`    // see Model.Certify; nil if it was not called
	Rendered      map[string]string `json:"rendered,omitempty"`       // prompt name -> the exact text that was encoded
}

// WriteJSON writes m as indented JSON with a fixed order of keys.
func (m Meta) WriteJSON(w io.Writer) error {
	if err := strictjson.Write(w, m, "  "); err != nil {
		return fmt.Errorf("logprob: meta: %w", err)
	}
	return nil
}

// ReadMeta reads what WriteJSON wrote. Unknown keys are ignored.
func ReadMeta(r io.Reader) (Meta, error) {
	var m Meta
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return Meta{}, fmt.Errorf("logprob: meta: %w", err)
	}
	return m, nil
}

// Column returns ln p of every token after the prompt of that name, and whether there is
// such a prompt. The slice is the table's own.
func (t *Table) Column(prompt string) ([]float32, bool) {
	i := slices.Index(t.Prompts, prompt)
	if i < 0 {
		return nil, false
	}
	return t.LogProb[i], true
}

// tokenColumns come before the prompts in every file.
var tokenColumns = [...]string{"token_id", "token_name", "token_decoded"}

// checkPrompt refuses a column name that a file could not restore, or that is in seen, and
// adds it there.
func checkPrompt(name string, seen map[string]bool) error {
	switch {
	case name == "":
		return fmt.Errorf("no name, wanted a prompt's name (an index column is written away with index=False)")
	case !utf8.ValidString(name):
		return fmt.Errorf("name %q is not valid UTF-8", name)
	case slices.Contains(tokenColumns[:], name):
		return fmt.Errorf("a second column %q, wanted a prompt's name", name)
	case seen[name]:
		return fmt.Errorf("a second column %q, wanted each prompt once", name)
	}
	seen[name] = true
	return nil
}

// logProbSlack bounds a log-probability above 0: the float32 rounding of x - logsumexp(x) is
// one ulp at |x| = 1000.
const logProbSlack = 1e-4

// checkLogProb returns an error unless v is the logarithm of a probability.
func checkLogProb(v float32) error {
	switch {
	case v != v:
		return fmt.Errorf("NaN, wanted a log-probability")
	case v > logProbSlack:
		return fmt.Errorf("%v, wanted a log-probability, at most 0", v)
	}
	return nil
}

// Check returns an error if the table is inconsistent: no tokens or prompts, names or ids
// repeated or out of order, text that is not valid UTF-8, columns and tokens of different
// lengths, NaN, or values above 0. The writers call it.
func (t *Table) Check() error {
	if len(t.Tokens) == 0 || len(t.Prompts) == 0 {
		return fmt.Errorf("logprob: table: %d tokens and %d prompts, wanted at least one of each", len(t.Tokens), len(t.Prompts))
	}
	if len(t.LogProb) != len(t.Prompts) {
		return fmt.Errorf("logprob: table: %d columns, wanted %d, one a prompt", len(t.LogProb), len(t.Prompts))
	}
	for i, tok := range t.Tokens {
		switch {
		case tok.ID < 0:
			return fmt.Errorf("logprob: table: row %d: token id %d, wanted 0 or more", i, tok.ID)
		case i > 0 && tok.ID <= t.Tokens[i-1].ID:
			return fmt.Errorf("logprob: table: row %d: token id %d after %d, wanted ascending ids", i, tok.ID, t.Tokens[i-1].ID)
		case !utf8.ValidString(tok.Name) || !utf8.ValidString(tok.Text):
			return fmt.Errorf("logprob: table: token %d: name %q, text %q: not valid UTF-8", tok.ID, tok.Name, tok.Text)
		}
	}
	seen := map[string]bool{}
	for p, name := range t.Prompts {
		if err := checkPrompt(name, seen); err != nil {
			return fmt.Errorf("logprob: table: prompt %d: %w", p, err)
		}
		if len(t.LogProb[p]) != len(t.Tokens) {
			return fmt.Errorf("logprob: table: prompt %s: %d values, wanted %d, one a token", name, len(t.LogProb[p]), len(t.Tokens))
		}
		for i, v := range t.LogProb[p] {
			if err := checkLogProb(v); err != nil {
				return fmt.Errorf("logprob: table: prompt %s: token %d: %w", name, t.Tokens[i].ID, err)
			}
		}
	}
	return nil
}

// sortTokens sorts rows by id; a repeated id is an error. where names the place of a row in
// the file.
func (t *Table) sortTokens(where func(row int) string) error {
	byID := func(a, b tokenize.Token) int { return int(a.ID) - int(b.ID) }
	order := make([]int, 0)
	if !slices.IsSortedFunc(t.Tokens, byID) {
		order = make([]int, len(t.Tokens))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return byID(t.Tokens[a], t.Tokens[b]) })
	}
	at := func(i int) int {
		if len(order) == 0 {
			return i
		}
		return order[i]
	}
	for i := 1; i < len(t.Tokens); i++ {
		if a, b := at(i-1), at(i); t.Tokens[a].ID == t.Tokens[b].ID {
			return fmt.Errorf("%s: %d stands in %s already, wanted each id once", where(b), t.Tokens[b].ID, where(a))
		}
	}
	if len(order) == 0 {
		return nil
	}
	t.Tokens = permute(t.Tokens, order)
	for p := range t.LogProb {
		t.LogProb[p] = permute(t.LogProb[p], order)
	}
	return nil
}

func permute[T any](from []T, order []int) []T {
	to := make([]T, len(from))
	for i, k := range order {
		to[i] = from[k]
	}
	return to
}
