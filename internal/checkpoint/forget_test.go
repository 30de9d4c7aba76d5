package checkpoint

import (
	"bytes"
	"testing"
)

// TestForget: data whose pages were dropped reads as before.
func TestForget(t *testing.T) {
	w, err := OpenWeights("../../logprob/testdata/families/gpt2-hub")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	n := 0
	for _, name := range w.Names() {
		tensor, _ := w.Get(name)
		before := bytes.Clone(tensor.Data)
		tensor.Forget()
		if !bytes.Equal(tensor.Data, before) {
			t.Errorf("%s reads differently after Forget", name)
		}
		n += len(before)
	}
	if n < 1<<16 {
		t.Errorf("%d bytes, wanted some pages", n)
	}
}
