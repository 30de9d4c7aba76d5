package shard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
)

var prompts = []lexicon.Prompt{{Name: "best", Text: "What is best?"}, {Name: "worst", Text: "What is worst?"}, {Name: "ever", Text: "Ever?"}}

// fakes are n pairs of models without weights, as a Spec has them.
func fakes(n int) []shard.Model {
	var all []shard.Model
	for i := range n {
		tuned := logprob.Meta{Model: fmt.Sprint("tuned-", i), WeightsHash: fmt.Sprint(i), Processor: "here"}
		base := logprob.Meta{Model: "base", WeightsHash: "base", Processor: "here"}
		all = append(all, shard.Model{Tuned: &tuned, Base: &base})
	}
	return all
}

// load loads a fake; a model's name ends in its seed.
func load(_ context.Context, m shard.Model) (shard.Scorer, error) {
	var seed uint64
	if m.RM != nil {
		_, err := fmt.Sscanf(m.RM.Model, "rm-%d", &seed)
		return shard.Scorer{RM: &implicittest.FakeRM{Seed: seed}, Made: m}, err
	}
	_, err := fmt.Sscanf(m.Tuned.Model, "tuned-%d", &seed)
	tuned, base := &implicittest.Fake{Seed: seed}, &implicittest.Fake{Seed: 1000}
	return shard.Scorer{Pair: implicit.Pair{Tuned: tuned.Chat(), Base: base.Raw()}, Made: m}, err
}

// unloaded fails where a model is wanted.
func unloaded(context.Context, shard.Model) (shard.Scorer, error) {
	return shard.Scorer{}, errors.New("a model is loaded")
}

// lines is an input of n replies, the third of which is empty, with an empty line.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		reply := fmt.Sprintf("word %d", i*i)
		if i == 2 {
			reply = ""
		}
		fmt.Fprintf(&b, "{\"reply\": %q, \"categories\": [\"c%d\"], \"note\": 1}\n", reply, i%3)
		if i == n/2 {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// plan plans in a new folder.
func plan(t *testing.T, input string, spec shard.Spec) (*shard.Plan, shard.Folder) {
	t.Helper()
	f := shard.Folder{Path: t.TempDir()}
	if err := os.WriteFile(filepath.Join(f.Path, "input.jsonl"), []byte(input), 0o644); err != nil {
		t.Fatal(err)
	}
	spec.Input = "input.jsonl"
	if spec.Models == nil {
		spec.Models = fakes(2)
	}
	if spec.Prompts == nil {
		spec.Prompts = prompts
	}
	p, err := shard.New(t.Context(), f, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p, f
}

// files reads a folder.
func files(t *testing.T, f shard.Folder) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(f.Path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// whole scores and merges a plan.
func whole(t *testing.T, p *shard.Plan, f shard.Folder, load shard.Load) *shard.Manifest {
	t.Helper()
	for _, s := range p.Shards {
		if _, err := shard.Score(t.Context(), f, p, s, load); err != nil {
			t.Fatal(err)
		}
	}
	m, err := shard.Merge(t.Context(), f, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSame: whatever the workers, their order, what they do twice and what they lose, the parts
// and the manifest have the bytes of one worker's run.
func TestSame(t *testing.T) {
	spec := shard.Spec{Items: 10, Measures: []string{"pooled", "exact"}, Forms: []lexicon.Form{"{}", " {}"}}
	p, f := plan(t, lines(23), spec)
	if err := p.Write(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	m := whole(t, p, f, load)
	want := files(t, f)
	if m.Refused != 2*len(prompts) || m.Rows == 0 || len(m.Parts) != len(p.Shards) {
		t.Fatalf("%d rows, %d refused, %d parts of %d shards", m.Rows, m.Refused, len(m.Parts), len(p.Shards))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 3 {
		g := shard.Folder{Path: t.TempDir()}
		for _, name := range []string{"input.jsonl", shard.PlanFile, shard.ShardsFile} {
			if err := os.WriteFile(filepath.Join(g.Path, name), []byte(want[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		q, err := shard.ReadPlan(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for range 1 + random.IntN(4) { // workers that do all, in any order, at once
			order := random.Perm(len(q.Shards))
			lost := random.IntN(len(q.Shards))
			wait.Go(func() {
				for n, i := range order {
					part, err := shard.Score(t.Context(), g, q, q.Shards[i], load)
					if err != nil || part.File != q.Shards[i].Name() {
						t.Errorf("%+v, %v", part, err)
					}
					if n == lost { // a disk that cuts a part off
						os.Truncate(filepath.Join(g.Path, part.File), part.Bytes/2)
					}
				}
			})
		}
		wait.Wait()
		for _, s := range q.Shards {
			if _, err := shard.Score(t.Context(), g, q, s, load); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := shard.Merge(t.Context(), g, q); err != nil {
			t.Fatal(err)
		}
		if got := files(t, g); !maps.Equal(got, want) {
			t.Errorf("%d files, wanted the %d of one worker", len(got), len(want))
		}
	}
}

// TestRows: the rows of a plan of several pieces are those of words.Rewards over everything, but
// for the ranks, and with them if there is one piece; so of reward models.
func TestRows(t *testing.T) {
	var entries []lexicon.Entry
	for i := range 30 {
		entries = append(entries, lexicon.Entry{Term: fmt.Sprint("word ", i), Categories: []string{"a"}})
	}
	var input []byte
	for _, e := range entries {
		var err error
		if input, err = shard.AppendEntry(input, e); err != nil {
			t.Fatal(err)
		}
	}
	corpus := &lexicon.Corpus{Entries: entries}
	for _, items := range []int{7, 0} {
		p, f := plan(t, string(input), shard.Spec{Items: items, Beta: 0.5, Measures: []string{"pooled", "paper"}, Forms: lexicon.AllForms()})
		m := whole(t, p, f, load)
		for i := range p.Models {
			scorer, err := load(t.Context(), p.Models[i])
			if err != nil {
				t.Fatal(err)
			}
			var want []words.Record
			for w, err := range words.Rewards(t.Context(), scorer.Pair, corpus, prompts, &words.Options{Forms: p.Forms, Measures: []words.Measure{words.Pooled, words.Paper}}) {
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, w.Records(0.5)...)
			}
			var got []words.Record
			for r, err := range m.Records(t.Context(), i) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r)
			}
			if items > 0 {
				for k := range want {
					want[k].Rank = 0
				}
				byPlace := func(all []words.Record) {
					slices.SortFunc(all, func(a, b words.Record) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				}
				byPlace(got)
				byPlace(want)
			}
			if len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("%d items a shard, model %d: %d rows, wanted %d, the same", items, i, len(got), len(want))
			}
		}
	}
	rm := shard.Model{RM: &rewardmodel.Meta{Meta: logprob.Meta{Model: "rm-5", WeightsHash: "5"}}}
	p, f := plan(t, string(input), shard.Spec{Models: []shard.Model{rm}, Measures: []string{"exact", "mean"}, Forms: lexicon.AllForms()})
	m := whole(t, p, f, load)
	var got, want []words.ScoreRecord
	for r, err := range m.Scores(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	for w, err := range words.Scores(t.Context(), &implicittest.FakeRM{Seed: 5}, corpus, prompts, &words.ScoreOptions{Forms: p.Forms, Measures: []words.ScoreMeasure{words.ExactForm, words.MeanForm}}) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, w.Records()...)
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("reward model: %d rows, wanted %d, the same", len(got), len(want))
	}
}

// TestCut: pieces cover the input within the bounds, whatever they are, and a shard has as many
// prompts as its bound allows.
func TestCut(t *testing.T) {
	input := lines(100)
	for _, c := range []struct {
		items, shards int
		bytes         int64
	}{{items: 1000, shards: 2}, {items: 100, shards: 6}, {items: 50, shards: 12}, {items: 10, shards: 60}, {bytes: 1000, items: 1e6, shards: 12}, {shards: 2}, {items: 1, shards: 600}} {
		p, _ := plan(t, input, shard.Spec{Items: c.items, Bytes: c.bytes})
		if len(p.Shards) != c.shards || p.Lines != 100 {
			t.Errorf("%+v: %d shards of %d lines", c, len(p.Shards), p.Lines)
		}
		seen, keys := map[[3]int]int{}, map[string]bool{}
		for i, s := range p.Shards {
			if s.Index != i || keys[s.Key] {
				t.Errorf("shard %d: %+v", i, s)
			}
			keys[s.Key] = true
			if n := s.Lines[1] - s.Lines[0]; n > 1 && (c.items > 0 && n*(s.Prompts[1]-s.Prompts[0]) > c.items || c.bytes > 0 && s.Bytes[1]-s.Bytes[0] > c.bytes) {
				t.Errorf("%+v: shard %+v", c, s)
			}
			for prompt := s.Prompts[0]; prompt < s.Prompts[1]; prompt++ {
				for line := s.Lines[0]; line < s.Lines[1]; line++ {
					seen[[3]int{s.Model, prompt, line}]++
				}
			}
		}
		if len(seen) != 2*3*100 || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
			t.Errorf("%+v: %d of 600 items", c, len(seen))
		}
		var all []shard.Shard
		for i := range 7 {
			all = append(all, p.Of(i, 7)...)
		}
		if !slices.Equal(all, p.Shards) {
			t.Error("seven workers do not do every shard once, in order")
		}
	}
}

// TestKey: what decides numbers is in the key; what does not, such as a folder's name, is not.
func TestKey(t *testing.T) {
	p, _ := plan(t, lines(5), shard.Spec{})
	for name, c := range map[string]struct {
		same   bool
		change func(*shard.Spec)
	}{
		"weights":   {false, func(s *shard.Spec) { s.Models[0].Tuned.WeightsHash = "x" }},
		"tokenizer": {false, func(s *shard.Spec) { s.Models[0].Base.TokenizerHash = "x" }},
		"rendering": {false, func(s *shard.Spec) { s.Models[0].Tuned.Rendering = "raw" }},
		"dtype":     {false, func(s *shard.Spec) { s.Models[0].Tuned.DType = "bf16" }},
		"plugin":    {false, func(s *shard.Spec) { s.Models[0].Tuned.PluginHash = "x" }},
		"processor": {false, func(s *shard.Spec) { s.Models[0].Tuned.Processor = "x" }},
		"beta":      {false, func(s *shard.Spec) { s.Beta = 2 }},
		"beta 1":    {true, func(s *shard.Spec) { s.Beta = 1 }},
		"measures":  {false, func(s *shard.Spec) { s.Measures = []string{"pooled"} }},
		"forms":     {false, func(s *shard.Spec) { s.Forms = []lexicon.Form{" {}"} }},
		"prompts":   {false, func(s *shard.Spec) { s.Prompts = prompts[:2] }},
		"folder":    {true, func(s *shard.Spec) { s.Models[0].Tuned.Model = "elsewhere" }},
		"arguments": {true, func(s *shard.Spec) { s.Args = []string{"-memory=2GiB"} }},
		"models":    {true, func(s *shard.Spec) { s.Models = append(s.Models, fakes(3)[2]) }},
		"a bound":   {true, func(s *shard.Spec) { s.Items = 100 }},
	} {
		spec := shard.Spec{Models: fakes(2)}
		c.change(&spec)
		q, _ := plan(t, lines(5), spec)
		if (q.Shards[0].Key == p.Shards[0].Key) != c.same {
			t.Errorf("%s: key %s, wanted the same: %v", name, q.Shards[0].Key, c.same)
		}
	}
	if q, _ := plan(t, lines(6), shard.Spec{}); q.Shards[0].Key == p.Shards[0].Key {
		t.Error("another input has the same key")
	}
}

// TestWrong: what is not as planned is an error that names it.
func TestWrong(t *testing.T) {
	p, f := plan(t, lines(40), shard.Spec{Items: 20, Models: fakes(1)})
	whole(t, p, f, load)
	at := func(name string) string { return filepath.Join(f.Path, name) }
	first := p.Shards[0].Name()
	keep := files(t, f)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	merge := func() error { _, err := shard.Merge(t.Context(), f, p); return err }
	score := func() error { _, err := shard.Score(t.Context(), f, p, p.Shards[0], load); return err }
	for name, c := range map[string]struct {
		change func()
		do     func() error
		want   string
	}{
		"missing part":   {func() { must(os.Remove(at(first))) }, merge, first + " is missing: score shard 0"},
		"missing parts":  {func() { must(os.Remove(at(first))); must(os.Remove(at(p.Shards[3].Name()))) }, merge, first + " is missing (and 1 more of 6)"},
		"foreign part":   {func() { must(os.WriteFile(at("part-00007-abc.parquet"), nil, 0o644)) }, merge, "part-00007-abc.parquet is not of this plan"},
		"cut part":       {func() { must(os.Truncate(at(first), 100)) }, merge, first + ": the file ends in"},
		"another's part": {func() { must(os.WriteFile(at(first), []byte(keep[p.Shards[1].Name()]), 0o644)) }, merge, "a part of another plan"},
		"changed input": {func() {
			must(os.Remove(at(first)))
			must(os.WriteFile(at("input.jsonl"), []byte(strings.Replace(keep["input.jsonl"], "word 1", "word 9", 1)), 0o644))
		}, score, "lines 0 to 20 are not those of the plan"},
		"shorter input": {func() { must(os.Remove(at(first))); must(os.Truncate(at("input.jsonl"), 10)) }, score, "unexpected EOF"},
		"changed shard": {func() {}, func() error {
			s := p.Shards[0]
			s.Prompts[1] = 3
			_, err := shard.Score(t.Context(), f, p, s, load)
			return err
		}, "was one of them changed?"},
		"no shard of it": {func() {}, func() error {
			_, err := shard.Score(t.Context(), f, p, shard.Shard{Model: 7}, load)
			return err
		}, "model 7 and prompts [0 0], wanted those of a plan of 1 models"},
		"other weights": {func() { must(os.Remove(at(first))) }, func() error {
			_, err := shard.Score(t.Context(), f, p, p.Shards[0], func(ctx context.Context, m shard.Model) (shard.Scorer, error) {
				s, err := load(ctx, m)
				tuned := *m.Tuned
				tuned.WeightsHash = "other"
				s.Made.Tuned = &tuned
				return s, err
			})
			return err
		}, "tuned model tuned-0: weights_hash is other here, wanted 0 as planned"},
		"a model's fault": {func() { must(os.Remove(at(first))) }, func() error {
			_, err := shard.Score(t.Context(), f, p, p.Shards[0], unloaded)
			return err
		}, "shard: " + first + ": a model is loaded"},
		"other version": {func() {}, func() error {
			q := *p
			q.Version = "0.0.1"
			must(q.Write(t.Context(), f))
			_, err := shard.ReadPlan(t.Context(), f)
			return err
		}, `of version 0.0.1, wanted "plan 1" of this program's`},
		"shards lost": {func() {}, func() error {
			must(p.Write(t.Context(), f))
			must(os.Truncate(at(shard.ShardsFile), 0))
			_, err := shard.ReadPlan(t.Context(), f)
			return err
		}, "0 shards, wanted 6"},
		"part replaced after the merge": {func() {}, func() error {
			m, err := shard.ReadManifest(t.Context(), f)
			must(err)
			must(os.WriteFile(at(first), []byte(keep[p.Shards[1].Name()]), 0o644))
			for _, err := range m.Records(t.Context(), 0) {
				if err != nil {
					return err
				}
			}
			return nil
		}, first + ": not the file that was merged"},
	} {
		c.change()
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted %q", name, err, c.want)
		}
		for name := range files(t, f) {
			must(os.Remove(at(name)))
		}
		for name, content := range keep {
			must(os.WriteFile(at(name), []byte(content), 0o644))
		}
	}
	for _, s := range p.Shards {
		if part, err := shard.Score(t.Context(), f, p, s, unloaded); err != nil || !part.Reused {
			t.Errorf("%s: %+v, %v, wanted it reused and nothing loaded", s.Name(), part, err)
		}
	}
}

// TestWrongSpec: a specification or an input that cannot be scored is refused before any work.
func TestWrongSpec(t *testing.T) {
	for want, c := range map[string]struct {
		input string
		spec  shard.Spec
	}{
		"no models":  {"{\"reply\": \"a\"}\n", shard.Spec{Prompts: prompts}},
		"no prompts": {"{\"reply\": \"a\"}\n", shard.Spec{Models: fakes(1)}},
		"wanted pairs of a tuned and a base model, or reward models": {"{\"reply\": \"a\"}\n", shard.Spec{Models: []shard.Model{fakes(1)[0], {RM: &rewardmodel.Meta{}}}, Prompts: prompts}},
		"measure \"mean\"":                   {"{\"reply\": \"a\"}\n", shard.Spec{Models: fakes(1), Prompts: prompts, Measures: []string{"mean"}}},
		"no lines, wanted":                   {"\n \n", shard.Spec{Models: fakes(1), Prompts: prompts}},
		"line 2: no \"reply\"":               {"{\"reply\": \"a\"}\n{\"replies\": \"a\"}\n", shard.Spec{Models: fakes(1), Prompts: prompts}},
		"line 3: \"prompt\", wanted replies": {"{\"reply\": \"a\"}\n\n{\"reply\": \"a\", \"prompt\": \"x\"}", shard.Spec{Models: fakes(1), Prompts: prompts}},
	} {
		f := shard.Folder{Path: t.TempDir()}
		if err := os.WriteFile(filepath.Join(f.Path, "in.jsonl"), []byte(c.input), 0o644); err != nil {
			t.Fatal(err)
		}
		c.spec.Input = "in.jsonl"
		if _, err := shard.New(t.Context(), f, c.spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, wanted %q", err, want)
		}
	}
}

// TestAnyProcessor: parts of several kinds of processors are refused, unless the plan allows
// them; then the manifest says so.
func TestAnyProcessor(t *testing.T) {
	elsewhere := func(ctx context.Context, m shard.Model) (shard.Scorer, error) {
		s, err := load(ctx, m)
		tuned, base := *m.Tuned, *m.Base
		tuned.Processor, base.Processor = "there", "there"
		s.Made = shard.Model{Tuned: &tuned, Base: &base}
		return s, err
	}
	p, f := plan(t, lines(5), shard.Spec{})
	if _, err := shard.Score(t.Context(), f, p, p.Shards[0], elsewhere); err == nil || !strings.Contains(err.Error(), "processor is there here, wanted here as planned (AnyProcessor") {
		t.Errorf("%v, wanted the processors named", err)
	}
	p, f = plan(t, lines(5), shard.Spec{AnyProcessor: true})
	for i, l := range []shard.Load{load, elsewhere} {
		if _, err := shard.Score(t.Context(), f, p, p.Shards[i], l); err != nil {
			t.Fatal(err)
		}
	}
	m, err := shard.Merge(t.Context(), f, p)
	if err != nil || !slices.Equal(m.Processors, []string{"here", "there"}) {
		t.Errorf("processors %q, %v", m.Processors, err)
	}
}

// generated is a Filesystem of one input of n lines that is never in memory, whose reader does
// not seek, and of the files that are written.
type generated struct {
	n     int
	mu    sync.Mutex
	files map[string][]byte
}

func (g *generated) List(_ context.Context, pattern string) (names []string, err error) {
	for name := range g.files {
		if ok, err := path.Match(path.Base(pattern), path.Base(name)); err != nil {
			return nil, err
		} else if ok && path.Dir(name) == path.Dir(pattern) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (g *generated) Size(_ context.Context, name string) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b, ok := g.files[name]; ok {
		return int64(len(b)), nil
	}
	return 0, os.ErrNotExist
}

func (g *generated) OpenRead(_ context.Context, name string) (io.ReadCloser, error) {
	if strings.HasSuffix(name, "input.jsonl") {
		r, w := io.Pipe()
		go func() {
			var b bytes.Buffer
			for i := range g.n {
				if fmt.Fprintf(&b, "{\"reply\": \"word %d\"}\n", i); b.Len() > 1<<15 || i == g.n-1 {
					if _, err := b.WriteTo(w); err != nil {
						return
					}
				}
			}
			w.Close()
		}()
		return r, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if b, ok := g.files[name]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	return nil, os.ErrNotExist
}

type written struct {
	bytes.Buffer
	close func([]byte)
}

func (w *written) Close() error { w.close(w.Bytes()); return nil }

func (g *generated) OpenWrite(_ context.Context, name string) (io.WriteCloser, error) {
	return &written{close: func(b []byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.files[name] = b
	}}, nil
}

// TestFilesystem: another filesystem, without seeking, gives the parts of the local one.
func TestFilesystem(t *testing.T) {
	g := &generated{n: 500, files: map[string][]byte{}}
	f := shard.Folder{Path: "mem://out", FS: g}
	spec := shard.Spec{Models: fakes(1), Prompts: prompts[:1], Input: "input.jsonl", Items: 100}
	p, err := shard.New(t.Context(), f, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if p, err = shard.ReadPlan(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	whole(t, p, f, load)
	var input strings.Builder
	for i := range g.n {
		fmt.Fprintf(&input, "{\"reply\": \"word %d\"}\n", i)
	}
	spec.Input = ""
	q, l := plan(t, input.String(), spec)
	whole(t, q, l, load)
	there := files(t, l)
	if len(p.Shards) != 5 {
		t.Errorf("%d shards, wanted 5", len(p.Shards))
	}
	for _, s := range p.Shards {
		if string(g.files["mem://out/"+s.Name()]) != there[s.Name()] {
			t.Errorf("%s is another than on the local disk", s.Name())
		}
	}
	manifest, err := shard.ReadManifest(t.Context(), f)
	if err != nil || manifest.Rows != 500 {
		t.Errorf("%d rows, %v", manifest.Rows, err)
	}
	line, _, _ := strings.Cut(string(g.files["mem://out/"+shard.ShardsFile]), "\n")
	if len(line) >= 1024 {
		t.Errorf("a shard of %d bytes: %s", len(line), line)
	}
}
