//go:build nodaulet

package tokenize

import "errors"

// Available reports whether this build encodes text; one with -tags nodaulet does not.
const Available = false

// engine replaces the encoder in a build without it.
type engine struct{}

func newEngine([]byte, bool) (*engine, error) {
	return nil, errors.New("this program was built with -tags nodaulet, without github.com/daulet/tokenizers: it takes token ids, no text; build it without the tag")
}

func (*engine) size() int { return 0 }

func (*engine) encode(string) ([]int32, [][2]int, error) { panic("tokenize: no encoder") }

func (*engine) close() error { return nil }
