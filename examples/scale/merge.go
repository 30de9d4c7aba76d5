package main

import (
	"context"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
)

// mergeParts writes the manifest, and the one file where it is asked for.
func (o *flags) mergeParts(ctx context.Context, stderr io.Writer) error {
	folder := shard.Folder{Path: o.out}
	plan, err := shard.ReadPlan(ctx, folder)
	if err != nil {
		return err
	}
	file := output.File{Path: o.one, Force: o.force}
	if o.one != "" {
		if err := output.Check(file); err != nil {
			return err
		}
	}
	m, err := shard.Merge(ctx, folder, plan)
	if err != nil {
		return err
	}
	if o.one != "" {
		if err := file.Write(func(w io.Writer) error { return m.WriteOne(ctx, w) }); err != nil {
			return err
		}
	}
	fmt.Fprintf(stderr, "%s/%s: %d rows in %d parts\n", o.out, shard.ManifestFile, m.Rows, len(m.Parts))
	if len(m.Processors) > 0 {
		fmt.Fprintf(stderr, "processors of several kinds, whose last bits may differ: %q\n", m.Processors)
	}
	if m.Refused == 0 {
		return nil
	}
	for _, part := range m.Parts {
		if len(part.Reasons) > 0 {
			fmt.Fprintf(stderr, "  %s: %d replies to prompts refused, the first: %s\n", part.File, part.Refused, part.Reasons[0])
			break
		}
	}
	return cli.Incompletef("%s: %d replies to prompts refused", o.out, m.Refused)
}
