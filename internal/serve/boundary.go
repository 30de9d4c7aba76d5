package serve

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/tokenize"
)

// replyOf returns what a trainer's query holds after its prompt. OpenRLHF's query is the
// tokens of both, decoded: mostly it begins with the prompt to the byte, but a decoder may
// have dropped spaces before punctuation (transformers' clean_up_tokenization_spaces), put or
// dropped some beside special tokens (Llama 2, Mistral, Phi 3), written the BOS in front, or
// show what a tokenizer's normalizer made of the prompt (Qwen 2: NFC). So both are compared
// without their white space, first the prompt as it was sent and then as the tokenizers give
// it back. The white space where the reply begins decides what is the reply's: if it is
// neither the prompt's own nor missing, nobody can tell, and that is an error.
func replyOf(query, prompt string, tokenizers ...*tokenize.Tokenizer) (string, error) {
	if reply, ok := strings.CutPrefix(query, prompt); ok {
		return reply, nil
	}
	prompts := []string{prompt}
	for _, t := range tokenizers {
		if t == nil {
			continue
		}
		if ids, _, err := t.Encode(prompt); err == nil {
			prompts = append(prompts, t.Decode(ids...))
		}
		if bos, ok := t.SpecialToken("bos_token"); ok && bos != "" && !strings.HasPrefix(prompt, bos) {
			query = strings.TrimPrefix(query, bos)
		}
	}
	err := errNoPrompt
	for _, p := range prompts {
		reply, e := afterPrompt(query, p)
		if e == nil {
			return reply, nil
		}
		if e != errNoPrompt {
			err = e
		}
	}
	return "", err
}

var (
	errNoPrompt = errors.New("it does not begin with its prompt, even without regard to spaces: was it cut?")
	errBoundary = errors.New("it is not sure where its reply begins: the white space there is not that of the prompt")
)

// afterPrompt is replyOf for a prompt that differs in its white space at most.
func afterPrompt(query, prompt string) (string, error) {
	body := strings.TrimRightFunc(prompt, unicode.IsSpace)
	rest := query
	for _, want := range body {
		if unicode.IsSpace(want) {
			continue
		}
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		r, n := utf8.DecodeRuneInString(rest)
		if n == 0 || r != want {
			return "", errNoPrompt
		}
		rest = rest[n:]
	}
	end := prompt[len(body):]
	if reply, ok := strings.CutPrefix(rest, end); ok {
		return reply, nil
	}
	if rest == strings.TrimLeftFunc(rest, unicode.IsSpace) { // dropped, before punctuation or after a special token
		return rest, nil
	}
	return "", errBoundary
}
