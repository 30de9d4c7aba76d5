package study

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Inputs are the files of a study, read.
type Inputs struct {
	Sets      []Set
	Languages []*Language
	Pairs     []Pair    // base and tuned models of one family
	Crossed   []Pair    // models of two families, alike in type, with many prompts
	Rewards   []*Reward // implicit rewards of score
	Training  *Dictionary
	Keep      map[string]bool // tokens of Figure 4; nil: all
	Series    []*Series
	Ablations []*Ablation
	Prompt    string
	Words     []string
	Neutral   string
	Groups    *Groups // of all prompts
}

// Set is a dictionary and the scores of reward models on its words.
type Set struct {
	Dict   *Dictionary
	Scores []*Scores
}

// Read reads the files that a configuration names, and that its analyses need. It fills
// in what Data stands for.
func Read(c *Config) (*Inputs, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := c.discover(); err != nil {
		return nil, err
	}
	c.prune()
	in := &Inputs{Prompt: c.Prompt, Words: c.Words, Neutral: c.Neutral}
	if in.Prompt == "" {
		in.Prompt = paperPrompt
	}
	if in.Words == nil {
		in.Words = []string{"love", "freedom"}
	}
	var models []Model
	var err error
	if c.Models != "" {
		if models, err = ReadModels(c.Models); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Families)) {
		models = slices.Insert(models, 0, Model{Name: name, Family: familyName(c.Families[name])}) // before those of the file
	}
	compat := c.Compat == "paper"
	for _, corpus := range c.Corpora {
		s := Set{}
		if s.Dict, err = ReadDictionary(corpus.Name, corpus.File, compat); err != nil {
			return nil, err
		}
		if s.Scores, err = readAll(corpus.Scores, func(f string) (*Scores, error) { return ReadScores(f, models) }); err != nil {
			return nil, err
		}
		in.Sets = append(in.Sets, s)
	}
	if in.Languages, err = readAll(c.Tables, func(f string) (*Language, error) { return ReadLanguage(f, models) }); err != nil {
		return nil, err
	}
	if in.Series, err = readAll(c.Series, func(f string) (*Series, error) { return ReadSeries(f, models) }); err != nil {
		return nil, err
	}
	if in.Ablations, err = readAll(c.Ablations, ReadAblation); err != nil {
		return nil, err
	}
	if in.Rewards, err = readAll(c.Rewards, func(f string) (*Reward, error) { return ReadReward(f, models) }); err != nil {
		return nil, err
	}
	if len(in.Series) > 0 && c.Training != "" {
		if in.Training, err = ReadDictionary(stem(c.Training), c.Training, compat); err != nil {
			return nil, err
		}
	} else if len(in.Sets) > 0 {
		in.Training = in.Sets[0].Dict
	}
	if len(in.Series) > 0 && c.Tokens != "" {
		if in.Keep, err = readTokens(c.Tokens, compat); err != nil {
			return nil, err
		}
	}
	if in.Groups = (&Groups{}); c.Groups != "" {
		if in.Groups, err = ReadGroups(c.Groups); err != nil {
			return nil, err
		}
	}
	in.Groups.Prompts = in.prompts()
	if err := in.Groups.check(); err != nil {
		return nil, err
	}
	if c.Contrast != nil {
		if len(in.Sets) == 0 {
			return nil, fmt.Errorf("study: contrast %s: no corpus, wanted one with these categories", strings.Join(c.Contrast, ","))
		}
		if _, _, err := (&Options{Contrast: c.Contrast}).contrast(in.Sets[0].Dict); err != nil {
			return nil, err
		}
	}
	return in, in.pair(c)
}

func readAll[T any](paths []string, read func(string) (T, error)) ([]T, error) {
	files, err := expand(paths)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, f := range files {
		v, err := read(f)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// find returns the language model of a name.
func (in *Inputs) find(name string) (*Language, error) {
	for _, l := range in.Languages {
		if l.Model.Name == name || l.Model.ID == name || l.Model.Display == name || stem(l.File) == name {
			return l, nil
		}
	}
	var have []string
	for _, l := range in.Languages {
		have = append(have, l.Model.Name)
	}
	return nil, fmt.Errorf("study: no table of model %q, wanted one of %s", name, listed(have, 6))
}

// pair finds the pairs of models: as asked for, or a base model and the tuned one whose
// name begins with the base's; and models alike of two families.
func (in *Inputs) pair(c *Config) error {
	many := func(l *Language) bool { return len(l.Table.Prompts) > 1 }
	asked := func(names [][2]string) ([]Pair, error) {
		var pairs []Pair
		for _, two := range names {
			a, err := in.find(two[0])
			if err != nil {
				return nil, err
			}
			b, err := in.find(two[1])
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, newPair(a, b))
		}
		return pairs, nil
	}
	var err error
	if in.Pairs, err = asked(c.Pairs); err != nil {
		return err
	}
	if in.Crossed, err = asked(c.Compare); err != nil {
		return err
	}
	for _, a := range in.Languages {
		for _, b := range in.Languages {
			if a == b || !many(a) || !many(b) {
				continue
			}
			if c.Pairs == nil && !a.isTuned() && b.isTuned() && strings.HasPrefix(b.Model.Name, a.Model.Name) {
				in.Pairs = append(in.Pairs, newPair(a, b))
			}
			if c.Compare == nil && a.Model.Family < b.Model.Family && a.Model.Family != "" && a.isTuned() == b.isTuned() {
				in.Crossed = append(in.Crossed, newPair(a, b))
			}
		}
	}
	if c.Pairs == nil {
		in.pairAlone(many)
	}
	return nil
}

// pairAlone pairs the base and the tuned model of a family that has one of each, whatever
// their names.
func (in *Inputs) pairAlone(many func(*Language) bool) {
	kinds := map[string][2][]*Language{}
	for _, l := range in.Languages {
		if many(l) && l.Model.Family != "" {
			k := kinds[l.Model.Family]
			if l.isTuned() {
				k[1] = append(k[1], l)
			} else {
				k[0] = append(k[0], l)
			}
			kinds[l.Model.Family] = k
		}
	}
	for _, family := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[family]
		if len(k[0]) == 1 && len(k[1]) == 1 && !slices.ContainsFunc(in.Pairs, func(p Pair) bool { return p.Base == k[0][0] }) {
			in.Pairs = append(in.Pairs, newPair(k[0][0], k[1][0]))
		}
	}
}

func newPair(base, tuned *Language) Pair {
	return Pair{base.Model.Display + " \u2192 " + tuned.Model.Display, base, tuned}
}

// readTokens reads the column token_decoded of a CSV file. compat drops "NA", as R does.
func readTokens(path string, compat bool) (map[string]bool, error) {
	texts, err := readTexts(path, "token_decoded")
	if err != nil {
		return nil, err
	}
	keep := make(map[string]bool, len(texts))
	for _, t := range texts {
		if !(compat && t == "NA") {
			keep[t] = true
		}
	}
	return keep, nil
}

// tuned returns the tuned models of a family that have a prompt.
func (in *Inputs) tuned(family, prompt string) []*Language {
	var list []*Language
	for _, l := range in.Languages {
		if l.isTuned() && l.Model.Family == family && slices.Contains(l.Table.Prompts, prompt) {
			list = append(list, l)
		}
	}
	return list
}

// tunedFamilies are the families that have tuned models with a prompt, sorted.
func (in *Inputs) tunedFamilies(prompt string) []string {
	var families []string
	for _, l := range in.Languages {
		if f := l.Model.Family; f != "" && !slices.Contains(families, f) && len(in.tuned(f, prompt)) > 0 {
			families = append(families, f)
		}
	}
	slices.Sort(families)
	return families
}
