package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/tokenize"
)

// textFlags say how texts are made of prompts and replies.
type textFlags struct {
	Date, BOS, BaseBOS, System, Template string
	Vars                                 variables
}

// register adds the flags. A program with a flag -base-as has two models, for each of which
// the BOS can be chosen.
func (t *textFlags) register(f *Flags) {
	f.StringVar(&t.BOS, "bos", "auto", "`choice` of the token that begins texts: auto, as transformers does (a chat is what its template writes); add, before every text that lacks it; none, before no text; extra, before every chat, even one whose template writes it")
	if f.Lookup("base-as") != nil {
		f.StringVar(&t.BaseBOS, "base-bos", "", "`choice` for the base model; default: as -bos")
	}
	f.StringVar(&t.System, "system", "", "`text` of a system message, which a model that reads a chat gets before the prompt")
	f.Var(&t.Vars, "var", "`name=value` of a variable of the chat template, JSON or else text, such as enable_thinking=false; repeatable")
	f.StringVar(&t.Template, "template", "", "`name` of one of the checkpoint's chat templates, or a file that holds one, instead of its default")
	f.StringVar(&t.Date, "date", "", "`date` (2006-01-02) that a chat template is given; default: the template's own fixed date")
}

// RegisterTexts adds the flags about texts alone, for a program whose other flags of models are its
// own.
func (m *ModelFlags) RegisterTexts(f *Flags) { m.register(f) }

// ChatOptions are how the flags let a model with that tokenizer read chats; their BOS is also that
// of plain text.
func (m *ModelFlags) ChatOptions(t *tokenize.Tokenizer) (*tokenize.ChatOptions, error) {
	c, err := m.check()
	if err != nil {
		return nil, err
	}
	o := c.options("")
	o.Template, err = c.template(t)
	return o, err
}

// CheckChat is a UsageError where the command line sets a flag that is about chats and none
// of the renderings is one.
func (t *textFlags) CheckChat(f *Flags, renderings ...string) error {
	if name := f.Given("system", "var", "template", "date"); name != "" && !slices.Contains(renderings, "chat") {
		return Usagef("-%s is about chats, and every prompt is read raw: wanted a rendering as chat", name)
	}
	return nil
}

// variables are the values of -var: json.RawMessage or text, by name.
type variables map[string]any

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Set adds name=value.
func (v *variables) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	switch {
	case !ok || !variableName.MatchString(name):
		return errors.New("wanted name=value, such as enable_thinking=false")
	case (*v)[name] != nil:
		return fmt.Errorf("the variable %s is set already", name)
	case *v == nil:
		*v = variables{}
	}
	(*v)[name] = value
	if json.Valid([]byte(value)) {
		(*v)[name] = json.RawMessage(strings.TrimSpace(value))
	}
	return nil
}

// String shows the variables as JSON, "" for none.
func (v *variables) String() string {
	if v == nil || len(*v) == 0 {
		return ""
	}
	b, _ := json.Marshal(*v) // strings and what was valid JSON
	return string(b)
}

// texts are the flags' values, checked.
type texts struct {
	date          time.Time
	bos, baseBOS  tokenize.BOS
	system        string
	vars          variables
	named, inFile string // template: its name, and the text if there is a file of that name
}

func (t *textFlags) check() (c texts, err error) {
	c.system, c.vars, c.named = t.System, t.Vars, t.Template
	if t.Date != "" {
		if c.date, err = time.Parse(time.DateOnly, t.Date); err != nil {
			return c, Usagef("-date %q, wanted a date such as 2024-07-26", t.Date)
		}
	}
	for _, choice := range []struct {
		flag, value, otherwise string
		to                     *tokenize.BOS
	}{{"bos", t.BOS, "auto", &c.bos}, {"base-bos", t.BaseBOS, t.BOS, &c.baseBOS}} {
		value := choice.value
		if value == "" {
			value = choice.otherwise
		}
		if value == "" {
			value = "auto"
		}
		if *choice.to, err = tokenize.ParseBOS(value); err != nil {
			return c, Usagef("-%s %q, wanted auto, add, none or extra", choice.flag, value)
		}
	}
	if t.Template != "" {
		b, err := regular.Read(t.Template, 16<<20)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c, fmt.Errorf("-template: %w", err)
		}
		c.inFile = string(b)
	}
	return c, nil
}

// options are how the flags let a model read a chat, but for the template, and the BOS of
// its raw text. flag is that of its rendering, such as "tuned-as": see Loader.Model.
func (c *texts) options(flag string) *tokenize.ChatOptions {
	o := &tokenize.ChatOptions{Date: c.date, System: c.system, Vars: c.vars, BOS: c.bos}
	if flag == "base-as" {
		o.BOS = c.baseBOS
	}
	return o
}

// template is the text of the flag's template, "" for the checkpoint's default.
func (c *texts) template(t *tokenize.Tokenizer) (string, error) {
	if c.named == "" || t == nil {
		return "", nil
	}
	if text, ok := t.TemplateNamed(c.named); ok {
		return text, nil
	}
	if c.inFile == "" {
		return "", fmt.Errorf("-template %s: no file, and no template of the checkpoint, which has %q", c.named, t.TemplateNames())
	}
	return c.inFile, nil
}

// advise adds to an error of a text what the program's flags can do about it.
func advise(err error, flag string) error {
	switch {
	case errors.Is(err, tokenize.ErrDate):
		return fmt.Errorf("%w: -date 2026-01-31 gives it that one", err)
	case errors.Is(err, tokenize.ErrTemplate):
		return fmt.Errorf("%w: -%s raw needs none, -template takes a name or a file", err, flag)
	case errors.Is(err, tokenize.ErrBOS) && flag == "base-as":
		return fmt.Errorf("%w: choose with -base-bos add or -base-bos none (-bos for both models)", err)
	case errors.Is(err, tokenize.ErrBOS):
		return fmt.Errorf("%w: choose with -bos add or -bos none", err)
	}
	return err
}

// CheckRendering is a UsageError unless as, the value of the named flag, is raw or chat.
func CheckRendering(name, as string) error {
	if as != "raw" && as != "chat" {
		return Usagef("-%s %q, wanted raw or chat", name, as)
	}
	return nil
}
