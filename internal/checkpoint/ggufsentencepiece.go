package checkpoint

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// sentencePiece is tokenizer.json of a SentencePiece BPE tokenizer with bytes for what it has no token
// for. A file has a score for each token in place of merges, the best of which is formed first; as
// Hugging Face's converters do, every two tokens that make a token are a merge, in the order of
// its score. A text, and what follows a special token, begins with a space unless the file says
// otherwise, and each space is written as U+2581, as SentencePiece and llama.cpp do; Hugging Face's
// newer tokenizers of some models leave out the space where there is one, or after special tokens, of
// which a file says nothing. Tokens that users define are found before anything is formed, the
// longest from each place on, and are part of nothing else.
func (t *ggufTokenizer) sentencePiece(pre string) (any, error) {
	if pre != "" && pre != "default" {
		return nil, fmt.Errorf("tokenizer.ggml.pre %s, wanted default, for SentencePiece", quote(pre))
	}
	if _, ok := t.arrays["tokenizer.ggml.merges"]; ok {
		return nil, fmt.Errorf("tokenizer.ggml.merges beside tokenizer.ggml.scores, wanted scores alone, for SentencePiece")
	}
	first, err := t.bytes()
	if err != nil {
		return nil, err
	}
	scores, err := t.scores()
	if err != nil {
		return nil, err
	}
	// Gemma's own tokenizer puts no space before a text, which files of before July 2024 do not say.
	family, _ := t.metadata["general.architecture"].(string)
	gemma := strings.HasPrefix(family, "gemma")
	if gemma {
		t.defined(scores, first)
	}
	prefix, err := t.truth("ggml.add_space_prefix", !gemma)
	if err != nil {
		return nil, err
	}
	for id, word := range t.words {
		if prefix && t.kinds[id] == tokenUser && strings.ContainsAny(word, " ▁") {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: token %d, %s, is one that users define, of spaces, beside a space before each text: not supported", id, quote(word))
		}
	}
	unknown, err := t.unknown()
	if err != nil {
		return nil, err
	}
	merges, err := t.merges(scores)
	if err != nil {
		return nil, err
	}
	normalizer, decoder := spacesMarked, marksDecoded
	if prefix {
		normalizer = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + normalizer + `]}`
		decoder += `,{"type":"Strip","content":" ","start":1,"stop":0}`
	}
	t.normalized = !prefix
	return t.whole(normalizer, "", `{"type":"Sequence","decoders":[`+decoder+`]}`, true,
		map[string]any{"unk_token": unknown, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "merges": merges})
}

// bytes checks that there is a token for each byte, and returns the least id of one.
func (t *ggufTokenizer) bytes() (first int, err error) {
	ids := map[string]int{}
	for id, word := range t.words {
		if t.kinds[id] == tokenByte {
			ids[word] = id
		}
	}
	first = len(t.words)
	for b := range 256 {
		word := fmt.Sprintf("<0x%02X>", b)
		id, ok := ids[word]
		if !ok {
			return 0, fmt.Errorf("tokenizer.ggml.tokens has %d bytes, wanted 256, %s among them", len(ids), word)
		}
		first = min(first, id)
	}
	return first, nil
}

// unknown is the token of what there is no other for: that of its type, or, as converters have it
// where tokenizer_config.json lists it among the special ones, the named one.
func (t *ggufTokenizer) unknown() (string, error) {
	if id := slices.Index(t.kinds, tokenUnknown); id >= 0 {
		return t.words[id], nil
	}
	id, ok, err := t.id("unknown_token_id")
	if err == nil && !ok {
		err = fmt.Errorf("tokenizer.ggml.token_type has no unknown token (type %d) and no tokenizer.ggml.unknown_token_id, wanted one", tokenUnknown)
	}
	if err != nil {
		return "", err
	}
	return t.words[id], nil
}

// scores are the tokens' scores, by id.
func (t *ggufTokenizer) scores() ([]float32, error) {
	t.get("ggml.scores")
	a := t.arrays["tokenizer.ggml.scores"]
	if a.of != ggufFloat32 || len(a.data) != 4*len(t.words) {
		return nil, fmt.Errorf("tokenizer.ggml.scores is %s, wanted a number for each of %d tokens", briefly(t.metadata["tokenizer.ggml.scores"]), len(t.words))
	}
	r := &ggufReader{data: a.data}
	scores := make([]float32, len(t.words))
	for id := range scores {
		scores[id] = math.Float32frombits(uint32(r.uint(4)))
	}
	return scores, nil
}

// defined gives tokens that users define their type, which converters that read tokenizer.model alone leave
// out. SentencePiece scores them 0 and has them before the bytes (Gemma's lines, spaces and tags) or
// behind all that it has learned (Gemma's tabs), of which the first is 0 and the others are less.
func (t *ggufTokenizer) defined(scores []float32, first int) {
	last := len(scores) // that was learned
	for id, s := range scores {
		if t.kinds[id] == tokenNormal && id > first && s < 0 {
			last = id
		}
	}
	for id, s := range scores {
		if t.kinds[id] == tokenNormal && s == 0 && (id < first || id > last) {
			t.kinds[id] = tokenUser
		}
	}
}

// merges are all pairs of normal tokens that make one, the best first: by its score, and of one token
// by the longer left part.
func (t *ggufTokenizer) merges(scores []float32) ([][2]string, error) {
	ids := map[string]int{}
	for id, word := range t.words {
		if t.kinds[id] == tokenNormal {
			ids[word] = id
		}
	}
	type merge struct {
		pair [2]string
		id   int
	}
	var all []merge
	of := map[float32]int{} // the token of a score
	for id, word := range t.words {
		if t.kinds[id] != tokenNormal {
			continue
		}
		made := false
		for at := range word {
			left, right := word[:at], word[at:]
			if _, ok := ids[left]; !ok || at == 0 {
				continue
			}
			if _, ok := ids[right]; ok {
				all, made = append(all, merge{[2]string{left, right}, id}), true
			}
		}
		if other, ok := of[scores[id]]; made && (ok || scores[id] != scores[id]) {
			return nil, fmt.Errorf("tokenizer.ggml.scores: token %d, %s, has %g, as token %d: which is formed first is not said", id, quote(word), scores[id], other)
		} else if made {
			of[scores[id]] = id
		}
	}
	slices.SortStableFunc(all, func(a, b merge) int {
		return cmp.Or(cmp.Compare(scores[b.id], scores[a.id]), cmp.Compare(utf8.RuneCountInString(b.pair[0]), utf8.RuneCountInString(a.pair[0])))
	})
	merges := make([][2]string, len(all))
	for i, m := range all {
		merges[i] = m.pair
	}
	return merges, nil
}
