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

// Prompt is a text after which every token of the vocabulary is to be scored. Its
// name becomes a column of a Table.
type Prompt struct {
	Name string
	Text tokenize.Encoded
}

// Table holds ln p(token | prompt) for every token of a vocabulary and every prompt.
// Files hold it as CSV (the format of the paper's code) and as Parquet; in both,
// every float32 and every byte of a token comes back as it was.
type Table struct {
	Prompts []string         // column names, in order
	Tokens  []tokenize.Token // one a row, in id order
	LogProb [][]float32      // LogProb[prompt][row] = ln p(token | prompt); -Inf is allowed, NaN is not
	Meta    Meta
}

// Meta says how the numbers of a table were made. Empty fields are unknown. A Parquet
// file carries it; beside a CSV it goes into a file of its own, by WriteJSON and
// ReadMeta.
type Meta struct {
	Model         string            `json:"model,omitempty"`          // as the user named it
	ModelType     string            `json:"model_type,omitempty"`     // config.json's
	WeightsHash   string            `json:"weights_hash,omitempty"`   // sha256, hex
	TokenizerHash string            `json:"tokenizer_hash,omitempty"` // sha256, hex, of the files that decide token ids
	DType         string            `json:"dtype,omitempty"`          // of the computation: "f32", "bf16"
	Backend       string            `json:"backend,omitempty"`        // "xla:cpu", "go"
	Description   string            `json:"description,omitempty"`    // of the backend, in its own words, without folders
	Plugin        string            `json:"plugin,omitempty"`         // file name of XLA's plugin; "" on the pure-Go backend
	PluginHash    string            `json:"plugin_hash,omitempty"`    // sha256, hex, of that file
	Processor     string            `json:"processor,omitempty"`      // see Processor
	Rendering     string            `json:"rendering,omitempty"`      // "raw" or "chat"
	Date          string            `json:"date,omitempty"`           // the date a chat template was given, 2006-01-02; "" for the template's own
	BOS           string            `json:"bos,omitempty"`            // whether texts begin with the BOS: "auto", "add" or "none", of tokenize.BOS
	System        string            `json:"system,omitempty"`         // the system message of every chat
	Vars          map[string]any    `json:"template_vars,omitempty"`  // variables that a chat template was given
	Template      string            `json:"template,omitempty"`       // sha256, hex, of a chat template that was used in place of the checkpoint's default
	Version       string            `json:"version,omitempty"`        // of this library
	VocabRows     int               `json:"vocab_rows,omitempty"`     // rows of the logits, over which the softmax ran; may exceed the tokens
	Certificate   *Certificate      `json:"certificate,omitempty"`    // see Model.Certify; nil where it was not called
	Rendered      map[string]string `json:"rendered,omitempty"`       // prompt name -> the exact text that was encoded
}

// WriteJSON writes m, indented, keys in a fixed order.
func (m Meta) WriteJSON(w io.Writer) error {
	if err := strictjson.Write(w, m, "  "); err != nil {
		return fmt.Errorf("logprob: meta: %w", err)
	}
	return nil
}

// ReadMeta reads what WriteJSON wrote. Keys that this version does not know are ignored.
func ReadMeta(r io.Reader) (Meta, error) {
	var m Meta
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return Meta{}, fmt.Errorf("logprob: meta: %w", err)
	}
	return m, nil
}

// Column returns ln p of every token after the prompt of that name, and whether there
// is such a prompt. It is the table's own slice.
func (t *Table) Column(prompt string) ([]float32, bool) {
	i := slices.Index(t.Prompts, prompt)
	if i < 0 {
		return nil, false
	}
	return t.LogProb[i], true
}

// tokenColumns stand before the prompts in every file.
var tokenColumns = [...]string{"token_id", "token_name", "token_decoded"}

// checkPrompt refuses a column name that a file could not give back, and adds it to
// those seen.
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

// logProbSlack is how far above 0 the float32 rounding of x - logsumexp(x) may lift a
// log-probability: an ulp at |x| = 1000.
const logProbSlack = 1e-4

// checkLogProb refuses what is no logarithm of a probability.
func checkLogProb(v float32) error {
	switch {
	case v != v:
		return fmt.Errorf("NaN, wanted a log-probability")
	case v > logProbSlack:
		return fmt.Errorf("%v, wanted a log-probability, at most 0", v)
	}
	return nil
}

// Check refuses a table that does not hold together: no tokens or prompts, names or
// ids twice or out of order, text that is not valid UTF-8, columns of another length
// than the tokens, NaN, or values above 0. Writing calls it.
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

// sortTokens puts rows into id order and refuses an id that stands twice. where names
// the place of a row in the file.
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
