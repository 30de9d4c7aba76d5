package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/implicitreward/implicitreward/implicit"
)

// Prompts are the built-in 54 of the paper, by the name "paper", or those of a file.
func Prompts(name string) ([]implicit.NamedPrompt, error) {
	if name == "paper" {
		return implicit.PaperPrompts(), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("prompts: %w (or paper, for the 54 built-in ones)", err)
	}
	defer f.Close()
	prompts, err := implicit.ReadPrompts(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return prompts, nil
}

// Corpus reads a corpus file and its sha256; its doubts go to stderr.
func Corpus(path string, stderr io.Writer) (*implicit.Corpus, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("corpus: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	c, err := implicit.ReadCorpus(io.TeeReader(f, hash))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	for i, w := range c.Warnings {
		if i == 5 {
			fmt.Fprintf(stderr, "%s: and %d more of the kind\n", path, len(c.Warnings)-i)
			break
		}
		fmt.Fprintf(stderr, "%s: %v\n", path, w)
	}
	return c, hex.EncodeToString(hash.Sum(nil)), nil
}
