package tokenize

import "fmt"

// Encode returns the ids of a text as it stands, with no BOS before it, and the bytes of
// it that each covers. Special tokens that are spelled out in the text become those
// tokens. It is transformers' tokenizer(s, add_special_tokens=False); an empty text has
// no ids. What a model should read is made by Raw and Chat, which add the BOS and
// refuse what the model was never trained on.
//
// Encode fails when the text is not UTF-8 or holds a NUL byte.
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

// SpecialToken returns the token that the checkpoint's files give a name such as "eos_token" or
// "pad_token", as the vocabulary spells it; ok is false where they give none.
func (t *Tokenizer) SpecialToken(name string) (token string, ok bool) {
	token, ok = t.config.named[name]
	return token, ok
}

// Template returns the checkpoint's chat template as it stands in its files, "" where
// there is none.
func (t *Tokenizer) Template() string {
	text, _ := t.TemplateNamed("default")
	return text
}

// TemplateNamed returns one of the checkpoint's chat templates, for ChatOptions.Template;
// ok is false where there is none of that name. Template returns that named "default".
func (t *Tokenizer) TemplateNamed(name string) (text string, ok bool) {
	for _, c := range t.config.templates {
		if c.Name == name {
			return c.Template, true
		}
	}
	return "", false
}

// TemplateNames returns the names of the checkpoint's chat templates, in the order of its
// files.
func (t *Tokenizer) TemplateNames() []string {
	names := []string{}
	for _, c := range t.config.templates {
		names = append(names, c.Name)
	}
	return names
}
