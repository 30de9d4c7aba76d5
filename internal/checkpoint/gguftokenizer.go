package checkpoint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// The types of tokens (gguf's TokenType).
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
	tokenUnused  = 5
	tokenByte    = 6
)

// ggufTokens are the named tokens of tokenizer_config.json, by the metadata's key for their ids.
var ggufTokens = map[string]string{
	"bos_token_id": "bos_token", "eos_token_id": "eos_token", "unknown_token_id": "unk_token", "padding_token_id": "pad_token",
	"separator_token_id": "sep_token", "seperator_token_id": "sep_token", "cls_token_id": "cls_token", "mask_token_id": "mask_token",
}

// Tokenizer makes tokenizer.json and tokenizer_config.json of the metadata of a GGUF file, as
// [GGUF] names it: of a byte-level BPE tokenizer (tokenizer.ggml.model gpt2) whose tokenizer.ggml.pre
// is known, of a SentencePiece one (llama) or of Gemma 4's (gemma4), with its chat templates. Another is an error. The file does not say whether added tokens
// take the white space around them or are whole words alone: neither. They are found before
// normalization, but those that users define of a SentencePiece tokenizer without a space before texts.
func Tokenizer(path string) (files map[string][]byte, err error) {
	g, w, err := openPart(path)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	t := &ggufTokenizer{gguf: g, read: map[string]bool{}, named: map[string]addedToken{}}
	if files, err = t.build(); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: its tokenizer: %w", path, err)
	}
	return files, nil
}

// GGUF returns the GGUF file that a checkpoint's name means; "" where it means none, or none that
// can be opened.
func GGUF(name string) string {
	path, err := ggufFile(name)
	if err != nil {
		return ""
	}
	return path
}

// ggufTokenizer makes files of metadata, all of whose tokenizer's keys must be read.
type ggufTokenizer struct {
	*gguf
	read  map[string]bool
	words []string // by id
	kinds []int64
	named map[string]addedToken // by id

	normalized bool // tokens that users define are found in normalized text
}

func (t *ggufTokenizer) get(key string) (any, bool) {
	t.read["tokenizer."+key] = true
	v, ok := t.metadata["tokenizer."+key]
	return v, ok
}

// text is a string; "" where the key is missing.
func (t *ggufTokenizer) text(key string) (string, error) {
	v, ok := t.get(key)
	s, text := v.(string)
	if ok && (!text || !utf8.ValidString(s)) {
		return "", fmt.Errorf("tokenizer.%s is %s, wanted a text in UTF-8", key, briefly(v))
	}
	return s, nil
}

// truth is a boolean, def where the key is missing.
func (t *ggufTokenizer) truth(key string, def bool) (bool, error) {
	v, ok := t.get(key)
	b, is := v.(bool)
	switch {
	case !ok:
		return def, nil
	case !is:
		return false, fmt.Errorf("tokenizer.%s is %s, wanted true or false", key, briefly(v))
	}
	return b, nil
}

// texts is a list of strings.
func (t *ggufTokenizer) texts(key string) ([]string, error) {
	t.get(key)
	a, ok := t.arrays["tokenizer."+key]
	if !ok || a.of != ggufString {
		return nil, fmt.Errorf("tokenizer.%s is %s, wanted a list of texts", key, briefly(t.metadata["tokenizer."+key]))
	}
	r := &ggufReader{data: a.data}
	var all []string
	for r.at < len(a.data) && r.err == nil {
		s := r.string()
		if !utf8.ValidString(s) {
			return nil, fmt.Errorf("tokenizer.%s: %s, wanted UTF-8", key, quote(s))
		}
		all = append(all, s)
	}
	return all, r.err
}

func (t *ggufTokenizer) build() (map[string][]byte, error) {
	model, err := t.text("ggml.model")
	if err != nil {
		return nil, err
	}
	whole, ok := map[string]func(pre string) (any, error){"gpt2": t.byteLevel, "llama": t.sentencePiece, "gemma4": t.spaced}[model]
	if !ok {
		return nil, fmt.Errorf("tokenizer.ggml.model %s, wanted gpt2, byte-level BPE, llama, SentencePiece, or gemma4", quote(model))
	}
	pre, err := t.text("ggml.pre")
	if err != nil {
		return nil, err
	}
	last := int64(tokenUnused)
	if model != "gpt2" {
		last = tokenByte
	}
	if err := t.vocabulary(last); err != nil {
		return nil, err
	}
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	tokenizer, err := whole(pre)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"ggml.remove_extra_whitespaces", "ggml.add_sep_token", "ggml.normalizer.lowercase"} {
		if on, err := t.truth(key, false); err != nil || on {
			return nil, fmt.Errorf("tokenizer.%s is %s, wanted false", key, briefly(t.metadata["tokenizer."+key]))
		}
	}
	if err := t.leftover(); err != nil {
		return nil, err
	}
	config["added_tokens_decoder"] = t.named
	files := map[string][]byte{}
	for name, value := range map[string]any{"tokenizer.json": tokenizer, "tokenizer_config.json": config} {
		if files[name], err = strictjson.Marshal(value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

// vocabulary reads the tokens and their types, of which last is the last.
func (t *ggufTokenizer) vocabulary(last int64) (err error) {
	if t.words, err = t.texts("ggml.tokens"); err != nil {
		return err
	}
	t.get("ggml.token_type")
	a := t.arrays["tokenizer.ggml.token_type"]
	if a.of != 4 && a.of != 5 || len(a.data) != 4*len(t.words) {
		return fmt.Errorf("tokenizer.ggml.token_type is %s, wanted a whole number for each of %d tokens", briefly(t.metadata["tokenizer.ggml.token_type"]), len(t.words))
	}
	r := &ggufReader{data: a.data}
	ids := map[string]int{}
	for id, word := range t.words {
		kind := int64(r.uint(4))
		t.kinds = append(t.kinds, kind)
		if kind < tokenNormal || kind > last {
			return fmt.Errorf("tokenizer.ggml.token_type: token %d, %s, of type %d, wanted 1 to %d", id, quote(word), kind, last)
		}
		if kind == tokenUnused { // ids of the model without a token
			continue
		}
		if other, ok := ids[word]; ok || word == "" {
			return fmt.Errorf("tokenizer.ggml.tokens: token %d is %s, as token %d is", id, quote(word), other)
		}
		ids[word] = id
	}
	return nil
}

// added is an entry of added_tokens, and without the id of added_tokens_decoder.
type added struct {
	ID int `json:"id"`
	addedToken
}

type addedToken struct {
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Lstrip     bool   `json:"lstrip"`
	Rstrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// byteLevel is tokenizer.json of byte-level BPE, split as tokenizer.ggml.pre says.
func (t *ggufTokenizer) byteLevel(name string) (any, error) {
	pre, ok := preTokenizers[name]
	if !ok {
		return nil, fmt.Errorf("tokenizer.ggml.pre %s, wanted one of %s", quote(name), strings.Join(sortedKeys(preTokenizers), ", "))
	}
	if on, err := t.truth("ggml.add_space_prefix", false); err != nil || on {
		return nil, fmt.Errorf("tokenizer.ggml.add_space_prefix is %s, wanted false", briefly(t.metadata["tokenizer.ggml.add_space_prefix"]))
	}
	merges, err := t.pairs()
	if err != nil {
		return nil, err
	}
	return t.whole(pre.normalizer, pre.split, byteDecoder, pre.bos, map[string]any{"unk_token": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": pre.ignoreMerges, "merges": merges})
}

// pairs are the merges, the best first.
func (t *ggufTokenizer) pairs() ([][2]string, error) {
	lines, err := t.texts("ggml.merges")
	if err != nil {
		return nil, err
	}
	merges := make([][2]string, len(lines))
	for i, line := range lines {
		first, second, ok := strings.Cut(line, " ")
		if !ok || first == "" || second == "" || strings.Contains(second, " ") {
			return nil, fmt.Errorf("tokenizer.ggml.merges: %s, wanted two parts and a space between them", quote(line))
		}
		merges[i] = [2]string{first, second}
	}
	return merges, nil
}

// Spaces are written as U+2581, and read again, bytes together.
const (
	spacesMarked = `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	marksDecoded = `{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
)

// spaced is tokenizer.json of Gemma 4's BPE, whose tokens have U+2581 for spaces, and bytes for what there is no token for.
func (t *ggufTokenizer) spaced(pre string) (any, error) {
	if pre != "" && pre != "default" && pre != "gemma4" {
		return nil, fmt.Errorf("tokenizer.ggml.pre %s, wanted gemma4", quote(pre))
	}
	if on, err := t.truth("ggml.add_space_prefix", false); err != nil || on {
		return nil, fmt.Errorf("tokenizer.ggml.add_space_prefix is %s, wanted false", briefly(t.metadata["tokenizer.ggml.add_space_prefix"]))
	}
	if _, err := t.bytes(); err != nil {
		return nil, err
	}
	unknown, err := t.unknown()
	if err != nil {
		return nil, err
	}
	merges, err := t.pairs()
	if err != nil {
		return nil, err
	}
	return t.whole(spacesMarked, "", `{"type":"Sequence","decoders":[`+marksDecoded+`]}`, true,
		map[string]any{"unk_token": unknown, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "merges": merges})
}

// whole is tokenizer.json: model has what there is of its model beside the vocabulary; bos says
// whether a text begins with BOS where the file does not say.
func (t *ggufTokenizer) whole(normalizer, split, decoder string, bos bool, model map[string]any) (any, error) {
	vocab, tokens := map[string]int{}, []added{}
	for id, word := range t.words {
		kind := t.kinds[id]
		if kind != tokenUnused {
			vocab[word] = id
		}
		if kind == tokenControl || kind == tokenUser || kind == tokenUnknown {
			tokens = append(tokens, added{id, addedToken{Content: word, Normalized: t.normalized && kind == tokenUser, Special: kind != tokenUser}})
			t.named[strconv.Itoa(id)] = tokens[len(tokens)-1].addedToken
		}
	}
	processor, err := t.processor(bos)
	if err != nil {
		return nil, err
	}
	raw := func(s string) any {
		if s == "" {
			return nil
		}
		return json.RawMessage(s)
	}
	model["type"], model["vocab"] = "BPE", vocab
	for _, key := range []string{"dropout", "continuing_subword_prefix", "end_of_word_suffix"} {
		model[key] = nil
	}
	return map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": tokens,
		"normalizer": raw(normalizer), "pre_tokenizer": raw(split), "post_processor": processor, "decoder": raw(decoder), "model": model,
	}, nil
}

// processor is the post-processor: BOS and EOS around a text, where the file asks for them.
func (t *ggufTokenizer) processor(bos bool) (any, error) {
	bos, err := t.truth("ggml.add_bos_token", bos)
	if err != nil {
		return nil, err
	}
	eos, err := t.truth("ggml.add_eos_token", false)
	if err != nil || !bos && !eos {
		return nil, err
	}
	single, special := []any{}, map[string]any{}
	put := func(key string) error {
		id, ok, err := t.id(key)
		if err == nil && !ok {
			err = fmt.Errorf("no tokenizer.ggml.%s, wanted the token that is put beside a text", key)
		}
		if err != nil {
			return err
		}
		word := t.words[id]
		single = append(single, map[string]any{"SpecialToken": map[string]any{"id": word, "type_id": 0}})
		special[word] = map[string]any{"id": word, "ids": []int{id}, "tokens": []string{word}}
		return nil
	}
	if bos {
		err = put("bos_token_id")
	}
	single = append(single, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}})
	if eos && err == nil {
		err = put("eos_token_id")
	}
	pair := append(slices.Clone(single), map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 0}})
	return map[string]any{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}, err
}

// id is that of a named token; ok is false where the file names none.
func (t *ggufTokenizer) id(key string) (id int, ok bool, err error) {
	v, ok := t.get("ggml." + key)
	if !ok {
		return 0, false, nil
	}
	x, _ := v.(float64)
	if n := int(x); x >= 0 && x < float64(len(t.words)) && x == float64(n) && v == x && t.kinds[n] != tokenUnused {
		return n, true, nil
	}
	return 0, false, fmt.Errorf("tokenizer.ggml.%s is %s, wanted one of %d tokens", key, briefly(v), len(t.words))
}

// config is tokenizer_config.json: named tokens and chat templates.
func (t *ggufTokenizer) config() (map[string]any, error) {
	config := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false}
	architecture, _ := t.metadata["general.architecture"].(string)
	if context, ok := t.metadata[architecture+".context_length"].(float64); ok {
		config["model_max_length"] = context
	}
	for _, key := range sortedKeys(ggufTokens) {
		if id, ok, err := t.id(key); err != nil {
			return nil, err
		} else if ok {
			config[ggufTokens[key]] = t.words[id]
		}
	}
	plain, err := t.text("chat_template")
	if err != nil {
		return nil, err
	}
	if _, ok := t.get("chat_templates"); !ok {
		if plain != "" {
			config["chat_template"] = plain
		}
		return config, nil
	}
	names, err := t.texts("chat_templates")
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	if plain != "" {
		all = append(all, map[string]string{"name": "default", "template": plain})
	}
	for _, name := range names {
		text, err := t.text("chat_template." + name)
		if err != nil {
			return nil, err
		}
		all = append(all, map[string]string{"name": name, "template": text})
	}
	config["chat_template"] = all
	return config, nil
}

// leftover refuses keys that nothing has read. Those of further tokens, which only say when a
// program ends a text or fills in the middle, and of scores, which BPE does not have, are passed
// over, and so is the file of another library.
func (t *ggufTokenizer) leftover() error {
	for _, key := range sortedKeys(t.metadata) {
		name, ok := strings.CutPrefix(key, "tokenizer.")
		inert := strings.HasSuffix(name, "_token_id") || strings.HasSuffix(name, "_token_ids") ||
			slices.Contains([]string{"ggml.scores", "ggml.token_type_count", "huggingface.json"}, name)
		if ok && !t.read[key] && !inert {
			return fmt.Errorf("%s=%s: not supported", quote(key), briefly(t.metadata[key]))
		}
	}
	return nil
}
