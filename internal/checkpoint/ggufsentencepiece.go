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
// its score. A text, and what follows a special token, begins with a space, and each space is
// written as U+2581, as SentencePiece and llama.cpp do; Hugging Face's newer tokenizers of some models
// leave out the space where there is one, or after special tokens, of which a file says nothing.
func (t *ggufTokenizer) sentencePiece(pre string) (any, error) {
	if pre != "" && pre != "default" {
		return nil, fmt.Errorf("tokenizer.ggml.pre %s, wanted default, for SentencePiece", quote(pre))
	}
	// Gemma's scores are not the order of its merges, and its spaces are tokens that users define.
	if family, _ := t.metadata["general.architecture"].(string); strings.HasPrefix(family, "gemma") {
		return nil, fmt.Errorf("SentencePiece of %s, whose order of merging the file does not hold: wanted the model's own tokenizer.json", quote(family))
	}
	if _, ok := t.arrays["tokenizer.ggml.merges"]; ok {
		return nil, fmt.Errorf("tokenizer.ggml.merges beside tokenizer.ggml.scores, wanted scores alone, for SentencePiece")
	}
	unknown, bytes := "", 0
	for id, word := range t.words {
		switch t.kinds[id] {
		case tokenUnknown:
			unknown = word
		case tokenByte:
			bytes++
		}
	}
	for b := range 256 {
		word := fmt.Sprintf("<0x%02X>", b)
		if id := slices.Index(t.words, word); id < 0 || t.kinds[id] != tokenByte {
			return nil, fmt.Errorf("tokenizer.ggml.tokens has %d bytes, wanted 256, %s among them", bytes, word)
		}
	}
	if unknown == "" {
		return nil, fmt.Errorf("tokenizer.ggml.token_type has no unknown token (type %d), wanted one", tokenUnknown)
	}
	merges, err := t.merges()
	if err != nil {
		return nil, err
	}
	prefix, err := t.truth("ggml.add_space_prefix", true)
	if err != nil {
		return nil, err
	}
	normalizer := `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	decoder := `{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
	if prefix {
		normalizer = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + normalizer + `]}`
		decoder += `,{"type":"Strip","content":" ","start":1,"stop":0}`
	}
	return t.whole(normalizer, "", `{"type":"Sequence","decoders":[`+decoder+`]}`, true,
		map[string]any{"unk_token": unknown, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "merges": merges})
}

// merges are all pairs of normal tokens that make one, the best first: by its score, and of one token
// by the longer left part.
func (t *ggufTokenizer) merges() ([][2]string, error) {
	t.get("ggml.scores")
	a := t.arrays["tokenizer.ggml.scores"]
	if a.of != ggufFloat32 || len(a.data) != 4*len(t.words) {
		return nil, fmt.Errorf("tokenizer.ggml.scores is %s, wanted a number for each of %d tokens", briefly(t.metadata["tokenizer.ggml.scores"]), len(t.words))
	}
	r := &ggufReader{data: a.data}
	scores := make([]float32, len(t.words))
	ids := map[string]int{}
	for id, word := range t.words {
		scores[id] = math.Float32frombits(uint32(r.uint(4)))
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
