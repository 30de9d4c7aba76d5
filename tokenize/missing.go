package tokenize

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Missing describes which other tokenizer files a folder without tokenizer.json has, and what
// to do about it.
func Missing(dir string) error {
	const way = "write it with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
	for _, other := range [][]string{{"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"tekken.json"}} {
		found := 0
		for _, name := range other {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				found++
			}
		}
		if found == len(other) {
			what := other[0]
			if len(other) > 1 {
				what += " and " + other[1]
			}
			return fmt.Errorf("tokenize: %s: %s without tokenizer.json, which alone is read: %s", dir, what, way)
		}
	}
	if files, err := os.ReadDir(dir); err == nil {
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".gguf") {
				return fmt.Errorf("tokenize: %s: no tokenizer.json beside %s: copy tokenizer.json, tokenizer_config.json and the chat template from the checkpoint that the file was made of, or name their folder", dir, f.Name())
			}
		}
	}
	return fmt.Errorf("tokenize: %s: no tokenizer.json, wanted one: copy it from the model's checkpoint", dir)
}
