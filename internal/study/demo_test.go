package study

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/internal/study/input"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestDecomposeDemo: the demonstration's reward models, scored with their pairs from files that the
// library wrote, come apart as they were planted: a word's reward is 1 nat of the base's bias and
// half a nat of the pair's push.
func TestDecomposeDemo(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	dir := t.TempDir()
	for _, folder := range []string{"scores", "rewards"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	save(t, filepath.Join(dir, "words.csv"), func(w io.Writer) error { _, err := io.WriteString(w, demo.Corpus()); return err })
	corpus, err := lexicon.ReadCorpus(strings.NewReader(demo.Corpus()))
	if err != nil {
		t.Fatal(err)
	}
	groups := "prompt,group\n" // one group: the bias was measured over all prompts
	for _, p := range lexicon.PaperPrompts() {
		groups += p.Name + ",paper\n"
	}
	save(t, filepath.Join(dir, "groups.csv"), func(w io.Writer) error { _, err := io.WriteString(w, groups); return err })
	for _, pair := range demo.Pairs() {
		scoreDemo(t, pair, corpus, dir)
	}
	c := &Config{}
	c.Corpora = []input.CorpusConfig{{Name: "words", File: filepath.Join(dir, "words.csv"), Scores: []string{filepath.Join(dir, "scores")}}}
	c.Rewards, c.Groups, c.Only, c.Draws, c.Seed = []string{filepath.Join(dir, "rewards")}, filepath.Join(dir, "groups.csv"), []string{"fig1", "decompose"}, 4999, 1
	in, err := Read(c)
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), c, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[1].Tables[0].Len() != 2 {
		t.Fatalf("%d results, wanted fig1 and decompose, of two families", len(results))
	}
	parts := results[1].Tables[0]
	for i := range parts.Len() {
		cells := parts.Cells(i, true)
		number := func(column string) float64 {
			v, err := strconv.ParseFloat(cells[slices.Index(parts.Header(), column)], 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		for _, part := range []struct {
			column       string
			want, within float64
		}{{"slope_base", 1, 0.02}, {"slope_implicit", 0.5, 0.01}} {
			got, low, high := number(part.column), number(part.column+"_lo"), number(part.column+"_hi")
			if off := got - part.want; off > part.within || off < -part.within || low > part.want || high < part.want {
				t.Errorf("%s: %s %g, from %g to %g, wanted %g", cells[0], part.column, got, low, high, part.want)
			}
		}
		if r2 := number("r2"); r2 < 0.995 {
			t.Errorf("%s: R2 %g, wanted nearly 1: nothing else was planted (standardising after each prompt weighs the noise of prompts)", cells[0], r2)
		}
	}
	// Figure 1 finds the story: Llama's likes agency more than Gemma's, and communion less.
	for _, res := range results[0].Tables {
		if res.Name != "families" {
			continue
		}
		rank := map[string]float64{}
		for i := range res.Len() {
			cells := res.Cells(i, true)
			at := func(column string) string { return cells[slices.Index(res.Header(), column)] }
			rank[at("base_model")+" "+at("Category")], err = strconv.ParseFloat(at("mean_median_rank"), 64)
			if err != nil {
				t.Fatal(err)
			}
		}
		if !(rank["Llama agency"] < rank["Gemma agency"] && rank["Gemma communion"] < rank["Llama communion"]) {
			t.Errorf("ranks %v", rank)
		}
	}
}

// scoreDemo writes the scores of a family's reward model and the rewards of its pair.
func scoreDemo(t *testing.T, pair demo.Pair, corpus *lexicon.Corpus, dir string) {
	t.Helper()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	o := logprob.Options{Backend: backend}
	baseDir, tunedDir, err := pair.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rmDir, err := pair.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	load := func(dir string) *logprob.Model {
		m, err := logprob.Load(t.Context(), dir, &o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	base, tuned := load(baseDir), load(tunedDir)
	defer base.Close()
	defer tuned.Close()
	rm, err := rewardmodel.Load(t.Context(), rmDir, &rewardmodel.Options{Model: o})
	if err != nil {
		t.Fatal(err)
	}
	defer rm.Close()
	meta, err := rm.Meta(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	meta.Model = "demo/" + pair.Name + "-rm"
	path := filepath.Join(dir, "scores", pair.Name+".csv")
	save(t, path, func(w io.Writer) error {
		return words.WriteScoresCSV(w, func(yield func(words.ScoreRecord, error) bool) {
			for s, err := range words.Scores(t.Context(), rm, corpus, lexicon.PaperPrompts(), nil) {
				for _, r := range s.Records() {
					if !yield(r, err) {
						return
					}
				}
			}
		})
	})
	save(t, table.MetaPath(path), words.ScoreProvenance{RM: meta}.WriteJSON)
	made := words.Provenance{Beta: 1}
	for m, to := range map[*logprob.Model]*logprob.Meta{base: &made.Base, tuned: &made.Tuned} {
		if *to, err = m.Meta(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	made.Base.Model, made.Tuned.Model = "demo/"+pair.Name+"-base", "demo/"+pair.Name+"-tuned"
	save(t, filepath.Join(dir, "rewards", pair.Name+".parquet"), func(w io.Writer) error {
		of := implicit.Pair{Tuned: implicit.Raw(tuned), Base: implicit.Raw(base)}
		return words.WriteParquet(w, func(yield func(words.Record, error) bool) {
			for s, err := range words.Rewards(t.Context(), of, corpus, lexicon.PaperPrompts(), &words.Options{Forms: []lexicon.Form{" {}"}}) {
				for _, r := range s.Records(1) {
					if !yield(r, err) {
						return
					}
				}
			}
		}, made)
	})
}

func save(t *testing.T, path string, write func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	err := write(&b)
	if err == nil {
		err = os.WriteFile(path, b.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
