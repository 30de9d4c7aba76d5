package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// Prompts are the built-in 54 of the paper, by the name "paper", those of a file, or those
// of stdin, by the name "-", as JSON Lines: see jsonPrompts. A file whose name ends in .jsonl
// holds such lines too.
func Prompts(ctx context.Context, name string, stdin io.Reader) ([]lexicon.Prompt, error) {
	switch name {
	case "paper":
		return lexicon.PaperPrompts(), nil
	case "-":
		return jsonPrompts(ctx, regular.Limit(stdin, regular.Text), "standard input")
	}
	f, _, err := regular.Open(name, regular.Text)
	if err != nil {
		return nil, fmt.Errorf("prompts: %w (or paper, for the 54 built-in ones)", err)
	}
	defer f.Close()
	if strings.HasSuffix(name, ".jsonl") {
		return jsonPrompts(ctx, f, name)
	}
	prompts, err := lexicon.ReadPrompts(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return prompts, nil
}

// jsonPrompts reads a line {"name": ..., "prompt": ...} a prompt; other members are left
// alone. As in other files of prompts, a name that stands twice, and an empty name or prompt,
// is an error.
func jsonPrompts(ctx context.Context, r io.Reader, from string) ([]lexicon.Prompt, error) {
	const wanted = `{"name": ..., "prompt": ...}`
	var all []lexicon.Prompt
	seen := map[string]bool{}
	for line, err := range Lines(ctx, r, from) {
		if err != nil {
			return nil, err
		}
		fail := func(err error) ([]lexicon.Prompt, error) {
			return nil, fmt.Errorf("%s: line %d: %w", from, line.Number, err)
		}
		if line.Err != nil {
			return fail(line.Err)
		}
		members, err := Object(line.Text, wanted, "name", "prompt")
		if err != nil {
			return fail(err)
		}
		var p lexicon.Prompt
		for _, m := range []struct {
			key string
			to  *string
		}{{"name", &p.Name}, {"prompt", &p.Text}} {
			var ok bool
			if *m.to, ok, err = String(members[m.key], m.key); err != nil {
				return fail(err)
			}
			if !ok || *m.to == "" {
				return fail(fmt.Errorf("wanted %s, both text and not empty", wanted))
			}
		}
		if seen[p.Name] {
			return fail(fmt.Errorf("the name %q stands twice", p.Name))
		}
		seen[p.Name] = true
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no prompts, wanted lines %s", from, wanted)
	}
	return all, nil
}

// Corpus reads a corpus file and its sha256; its doubts go to stderr.
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
// returns the file's sha256; new doubts go to stderr.
func Expand(c *lexicon.Corpus, path string, stderr io.Writer) (*lexicon.Corpus, string, error) {
	words, hash, err := hashed("word list", path, lexicon.ReadWordList)
	if err != nil {
		return nil, "", err
	}
	expanded := c.Expand(words)
	warn(stderr, path, expanded.Warnings[len(c.Warnings):])
	return expanded, hash, nil
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
