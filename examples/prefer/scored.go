package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// checkScored is a UsageError if flags of models stand beside -scored, which needs none.
func (o *flags) checkScored(f *cli.Flags) error {
	if name := f.Given("tuned", "base", "rm", "tuned-as", "base-as", "rm-as", "output", "pooling", "normalize", "backend", "dtype"); name != "" {
		return cli.Usagef("-%s with -scored, wanted it without: the scores are made", name)
	}
	if filepath.Base(o.scored) != shard.ManifestFile {
		return cli.Usagef("-scored %s, wanted the %s of scale", o.scored, shard.ManifestFile)
	}
	return nil
}

// preferScored reads what scale has scored, and writes what there is to say of it.
func (o *flags) preferScored(ctx context.Context, rows []preference.Row, hash string, stdout, stderr io.Writer) error {
	m, err := shard.ReadManifest(ctx, shard.Folder{Path: filepath.Dir(o.scored)})
	if err != nil {
		return err
	}
	switch {
	case !m.Preferences:
		return fmt.Errorf("%s: scores of replies, wanted those of preferences (scale -plan -data)", o.scored)
	case m.InputHash != hash:
		return fmt.Errorf("%s is not the file that %s was made of: its SHA-256 is %.12s, wanted %.12s", o.name(), o.scored, hash, m.InputHash)
	}
	model, err := modelOf(m, o.of)
	if err != nil {
		return err
	}
	of := m.Models[model]
	r := report{Meta: meta{Data: hash, Tuned: of.Tuned, Base: of.Base, RM: of.RM}, models: m.PreferenceModels(model)}
	for s, err := range m.ScoredPreferences(ctx, model, each(rows)) {
		if err != nil {
			return err
		}
		r.rows = append(r.rows, s)
	}
	r.Summary = preference.Summarize(r.rows, r.models)
	if r.All.Pairs == 0 {
		return o.none(&r)
	}
	if o.out != "" {
		if err := o.file.WriteWithMeta(r.rowsTo(o.out), r.Meta.writeJSON); err != nil {
			return err
		}
	}
	return o.print(&r, stdout, stderr)
}

// modelOf finds a model of a manifest by its name; "" is the only one.
func modelOf(m *shard.Manifest, name string) (int, error) {
	var names []string
	for i, of := range m.Models {
		if of.Name() == name || name == "" && len(m.Models) == 1 {
			return i, nil
		}
		names = append(names, of.Name())
	}
	return 0, cli.Usagef("-of %q, wanted one of the models of the manifest: %s", name, strings.Join(names, ", "))
}
