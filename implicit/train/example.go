package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// kind is the form of a row.
type kind int

const (
	plain kind = iota // strings
	chat              // messages
	ids               // token ids
)

func (k kind) String() string { return [...]string{"text", "a conversation", "token ids"}[k] }

// example is a row as it is read: a pair, or a text alone.
type example struct {
	number int
	kind   kind
	split  bool // a prompt is set off: sft trains the reply alone
	margin *float64

	prompt   string             // of plain
	messages []tokenize.Message // of chat: before the replies
	replies  []string           // of plain and chat: chosen and rejected, or one
	texts    []text             // of ids
	values   []value            // of other columns
}

// value is what a column holds, as text.
type value struct {
	column, text string
	number       bool
}

// equals compares text, or numbers.
func (v value) equals(want string) bool {
	if v.text == want || !v.number {
		return v.text == want
	}
	x, err := strconv.ParseFloat(v.text, 64)
	y, wrong := strconv.ParseFloat(want, 64)
	return err == nil && wrong == nil && x == y
}

// maxValue bounds the text of other columns.
const maxValue = 1024

// alike refuses a row that is of another kind than the first: TRL reads the whole file as it
// reads that one.
func (e *example) alike(first *example) error {
	switch {
	case e.kind != first.kind:
		return fmt.Errorf("%v, and row %d is %v, wanted rows of one kind", e.kind, first.number, first.kind)
	case e.split != first.split:
		is := func(e *example) string {
			if e.split {
				return "with a prompt"
			}
			return "without a prompt"
		}
		return fmt.Errorf("%s, and row %d is %s, wanted rows of one kind", is(e), first.number, is(first))
	case (e.margin == nil) != (first.margin == nil):
		has := func(e *example) string {
			if e.margin != nil {
				return "a margin"
			}
			return "no margin"
		}
		return fmt.Errorf("%s, and row %d has %s, wanted one in every row or in none", has(e), first.number, has(first))
	}
	return nil
}

// column returns what a column holds; ok is false if it is absent, null or no scalar.
func (e *example) column(name string) (v value, ok bool) {
	i := slices.IndexFunc(e.values, func(v value) bool { return v.column == name })
	if i < 0 {
		return v, false
	}
	return e.values[i], true
}

// interned keeps one copy of texts that repeat in many rows.
type interned map[string]string

func (t interned) one(s string) string {
	if same, ok := t[s]; ok {
		return same
	}
	if len(t) < 1<<16 {
		t[s] = s
	}
	return s
}

// columns of a row that are not values to select by.
var columns = []string{"chosen", "rejected", "prompt", "completion", "text", "messages"}

// parse reads a row for a task.
func parse(o preference.Object, task Task, names interned) (e example, err error) {
	if err := o.Err(); err != nil {
		return e, err
	}
	if task == Reward || task == DPO {
		e, err = pair(o, task)
	} else {
		e, err = single(o)
	}
	if err != nil {
		return e, err
	}
	e.number = o.Number
	for _, name := range o.Names() {
		raw := o.Value(name)
		if raw == nil || slices.Contains(columns, name) || raw[0] == '[' || raw[0] == '{' {
			continue
		}
		s, ok, err := strictjson.String(raw)
		if err != nil {
			return e, fmt.Errorf("%s: %w", name, err)
		}
		if !ok {
			s = string(raw)
		}
		if len(s) <= maxValue {
			e.values = append(e.values, value{names.one(name), names.one(s), !ok && raw[0] != 't' && raw[0] != 'f'})
		}
	}
	return e, nil
}

var (
	// prompts are other names of the conversation, which make texts beside them one.
	prompts = []string{"question", "instruction", "input", "messages", "conversations", "conversation"}
	// besides are further parts of a conversation.
	besides = []string{"system", "system_prompt", "history", "tools", "functions", "documents",
		"image", "images", "video", "videos", "audio", "audios", "chat_template_kwargs"}
)

// holds returns the first of names that o holds and that is not empty, "" for none.
func holds(o preference.Object, names []string) string {
	for _, name := range names {
		if raw := o.Value(name); raw != nil && !slices.Contains([]string{`""`, "[]", "{}"}, string(raw)) {
			return name
		}
	}
	return ""
}

// pair reads a row of reward or dpo.
func pair(o preference.Object, task Task) (e example, err error) {
	if err := o.Misspelt("margin"); err != nil {
		return e, err
	}
	for _, names := range [][2]string{{"chosen_ids", "rejected_ids"}, {"chosen_input_ids", "rejected_input_ids"}} {
		if o.Value(names[0]) != nil || o.Value(names[1]) != nil {
			return idsPair(o, task, names)
		}
	}
	if task == Reward {
		if e.margin, err = marginOf(o.Value("margin")); err != nil {
			return e, err
		}
	}
	var texts [3]string // prompt, chosen, rejected
	strings := true
	for i, name := range [3]string{"prompt", "chosen", "rejected"} {
		raw := o.Value(name)
		s, ok, err := strictjson.String(raw)
		if err != nil {
			return e, fmt.Errorf("%s: %w", name, err)
		}
		texts[i], strings = s, strings && (ok || i == 0 && raw == nil)
	}
	if strings && holds(o, prompts) == "" && holds(o, besides) == "" {
		e.kind, e.prompt, e.replies = plain, texts[0], texts[1:]
		e.split = o.Value("prompt") != nil
		for i, reply := range e.replies {
			if reply == "" {
				return e, fmt.Errorf("%s: empty, wanted text", [2]string{"chosen", "rejected"}[i])
			}
		}
		return e, nil
	}
	r := o.Row()
	switch {
	case r.Err != nil:
		return e, r.Err
	case len(r.Chosen) != 1 || len(r.Rejected) != 1:
		return e, fmt.Errorf("%d chosen and %d rejected replies, wanted one of each", len(r.Chosen), len(r.Rejected))
	}
	e.kind, e.split, e.messages, e.replies = chat, true, r.Messages, []string{r.Chosen[0], r.Rejected[0]}
	return e, nil
}

func marginOf(raw json.RawMessage) (*float64, error) {
	if raw == nil {
		return nil, nil
	}
	x, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return nil, fmt.Errorf("margin: %.40s, wanted a number", raw)
	}
	return &x, nil
}

// idsPair reads a pair of token ids.
func idsPair(o preference.Object, task Task, names [2]string) (e example, err error) {
	e.kind = ids
	if task == Reward {
		if e.margin, err = marginOf(o.Value("margin")); err != nil {
			return e, err
		}
	}
	var prompt []int32
	switch raw := o.Value("prompt_ids"); {
	case task == Reward && raw != nil:
		return e, fmt.Errorf("prompt_ids beside %s, wanted whole texts for reward", names[0])
	case task == DPO && raw == nil:
		return e, fmt.Errorf("%s without prompt_ids, wanted the prompt's ids and those of the replies", names[0])
	case raw != nil:
		if prompt, err = idsOf("prompt_ids", raw); err != nil {
			return e, err
		}
	}
	for _, name := range names {
		reply, err := idsOf(name, o.Value(name))
		if err != nil {
			return e, err
		}
		e.texts = append(e.texts, text{ids: slices.Concat(prompt, reply), from: len(prompt)})
	}
	return e, nil
}

// idsOf reads token ids.
func idsOf(name string, raw json.RawMessage) (list []int32, err error) {
	if raw == nil {
		return nil, fmt.Errorf("no %q, wanted token ids", name)
	}
	if list, err = integers(raw); err != nil {
		return nil, fmt.Errorf("%s: wanted a list of token ids, whole numbers from 0 to %d", name, math.MaxInt32)
	}
	for _, id := range list {
		if id < 0 {
			return nil, fmt.Errorf("%s: id %d, wanted whole numbers from 0 to %d", name, id, math.MaxInt32)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: empty, wanted token ids", name)
	}
	return list, nil
}

// integers reads a list of whole numbers. encoding/json alone would read null as 0.
func integers(raw json.RawMessage) ([]int32, error) {
	var list []*int32
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	numbers := make([]int32, len(list))
	for i, n := range list {
		if n == nil {
			return nil, errors.New("null")
		}
		numbers[i] = *n
	}
	return numbers, nil
}

// single reads a row of sft or lm.
func single(o preference.Object) (e example, err error) {
	if name := holds(o, besides); name != "" {
		return e, fmt.Errorf("%s: not read, and a text without it is another one, wanted none", name)
	}
	var forms []string
	for _, name := range []string{"input_ids", "text", "messages", "conversations", "completion"} {
		if o.Value(name) != nil {
			forms = append(forms, name)
		}
	}
	switch {
	case len(forms) == 0:
		return e, fmt.Errorf("no text, messages, prompt with completion, or input_ids, found %s", o.Found())
	case len(forms) > 1:
		return e, fmt.Errorf("%s, wanted one of them", strings.Join(forms, " and "))
	}
	raw := o.Value(forms[0])
	prompt := o.Value("prompt")
	if forms[0] != "completion" && prompt != nil && forms[0] != "messages" { // of ultrachat beside messages, which hold it
		return e, fmt.Errorf("%s beside prompt, wanted prompt and completion, or %s alone", forms[0], forms[0])
	}
	switch forms[0] {
	case "input_ids":
		return idsText(o, raw)
	case "text":
		reply, ok, err := strictjson.String(raw)
		switch {
		case err != nil:
			return e, fmt.Errorf("text: %w", err)
		case !ok || reply == "":
			return e, errors.New("text: empty or no text, wanted text")
		}
		e.kind, e.replies = plain, []string{reply}
		return e, nil
	case "completion":
		return completion(prompt, raw)
	}
	messages, err := preference.Messages(raw, forms[0])
	if err != nil {
		return e, err
	}
	return answered(messages, forms[0])
}

// completion reads a prompt and what follows it.
func completion(prompt, raw json.RawMessage) (e example, err error) {
	if prompt == nil {
		return e, errors.New("completion without prompt, wanted both, or text")
	}
	before, promptText, err1 := strictjson.String(prompt)
	reply, replyText, err2 := strictjson.String(raw)
	switch {
	case err1 != nil:
		return e, fmt.Errorf("prompt: %w", err1)
	case err2 != nil:
		return e, fmt.Errorf("completion: %w", err2)
	case promptText != replyText:
		return e, errors.New("prompt and completion: one is text and one is not, wanted texts, or messages")
	case promptText && reply == "":
		return e, errors.New("completion: empty, wanted text")
	case promptText:
		return example{kind: plain, split: true, prompt: before, replies: []string{reply}}, nil
	}
	messages, err := preference.Messages(prompt, "prompt")
	if err != nil {
		return e, err
	}
	n := len(messages)
	more, err := preference.Messages(raw, "completion")
	if err != nil {
		return e, err
	}
	if n == 0 || len(more) == 0 {
		return e, errors.New("prompt and completion: no messages, wanted at least one in each")
	}
	if e, err = answered(append(messages, more...), "completion"); err != nil {
		return e, err
	}
	if e.split = true; len(more) > 1 {
		return e, fmt.Errorf("completion: %d messages, wanted the assistant's alone", len(more))
	}
	return e, nil
}

// answered makes a row of messages that end with the assistant's.
func answered(messages []tokenize.Message, name string) (e example, err error) {
	n := len(messages)
	if n < 2 {
		return e, fmt.Errorf("%s: %d messages, wanted a conversation that ends with the assistant's", name, n)
	}
	last := messages[n-1]
	switch {
	case last.Role != "assistant":
		return e, fmt.Errorf("%s: the last message is of the %s, wanted the assistant's", name, last.Role)
	case last.Content == "":
		return e, fmt.Errorf("%s: the assistant's last message is empty, wanted text", name)
	case len(last.Extra) > 0:
		return e, fmt.Errorf("%s: the assistant's last message has %q beside its text, wanted role and content alone", name, last.Extra[0].Name)
	}
	return example{kind: chat, messages: messages[: n-1 : n-1], replies: []string{last.Content}}, nil
}

// idsText reads a text of token ids, of which the first are not trained if completion_mask or
// labels say so.
func idsText(o preference.Object, raw json.RawMessage) (e example, err error) {
	e.kind = ids
	t := text{}
	if t.ids, err = idsOf("input_ids", raw); err != nil {
		return e, err
	}
	mask, labels := o.Value("completion_mask"), o.Value("labels")
	if mask != nil && labels != nil {
		return e, errors.New("completion_mask and labels, wanted one of them")
	}
	if mask == nil && labels == nil {
		e.texts = []text{t}
		return e, nil
	}
	e.split = true
	name, not := "completion_mask", int32(0)
	if labels != nil {
		name, not, mask = "labels", -100, labels
	}
	marks, err := integers(mask)
	if err != nil || len(marks) != len(t.ids) {
		return e, fmt.Errorf("%s: wanted as many whole numbers as input_ids, %d", name, len(t.ids))
	}
	for t.from < len(marks) && marks[t.from] == not {
		t.from++
	}
	for i := t.from; i < len(marks); i++ {
		if want := t.ids[i]; name == "labels" && marks[i] != want || labels == nil && marks[i] != 1 {
			return e, fmt.Errorf("%s: %d at token %d, wanted tokens that are not trained before those that are, and these as they are", name, marks[i], i)
		}
	}
	e.texts = []text{t}
	return e, nil
}
