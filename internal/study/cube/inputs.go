package cube

import (
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
)

// Kind is a set of kinds of input files.
type Kind uint8

// The kinds of input files that an analysis may read.
const (
	ScoreFiles    Kind = 1 << iota // scores of reward models
	LogProbFiles                   // tables of log-probabilities
	RewardFiles                    // implicit rewards
	SeriesFiles                    // scores of tokens at the checkpoints of training
	AblationFiles                  // median ranks of training runs
)

// Inputs are the files of a study, read.
type Inputs struct {
	Sets      []Set
	LogProbs  []*LogProbFile
	Pairs     []TablePair   // base and tuned models of one family
	Crossed   []TablePair   // models of two families, alike in type, with many prompts
	Rewards   []*RewardFile // implicit rewards of score
	Training  *Dictionary   // of Figure 4
	Keep      map[string]bool
	Series    []*Series
	Ablations []*Ablation
	Prompt    string   // of fig3 and table1
	Words     []string // of fig3
	Neutral   string   // prompt whose log-probabilities stand for a word's frequency
	Groups    *Groups  // of all prompts
	Files     []File   // all that was read, in the order of the report
}

// File is an input file as the report lists it.
type File struct {
	Path, What, Hash string // Hash: sha256, hex
	Bytes            int64
	Meta             string // how it was made, as it says itself; "" where it does not say
}

// Set is a dictionary and the scores of reward models on its words, a model each.
type Set struct {
	Dict   *Dictionary
	Scores []*Scores
}

// LogProbFile is a table of a language model's log-probabilities.
type LogProbFile struct {
	Model Model
	File  string
	Table *logprob.Table
}

// Tuned says whether the model is an instruction-tuned one, by its type or name.
func (l *LogProbFile) Tuned() bool {
	if l.Model.Type != "" {
		return l.Model.Type != "pretrained"
	}
	name := strings.ToLower(l.Model.Name)
	return strings.HasSuffix(name, "-it") || strings.Contains(name, "instruct") || strings.Contains(name, "chat")
}

// TablePair is two models whose log-probabilities are compared.
type TablePair struct {
	Name        string
	Base, Tuned *LogProbFile
}

// NewTablePair names the pair after its models.
func NewTablePair(base, tuned *LogProbFile) TablePair {
	return TablePair{base.Model.Display + " \u2192 " + tuned.Model.Display, base, tuned}
}

// RewardFile is a file of implicit rewards of words, of one or of several tokens. Its
// models are the base and the tuned one, its values ln p.
type RewardFile struct {
	Name string // of the pair
	Meta words.Provenance
	Scores
}

// Series is the scores of tokens (Words) at the checkpoints (Prompts) of a training run.
type Series struct {
	Steps []int // of each checkpoint, ascending
	Scores
}

// Ablation is a file of median ranks over the checkpoints of models trained on one data
// set.
type Ablation struct {
	File   string
	Hash   string  // sha256 of the file
	Size   float64 // thousands of pairs
	Source string
	Method string
	Rows   []RunRow
}

// RunRow is a line of such a file.
type RunRow struct {
	Model, Family, Category string
	Checkpoint              int
	Median                  float64
}

// Tuned returns the tuned models of a family that have a prompt.
func (in *Inputs) Tuned(family, prompt string) []*LogProbFile {
	var list []*LogProbFile
	for _, l := range in.LogProbs {
		if l.Tuned() && l.Model.Family == family && slices.Contains(l.Table.Prompts, prompt) {
			list = append(list, l)
		}
	}
	return list
}

// TunedFamilies are the families that have tuned models with a prompt, sorted.
func (in *Inputs) TunedFamilies(prompt string) []string {
	var families []string
	for _, l := range in.LogProbs {
		if f := l.Model.Family; f != "" && len(in.Tuned(f, prompt)) > 0 {
			families = append(families, f)
		}
	}
	slices.Sort(families)
	return slices.Compact(families)
}

// Prompts are the names of all prompts of scores, tables and rewards, each once.
func (in *Inputs) Prompts() []string {
	var lists [][]string
	for _, s := range in.Sets {
		for _, f := range s.Scores {
			lists = append(lists, f.Prompts)
		}
	}
	for _, l := range in.LogProbs {
		lists = append(lists, l.Table.Prompts)
	}
	for _, r := range in.Rewards {
		lists = append(lists, r.Prompts)
	}
	var all []string
	seen := map[string]bool{}
	for _, name := range slices.Concat(lists...) {
		if !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	return all
}

// Machines says that some inputs were computed on other processors, or with other
// plugins, than others; "" where that is not known.
func (in *Inputs) Machines() string {
	var all []logprob.Meta
	for _, l := range in.LogProbs {
		all = append(all, l.Table.Meta)
	}
	for _, f := range in.Rewards {
		all = append(all, f.Meta.Tuned, f.Meta.Base)
	}
	for _, s := range in.Sets {
		for _, f := range s.Scores {
			if f.Meta != nil {
				all = append(all, f.Meta.Tuned, f.Meta.Base)
			}
			if f.RM != nil {
				all = append(all, f.RM.RM.Meta)
			}
		}
	}
	for i := range all {
		for _, m := range all[:i] {
			if d := m.Machine(all[i]); d != "" {
				return "Some of the files were computed " + d + ": the same input is rounded otherwise there."
			}
		}
	}
	return ""
}

// Architectures says which models have the family of their architecture, as no file of
// models and no name says otherwise; "" for none.
func (in *Inputs) Architectures() string {
	var models []Model
	for _, s := range in.Sets {
		for _, f := range s.Scores {
			models = append(models, f.Models...)
		}
	}
	for _, l := range in.LogProbs {
		models = append(models, l.Model)
	}
	for _, r := range in.Rewards {
		models = append(models, r.Models...)
	}
	var parts []string
	for _, m := range models {
		if part := fmt.Sprintf("%s: %s (%s)", m.ID, m.Family, m.Architecture); m.Architecture != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		return ""
	}
	return "families by architecture, the checkpoints' model_type (-family or -models gives others): " + strings.Join(parts, ", ")
}
