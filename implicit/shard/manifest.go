package shard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/implicitreward/implicitreward/implicit/words"
)

// ReadManifest reads the manifest of a folder.
func ReadManifest(ctx context.Context, f Folder) (*Manifest, error) {
	m := &Manifest{folder: f}
	data, err := f.read(ctx, f.name(ManifestFile))
	if err == nil {
		err = json.Unmarshal(data, m)
	}
	if err == nil && m.Format != manifestFormat {
		err = fmt.Errorf("%q, wanted %q", m.Format, manifestFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("shard: %s: %w", f.name(ManifestFile), err)
	}
	return m, nil
}

// Records yields the rows of a pair, by its index in Models, in the order of the plan, a part in
// memory at a time. A part that is not the one that was merged is an error, the last thing.
func (m *Manifest) Records(ctx context.Context, model int) iter.Seq2[words.Record, error] {
	return ofModel(m, model, m.recordsOf(ctx))
}

// Scores is Records for a reward model.
func (m *Manifest) Scores(ctx context.Context, model int) iter.Seq2[words.ScoreRecord, error] {
	return ofModel(m, model, m.scoresOf(ctx))
}

// Provenance says how the rows of a pair, by its index in Models, are made.
func (m *Manifest) Provenance(model int) words.Provenance { return m.provenance(model, m.InputHash) }

// ScoreProvenance is Provenance for a reward model.
func (m *Manifest) ScoreProvenance(model int) words.ScoreProvenance {
	return m.scoreProvenance(model, m.InputHash)
}

// ofModel yields the rows of a model's parts.
func ofModel[R any](m *Manifest, model int, read func(Part) iter.Seq2[R, error]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, part := range m.Parts {
			if part.Model != model {
				continue
			}
			for r, err := range read(part) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

func (m *Manifest) recordsOf(ctx context.Context) func(Part) iter.Seq2[words.Record, error] {
	return rowsOf(ctx, m, func(data []byte) ([]words.Record, error) {
		all, _, err := words.ReadRecords(bytes.NewReader(data), int64(len(data)))
		return all, err
	})
}

func (m *Manifest) scoresOf(ctx context.Context) func(Part) iter.Seq2[words.ScoreRecord, error] {
	return rowsOf(ctx, m, func(data []byte) ([]words.ScoreRecord, error) {
		all, _, err := words.ReadScores(bytes.NewReader(data), int64(len(data)))
		return all, err
	})
}

// rowsOf returns how the rows of a part are read.
func rowsOf[R any](ctx context.Context, m *Manifest, decode func([]byte) ([]R, error)) func(Part) iter.Seq2[R, error] {
	read := func(part Part) ([]R, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := m.folder.read(ctx, m.folder.name(part.File))
		if err != nil {
			return nil, err
		}
		if sum(data) != part.Hash {
			return nil, errors.New("not the file that was merged: its SHA-256 is another than in " + ManifestFile)
		}
		return decode(data)
	}
	return func(part Part) iter.Seq2[R, error] {
		return func(yield func(R, error) bool) {
			all, err := read(part)
			if err != nil {
				var none R
				yield(none, fmt.Errorf("shard: %s: %w", m.folder.name(part.File), err))
				return
			}
			for _, r := range all {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
