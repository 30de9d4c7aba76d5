package rewardmodel

import (
	"fmt"
	"slices"
)

// Pooling says which token's final state a head reads.
type Pooling int

const (
	// Last is the last token of the text, as vLLM and SGLang pool, and as transformers does
	// for a checkpoint whose pad token stands in no text.
	Last Pooling = iota
	// HF is the rule of transformers 5 (modeling_layers.py,
	// GenericForSequenceClassification): the rightmost token that is not pad_token_id. It
	// differs from Last where a text ends with the pad token, as when that is the EOS which
	// the chat template writes. Without a pad_token_id it is the last token.
	HF
	// HFOld is the rule of transformers 4.43 (modeling_llama.py,
	// LlamaForSequenceClassification): the token before the first pad_token_id, modulo the
	// length; the last where there is none. Where the pad token is the EOS, that lies in the
	// prompt.
	HFOld
)

var namesOfPooling = [...]string{"last", "hf", "hf-old"}

// String returns "last", "hf" or "hf-old".
func (p Pooling) String() string {
	if p < 0 || int(p) >= len(namesOfPooling) {
		return fmt.Sprintf("Pooling(%d)", int(p))
	}
	return namesOfPooling[p]
}

// ParsePooling parses what String returns.
func ParsePooling(s string) (Pooling, error) {
	if i := slices.Index(namesOfPooling[:], s); i >= 0 {
		return Pooling(i), nil
	}
	return 0, fmt.Errorf("rewardmodel: pooling %q, wanted last, hf or hf-old", s)
}

// position returns the index of the pooled token. pad is -1 for a checkpoint without a
// pad_token_id.
func (p Pooling) position(ids []int32, pad int32) int {
	last := len(ids) - 1
	if pad < 0 {
		return last
	}
	switch p {
	case HF:
		for i := last; i >= 0; i-- {
			if ids[i] != pad {
				return i
			}
		}
		return 0 // argmax of (token_indices * mask), all 0
	case HFOld:
		if i := slices.Index(ids, pad); i >= 0 {
			return (i - 1 + len(ids)) % len(ids)
		}
	}
	return last
}
