package input

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// find returns the language model of a name.
func find(name string, all []*cube.LogProbFile) (*cube.LogProbFile, error) {
	var have []string
	for _, l := range all {
		if l.Model.Name == name || l.Model.ID == name || l.Model.Display == name || stem(l.File) == name {
			return l, nil
		}
		have = append(have, l.Model.Name)
	}
	return nil, fmt.Errorf("study: no table of model %q, wanted one of %s", name, cube.Listed(have, 6))
}

// asked are the pairs that were asked for by name.
func asked(names [][2]string, all []*cube.LogProbFile) ([]cube.TablePair, error) {
	var pairs []cube.TablePair
	for _, two := range names {
		a, err := find(two[0], all)
		if err != nil {
			return nil, err
		}
		b, err := find(two[1], all)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, cube.NewTablePair(a, b))
	}
	return pairs, nil
}

// pair finds the pairs of models: as asked for, or a base model and the tuned one whose
// name begins with the base's; and models alike of two families.
func (c *Config) pair(in *cube.Inputs) error {
	var err error
	if in.Pairs, err = asked(c.Pairs, in.LogProbs); err != nil {
		return err
	}
	if in.Crossed, err = asked(c.Compare, in.LogProbs); err != nil {
		return err
	}
	few := func(l *cube.LogProbFile) bool { return len(l.Table.Prompts) < 2 }
	many := slices.DeleteFunc(slices.Clone(in.LogProbs), few)
	for _, a := range many {
		for _, b := range many {
			if c.Pairs == nil && a != b && !a.Tuned() && b.Tuned() && strings.HasPrefix(b.Model.Name, a.Model.Name) {
				in.Pairs = append(in.Pairs, cube.NewTablePair(a, b))
			}
			if c.Compare == nil && a.Model.Family < b.Model.Family && a.Model.Family != "" && a.Tuned() == b.Tuned() {
				in.Crossed = append(in.Crossed, cube.NewTablePair(a, b))
			}
		}
	}
	if c.Pairs == nil {
		in.Pairs = append(in.Pairs, pairAlone(many, in.Pairs)...)
	}
	return nil
}

// pairAlone pairs the base and the tuned model of a family that has one of each, whatever
// their names, where the base is in no pair yet.
func pairAlone(many []*cube.LogProbFile, paired []cube.TablePair) []cube.TablePair {
	base, tuned := map[string][]*cube.LogProbFile{}, map[string][]*cube.LogProbFile{} // by family
	for _, l := range many {
		of := base
		if l.Tuned() {
			of = tuned
		}
		of[l.Model.Family] = append(of[l.Model.Family], l)
	}
	var pairs []cube.TablePair
	for _, family := range slices.Sorted(maps.Keys(base)) {
		a, b := base[family], tuned[family]
		if family == "" || len(a) != 1 || len(b) != 1 {
			continue
		}
		if !slices.ContainsFunc(paired, func(p cube.TablePair) bool { return p.Base == a[0] }) {
			pairs = append(pairs, cube.NewTablePair(a[0], b[0]))
		}
	}
	return pairs
}
