//go:build !nodaulet

package tokenize

import (
	"fmt"

	"github.com/daulet/tokenizers"
)

// Available reports whether this build encodes text; one with -tags nodaulet does not.
const Available = true

// encoder is the encoder of github.com/daulet/tokenizers, a binding of Hugging Face's
// tokenizers library. It only encodes; spec.encoderFile makes its input.
type encoder struct{ t *tokenizers.Tokenizer }

func newEncoder(data []byte, splitSpecial bool) (*encoder, error) {
	var options []tokenizers.TokenizerOption
	if splitSpecial {
		options = append(options, tokenizers.WithEncodeSpecialTokens())
	}
	t, err := tokenizers.FromBytes(data, options...)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	return &encoder{t}, nil
}

func (e *encoder) size() int { return int(e.t.VocabSize()) }

// encode returns the ids of a text and the byte spans that they cover. The text must be
// UTF-8 without NUL bytes, since the library cuts or changes any other.
func (e *encoder) encode(text string) ([]int32, [][2]int, error) {
	out, err := e.t.EncodeWithOptionsErr(text, false, tokenizers.WithReturnOffsets())
	if err != nil {
		return nil, nil, err
	}
	if len(out.Offsets) != len(out.IDs) {
		return nil, nil, fmt.Errorf("%d offsets for %d ids", len(out.Offsets), len(out.IDs))
	}
	ids := make([]int32, len(out.IDs))
	spans := make([][2]int, len(out.IDs))
	for i, id := range out.IDs {
		ids[i] = int32(id)
		spans[i] = [2]int{int(out.Offsets[i][0]), int(out.Offsets[i][1])}
	}
	return ids, spans, nil
}

func (e *encoder) close() error { return e.t.Close() }
