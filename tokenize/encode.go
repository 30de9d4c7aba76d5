package tokenize

import "fmt"

// Encode returns the ids of a text, without a BOS, and the byte span that each covers, as
// transformers' tokenizer(s, add_special_tokens=False) does. Special tokens spelled out in
// the text become those tokens; an empty text has no ids. For a model's input use Raw and
// Chat, which add the BOS and refuse what the model was never trained on.
//
// It is an error if the text is not UTF-8 or contains a NUL byte.
func (t *Tokenizer) Encode(s string) (ids []int32, spans [][2]int, err error) {
	if err := valid("text", s); err != nil {
		return nil, nil, fmt.Errorf("tokenize: %w", err)
	}
	if ids, spans, err = t.encode(s); err != nil {
		return nil, nil, fmt.Errorf("tokenize: %w", err)
	}
	cover(spans, len(s))
	return ids, spans, nil
}

// SpecialToken returns the token that the checkpoint's files assign to a name such as
// "eos_token" or "pad_token", as in the vocabulary; ok is false if there is none.
func (t *Tokenizer) SpecialToken(name string) (token string, ok bool) {
	token, ok = t.config.named[name]
	return token, ok
}

// Template returns the source of the checkpoint's chat template, or "".
func (t *Tokenizer) Template() string {
	text, _ := t.TemplateNamed("default")
	return text
}

// TemplateNamed returns one of the checkpoint's chat templates by name, for
// ChatOptions.Template. Template returns the one named "default".
func (t *Tokenizer) TemplateNamed(name string) (text string, ok bool) {
	for _, c := range t.config.templates {
		if c.Name == name {
			return c.Template, true
		}
	}
	return "", false
}

// TemplateNames returns the names of the checkpoint's chat templates, in file order.
func (t *Tokenizer) TemplateNames() []string {
	names := []string{}
	for _, c := range t.config.templates {
		names = append(names, c.Name)
	}
	return names
}
