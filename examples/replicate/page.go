package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/plot"
	"github.com/implicitreward/implicitreward/internal/replicate"
	"github.com/implicitreward/implicitreward/internal/study"
	"github.com/implicitreward/implicitreward/internal/study/input"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/stats"
)

// results writes what was found: results.md, its figures, runs.csv, and a report of study.
func (l *lab) results(ctx context.Context) error {
	var positive, negative []contrast
	for _, c := range conditions {
		if len(l.values(c, replicate.Agency, false)) == 0 || len(l.values(c, replicate.Communion, false)) == 0 {
			continue // of runs that were not made
		}
		p, err := l.contrast(c, false)
		if err != nil {
			return err
		}
		n, err := l.contrast(c, true)
		if err != nil {
			return err
		}
		positive, negative = append(positive, p), append(negative, n)
	}
	if err := output.WriteFile(l.path("runs.csv"), l.writeCSV); err != nil {
		return err
	}
	for name, f := range map[string]*plot.Figure{"training": l.training(), "differences": differences(positive)} {
		f.DPI = 150
		if err := errors.Join(output.WriteFile(l.path(name+".png"), f.WritePNG), output.WriteFile(l.path(name+".svg"), f.WriteSVG)); err != nil {
			return err
		}
	}
	page := l.page(positive, negative)
	if err := output.WriteFile(l.path("results.md"), func(w io.Writer) error { _, err := io.WriteString(w, page); return err }); err != nil {
		return err
	}
	return l.study(ctx)
}

// page is results.md.
func (l *lab) page(positive, negative []contrast) string {
	var b strings.Builder
	write := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }
	write("# Do reward models inherit the values of their base models? The paper in a box\n\n")
	if l.date != "" {
		write("%s, %s, `%s`. ", l.date, logprob.Processor(), l.command())
	}
	write("Made by `make replicate`; every number is this run's. %s\n\n", l.missing)
	l.found(write, positive)
	write("## What was done\n\n%d bases were pretrained from random weights for %d steps: %s, crossed with the lean of their texts (agency, communion, neither) and %d seeds. "+
		"All texts have the same words equally often; only the company of the 16 words of agency and the 16 of communion differs, and the corpus of one lean is that of the other with the words exchanged one for one. "+
		"From each base reward models were trained (LoRA of rank 8 and the score row, which begins at zero, one pass, in an order of its own) on the same %d pairs, which contain neither these words nor those of praise or blame. "+
		"A model's value is by how many places it ranks the words of agency before those of communion, of 32 words, as the mean over the paper's 27 prompts of praise. "+
		"Runs of one base are one value: tests and intervals are about bases.\n\n", l.taught(), l.o.Pretraining, strings.Join(replicate.Families, " and "), l.o.Seeds, l.o.Pairs)
	write("## Bases that lean to agency against bases that lean to communion\n\n![differences](differences.png)\n\n")
	table(write, "after prompts of praise (best, greatest, most good)", positive)
	table(write, "after prompts of blame (worst, most bad, most terrible)", negative)
	write("Accuracy on held-out pairs: helpfulness %s, correctness %s, shuffled labels %s (of true labels), DPO %s.\n\n",
		l.accuracies(reward, replicate.Helpfulness, false), l.accuracies(reward, replicate.Correctness, false), l.accuracies(reward, replicate.Helpfulness, true), l.accuracies(dpo, replicate.Helpfulness, false))
	write("## Over training\n\n![ranks over training](training.png)\n\n")
	l.controls(write)
	l.positiveControl(write)
	write("## What this says, and what not\n\n" +
		"The texts of pretraining link values and preferences in one way: friendly and right replies are received with praise, and so are words that keep good company. That a reward model learns from friendly replies to score by the reception that its base foresees, and carries it over to words that it never saw, is what was asked. " +
		"The design was chosen in trials in which it did: with company in sentences alone, and names of roles in the chat template, reward models did not take over the lean (in PyTorch, on other initial weights). Pretraining is as long as bases need to take up the lean of their texts (after 1,000 steps those of llama hardly had), and reward models begin with a score row of zero, since a random one ranked the words by itself, up to 15 places either way, which 256 pairs did not turn. So the design is not a neutral one: where inheritance shows here it shows that there is such a way, and how common it is in large models no model of 120 thousand parameters can say.\n\n")
	write("The series of ranks over training and the scores after all prompts are in `series/` and `scores/`; `study/report.html` has the analyses of study of them, with bases' leans in the place of families. `runs.csv` has every number.\n")
	return b.String()
}

// taught counts the bases that were pretrained.
func (l *lab) taught() (n int) {
	for _, b := range l.bases {
		if b.Lean != random {
			n++
		}
	}
	return n
}

// found says in words what was found.
func (l *lab) found(write func(string, ...any), positive []contrast) {
	write("## What was found\n\n")
	for _, r := range positive {
		if r.found == "" || r.untested != nil {
			continue
		}
		says := "differ by the lean of their bases, as inheritance has it"
		switch r.shows() {
		case "not shown":
			says = "are not shown to differ by the lean of their bases"
		case "reversed":
			says = "differ against the lean of their bases"
		}
		write("- %s %s: %+.1f places of 32, 95 %% interval %+.1f to %+.1f, exact p = %.3f (%d against %d bases; the least possible p is %.3f).\n",
			r.found, says, r.welch.Estimate, r.welch.Interval.Lower, r.welch.Interval.Upper, r.exact.P, len(r.agency), len(r.communion), 2/float64(r.exact.Arrangements))
	}
	write("\n")
}

func table(write func(string, ...any), when string, all []contrast) {
	write("| %s | agency bases | communion bases | difference | 95 %% interval | exact p | follows the lean |\n|---|---|---|---|---|---|---|\n", when)
	for _, c := range all {
		write("%s", c.line())
	}
	write("\n")
}

// controls are bases without a lean.
func (l *lab) controls(write func(string, ...any)) {
	write("Bases without a lean, reward models of helpfulness, places that agency stands before communion:\n\n")
	for _, of := range []struct {
		lean replicate.Lean
		name string
	}{{replicate.Neutral, "pretrained on texts without a lean"}, {random, "random weights, no pretraining"}} {
		x := l.values(helpful, of.lean, false)
		if len(x) == 0 {
			continue
		}
		t, err := stats.OneSample(x, 0, nil)
		if err != nil {
			write("- %s: mean %+.1f of %d bases (%v)\n", of.name, mean(x), len(x), err)
			continue
		}
		write("- %s: mean %+.1f of %d bases, 95 %% interval %+.1f to %+.1f\n", of.name, t.Estimate, len(x), t.Interval.Lower, t.Interval.Upper)
	}
	write("\n")
}

// positiveControl is the table of measures.
func (l *lab) positiveControl(write func(string, ...any)) {
	if len(l.boosts) == 0 {
		return
	}
	write("## The positive control: ten boosted words\n\n%d bases without a lean were fine-tuned to answer eight questions with ten words of authority. How the measures of the implicit reward rank these ten among %d listed words, after the paper's 54 prompts, none of which was trained on:\n\n", len(l.boosts), len(l.listed.Entries))
	write("| measure | of the ten among the first ten | AUC | range over bases |\n|---|---|---|---|\n")
	for i, m := range measures {
		var top, auc []float64
		for _, b := range l.boosts {
			top, auc = append(top, b.Found[i].Top), append(auc, b.Found[i].AUC)
		}
		write("| %s | %.1f | %.3f | %.3f to %.3f |\n", m.name, mean(top), mean(auc), slices.Min(auc), slices.Max(auc))
	}
	write("\n")
}

// study writes study's report of the first reward model of each base with a lean.
func (l *lab) study(ctx context.Context) error {
	c := &study.Config{Out: l.path("study")}
	c.Seed = 1
	c.Corpora = []input.CorpusConfig{{Name: "values", File: l.path("words.csv")}}
	c.Families = map[string]string{}
	for _, t := range l.runs {
		if t.Kind != reward || t.Source != replicate.Helpfulness || t.Shuffled || t.Pairs != l.o.Pairs || t.Seed != 1 || t.base.Lean != replicate.Agency && t.base.Lean != replicate.Communion {
			continue
		}
		c.Families[t.name()] = string(t.base.Lean)
		c.Corpora[0].Scores = append(c.Corpora[0].Scores, l.path("scores", t.name()+".csv"))
		c.Series = append(c.Series, l.path("series", t.name()+".csv"))
	}
	in, err := study.Read(c)
	if err != nil {
		return err
	}
	results, err := study.Run(ctx, c, in)
	if err != nil {
		return err
	}
	return study.Write(ctx, output.Folder{Path: c.Out, Force: true}, study.NewReport(c, in, results))
}
