package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/plot"
)

// writeCurves draws what log.jsonl and eval.jsonl of a run's folder have, over the steps, into
// curves.png and curves.svg, and returns it.
func writeCurves(dir string, task train.Task) (log, held []train.Record, err error) {
	if log, err = records(filepath.Join(dir, "log.jsonl")); err != nil {
		return nil, nil, err
	}
	held, err = records(filepath.Join(dir, "eval.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	figure := curves(task, log, held)
	for name, write := range map[string]func(io.Writer) error{"curves.png": figure.WritePNG, "curves.svg": figure.WriteSVG} {
		if err := output.WriteFile(filepath.Join(dir, name), write); err != nil {
			return nil, nil, err
		}
	}
	return log, held, nil
}

// records reads a file of records, one a line.
func records(path string) ([]train.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []train.Record
	in := bufio.NewScanner(f)
	for in.Scan() {
		var r train.Record
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(all)+1, err)
		}
		all = append(all, r)
	}
	return all, in.Err()
}

// curves is the figure of a run: a panel each for what its records have.
func curves(task train.Task, log, held []train.Record) *plot.Figure {
	chart := &plot.Lines{XLabel: "step", Groups: []plot.Group{{Name: "training"}, {Name: "held out"}}}
	add := func(name string, ofHeld bool, value func(train.Record) *float64) {
		facet := plot.LineFacet{Name: name}
		for group, records := range [][]train.Record{log, held} {
			line := plot.Line{Group: group}
			for _, r := range records {
				if v := value(r); v != nil && (group == 0 || ofHeld) {
					line.X, line.Y = append(line.X, float64(r.Step)), append(line.Y, *v)
				}
			}
			if len(line.X) > 0 {
				facet.Lines = append(facet.Lines, line)
			}
		}
		if len(facet.Lines) > 0 {
			chart.Facets = append(chart.Facets, facet)
		}
	}
	add("loss", true, func(r train.Record) *float64 { return &r.Loss })
	add("accuracy", true, func(r train.Record) *float64 { return r.Accuracy })
	add("margin", true, func(r train.Record) *float64 { return r.Margin })
	add("mean reward", true, func(r train.Record) *float64 { return r.Reward })
	add("norm of the gradients", false, func(r train.Record) *float64 { return &r.GradNorm })
	add("learning rate", false, func(r train.Record) *float64 { return &r.LR })
	return &plot.Figure{Title: "Training: " + string(task), Chart: chart, Caption: caption(task, log, held)}
}

// caption says what the panels show.
func caption(task train.Task, log, held []train.Record) string {
	about := map[train.Task]string{
		train.Reward: "Loss: Bradley-Terry, mean over the pairs of a step. Accuracy: share of pairs whose chosen reply has the greater reward. Margin: mean of r(chosen) - r(rejected).",
		train.DPO:    "Loss: DPO, mean over the pairs of a step. Accuracy: share of pairs whose chosen reply has the greater implicit reward. Margin: mean of their difference.",
		train.SFT:    "Loss: mean of -ln p over the tokens of a step.",
		train.LM:     "Loss: mean of -ln p over the tokens of a step.",
	}[task]
	text := fmt.Sprintf("%s Numbers of a step are from before its update; %d steps", about, len(log))
	if len(held) > 0 {
		text += fmt.Sprintf(", held-out rows at %d checkpoints", len(held))
	}
	return text + "."
}
