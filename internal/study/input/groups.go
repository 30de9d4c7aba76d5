package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
)

// ReadGroups reads a CSV file with the columns prompt and group: the name of a prompt and
// its framing, with commas or tabs between. A file of prompts (name,prompt) with a further
// column group serves too: with a column name, that is the prompt's name. The column group
// may be called framing. An empty field, and a prompt with two framings, are errors.
func ReadGroups(path string) (*cube.Groups, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	g := &cube.Groups{File: path, Of: map[string]string{}}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	in := table.NewCSVReader(bytes.NewReader(data))
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if bytes.IndexByte(first, ',') < 0 && bytes.IndexByte(first, '\t') >= 0 {
		in.Comma = '\t'
	}
	if err := readGroups(in, g); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

func readGroups(in *table.CSVReader, g *cube.Groups) error {
	header, err := in.Header()
	if errors.Is(err, io.EOF) {
		return errors.New("empty file, wanted the columns prompt,group")
	}
	if err != nil {
		return err
	}
	column := func(names ...string) int {
		for _, name := range names {
			same := func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) }
			if i := slices.IndexFunc(header, same); i >= 0 {
				return i
			}
		}
		return -1
	}
	prompt, group := column("name", "prompt"), column("group", "framing")
	if prompt < 0 || group < 0 {
		return fmt.Errorf("line 1: columns %s, wanted prompt,group: the name of a prompt, and its group",
			strings.Join(header, ", "))
	}
	for record, err := range records(in) {
		if err != nil {
			return err
		}
		name, own := string(record[prompt]), strings.TrimSpace(string(record[group]))
		switch old, ok := g.Of[name]; {
		case name == "":
			return in.Errorf(prompt, "empty, wanted the name of a prompt")
		case own == "":
			return in.Errorf(group, "prompt %s without a group", name)
		case ok && old != own:
			return in.Errorf(group, "prompt %s is in group %s already, wanted one group a prompt", name, old)
		}
		g.Of[name] = own
		if !slices.Contains(g.Names, own) {
			g.Names = append(g.Names, own)
		}
	}
	if len(g.Of) == 0 {
		return errors.New("no rows, wanted a prompt and its group in each")
	}
	return nil
}
