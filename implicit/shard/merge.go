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
	"path"
	"slices"
	"strings"
	"sync"

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
