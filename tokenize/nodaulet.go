//go:build nodaulet

package tokenize

import "errors"

// Available reports whether this build encodes text; one with -tags nodaulet does not.
const Available = false

// encoder replaces the encoder in a build without it.
type encoder struct{}

func newEncoder([]byte, bool) (*encoder, error) {
	return nil, errors.New("this program was built with -tags nodaulet, without github.com/daulet/tokenizers: it takes token ids, no text; build it without the tag")
}

func (*encoder) size() int { return 0 }

func (*encoder) encode(string) ([]int32, [][2]int, error) { panic("tokenize: no encoder") }

func (*encoder) close() error { return nil }
