package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// Corpus reads a corpus file and its sha256; its warnings go to stderr.
func Corpus(path string, stderr io.Writer) (*lexicon.Corpus, string, error) {
	c, hash, err := hashed("corpus", path, lexicon.ReadCorpus)
	if err != nil {
		return nil, "", err
	}
	warn(stderr, path, c.Warnings)
	return c, hash, nil
}

// hashed reads a file of some kind and its sha256.
func hashed[T any](kind, path string, read func(io.Reader) (T, error)) (v T, sum string, err error) {
	f, _, err := regular.Open(path, regular.Text)
	if err != nil {
		return v, "", fmt.Errorf("%s: %w", kind, err)
	}
	defer f.Close()
	hash := sha256.New()
	if v, err = read(io.TeeReader(regular.Limit(f, regular.Text), hash)); err != nil {
		return v, "", fmt.Errorf("%s: %w", path, err)
	}
	return v, hex.EncodeToString(hash.Sum(nil)), nil
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
// returns the file's sha256; new warnings go to stderr.
func Expand(c *lexicon.Corpus, path string, stderr io.Writer) (*lexicon.Corpus, string, error) {
	words, hash, err := hashed("word list", path, lexicon.ReadWordList)
	if err != nil {
		return nil, "", err
	}
	expanded := c.Expand(words)
	warn(stderr, path, expanded.Warnings[len(c.Warnings):])
	return expanded, hash, nil
}
