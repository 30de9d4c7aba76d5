package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// Prompts returns the 54 built-in prompts of the paper ("paper"), those of a file, or those of
// stdin ("-"). Stdin, and a file whose name ends in .jsonl, are JSON Lines: see jsonPrompts.
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

// jsonPrompts reads one line {"name": ..., "prompt": ...} per prompt; other members are
// ignored. As in other files of prompts, a repeated name and an empty name or prompt are
// errors.
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
