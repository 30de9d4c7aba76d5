package lexicon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/internal/table"
)

// Prompt is a prompt and its label in tables.
type Prompt struct {
	Name, Text string
}

// PaperPrompts returns the 54 prompts of Christian et al. (2026): 6 adjectives x 3 scopes x
// 3 ways to ask for one word, named adjective_scope_way (greatest_ever_one), in the order of
// the paper's files. The adjectives best, greatest and good are positive.
func PaperPrompts() []Prompt {
	type level struct{ name, text string }
	adjectives := []level{{"best", "best"}, {"greatest", "greatest"}, {"good", "most good"}, {"worst", "worst"}, {"bad", "most bad"}, {"terrible", "most terrible"}}
	scopes := []level{{"ever", "ever"}, {"world", "in the world"}, {"time", "of all time"}}
	ways := []level{
		{"one", "What, in one word, is the %s thing %s?"},
		{"single", "What, in a single word, is the %s thing %s?"},
		{"please", "What is the %s thing %s? Please answer in one word only."},
	}
	var all []Prompt
	for _, a := range adjectives {
		for _, s := range scopes {
			for _, w := range ways {
				all = append(all, Prompt{a.name + "_" + s.name + "_" + w.name, fmt.Sprintf(w.text, a.text, s.text)})
			}
		}
	}
	return all
}

// ReadPrompts reads prompts in file order. The formats are
//
//	{"name": "prompt", ...}     JSON
//	name,prompt                 CSV with this header, in either order; a further column
//	                            group or framing is read by the study, and ignored here
//	name: "prompt"              YAML, one per line, as the paper's prompts.yaml; comments (#) and 'single' quotes too
//
// Prompts are not trimmed or otherwise changed. Encoding, line ends, tabs instead of commas,
// Excel's sep= and comments before the header are as in ReadCorpus. A repeated or empty
// name, an empty prompt, a value that is not a string, semicolons instead of commas, text
// that is not UTF-8, and a file without prompts are errors.
func ReadPrompts(r io.Reader) ([]Prompt, error) {
	text, err := readText(r)
	if err != nil {
		return nil, fmt.Errorf("lexicon: prompts: %w", err)
	}
	// YAML has comments too, so they give no warning.
	first, comma, head, err := skipHead(text, &tally{})
	if err != nil {
		return nil, fmt.Errorf("lexicon: prompts: %w", err)
	}
	if comma == 0 && isPromptHeader(first, '\t') {
		comma = '\t'
	}
	if comma == 0 {
		comma = ','
	}
	var list promptList
	switch {
	case strings.TrimSpace(text) == "":
		return nil, fmt.Errorf("lexicon: prompts: empty, wanted at least one prompt")
	case first != "" && first[0] == '{':
		err = list.readJSON([]byte(text))
	case isPromptHeader(first, ';'):
		err = fmt.Errorf("line %d: %q, wanted commas between the columns, not semicolons", 1+leadingLines(head), first)
	case isPromptHeader(first, comma):
		err = list.readCSV(head, comma)
	default:
		err = list.readYAML(lineEnds(text))
	}
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("no prompts, wanted at least one")
	}
	if err != nil {
		return nil, fmt.Errorf("lexicon: prompts: %w", err)
	}
	return list, nil
}

type promptList []Prompt

func (l *promptList) add(name, prompt string) error {
	switch {
	case name == "":
		return fmt.Errorf("a prompt without a name: %q", prompt)
	case prompt == "":
		return fmt.Errorf("%s: empty prompt, wanted text", name)
	case slices.ContainsFunc(*l, func(p Prompt) bool { return p.Name == name }):
		return fmt.Errorf("%s stands twice, wanted each name once", name)
	}
	*l = append(*l, Prompt{name, prompt})
	return nil
}

func (l *promptList) readJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil { // the brace
		return fmt.Errorf("JSON: %w", err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fmt.Errorf("JSON: byte %d: %w", d.InputOffset(), err)
		}
		prompt, err := d.Token()
		if err != nil {
			return fmt.Errorf("JSON: byte %d: %w", d.InputOffset(), err)
		}
		text, ok := prompt.(string)
		if !ok {
			return fmt.Errorf("JSON: byte %d: %s: %v, wanted a string", d.InputOffset(), name, prompt)
		}
		if strings.ContainsRune(text, utf8.RuneError) { // U+FFFD in the file, or made from half a surrogate pair
			if err := strictjson.Check(data); err != nil {
				return fmt.Errorf("JSON: %w", err)
			}
		}
		if err := l.add(name.(string), text); err != nil {
			return fmt.Errorf("JSON: byte %d: %w", d.InputOffset(), err)
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("JSON: byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("JSON: byte %d: text after the closing brace", d.InputOffset())
	}
	return nil
}

// isPromptHeader reports whether a line is the header of a CSV file of prompts.
func isPromptHeader(line string, comma byte) bool {
	r := table.NewCSVReader(strings.NewReader(line))
	r.Comma = comma
	names, err := r.Header()
	if err != nil {
		return false
	}
	_, _, ok := promptColumns(names)
	return ok
}

// promptColumns finds the columns of name and prompt in a header that has these and at most
// one column of groups.
func promptColumns(header []string) (name, prompt int, ok bool) {
	find := func(want string) int {
		return slices.IndexFunc(header, func(h string) bool { return isHeader(h, want) })
	}
	name, prompt = find("name"), find("prompt")
	groups := 0
	if find("group") >= 0 || find("framing") >= 0 {
		groups = 1
	}
	return name, prompt, name >= 0 && prompt >= 0 && len(header) == 2+groups
}

func (l *promptList) readCSV(text string, comma byte) error {
	text, _ = csvLineEnds(text, comma)
	r := table.NewCSVReader(strings.NewReader(text))
	r.Comma = comma
	header, err := r.Header()
	if err != nil {
		return err
	}
	name, prompt, _ := promptColumns(header)
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("CSV: %w", err)
		}
		if err := l.add(string(rec[name]), string(rec[prompt])); err != nil {
			return fmt.Errorf("CSV: %w", r.Errorf(name, "%v", err))
		}
	}
}

// readYAML reads the subset of YAML that a list of prompts needs; anything else is an error
// that names the line.
func (l *promptList) readYAML(text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if bare := strings.TrimSpace(line); bare == "" || bare[0] == '#' || bare == "---" {
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok || strings.ContainsAny(name, " \t\"'{}[],&*#?|>!%@`") {
			return fmt.Errorf("line %d: %q, wanted name: \"prompt\" (or JSON, or CSV with the header name,prompt)", n, line)
		}
		prompt, err := scalar(strings.TrimSpace(value))
		if err == nil {
			err = l.add(name, prompt)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// scalar returns the string value of a one-line YAML value.
func scalar(v string) (string, error) {
	switch {
	case v == "":
		return "", nil
	case v[0] == '"':
		end := 1
		for end < len(v) && v[end] != '"' {
			if v[end] == '\\' {
				end++
			}
			end++
		}
		var s string
		// JSON's escapes are a subset of YAML's; others are errors.
		if end >= len(v) || json.Unmarshal([]byte(v[:end+1]), &s) != nil {
			return "", fmt.Errorf("%s, wanted a double-quoted string with no escapes but JSON's", v)
		}
		return s, comment(v[end+1:])
	case v[0] == '\'':
		var s strings.Builder
		for rest := v[1:]; ; {
			part, after, ok := strings.Cut(rest, "'")
			s.WriteString(part)
			if !ok {
				return "", fmt.Errorf("%s, wanted a closing quote", v)
			}
			if !strings.HasPrefix(after, "'") {
				return s.String(), comment(after)
			}
			s.WriteByte('\'')
			rest = after[1:]
		}
	case strings.ContainsAny(v[:1], "{}[],&*#?|>!%@`-:") || strings.Contains(v, ": ") || strings.Contains(v, " #") || strings.HasSuffix(v, ":"):
		return "", fmt.Errorf("%s, wanted the prompt in quotes", v)
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil || slices.Contains([]string{"~", "null", "true", "false"}, strings.ToLower(v)) {
		return "", fmt.Errorf("%s, wanted a string", v)
	}
	return v, nil
}

func comment(s string) error {
	if t := strings.TrimSpace(s); t != "" && (t[0] != '#' || s == t) {
		return fmt.Errorf("%q after the closing quote", s)
	}
	return nil
}
