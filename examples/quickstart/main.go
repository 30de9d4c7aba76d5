// Command quickstart shows in seconds, without network or arguments, what this library measures: the implicit reward that tuning
// put into a model, and the rewards of an explicit reward model, here on tiny models in which both were planted, so that they can be
// compared with the truth.
package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
)

func main() { cli.Main("quickstart", run) }

const purpose = `scores two embedded families of tiny models, each a base, a model tuned from it and a reward model, on an
embedded word list and prints what tuning pushed towards and what the reward models like, beside what was planted.`

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) (err error) {
	flags := cli.NewFlags("quickstart", purpose, "  quickstart\n  quickstart -backend go")
	var models cli.ModelFlags
	flags.StringVar(&models.Backend, "backend", "auto", "`backend` that computes: auto, xla:cpu, xla:cuda or go")
	if err := flags.Parse(args, stdout); err != nil {
		return err
	}
	// Weights are mapped from files, so the embedded ones need a folder.
	dir, err := os.MkdirTemp("", "quickstart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	loader, err := models.Loader(stderr)
	if err != nil {
		return err
	}
	defer loader.Close() // before the files go
	var found []finding
	for _, pair := range demo.Pairs() {
		f, err := measure(ctx, loader, pair, dir)
		if err != nil {
			return err
		}
		found = append(found, f)
	}
	return report(stdout, found)
}
