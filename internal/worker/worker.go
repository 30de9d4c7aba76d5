// Package worker loads the models of a plan of package shard, for the programs that score its
// shards: examples/scale and examples/beam.
package worker

import (
	"context"
	"io"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// Flags are those by which models are loaded: a plan holds them (shard.Spec.Args), and a worker
// may add its machine's own.
type Flags struct {
	cli.PairFlags
	RM cli.RMFlags
}

// Register adds the flags, but for -beta.
func (o *Flags) Register(f *cli.Flags) {
	o.Same = true
	o.PairFlags.Register(f)
	o.RegisterDevices(f)
	f.Lookup("base-as").DefValue = ""
	f.Lookup("base-as").Usage = "`rendering` for the base model: raw, chat, or same, as the tuned model's; default: raw, as of score, and with -data same, as of prefer"
	o.RM.RegisterRM(f)
}

// Names are those of a pair, or of a reward model.
type Names struct{ Tuned, Base, RM string }

// Worker has one model of a plan loaded at a time.
type Worker struct {
	Loads  int // models loaded so far
	flags  *Flags
	stderr io.Writer
	loader *cli.Loader // nil before the first model
	pair   *cli.Pair
	rm     *cli.RM
	now    Names // what is loaded
	loaded shard.Scorer
}

// New returns a Worker with nothing loaded, which tells on stderr what it loads.
func New(flags *Flags, stderr io.Writer) *Worker { return &Worker{flags: flags, stderr: stderr} }

// Close frees what is loaded.
func (w *Worker) Close() {
	if w.loader != nil {
		w.loader.Close()
	}
}

// Load is a shard.Load.
func (w *Worker) Load(ctx context.Context, m shard.Model) (shard.Scorer, error) {
	if m.RM != nil {
		return w.Open(ctx, Names{RM: m.RM.Model})
	}
	return w.Open(ctx, Names{Tuned: m.Tuned.Model, Base: m.Base.Model})
}

// Open loads a model in the place of the last one, of which the base model stays where both
// have it.
func (w *Worker) Open(ctx context.Context, m Names) (scorer shard.Scorer, err error) {
	if m == w.now {
		return w.loaded, nil
	}
	if w.loader == nil {
		if w.loader, err = w.flags.Loader(w.stderr); err != nil {
			return scorer, err
		}
	}
	if err := w.release(m); err != nil {
		return scorer, err
	}
	w.Loads++
	if m.RM != "" {
		scorer, err = w.openRM(ctx, m)
	} else {
		scorer, err = w.openPair(ctx, m)
	}
	if err == nil {
		w.now, w.loaded = m, scorer
	}
	return scorer, err
}

func (w *Worker) openRM(ctx context.Context, m Names) (scorer shard.Scorer, err error) {
	f := w.flags.RM
	f.RM, f.ModelFlags = m.RM, w.flags.ModelFlags
	if w.rm, err = w.loader.RM(ctx, &f); err != nil {
		return scorer, err
	}
	made, err := w.rm.Meta(ctx)
	return shard.Scorer{RM: w.rm, Made: shard.Model{RM: &made}}, err
}

func (w *Worker) openPair(ctx context.Context, m Names) (scorer shard.Scorer, err error) {
	f := w.flags.PairFlags
	f.Tuned, f.Base = m.Tuned, m.Base
	if w.pair, err = f.Load(ctx, w.loader); err != nil {
		return scorer, err
	}
	tuned, base, err := w.pair.Meta(ctx)
	return shard.Scorer{Pair: w.pair.Policies(), Made: shard.Model{Tuned: &tuned, Base: &base}}, err
}

// release frees what is loaded and is not of the next model.
func (w *Worker) release(next Names) error {
	w.now = Names{}
	if w.rm != nil {
		rm := w.rm
		w.rm = nil
		return w.loader.ReleaseRM(rm)
	}
	if w.pair == nil {
		return nil
	}
	pair := w.pair
	w.pair = nil
	if pair.Tuned.Model != pair.Base.Model && pair.Tuned.Name != next.Base {
		if err := w.loader.Release(pair.Tuned.Model); err != nil {
			return err
		}
	}
	if pair.Base.Name != next.Base && pair.Base.Name != next.Tuned {
		return w.loader.Release(pair.Base.Model)
	}
	return nil
}
