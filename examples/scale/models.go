package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/worker"
)

// named are the models of the flags, and those of the file.
func (o *flags) named(ctx context.Context) (all []worker.Names, err error) {
	for _, tuned := range o.TunedAll {
		all = append(all, worker.Names{Tuned: tuned, Base: o.Base})
	}
	for _, rm := range o.RM.RMAll {
		all = append(all, worker.Names{RM: rm})
	}
	if o.models != "" {
		if all, err = o.readModels(ctx, all); err != nil {
			return nil, err
		}
	}
	for _, m := range all {
		switch {
		case m.RM == "" && (m.Tuned == "" || m.Base == ""):
			return nil, cli.Usagef("%s without a base model, wanted -base", m.Tuned)
		case (m.RM == "") != (all[0].RM == ""):
			return nil, cli.Usagef("pairs and reward models, wanted one of them: make a plan of each")
		}
	}
	return all, nil
}

// readModels adds the models of the file.
func (o *flags) readModels(ctx context.Context, all []worker.Names) ([]worker.Names, error) {
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
		var m worker.Names
		if err == nil {
			m, err = parseNames(line.Text, wanted)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", o.models, line.Number, err)
		}
		if m.RM == "" && m.Base == "" {
			m.Base = o.Base
		}
		all = append(all, m)
	}
	return all, nil
}

func parseNames(text []byte, wanted string) (m worker.Names, err error) {
	members, err := cli.Object(text, wanted, "tuned", "base", "rm")
	if err != nil {
		return m, err
	}
	for name, to := range map[string]*string{"tuned": &m.Tuned, "base": &m.Base, "rm": &m.RM} {
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
	if len(members) > 0 || (m.Tuned == "") == (m.RM == "") || m.RM != "" && m.Base != "" {
		return m, fmt.Errorf("%s, wanted %s", strings.TrimSpace(string(text)), wanted)
	}
	return m, nil
}
