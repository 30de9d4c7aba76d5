package tokenize

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  string
	}{
		{nil, "no tokenizer.json, wanted one: copy it from the model's checkpoint"},
		{[]string{"vocab.json"}, "no tokenizer.json, wanted one: copy it from the model's checkpoint"},
		{[]string{"m-Q8_0.gguf"}, "no tokenizer.json beside m-Q8_0.gguf: copy tokenizer.json, "},
		{[]string{"tokenizer.model"}, "tokenizer.model without tokenizer.json, which alone is read: write it with transformers: "},
		{[]string{"vocab.json", "merges.txt"}, "vocab.json and merges.txt without tokenizer.json, which alone is read: write it with transformers: "},
	} {
		dir := t.TempDir()
		for _, name := range test.files {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Missing(dir); !strings.HasPrefix(err.Error(), "tokenize: "+dir+": "+test.want) {
			t.Errorf("%q: %v, wanted %s", test.files, err, test.want)
		}
	}
}
