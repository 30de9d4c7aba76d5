package tokenize

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/internal/jinja"
)

// Tokenizer turns text into the token ids of one checkpoint, and back. Its methods may be
// called by several goroutines at once. It remembers about 16 MB of what it rendered and
// encoded lately, so that of many replies to one prompt each costs little.
type Tokenizer struct {
	mu      sync.RWMutex // held for reading while the encoder works
	encoder *encoder     // nil when closed
	tokens  []Token      // in id order, without Text
	index   map[int32]int
	added   map[int32]bool // ids of added tokens
	rstrip  map[int32]bool // ids of those that absorb the white space after them
	marks   map[int32]bool // ids of special tokens
	special *matcher
	decoder *decoder
	config  *config
	prefix  []int32 // tokens before a raw text: BOS
	noBOS   error   // why it is uncertain whether a BOS precedes raw text
	chat    *jinja.Template
	chatErr error // why there is no chat template
	hash    string
	doubts  []error

	pieces    pieces
	rendered  recent[rendering, string]
	templates recent[string, *jinja.Template] // of ChatOptions
}

// Load reads the tokenizer of the checkpoint in dir: tokenizer.json and, if they exist,
// tokenizer_config.json, chat_template.jinja, special_tokens_map.json and added_tokens.json.
// The error names the file and what in it is missing or not supported. A chat template that
// cannot be parsed is an error of Chat and Render only.
//
// Close frees the tokenizer.
func Load(dir string) (*Tokenizer, error) {
	return load(dir, folder(dir))
}

// LoadFiles is Load of files by their names, such as those that are made of a GGUF file's
// metadata. name is that of the whole in errors.
func LoadFiles(name string, files map[string][]byte) (*Tokenizer, error) {
	return load(name, func(file string) ([]byte, error) {
		data, ok := files[file]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
		}
		return data, nil
	})
}

func load(name string, read reader) (*Tokenizer, error) {
	t, err := read.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", name, err)
	}
	return t, nil
}

func (read reader) tokenizer() (*Tokenizer, error) {
	data, err := read("tokenizer.json")
	if err != nil {
		return nil, err
	}
	s, err := parseSpec(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	c, err := readConfig(read)
	if err != nil {
		return nil, err
	}
	stated := len(s.AddedTokens)
	more, err := c.naming.tokens(s.AddedTokens, s.vocab)
	if err != nil {
		return nil, err
	}
	if err := s.add(more); err != nil {
		return nil, err
	}
	t := &Tokenizer{config: c}
	if err := t.setVocab(s); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if t.decoder, err = s.decoder(); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if err := t.setPrefix(s); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	t.setHash(data, s.AddedTokens[stated:])
	t.setTemplate()
	model, err := s.encoderFile()
	if err != nil {
		return nil, err
	}
	if t.encoder, err = newEncoder(model, c.splitSpecial); err != nil {
		return nil, err
	}
	if n := t.encoder.size(); n != len(t.tokens) {
		t.Close()
		return nil, fmt.Errorf("tokenizer.json: %d tokens, but the library finds %d", len(t.tokens), n)
	}
	return t, nil
}

func (t *Tokenizer) setVocab(s *spec) error {
	names := make(map[int32]string, len(s.vocab)+len(s.AddedTokens))
	for name, id := range s.vocab {
		names[id] = name
	}
	t.added, t.rstrip, t.marks = map[int32]bool{}, map[int32]bool{}, map[int32]bool{}
	var special []string
	for _, a := range s.AddedTokens {
		if a.Content == "" {
			continue
		}
		id := int32(a.ID)
		if other, ok := names[id]; ok && other != a.Content {
			return fmt.Errorf("added_tokens: id %d of both %q and %q", id, other, a.Content)
		}
		names[id] = a.Content
		t.added[id] = true
		t.rstrip[id] = a.Rstrip // the last of several entries counts
		t.marks[id] = a.Special
		if a.Special && !t.config.splitSpecial {
			special = append(special, a.Content)
		}
	}
	t.special = newMatcher(special)
	t.pieces.cuts = newCuts(s.AddedTokens, t.config.splitSpecial)
	t.tokens = make([]Token, 0, len(names))
	for id, name := range names {
		t.tokens = append(t.tokens, Token{ID: id, Name: name})
	}
	slices.SortFunc(t.tokens, func(a, b Token) int { return int(a.ID) - int(b.ID) })
	t.index = make(map[int32]int, len(t.tokens))
	for i, token := range t.tokens {
		t.index[token.ID] = i
	}
	return nil
}

func (t *Tokenizer) name(id int32) string { return t.tokens[t.index[id]].Name }

func (t *Tokenizer) names(ids []int32) string {
	var s []string
	for _, id := range ids {
		s = append(s, fmt.Sprintf("%q", t.name(id)))
	}
	return strings.Join(s, " ")
}

func (t *Tokenizer) setHash(file []byte, more []addedToken) {
	h := sha256.New()
	h.Write(file)
	if len(more) > 0 || t.config.splitSpecial {
		json.NewEncoder(h).Encode(more)
		json.NewEncoder(h).Encode(t.config.splitSpecial)
	}
	t.hash = hex.EncodeToString(h.Sum(nil))
}

func (t *Tokenizer) setTemplate() {
	if t.chatErr = t.config.noTemplate; t.chatErr != nil {
		return
	}
	if t.chat, t.chatErr = jinja.Parse(t.Template()); t.chatErr != nil {
		t.chatErr = fmt.Errorf("chat template: %w", t.chatErr)
	}
}

// Raw encodes prompt and reply as one raw text, with a BOS if the checkpoint's tokenizer
// adds one (RawBOS with BOSAuto). Special tokens spelled out in the text become those
// tokens, as in transformers, and are counted in Encoded.Special.
//
// It is an error if the text is not UTF-8 or contains a NUL byte, if it contains a second
// BOS, and if no token precedes the reply: a model without BOS needs a prompt. The error is
// ErrBOS if it is uncertain whether there is a BOS.
func (t *Tokenizer) Raw(prompt, reply string) (Encoded, error) {
	return t.RawBOS(prompt, reply, BOSAuto)
}

// RawBOS is Raw with the given choice of BOS instead of the tokenizer's.
func (t *Tokenizer) RawBOS(prompt, reply string, bos BOS) (Encoded, error) {
	if err := cmp.Or(valid("prompt", prompt), valid("reply", reply)); err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	front, err := t.rawFront(bos)
	if err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	text, err := t.text(prompt+reply, len(prompt), front)
	if err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	text.Special = t.special.count(text.Rendered)
	return text, nil
}

// Ended is RawBOS of a text that ends with the EOS, by its name in the checkpoint's files
// (eos_token), put there unless reply ends with it: TRL's text of a prompt and a reply that are
// strings. No token need stand before the reply.
func (t *Tokenizer) Ended(prompt, reply string, bos BOS) (Encoded, error) {
	if err := cmp.Or(valid("prompt", prompt), valid("reply", reply)); err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	name, ok := t.SpecialToken("eos_token")
	if !ok || name == "" {
		return Encoded{}, errors.New("tokenize: the checkpoint names no eos_token, wanted one to end a text with")
	}
	end := name
	if strings.HasSuffix(reply, name) {
		end = ""
	}
	front, err := t.rawFront(bos)
	if err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	front.ended = true
	text, err := t.text(prompt+reply+end, len(prompt), front)
	if err != nil {
		return Encoded{}, fmt.Errorf("tokenize: %w", err)
	}
	text.Special = t.special.count(prompt + strings.TrimSuffix(reply, name))
	return text, nil
}

// text encodes a text whose reply begins at byte start, with front before it.
func (t *Tokenizer) text(s string, start int, front front) (Encoded, error) {
	ids, spans, err := t.encodePieces(s, start)
	if err != nil {
		return Encoded{}, err
	}
	for i := range spans {
		// A space that begins the reply is not part of the special token before it.
		if x := &spans[i]; x[0] < start && x[1] > start && t.rstrip[ids[i]] && strings.TrimSpace(s[start:x[1]]) == "" {
			if i+1 == len(spans) {
				return Encoded{}, fmt.Errorf("the reply %q is white space that the token %s before it takes with it", s[start:], t.names(ids[i:]))
			}
			x[1], spans[i+1][0] = start, start
		}
	}
	cover(spans, len(s))
	own := ids
	if n := len(front.ids); n > 0 {
		ids = append(slices.Clone(front.ids), ids...)
		spans = append(make([][2]int, n, n+len(spans)), spans...)
	}
	text := Encoded{IDs: ids, Rendered: s, Start: start, Spans: spans}
	text.Reply, text.Straddle = boundary(spans, start)
	if !front.own {
		own = ids
	}
	if front.ended {
		return text, t.checkBOS(own[:len(own)-1], front.bos)
	}
	if err := t.checkBOS(own, front.bos); err != nil {
		return Encoded{}, err
	}
	if text.Reply == 0 {
		if text.Straddle {
			return Encoded{}, fmt.Errorf("the first token %s covers the whole prompt and the start of the reply, and the model has no BOS: no token stands before the reply", t.names(ids[:1]))
		}
		return Encoded{}, errors.New("empty prompt, and the model has no BOS: no token stands before the reply, wanted a prompt")
	}
	return text, nil
}

func (t *Tokenizer) encode(s string) ([]int32, [][2]int, error) { return t.encodePieces(s, 0) }

// valid refuses what the encoder would silently change: bytes that are not UTF-8, and NUL
// bytes. name is the name of the text s in the error.
func valid(name, s string) error {
	if at := strings.IndexByte(s, 0); at >= 0 {
		return fmt.Errorf("%s: a NUL byte at byte %d, wanted none", name, at)
	}
	if utf8.ValidString(s) {
		return nil
	}
	for at, c := range s {
		if c == utf8.RuneError && !strings.HasPrefix(s[at:], "\uFFFD") {
			return fmt.Errorf("%s: byte %#x at byte %d is not UTF-8", name, s[at], at)
		}
	}
	return nil
}

// Decode returns the text of ids, with special tokens, and with U+FFFD for bytes that are
// not UTF-8. An id outside the vocabulary yields nothing. It is transformers' decode(ids,
// skip_special_tokens=False, clean_up_tokenization_spaces=False), which for a Llama-2-like
// tokenizer drops the first space.
func (t *Tokenizer) Decode(ids ...int32) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		if i, ok := t.index[id]; ok {
			names = append(names, t.tokens[i].Name)
		}
	}
	return t.decoder.decode(names)
}

// Bytes returns the bytes that one token stands for inside a text, including parts of a
// character and a first space that Decode drops. ok is false for an id outside the
// vocabulary, and for a tokenizer that is neither byte-level nor SentencePiece with byte
// fallback.
func (t *Tokenizer) Bytes(id int32) (b []byte, ok bool) {
	i, ok := t.index[id]
	if !ok || t.decoder.bytes == nil {
		return nil, false
	}
	return t.decoder.bytes(t.tokens[i].Name, t.added[id]), true
}

// IsSpecial reports whether a token is marked as special in tokenizer.json or
// tokenizer_config.json, such as those that begin and end texts and turns. Special tokens
// are not text, whatever their names.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.marks[id] }

// Vocab yields every entry of the vocabulary in the order of ids, which may have gaps. A
// model's logits may have more rows, which are no tokens.
func (t *Tokenizer) Vocab() iter.Seq[Token] {
	return func(yield func(Token) bool) {
		for _, token := range t.tokens {
			token.Text = t.decoder.decode([]string{token.Name})
			if !yield(token) {
				return
			}
		}
	}
}

// VocabSize returns the number of tokens that Vocab yields.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Beyond returns the tokens with ids >= rows, in id order and without Text: tokens for which
// a model with so many rows has no logits. own is the number of all tokens that are not
// added ones. Published checkpoints have tokens beyond their rows (Gemma 3's text models the
// image token of the larger ones, fine-tuned ones a padding token); if own exceeds rows, the
// tokenizer is another model's.
func (t *Tokenizer) Beyond(rows int) (beyond []Token, own int) {
	for _, token := range t.tokens {
		if int(token.ID) >= rows {
			beyond = append(beyond, token)
		}
		if !t.added[token.ID] {
			own++
		}
	}
	return beyond, own
}

// Hash returns the SHA-256, in hex, of tokenizer.json and, if tokenizer_config.json adds
// tokens, of these. Checkpoints with the same hash tokenize text alike.
func (t *Tokenizer) Hash() string { return t.hash }

// Warnings returns doubts about the checkpoint's files that do not prevent its use.
func (t *Tokenizer) Warnings() []error { return slices.Clone(t.doubts) }

// Close frees the memory of the encoder, which the garbage collector does not see. Raw and
// Chat then fail; the other methods still work.
func (t *Tokenizer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.encoder == nil {
		return nil
	}
	err := t.encoder.close()
	t.encoder = nil
	return err
}
