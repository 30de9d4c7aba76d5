package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/replicate"
	"github.com/implicitreward/implicitreward/tokenize"
)

// One of each kind of model at its smallest, after three prompts, and gone on with: nothing is made twice.
func TestMake(t *testing.T) {
	if testing.Short() || !tokenize.Available {
		t.Skip("trains six models, and needs the Rust tokenizers")
	}
	backend, err := cli.Backend("go", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	dir := filepath.Join(t.TempDir(), "out")
	do := func() *lab {
		t.Helper()
		l := &lab{o: options{Pretraining: 2, Pairs: 64, Seeds: 1, Repeats: 1}, dir: dir, workers: 2, stderr: io.Discard, pretraining: backend, backend: backend}
		names := strings.Fields("best_ever_one greatest_ever_one worst_ever_one")
		l.prompts = slices.DeleteFunc(lexicon.PaperPrompts(), func(p lexicon.Prompt) bool { return !slices.Contains(names, p.Name) })
		taught, nothing := &base{Family: "llama", Lean: replicate.Agency, Seed: 1}, &base{Family: "llama", Lean: random, Seed: 1}
		l.bases = []*base{taught, nothing}
		l.runs = []*trained{
			{Base: taught.name(), Kind: reward, Source: replicate.Helpfulness, Pairs: 32, Seed: 1, base: taught},
			{Base: taught.name(), Kind: dpo, Source: replicate.Correctness, Pairs: 32, Seed: 1, base: taught},
			{Base: nothing.name(), Kind: reward, Source: replicate.Helpfulness, Shuffled: true, Pairs: 32, Seed: 1, base: nothing},
		}
		l.boosts = []*boosted{{Base: taught.name(), base: taught}}
		if err := l.make(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := do()
	for _, r := range l.runs {
		if want := []int{0, 1, 2}; !slices.Equal(r.Steps, want) || len(r.Series) != len(want) {
			t.Errorf("%s: steps %v and %d ranks, wanted %v", r.name(), r.Steps, len(r.Series), want)
		}
		// 32 words have the mean rank 16.5.
		if math.Abs(r.Words.Agency+r.Words.Communion-33) > 1e-9 || r.Words.Positive == 0 {
			t.Errorf("%s: %+v, wanted mean ranks that sum to 33", r.name(), r.Words)
		}
		data, err := os.ReadFile(filepath.Join(dir, "series", r.name()+".csv"))
		if rows := strings.Count(string(data), "\n"); err != nil || rows != 33 {
			t.Errorf("%s: a series of %d lines, %v, wanted the 32 words", r.name(), rows, err)
		}
	}
	if len(l.boosts[0].Found) != len(measures) {
		t.Errorf("%d measures, wanted %d", len(l.boosts[0].Found), len(measures))
	}
	before, err := os.Stat(filepath.Join(dir, "runs", l.runs[0].name(), "train.json"))
	if err != nil {
		t.Fatal(err)
	}
	again := do()
	after, err := os.Stat(filepath.Join(dir, "runs", l.runs[0].name(), "train.json"))
	if err != nil || !before.ModTime().Equal(after.ModTime()) || again.runs[0].Words != l.runs[0].Words {
		t.Errorf("%v: the run was made twice, or read otherwise", err)
	}
}
