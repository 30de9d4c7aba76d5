package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

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
	warn(stderr, path, c.Warnings)
	return c, hex.EncodeToString(hash.Sum(nil)), nil
}

func warn(stderr io.Writer, path string, warnings []error) {
	for i, w := range warnings {
		if i == 5 {
			fmt.Fprintf(stderr, "%s: and %d more of the kind\n", path, len(warnings)-i)
			break
		}
		fmt.Fprintf(stderr, "%s: %v\n", path, w)
	}
}

// Expand replaces the wildcards of a corpus by the words of the list in that file, and
// returns the file's sha256; new doubts go to stderr.
func Expand(c *implicit.Corpus, path string, stderr io.Writer) (*implicit.Corpus, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("word list: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	words, err := implicit.ReadWordList(io.TeeReader(f, hash))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	expanded := c.Expand(words)
	warn(stderr, path, expanded.Warnings[len(c.Warnings):])
	return expanded, hex.EncodeToString(hash.Sum(nil)), nil
}

// Given returns the first of the named flags that the command line sets, "" if it sets none.
func (f *Flags) Given(names ...string) string {
	given := ""
	f.Visit(func(set *flag.Flag) {
		if given == "" && slices.Contains(names, set.Name) {
			given = set.Name
		}
	})
	return given
}
