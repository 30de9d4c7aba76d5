// Study turns files of log-probabilities, rewards and reward-model scores into the
// paper's analyses of value bias, and a report.
//
//	study -data paper -out report
package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/study"
)

func main() { cli.Main("study", run) }

const purpose = `makes tables, figures, tests and a report of value bias from files.
It needs no model. -data takes a folder as in the paper's repository; else name the
files by flags, or in a YAML file (-config), whose keys are the flags' names. A path is
a file, or a folder of .csv and .parquet files, or of rewards, scores and series a
manifest.json of scale, with all of its models. Flags marked + may stand several times.

Prompts are tested in groups. Names that begin with best_, greatest_ or good_ are positive,
with worst_, bad_ or terrible_ negative, the rest other; where no name begins so, all prompts
are one group. -groups gives others.`

func examples() string {
	var b strings.Builder
	b.WriteString("  study -data paper -out report\n  study -data paper -compat paper -only fig1,a1 -out report\n" +
		"  study -corpus big2=words.csv -scores big2=scores/ -models models.csv -out report\n  study -config study.yaml\n  study -power -design 4,6,27,104,159 -out power\n\nAnalyses (-only):\n")
	for _, a := range study.Analyses() {
		fmt.Fprintf(&b, "  %-10s %s; needs %s\n", a.Name, a.What(), a.Needs())
		if a.Also != nil {
			fmt.Fprintf(&b, "  %-10s   alone: %s\n", "", strings.Join(a.Also, ", "))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	c, force, err := configure(args, stdout)
	if err != nil {
		return err
	}
	if c.Out == "" {
		return cli.Usagef("flag -out is missing: folder to write")
	}
	folder := output.Folder{Path: c.Out, Force: force}
	if err := folder.Check(); err != nil {
		return err
	}
	in, err := study.Read(c)
	if err != nil {
		return err
	}
	results, err := study.Run(ctx, c, in)
	if err != nil {
		return err
	}
	if err := study.Write(ctx, folder, study.NewReport(c, in, results)); err != nil {
		return err
	}
	figures, tables, tests := 0, 0, 0
	for _, r := range results {
		figures, tables, tests = figures+len(r.Figures), tables+len(r.Tables), tests+len(r.Tests)
		for _, w := range r.Warnings {
			fmt.Fprintf(stderr, "%s: %s\n", r.Name, w)
		}
	}
	fmt.Fprintf(stdout, "%s/report.html: %d analyses, %d figures, %d tables, %d tests\n", strings.TrimRight(c.Out, "/"), len(results), figures, tables, tests)
	return nil
}
