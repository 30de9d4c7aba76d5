package input

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

//go:embed models.csv
var paperFile []byte

// paperModels are the ten reward models of Figure 1, the twelve language models of
// Figures 2 and 3, and the three series of Figures 4 and 5.
var paperModels = sync.OnceValue(func() []cube.Model {
	models, err := readModelsCSV(paperFile)
	if err != nil {
		panic(err) // the file is part of the program
	}
	return models
})

// ReadModels reads a file of models: YAML, a list of {name, id, family, display_name,
// type}, or CSV with these columns, of which name and family are needed. A repeated name
// and a model without a family are errors.
func ReadModels(path string) ([]cube.Model, error) {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return nil, err
	}
	var models []cube.Model
	if strings.HasSuffix(path, ".csv") {
		models, err = readModelsCSV(data)
	} else {
		models, err = readModelsYAML(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range models {
		models[i].Family = familyName(models[i].Family)
	}
	return models, nil
}

func readModelsYAML(data []byte) ([]cube.Model, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var models []cube.Model
	if err := d.Decode(&models); errors.Is(err, io.EOF) {
		return nil, errors.New("empty, wanted a list of models")
	} else if err != nil {
		return nil, err
	}
	for i, m := range models {
		if err := checkModel(m, models[:i], fmt.Sprintf("entry %d", i+1)); err != nil {
			return nil, err
		}
	}
	return models, nil
}

func readModelsCSV(data []byte) ([]cube.Model, error) {
	in := table.NewCSVReader(bytes.NewReader(data))
	header, err := in.Header()
	if err != nil {
		return nil, err
	}
	var models []cube.Model
	for record, err := range records(in) {
		if err != nil {
			return nil, err
		}
		var m cube.Model
		fields := map[string]*string{"name": &m.Name, "id": &m.ID, "family": &m.Family,
			"display_name": &m.Display, "type": &m.Type, "dtype": &m.DType}
		for i, h := range header {
			to, ok := fields[h]
			if !ok {
				return nil, fmt.Errorf("line 1, column %d: %q, wanted name, id, family, display_name or type", i+1, h)
			}
			*to = string(record[i])
		}
		at := fmt.Sprintf("line %d, column %d (family)", in.Line(0), slices.Index(header, "family")+1)
		if err := checkModel(m, models, at); err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

func checkModel(m cube.Model, before []cube.Model, at string) error {
	switch {
	case m.Name == "":
		return fmt.Errorf("%s: a model without a name", at)
	case m.Family == "":
		return fmt.Errorf("%s: %s: no family, wanted one", at, m.Name)
	case slices.ContainsFunc(before, func(b cube.Model) bool { return b.Name == m.Name }):
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

// stem is a file's name without folder, ending and the "big2_rewards_" that the
// published files begin with.
func stem(path string) string {
	s := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".parquet"), ".csv")
	if _, after, ok := strings.Cut(s, "_rewards_"); ok {
		s = after
	}
	return s
}

// shortID is a reward model's short name as the paper makes it: recipe, base, size.
var shortID = regexp.MustCompile(`^[A-Z][-_](Gem|Lla)-\d`)

// findModel finds the model that a file, or a name in its metadata, is of. "/" in a
// name may be "/", "--" or "_" in a file name. The user's models come before the
// built-in ones.
func findModel(user []cube.Model, name string) (cube.Model, bool) {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("--", "_", "/", "_").Replace(s))
	}
	for _, m := range slices.Concat(user, paperModels()) {
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
	m := cube.Model{Name: name, ID: name, Display: name}
	if f := shortID.FindStringSubmatch(name); f != nil {
		m.Family = map[string]string{"Gem": "Gemma", "Lla": "Llama"}[f[1]]
	}
	return m, m.Family != ""
}

// identify finds the model of a file by its name, or by the metadata that lie beside the
// numbers: by the model's name among those known, else as it says itself, with the family of
// its architecture, which for a model of one that others have taken over (SmolLM2 is "llama") the
// file of models says otherwise. id is the short name of a model that is not known; "": the model's own.
func identify(user []cube.Model, file, id string, meta logprob.Meta) cube.Model {
	m, known := findModel(user, file)
	if known || meta.Model == "" {
		return m
	}
	if m, known = findModel(user, meta.Model); known {
		return m
	}
	m = cube.Model{Name: meta.Model, ID: cmp.Or(id, meta.Model), Display: cmp.Or(id, meta.Model)}
	if family, ok := arch.FamilyOf(meta.ModelType); ok {
		m.Family, m.Architecture = family.Name, meta.ModelType
	}
	return m
}

// errNoFamily is of a file whose model needs one.
func errNoFamily(path, what, name, more string) error {
	return fmt.Errorf("%s: %s %q without a family, wanted it in the file of models (name, family)%s",
		path, what, name, more)
}
