// Package study turns files of log-probabilities, rewards and reward-model scores
// into the analyses of value bias, and these into a report. It needs no model.
//
//	input     files -> cube.Inputs
//	cube      values of words, after prompts, under models; dictionaries, framings of prompts
//	analysis  cube.Inputs -> results: figures, tables, tests, and in words what was done
//	report    results -> a folder of figures, tables, report.html and report.md
//
// Imports go one way: input -> cube <- analysis <- report. Study runs the analyses that the
// inputs allow.
//
// Options.Compat makes the analyses follow the paper's code (Christian et al. 2026,
// arXiv:2601.20838) also where it is at odds with the paper or with good practice; see
// analysis.Differences, which the report prints.
//
// The package is internal, since an analysis is no function that others would call: it is
// one published figure with its tests, tables and caption, tied to the layout of the paper's
// files, and may change with the report. What it is made of is public and may be imported:
// implicit.Join and implicit.MWLR, implicit/lexicon for corpora of words, the word measures
// and files of rewards of implicit/words, logprob.Table, and all tests, mixed models and
// intervals of package stats.
package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/analysis"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/study/input"
	"github.com/implicitreward/implicitreward/internal/study/report"
)

// Config says what a study is made from, and how. The zero value of a field is its
// default.
type Config struct {
	input.Config     `yaml:",inline"` // the files
	analysis.Options `yaml:",inline"`
	Out              string `yaml:"out"` // folder to write
}

// ReadConfig reads a YAML file into c, over what is there. Unknown keys are errors.
// Relative paths are relative to the file.
func ReadConfig(path string, c *Config) error {
	data, err := regular.Read(path, regular.Text)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path, err)
	}
	dir := filepath.Dir(path)
	c.Resolve(dir)
	if c.Out != "" && !filepath.IsAbs(c.Out) {
		c.Out = filepath.Join(dir, c.Out)
	}
	return nil
}

// Analyses are all that there are, in the order of the report.
func Analyses() []analysis.Analysis { return analysis.Analyses }

// Read reads the files that a configuration names, and that its analyses need. It fills
// in what Data stands for.
func Read(c *Config) (*cube.Inputs, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	in, err := input.Read(&c.Config, c.Reads(), c.Paper())
	if err != nil {
		return nil, err
	}
	return in, c.CheckContrast(in.Sets)
}

// Run makes the analyses that the configuration asks for, or all that the inputs
// allow, in order. An analysis that was asked for and lacks inputs is an error.
func Run(ctx context.Context, c *Config, in *cube.Inputs) ([]*analysis.Result, error) {
	return analysis.Run(ctx, &c.Options, in)
}

// NewReport puts results and their inputs together.
func NewReport(c *Config, in *cube.Inputs, results []*analysis.Result) *report.Report {
	return report.New(&c.Options, in, results)
}

// Write writes a report's folder: see report.Write.
func Write(ctx context.Context, dir output.Folder, r *report.Report) error {
	return report.Write(ctx, dir, r)
}
