package tokenize

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// BOS says whether a text begins with the BOS token.
type BOS int

const (
	// BOSAuto follows transformers: raw text begins as tokenizer(text) begins it, and a chat
	// is exactly what its template writes.
	BOSAuto BOS = iota
	// BOSAdd adds the BOS to raw text, and to a chat whose template does not begin with it.
	BOSAdd
	// BOSNone adds no BOS. One that a chat template writes stays.
	BOSNone
	// BOSExtra puts what BOSAuto puts before raw text before a chat, which then begins with
	// two BOS if its template writes one: tokenizer(text) in transformers, where text is
	// apply_chat_template's. Some reward models are trained on that. Raw text has no extra BOS.
	BOSExtra
)

var namesOfBOS = [...]string{"auto", "add", "none", "extra"}

// String returns "auto", "add", "none" or "extra".
func (b BOS) String() string {
	if b < 0 || int(b) >= len(namesOfBOS) {
		return fmt.Sprintf("BOS(%d)", int(b))
	}
	return namesOfBOS[b]
}

// ParseBOS parses what String returns.
func ParseBOS(s string) (BOS, error) {
	if i := slices.Index(namesOfBOS[:], s); i >= 0 {
		return BOS(i), nil
	}
	return 0, fmt.Errorf("tokenize: BOS %q, wanted auto, add, none or extra", s)
}

// ErrBOS is the error of raw text with BOSAuto if versions of transformers disagree; choose
// BOSAdd or BOSNone.
var ErrBOS = errors.New("it is not sure whether a text begins with a BOS")

// BOS returns the id that BOSAuto puts before raw text. ok is false for a model without one:
// the first token of its texts has no log-probability, as nothing predicts it.
func (t *Tokenizer) BOS() (id int32, ok bool) {
	if len(t.prefix) == 0 {
		return 0, false
	}
	return t.prefix[0], true
}

// front are the tokens before a text.
type front struct {
	ids []int32
	bos bool // a model that has a BOS must find it in front, these tokens included
	own bool // the text may begin with its own BOS, after these tokens
	// ended: the text ends with an EOS, which can be the BOS too; no token need stand before
	// the reply.
	ended bool
}

// rawFront returns what stands before a raw text.
func (t *Tokenizer) rawFront(bos BOS) (front, error) {
	ids, err := t.frontIDs(bos)
	return front{ids: ids, bos: bos != BOSNone}, err
}

// chatFront returns what stands before a chat as its template renders it.
func (t *Tokenizer) chatFront(rendered string, bos BOS) (front, error) {
	switch bos {
	case BOSAdd:
		ids, err := t.frontIDs(BOSAdd)
		if err == nil && strings.HasPrefix(rendered, t.name(ids[0])) {
			ids = nil
		}
		return front{ids: ids, bos: true}, err
	case BOSExtra:
		ids, err := t.frontIDs(BOSAuto)
		return front{ids: ids, own: true}, err
	}
	return front{}, nil
}

// frontIDs returns the tokens before a raw text.
func (t *Tokenizer) frontIDs(bos BOS) ([]int32, error) {
	switch {
	case bos == BOSExtra:
		return nil, errors.New("BOS extra, which is a chat's, wanted auto, add or none for raw text")
	case bos < BOSAuto || bos > BOSExtra:
		return nil, fmt.Errorf("%v, wanted BOSAuto, BOSAdd or BOSNone", bos)
	case bos == BOSNone:
		return nil, nil
	case bos == BOSAuto && t.noBOS != nil:
		return nil, t.noBOS
	case bos == BOSAuto || len(t.prefix) > 0:
		return t.prefix, nil
	}
	name := t.config.named["bos_token"]
	for _, token := range t.tokens {
		if name != "" && token.Name == name {
			return []int32{token.ID}, nil
		}
	}
	return nil, errors.New("no BOS to add: the checkpoint names no bos_token")
}

// setPrefix decides the BOS; see "BOS" in the package documentation.
func (t *Tokenizer) setPrefix(s *spec) error {
	before, after, err := s.prefix()
	if err != nil {
		return err
	}
	for _, id := range append(slices.Clone(before), after...) {
		if _, ok := t.index[id]; !ok {
			return fmt.Errorf("post_processor: id %d, wanted one of the vocabulary", id)
		}
	}
	t.prefix = before
	if len(after) > 0 {
		t.doubts = append(t.doubts, fmt.Errorf("tokenize: the post-processor ends a text with %s: left out, a reply ends where its text ends", t.names(after)))
	}
	c := t.config
	bos := c.named["bos_token"]
	switch wanted, asked := c.wantsBOS(); {
	case bos != "" && asked && wanted && len(before) == 0:
		t.noBOS = fmt.Errorf("%w: transformers 4 puts %q there, as tokenizer_config.json asks for it (tokenizer_class, add_bos_token), and transformers 5 does not, as the post_processor of tokenizer.json adds none", ErrBOS, bos)
	case asked && !wanted && len(before) > 0:
		t.noBOS = fmt.Errorf("%w: transformers 4 puts none there, as tokenizer_config.json asks for none (tokenizer_class, add_bos_token), and transformers 5 does mostly, as the post_processor of tokenizer.json adds %s", ErrBOS, t.names(before))
	case len(before) > 0 && bos != "" && bos != t.name(before[0]):
		t.doubts = append(t.doubts, fmt.Errorf("tokenize: bos_token is %q, but the post_processor of tokenizer.json adds %s", bos, t.names(before)))
	case c.addBOS != nil && *c.addBOS != (len(before) > 0) && bos != "":
		t.doubts = append(t.doubts, fmt.Errorf("tokenize: tokenizer_config.json has add_bos_token %v, but the post_processor of tokenizer.json decides, as in transformers: %d tokens before a text", *c.addBOS, len(before)))
	}
	return nil
}

// wantsBOS returns what tokenizer_config.json makes transformers 4 do; asked is false if it
// leaves the BOS to tokenizer.json, as transformers 5 always does. The classes were
// determined with transformers 4.57.3. Without a class the model's type decides, which is
// unknown here: then add_bos_token may count.
func (c *config) wantsBOS() (wanted, asked bool) {
	class := strings.TrimSuffix(c.class, "Fast")
	switch class {
	case "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer":
		wanted, asked = true, true
	case "GPTNeoXTokenizer":
		asked = true
	case "":
		asked = c.addBOS != nil
	}
	if c.addBOS != nil {
		wanted = *c.addBOS
	}
	return wanted, asked && !c.v5
}

// checkBOS checks that a model with a BOS reads exactly one, in front; without must, at most
// one. If only the chat template writes bos_token, the text may contain it again (it often
// ends texts too), but not twice in front.
func (t *Tokenizer) checkBOS(ids []int32, must bool) error {
	bos, ok := t.BOS()
	if !ok {
		if len(ids) > 1 && ids[0] == ids[1] && t.name(ids[0]) == t.config.named["bos_token"] {
			return fmt.Errorf("the text begins with two BOS tokens %s (id %d)", t.names(ids[:1]), ids[0])
		}
		return nil
	}
	n := 0
	for _, id := range ids {
		if id == bos {
			n++
		}
	}
	switch {
	case n > 1:
		return fmt.Errorf("%d BOS tokens %s (id %d), wanted one: the text spells it out", n, t.names(t.prefix[:1]), bos)
	case n == 1 && ids[0] != bos, n == 0 && must:
		return fmt.Errorf("the first token is not the BOS %s (id %d)", t.names(t.prefix[:1]), bos)
	}
	return nil
}
