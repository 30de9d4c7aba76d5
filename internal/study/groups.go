package study

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
)

// Groups say to which group each prompt belongs. Tests are within a group, over its prompts.
//
// Without a file the groups are the paper's, by the prompts' names: "positive" begins with
// best_, greatest_ or good_, "negative" with worst_, bad_ or terrible_. The rest are "other",
// or, where no prompt has such a name, "all".
//
// nil is these groups without knowledge of the study's prompts: the rest are "other".
type Groups struct {
	File    string   // "" for those by name
	Prompts []string // of the study, in the order of its files

	names []string          // in the order of the file
	of    map[string]string // groups of prompts; nil for those by name
}

const (
	positive  = "positive"
	negative  = "negative"
	rest      = "other"
	everyone  = "all"
	byName    = "by the beginning of their names: positive best_, greatest_ or good_, negative worst_, bad_ or terrible_"
	needGroup = "-groups <file> gives others"
)

// ReadGroups reads a CSV file with the columns prompt and group: the name of a prompt and
// its group, with commas or tabs between. A file of prompts (name,prompt) with a further column group serves too: with a
// column name, that is the prompt's name. The column group may be called framing. An empty
// field, and a prompt with two groups, are errors.
func ReadGroups(path string) (*Groups, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	g := &Groups{File: path, of: map[string]string{}}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	in := table.NewCSVReader(bytes.NewReader(data))
	if first, _, _ := bytes.Cut(data, []byte("\n")); bytes.IndexByte(first, ',') < 0 && bytes.IndexByte(first, '\t') >= 0 {
		in.Comma = '\t'
	}
	if err := g.read(in); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

func (g *Groups) read(in *table.CSVReader) error {
	header, err := in.Header()
	if errors.Is(err, io.EOF) {
		return errors.New("empty file, wanted the columns prompt,group")
	}
	if err != nil {
		return err
	}
	column := func(names ...string) int {
		for _, name := range names {
			if i := slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) }); i >= 0 {
				return i
			}
		}
		return -1
	}
	prompt, group := column("name", "prompt"), column("group", "framing")
	if prompt < 0 || group < 0 {
		return fmt.Errorf("line 1: columns %s, wanted prompt,group: the name of a prompt, and its group", strings.Join(header, ", "))
	}
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name, own := string(rec[prompt]), strings.TrimSpace(string(rec[group]))
		switch old, ok := g.of[name]; {
		case name == "":
			return in.Errorf(prompt, "empty, wanted the name of a prompt")
		case own == "":
			return in.Errorf(group, "prompt %s without a group", name)
		case ok && old != own:
			return in.Errorf(group, "prompt %s is in group %s already, wanted one group a prompt", name, old)
		}
		g.of[name] = own
		if !slices.Contains(g.names, own) {
			g.names = append(g.names, own)
		}
	}
	if len(g.of) == 0 {
		return errors.New("no rows, wanted a prompt and its group in each")
	}
	return nil
}

// named is the group that a prompt's name stands for; "" for none.
func named(prompt string) string {
	switch adjective, _, ok := strings.Cut(prompt, "_"); {
	case !ok:
		return ""
	case slices.Contains([]string{"best", "greatest", "good"}, adjective):
		return positive
	case slices.Contains([]string{"worst", "bad", "terrible"}, adjective):
		return negative
	}
	return ""
}

// group is the group of a prompt.
func (g *Groups) group(prompt string) string {
	if g != nil && g.of != nil {
		if own, ok := g.of[prompt]; ok {
			return own
		}
		return rest
	}
	if own := named(prompt); own != "" {
		return own
	}
	if g != nil && !slices.ContainsFunc(g.Prompts, func(p string) bool { return named(p) != "" }) {
		return everyone
	}
	return rest
}

// in returns the groups that some prompts are of, in order: the file's, or positive before
// negative; the rest last.
func (g *Groups) in(prompts []string) []string {
	order := []string{positive, negative, everyone}
	if g != nil && g.of != nil {
		order = slices.Clone(g.names)
	}
	if !slices.Contains(order, rest) {
		order = append(order, rest)
	}
	return slices.DeleteFunc(order, func(name string) bool { return len(g.members(name, prompts)) == 0 })
}

// members are the prompts of a group among some.
func (g *Groups) members(group string, prompts []string) []string {
	var own []string
	for _, p := range prompts {
		if g.group(p) == group {
			own = append(own, p)
		}
	}
	return own
}

// valence is a group as Figure 2 calls it: good and bad for the paper's.
func (g *Groups) valence(group string) string {
	if g == nil || g.of == nil {
		switch group {
		case positive:
			return "good"
		case negative:
			return "bad"
		}
	}
	return group
}

// valenceLabel is a valence in words.
func (g *Groups) valenceLabel(valence string) string {
	for _, group := range []string{positive, negative} {
		if g.valence(group) == valence {
			return groupLabel(group)
		}
	}
	return groupLabel(valence)
}

// groupLabel is a group in words.
func groupLabel(group string) string { return group + " prompts" }

// lone says of which groups there is one prompt, on which there is no test.
func (g *Groups) lone(prompts []string) []string {
	var doubts []string
	for _, group := range g.in(prompts) {
		if own := g.members(group, prompts); len(own) == 1 {
			doubts = append(doubts, fmt.Sprintf("The group %s has one prompt, %s, and is not tested: a test over prompts needs two or more (%s).", group, own[0], needGroup))
		}
	}
	return doubts
}

// check refuses a file that names no prompt of the study.
func (g *Groups) check() error {
	if g.of == nil || len(g.Prompts) == 0 || slices.ContainsFunc(g.Prompts, func(p string) bool { return g.of[p] != "" }) {
		return nil
	}
	return fmt.Errorf("%s: none of the study's prompts, wanted some of %s", g.File, listed(g.Prompts, 6))
}

// about says in words how the prompts are grouped; "" without prompts.
func (g *Groups) about() string {
	if g == nil || len(g.Prompts) == 0 {
		return ""
	}
	found := g.in(g.Prompts)
	if slices.Equal(found, []string{everyone}) {
		return fmt.Sprintf("groups of prompts: one, all %d (names that begin with best_, greatest_ or good_ would be positive, with worst_, bad_ or terrible_ negative; %s)", len(g.Prompts), needGroup)
	}
	how := byName + "; " + needGroup
	if g.of != nil {
		how = "from " + g.File
		if extra := slices.DeleteFunc(slices.Sorted(maps.Keys(g.of)), func(p string) bool { return slices.Contains(g.Prompts, p) }); len(extra) > 0 {
			how += ", which names prompts that the study has not: " + listed(extra, 6)
		}
	}
	var parts []string
	for _, group := range found {
		own := g.members(group, g.Prompts)
		s := fmt.Sprintf("%s %d", group, len(own))
		if group == rest {
			s += " (" + listed(own, 6) + ")"
		}
		parts = append(parts, s)
	}
	return "groups of prompts: " + strings.Join(parts, ", ") + " (" + how + ")"
}

// prompts are the names of all prompts of the inputs, each once.
func (in *Inputs) prompts() []string {
	var all []string
	seen := map[string]bool{}
	add := func(names []string) {
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	for _, s := range in.Sets {
		for _, f := range s.Scores {
			add(f.Prompts)
		}
	}
	for _, l := range in.Languages {
		add(l.Table.Prompts)
	}
	for _, r := range in.Rewards {
		add(r.Prompts)
	}
	return all
}
