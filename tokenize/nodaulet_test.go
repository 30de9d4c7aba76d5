//go:build nodaulet

package tokenize

import "testing"

func TestWithoutLibrary(t *testing.T) {
	want := "tokenize: testdata/smollm2: this program was built with -tags nodaulet, without github.com/daulet/tokenizers: it takes token ids, no text; build it without the tag"
	if _, err := Load("testdata/smollm2"); err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %s", err, want)
	}
}
