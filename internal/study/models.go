package study

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
)

// Model names a model of the study.
type Model struct {
	Name    string `yaml:"name"`         // as files and hubs name it: org/model
	ID      string `yaml:"id"`           // short name in tables and figures; "": DisplayName, or Name
	Display string `yaml:"display_name"` // "Gemma 2 IT 2B"
	Family  string `yaml:"family"`       // "Gemma"
	Type    string `yaml:"type"`         // "pretrained", "instruction-tuned"
	DType   string `yaml:"dtype"`        // not used
}

// paperModels are the ten reward models of Figure 1, the twelve language models of
// Figures 2 and 3, and the three series of Figures 4 and 5.
var paperModels = []Model{
	{Name: "nicolinho/QRM-Gemma-2-27B", ID: "N-Gem-27B", Family: "Gemma"},
	{Name: "Skywork/Skywork-Reward-Gemma-2-27B-v0.2", ID: "S-Gem-27B-v0.2", Family: "Gemma"},
	{Name: "Skywork/Skywork-Reward-Gemma-2-27B", ID: "S-Gem-27B", Family: "Gemma"},
	{Name: "Ray2333/GRM-gemma2-2B-rewardmodel-ft", ID: "R-Gem-2B", Family: "Gemma"},
	{Name: "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2", ID: "S-Lla-8B-v0.2", Family: "Llama"},
	{Name: "nicolinho/QRM-Llama3.1-8B", ID: "N-Lla-8B", Family: "Llama"},
	{Name: "LxzGordon/URM-LLaMa-3.1-8B", ID: "L-Lla-8B", Family: "Llama"},
	{Name: "Ray2333/GRM-Llama3-8B-rewardmodel-ft", ID: "R-Lla-8B", Family: "Llama"},
	{Name: "Ray2333/GRM-Llama3.2-3B-rewardmodel-ft", ID: "R-Lla-3B", Family: "Llama"},
	{Name: "RLHFlow/ArmoRM-Llama3-8B-v0.1", ID: "F-Lla-8B-v0.1", Family: "Llama"},
	{Name: "google/gemma-2-2b", Display: "Gemma 2 2B", Type: "pretrained", Family: "Gemma"},
	{Name: "google/gemma-2-2b-it", Display: "Gemma 2 IT 2B", Type: "instruction-tuned", Family: "Gemma"},
	{Name: "google/gemma-2-9b-it", Display: "Gemma 2 IT 9B", Type: "instruction-tuned", Family: "Gemma"},
	{Name: "google/gemma-2-27b-it", Display: "Gemma 2 IT 27B", Type: "instruction-tuned", Family: "Gemma"},
	{Name: "meta-llama/Llama-3.2-3B", Display: "Llama 3.2 3B", Type: "pretrained", Family: "Llama"},
	{Name: "meta-llama/Llama-3.2-3B-Instruct", Display: "Llama 3.2 3B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "meta-llama/Llama-3.2-1B-Instruct", Display: "Llama 3.2 1B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "meta-llama/Meta-Llama-3-8B-Instruct", Display: "Llama 3 8B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "meta-llama/Llama-3.1-8B-Instruct", Display: "Llama 3.1 8B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "meta-llama/Meta-Llama-3-70B-Instruct", Display: "Llama 3 70B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "meta-llama/Llama-3.1-70B-Instruct", Display: "Llama 3.1 70B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "meta-llama/Llama-3.3-70B-Instruct", Display: "Llama 3.3 70B Instruct", Type: "instruction-tuned", Family: "Llama"},
	{Name: "greatest_ever_one_across_checkpoints_gemma", ID: "google--gemma-2b-it", Family: "Gemma"},
	{Name: "greatest_ever_one_across_checkpoints_llama", ID: "meta-llama--Llama-3.2-3B", Family: "Llama"},
	{Name: "greatest_ever_one_across_checkpoints_qwen", ID: "qwen", Family: "Qwen"},
}

// ReadModels reads a file of models: YAML, a list of {name, id, family, display_name,
// type}, or CSV with these columns, of which name and family are needed. A name that
// stands twice, and a model without a family, are errors.
func ReadModels(path string) ([]Model, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	var models []Model
	if strings.HasSuffix(path, ".csv") {
		models, err = readModelsCSV(data)
	} else {
		d := yaml.NewDecoder(bytes.NewReader(data))
		d.KnownFields(true)
		if err = d.Decode(&models); errors.Is(err, io.EOF) {
			err = errors.New("empty, wanted a list of models")
		}
		for i, m := range models {
			if err == nil {
				err = m.check(models[:i], fmt.Sprintf("entry %d", i+1))
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range models {
		models[i].Family = familyName(models[i].Family)
	}
	return models, nil
}

func readModelsCSV(data []byte) ([]Model, error) {
	in := table.NewCSVReader(bytes.NewReader(data))
	header, err := in.Header()
	if err != nil {
		return nil, err
	}
	var models []Model
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			return models, nil
		}
		if err != nil {
			return nil, err
		}
		var m Model
		fields := map[string]*string{"name": &m.Name, "id": &m.ID, "family": &m.Family, "display_name": &m.Display, "type": &m.Type, "dtype": &m.DType}
		for i, h := range header {
			to, ok := fields[h]
			if !ok {
				return nil, fmt.Errorf("line 1, column %d: %q, wanted name, id, family, display_name or type", i+1, h)
			}
			*to = string(rec[i])
		}
		at := fmt.Sprintf("line %d, column %d (family)", in.Line(0), slices.Index(header, "family")+1)
		if err := m.check(models, at); err != nil {
			return nil, err
		}
		models = append(models, m)
	}
}

func (m Model) check(before []Model, at string) error {
	switch {
	case m.Name == "":
		return fmt.Errorf("%s: a model without a name", at)
	case m.Family == "":
		return fmt.Errorf("%s: %s: no family, wanted one", at, m.Name)
	case slices.ContainsFunc(before, func(b Model) bool { return b.Name == m.Name }):
		return fmt.Errorf("%s: %s stands twice", at, m.Name)
	}
	return nil
}

// familyName is the family with a capital: the paper's files write gemma and Gemma.
func familyName(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// shortID is a reward model's short name as the paper makes it: recipe, base, size.
var shortID = regexp.MustCompile(`^[A-Z][-_](Gem|Lla)-\d`)

// stem is a file's name without folder, ending and the "big2_rewards_" that the
// published files begin with.
func stem(path string) string {
	s := filepath.Base(path)
	for _, end := range []string{".parquet", ".csv"} {
		s = strings.TrimSuffix(s, end)
	}
	if _, after, ok := strings.Cut(s, "_rewards_"); ok {
		s = after
	}
	return s
}

// findModel finds the model that a file, or a name in its metadata, is of. "/" in a
// name may be "/", "--" or "_" in a file name. The user's models come before the
// built-in ones.
func findModel(user []Model, name string) (Model, bool) {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("--", "_", "/", "_").Replace(s))
	}
	for _, m := range append(slices.Clone(user), paperModels...) {
		if plain(m.Name) == plain(name) || m.ID != "" && plain(m.ID) == plain(name) {
			if m.ID == "" {
				m.ID = m.Name
			}
			if m.Display == "" {
				m.Display = m.ID
			}
			return m, true
		}
	}
	if f := shortID.FindStringSubmatch(name); f != nil {
		return Model{Name: name, ID: name, Display: name, Family: map[string]string{"Gem": "Gemma", "Lla": "Llama"}[f[1]]}, true
	}
	return Model{Name: name, ID: name, Display: name}, false
}
