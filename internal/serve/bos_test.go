package serve

import (
	"testing"

	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestBOS: a request's choice of the BOS counts for raw text, and only for that request.
func TestBOS(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	dir, _, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	m := &Model{LM: bosLM{tok: tok}, As: "raw"}
	for _, c := range []struct {
		bos  string
		want int // tokens of "Hi" and "Love"
	}{{"", 4}, {"none", 3}, {"add", 4}, {"auto", 4}} {
		text, err := m.with(c.bos).raw("Hi", "Love")
		if err != nil || len(text.IDs) != c.want || (text.IDs[0] == 622) != (c.want == 4) { // <|begin_of_text|>
			t.Errorf("%q: ids %v %v, wanted %d", c.bos, text.IDs, err, c.want)
		}
	}
	if m.Chat != nil {
		t.Error("a request changed the model's own choice")
	}
}

// bosLM is a model of which nothing but the tokenizer is asked.
type bosLM struct {
	logprob.LM
	tok *tokenize.Tokenizer
}

func (l bosLM) Tokenizer() *tokenize.Tokenizer { return l.tok }
