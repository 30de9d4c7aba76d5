package shard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// WriteOne writes all rows as one Parquet file, with a column model, the name of the tuned or
// reward model, before those of the parts, and the manifest without its parts as provenance. A
// row group is a part, so one is in memory at a time.
func (m *Manifest) WriteOne(ctx context.Context, w io.Writer) error {
	if len(m.Models) == 0 {
		return errors.New("shard: a manifest without models, wanted some")
	}
	var err error
	if m.Preferences {
		type row struct {
			Model string `parquet:"model,dict"`
			Reply
		}
		err = writeOne(w, m, m.repliesOf(ctx), func(model string, r Reply) row { return row{model, r} })
	} else if m.Models[0].RM != nil {
		type row struct {
			Model string `parquet:"model,dict"`
			words.ScoreRecord
		}
		err = writeOne(w, m, m.scoresOf(ctx), func(model string, r words.ScoreRecord) row { return row{model, r} })
	} else {
		type row struct {
			Model string `parquet:"model,dict"`
			words.Record
		}
		err = writeOne(w, m, m.recordsOf(ctx), func(model string, r words.Record) row { return row{model, r} })
	}
	if err != nil {
		return fmt.Errorf("shard: one file: %w", err)
	}
	return nil
}

// writeOne writes the rows of parts, a row group each.
func writeOne[R, T any](w io.Writer, m *Manifest, read func(Part) iter.Seq2[R, error], row func(model string, r R) T) error {
	about := *m
	about.Parts = nil
	how, err := table.WithMeta(about)
	if err != nil {
		return err
	}
	out := parquet.NewGenericWriter[T](w, how, parquet.Compression(&parquet.Zstd), table.CreatedBy(logprob.Version))
	for _, part := range m.Parts {
		name := m.Models[part.Model].Name()
		var all []T
		for r, err := range read(part) {
			if err != nil {
				return err
			}
			all = append(all, row(name, r))
		}
		if _, err := out.Write(all); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return out.Close()
}
