package shard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/internal/table"
)

// manifestFormat names the layout of a manifest.
const manifestFormat = "manifest 1"

// Manifest says that all parts of a plan are there, and what they are.
type Manifest struct {
	Format  string `json:"implicitreward"` // "manifest 1"
	Version string `json:"version"`        // of this library
	Spec
	InputHash  string   `json:"input_hash"`           // SHA-256, hex
	Rows       int      `json:"rows"`                 // of all parts
	Refused    int      `json:"refused"`              // replies to a prompt that could not be scored
	Processors []string `json:"processors,omitempty"` // several kinds that scored parts, which may differ in their last bits
	Parts      []Part   `json:"parts"`                // in the order of the plan

	folder Folder
}

// Merge reads every part of a plan, and writes ManifestFile, last. It is an error, and there is
// no manifest, if a part is missing or damaged, or a part-*.parquet is not of the plan; the
// first such file is named.
func Merge(ctx context.Context, f Folder, p *Plan) (*Manifest, error) {
	m, err := merge(ctx, f, p)
	if err != nil {
		return nil, fmt.Errorf("shard: merge: %w", err)
	}
	return m, nil
}

func merge(ctx context.Context, f Folder, p *Plan) (*Manifest, error) {
	if err := foreign(ctx, f, p); err != nil {
		return nil, err
	}
	parts := make([]Part, len(p.Shards))
	errs := make([]error, len(p.Shards))
	var wait sync.WaitGroup
	next := make(chan int)
	for range 4 { // readers, each with one part in memory
		wait.Go(func() {
			for i := range next {
				parts[i], errs[i] = check(ctx, f, p, p.Shards[i])
			}
		})
	}
	for i := range p.Shards {
		next <- i
	}
	close(next)
	wait.Wait()
	m := &Manifest{Format: manifestFormat, Version: p.Version, Spec: p.Spec, InputHash: p.InputHash, Parts: parts, folder: f}
	if err := missing(p, errs); err != nil {
		return nil, err
	}
	for _, part := range parts {
		m.Rows += part.Rows
		m.Refused += part.Refused
		if part.Processor != "" && !slices.Contains(m.Processors, part.Processor) {
			m.Processors = append(m.Processors, part.Processor)
		}
	}
	if len(m.Processors) == 1 {
		m.Processors = nil
	}
	var b bytes.Buffer
	if err := strictjson.Write(&b, m, "  "); err != nil {
		return nil, err
	}
	return m, f.write(ctx, ManifestFile, b.Bytes())
}

// foreign refuses parts that are not of the plan.
func foreign(ctx context.Context, f Folder, p *Plan) error {
	names, err := f.fs().List(ctx, f.name("part-*.parquet"))
	if err != nil {
		return err
	}
	planned := make(map[string]bool, len(p.Shards))
	for _, s := range p.Shards {
		planned[s.Name()] = true
	}
	for _, name := range names {
		if base := path.Base(strings.ReplaceAll(name, "\\", "/")); !planned[base] {
			return fmt.Errorf("%s is not of this plan, wanted its parts alone: move it away", f.name(base))
		}
	}
	return nil
}

// missing is the error of the first part that cannot be read.
func missing(p *Plan, errs []error) error {
	first, n := -1, 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		if n++; first < 0 {
			first = i
		}
	}
	if n == 0 {
		return nil
	}
	more := ""
	if n > 1 {
		more = fmt.Sprintf(" (and %d more of %d)", n-1, len(errs))
	}
	name := p.Shards[first].Name()
	if errors.Is(errs[first], fs.ErrNotExist) {
		return fmt.Errorf("%s is missing%s: score shard %d", name, more, first)
	}
	return fmt.Errorf("%s: %w%s", name, errs[first], more)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// openPart reads the number of rows and the footer of a part.
func openPart(data []byte) (rows int64, meta *footer, err error) {
	file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0, nil, err
	}
	var provenance json.RawMessage
	if err := table.ParquetMeta(file, &provenance); err != nil {
		return 0, nil, err
	}
	if provenance == nil {
		return 0, nil, errors.New("no provenance, wanted a part that was scored by a plan")
	}
	meta, err = decodeFooter(provenance)
	return file.NumRows(), meta, err
}

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
	return rows(ctx, m, model, func(data []byte) ([]words.Record, error) {
		all, _, err := words.ReadRecords(bytes.NewReader(data), int64(len(data)))
		return all, err
	})
}

// Scores is Records for a reward model.
func (m *Manifest) Scores(ctx context.Context, model int) iter.Seq2[words.ScoreRecord, error] {
	return rows(ctx, m, model, func(data []byte) ([]words.ScoreRecord, error) {
		all, _, err := words.ReadScores(bytes.NewReader(data), int64(len(data)))
		return all, err
	})
}

func rows[T any](ctx context.Context, m *Manifest, model int, read func([]byte) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		fail := func(part Part, err error) {
			var none T
			yield(none, fmt.Errorf("shard: %s: %w", m.folder.name(part.File), err))
		}
		for _, part := range m.Parts {
			if part.Model != model {
				continue
			}
			if err := ctx.Err(); err != nil {
				fail(part, err)
				return
			}
			data, err := m.folder.read(ctx, m.folder.name(part.File))
			if err == nil && sum(data) != part.Hash {
				err = errors.New("not the file that was merged: its SHA-256 is another than in " + ManifestFile)
			}
			var all []T
			if err == nil {
				all, err = read(data)
			}
			if err != nil {
				fail(part, err)
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
