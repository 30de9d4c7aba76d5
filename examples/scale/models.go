package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// names are those of a pair, or of a reward model.
type names struct{ tuned, base, rm string }

// named are the models of the flags, and those of the file.
func (o *flags) named(ctx context.Context) (all []names, err error) {
	for _, tuned := range o.TunedAll {
		all = append(all, names{tuned: tuned, base: o.Base})
	}
	for _, rm := range o.rm.RMAll {
		all = append(all, names{rm: rm})
	}
	if o.models != "" {
		if all, err = o.readModels(ctx, all); err != nil {
			return nil, err
		}
	}
	for _, m := range all {
		switch {
		case m.rm == "" && (m.tuned == "" || m.base == ""):
			return nil, cli.Usagef("%s without a base model, wanted -base", m.tuned)
		case (m.rm == "") != (all[0].rm == ""):
			return nil, cli.Usagef("pairs and reward models, wanted one of them: make a plan of each")
		}
	}
	return all, nil
}

// readModels adds the models of the file.
func (o *flags) readModels(ctx context.Context, all []names) ([]names, error) {
	const wanted = `{"tuned": ..., "base": ...} or {"rm": ...}`
	in, _, err := regular.Open(o.models, regular.Text)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	defer in.Close()
	for line, err := range cli.Lines(ctx, in, o.models) {
		if err == nil {
			err = line.Err
		}
		var m names
		if err == nil {
			m, err = parseNames(line.Text, wanted)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", o.models, line.Number, err)
		}
		if m.rm == "" && m.base == "" {
			m.base = o.Base
		}
		all = append(all, m)
	}
	return all, nil
}

func parseNames(text []byte, wanted string) (m names, err error) {
	members, err := cli.Object(text, wanted, "tuned", "base", "rm")
	if err != nil {
		return m, err
	}
	for name, to := range map[string]*string{"tuned": &m.tuned, "base": &m.base, "rm": &m.rm} {
		raw, there := members[name]
		if !there {
			continue
		}
		var ok bool
		if *to, ok, err = cli.String(raw, name); err != nil {
			return m, err
		}
		if !ok || *to == "" {
			return m, fmt.Errorf("%q is no text, wanted %s", name, wanted)
		}
		delete(members, name)
	}
	if len(members) > 0 || (m.tuned == "") == (m.rm == "") || m.rm != "" && m.base != "" {
		return m, fmt.Errorf("%s, wanted %s", strings.TrimSpace(string(text)), wanted)
	}
	return m, nil
}

// worker has one model of a plan loaded at a time.
type worker struct {
	*flags
	stderr io.Writer
	loader *cli.Loader // nil before the first model
	pair   *cli.Pair
	rm     *cli.RM
	now    names // what is loaded
	loaded shard.Scorer
	loads  int
}

func (w *worker) close() {
	if w.loader != nil {
		w.loader.Close()
	}
}

// load is a shard.Load.
func (w *worker) load(ctx context.Context, m shard.Model) (shard.Scorer, error) {
	if m.RM != nil {
		return w.open(ctx, names{rm: m.RM.Model})
	}
	return w.open(ctx, names{tuned: m.Tuned.Model, base: m.Base.Model})
}

// open loads a model in the place of the last one, of which the base model stays where both
// have it.
func (w *worker) open(ctx context.Context, m names) (scorer shard.Scorer, err error) {
	if m == w.now {
		return w.loaded, nil
	}
	if w.loader == nil {
		if w.loader, err = w.Loader(w.stderr); err != nil {
			return scorer, err
		}
	}
	if err := w.release(m); err != nil {
		return scorer, err
	}
	w.loads++
	if m.rm != "" {
		scorer, err = w.openRM(ctx, m)
	} else {
		scorer, err = w.openPair(ctx, m)
	}
	if err == nil {
		w.now, w.loaded = m, scorer
	}
	return scorer, err
}

func (w *worker) openRM(ctx context.Context, m names) (scorer shard.Scorer, err error) {
	f := w.flags.rm
	f.RM, f.ModelFlags = m.rm, w.ModelFlags
	if w.rm, err = w.loader.RM(ctx, &f); err != nil {
		return scorer, err
	}
	made, err := w.rm.Meta(ctx)
	return shard.Scorer{RM: w.rm, Made: shard.Model{RM: &made}}, err
}

func (w *worker) openPair(ctx context.Context, m names) (scorer shard.Scorer, err error) {
	f := w.PairFlags
	f.Tuned, f.Base = m.tuned, m.base
	if w.pair, err = f.Load(ctx, w.loader); err != nil {
		return scorer, err
	}
	tuned, base, err := w.pair.Meta(ctx)
	return shard.Scorer{Pair: w.pair.Policies(), Made: shard.Model{Tuned: &tuned, Base: &base}}, err
}

// release frees what is loaded and is not of the next model.
func (w *worker) release(next names) error {
	w.now = names{}
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
	if pair.Tuned.Model != pair.Base.Model && pair.Tuned.Name != next.base {
		if err := w.loader.Release(pair.Tuned.Model); err != nil {
			return err
		}
	}
	if pair.Base.Name != next.base && pair.Base.Name != next.tuned {
		return w.loader.Release(pair.Base.Model)
	}
	return nil
}
