package input

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// sharded scores words by fakes in shards of a few and returns the manifest's path.
func sharded(t *testing.T, models []shard.Model, prompts []lexicon.Prompt) string {
	t.Helper()
	f := shard.Folder{Path: t.TempDir()}
	if err := os.WriteFile(filepath.Join(f.Path, "in.jsonl"), []byte("{\"reply\": \"one\"}\n{\"reply\": \"two\"}\n{\"reply\": \"three\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := shard.New(t.Context(), f, shard.Spec{Models: models, Prompts: prompts, Input: "in.jsonl", Items: 2})
	if err != nil {
		t.Fatal(err)
	}
	load := func(_ context.Context, m shard.Model) (shard.Scorer, error) {
		if m.RM != nil {
			return shard.Scorer{RM: &implicittest.FakeRM{Seed: uint64(len(m.RM.WeightsHash))}, Made: m}, nil
		}
		tuned, base := &implicittest.Fake{Seed: uint64(len(m.Tuned.WeightsHash))}, &implicittest.Fake{Seed: 99}
		return shard.Scorer{Pair: implicit.Pair{Tuned: tuned.Chat(), Base: base.Raw()}, Made: m}, nil
	}
	for _, s := range p.Shards {
		if _, err := shard.Score(t.Context(), f, p, s, load); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shard.Merge(t.Context(), f, p); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(f.Path, shard.ManifestFile)
}

// TestManifest: a manifest of parts stands in the place of a file for each model: as rewards, as
// scores and as the series of a run.
func TestManifest(t *testing.T) {
	base := &logprob.Meta{Model: "org/base", WeightsHash: "base", ModelType: "llama"}
	var pairs, rms []shard.Model
	for i, hash := range []string{"aa", "a"} { // not in the order of their steps
		name := fmt.Sprintf("run/checkpoint-%d", 20-10*i)
		meta := logprob.Meta{Model: name, WeightsHash: hash, ModelType: "llama"}
		pairs = append(pairs, shard.Model{Tuned: &meta, Base: base})
		rms = append(rms, shard.Model{RM: &rewardmodel.Meta{Meta: meta}})
	}
	two := []lexicon.Prompt{{Name: "best", Text: "Best?"}, {Name: "worst", Text: "Worst?"}}
	entries := &lexicon.Corpus{Entries: []lexicon.Entry{{Term: "one"}, {Term: "two"}, {Term: "three"}}}

	path := sharded(t, pairs, two)
	rewards, err := readAll([]string{path}, nil, ReadRewards, manifestRewards)
	if err != nil || len(rewards) != 2 {
		t.Fatalf("%d rewards, %v", len(rewards), err)
	}
	for i, r := range rewards {
		tuned, from := &implicittest.Fake{Seed: uint64(len(pairs[i].Tuned.WeightsHash))}, &implicittest.Fake{Seed: 99}
		k := 0
		for w, err := range words.Rewards(t.Context(), implicit.Pair{Tuned: tuned.Chat(), Base: from.Raw()}, entries, two, &words.Options{Forms: []lexicon.Form{"{}"}, Measures: []words.Measure{words.Exact}}) {
			if err != nil {
				t.Fatal(err)
			}
			p, at := slices.Index(r.Prompts, w.PromptName), slices.Index(r.Words, w.Term)
			if p < 0 || at < 0 || r.Values[1][p][at] != w.Scores[0].Tuned || r.Values[0][p][at] != w.Scores[0].Base {
				t.Errorf("%s after %s: %+v", w.Term, w.PromptName, r.Values)
			}
			k++
		}
		if k != 6 || r.Models[1].Name != pairs[i].Tuned.Model || r.Models[1].Family != "Llama" {
			t.Errorf("%d values, %+v", k, r.Models)
		}
	}
	if scores, err := readAll([]string{path}, nil, ReadScores, manifestScores); err != nil || len(scores) != 2 || scores[1].Values[0][0][0] != rewards[1].Reward(0)[0] {
		t.Errorf("%d scores, %v, wanted the rewards of two pairs", len(scores), err)
	}
	if _, err := readAll([]string{path}, nil, ReadSeries, manifestSeries); err == nil || !strings.Contains(err.Error(), "2 prompts, wanted one") {
		t.Errorf("%v, wanted one prompt", err)
	}
	if _, err := readAll([]string{path}, nil, ReadLogProbs, nil); err == nil {
		t.Error("a manifest is read as a table of log-probabilities")
	}
	in, err := Read(&Config{Rewards: []string{path}}, cube.RewardFiles, false)
	if err != nil || len(in.Rewards) != 2 || len(in.Files) != 1 || !strings.HasPrefix(in.Files[0].What, "manifest") {
		t.Errorf("%+v, %v", in.Files, err)
	}

	path = sharded(t, rms, two)
	scores, err := readAll([]string{path}, nil, ReadScores, manifestScores)
	if err != nil || len(scores) != 2 || scores[0].RM == nil || scores[0].RM.RM.WeightsHash != "aa" || len(scores[0].Words) != 3 {
		t.Fatalf("%d scores, %v", len(scores), err)
	}
	if _, err := readAll([]string{path}, nil, ReadRewards, manifestRewards); err == nil || !strings.Contains(err.Error(), "wanted rewards of pairs") {
		t.Errorf("%v, wanted pairs", err)
	}

	for _, models := range [][]shard.Model{pairs, rms} {
		series, err := readAll([]string{sharded(t, models, two[:1])}, nil, ReadSeries, manifestSeries)
		if err != nil || len(series) != 1 {
			t.Fatalf("%d series, %v", len(series), err)
		}
		s := series[0]
		if !slices.Equal(s.Steps, []int{10, 20}) || !slices.Equal(s.Words, []string{"one", "two", "three"}) || s.Models[0].ID != "run" || s.Models[0].Family != "Llama" {
			t.Errorf("%v, %q, %+v", s.Steps, s.Words, s.Models)
		}
		want := scores[0].Values[0][0] // of the model of step 20
		if models[0].RM == nil {
			want = rewards[0].Reward(0)
		}
		if !slices.Equal(s.Values[0][1], want) {
			t.Errorf("%v at step 20, wanted %v", s.Values[0][1], want)
		}
	}
	twice := []shard.Model{rms[0], rms[0]}
	if _, err := manifestSeries(sharded(t, twice, two[:1]), nil); err == nil || !strings.Contains(err.Error(), "a second model of step 20") {
		t.Errorf("%v, wanted each step once", err)
	}
}
