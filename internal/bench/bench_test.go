package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/tokenize"
)

func TestForms(t *testing.T) {
	for _, c := range []struct {
		word string
		want []string
	}{
		{"care", []string{"care", " care", "Care", " Care", "CARE", " CARE"}},
		{"McCoy", []string{"McCoy", " McCoy", "mccoy", " mccoy", "Mccoy", " Mccoy", "MCCOY", " MCCOY"}},
		{"élan vital", []string{"élan vital", " élan vital", "Élan vital", " Élan vital", "ÉLAN VITAL", " ÉLAN VITAL"}},
		{"I", []string{"I", " I", "i", " i"}},
		{"42", []string{"42", " 42"}},
	} {
		if got := forms(c.word); !slices.Equal(got, c.want) {
			t.Errorf("forms(%q) = %q, wanted %q", c.word, got, c.want)
		}
	}
	if got, want := allForms([]string{"a", "A", "b"}), []string{"a", " a", "A", " A", "b", " b", "B", " B"}; !slices.Equal(got, want) {
		t.Errorf("allForms = %q, wanted %q", got, want)
	}
}

func TestSampleOf(t *testing.T) {
	a := sampleOf(1000, 256, 4)
	if b := sampleOf(1000, 256, 4); !slices.Equal(a, b) {
		t.Error("the same seed drew another sample")
	}
	if b := sampleOf(1000, 256, 5); slices.Equal(a, b) {
		t.Error("another seed drew the same sample")
	}
	if len(a) != 256 || len(slices.Compact(slices.Clone(a))) != 256 || !slices.IsSorted(a) || a[0] < 0 || a[255] >= 1000 {
		t.Errorf("sample %v, wanted 256 different increasing numbers below 1000", a)
	}
	if got := sampleOf(3, 256, 4); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("sample of all: %v, wanted 0 1 2", got)
	}
}

// TestCounter holds the tree against sets of prefixes, counted by brute force.
func TestCounter(t *testing.T) {
	type text struct {
		ids   []int32
		reply int
		after bool
	}
	texts := []text{
		{[]int32{1, 2, 3}, 3, true},
		{[]int32{1, 2, 4, 5}, 2, false},
		{[]int32{1, 2, 4, 6}, 2, false},
		{[]int32{1, 2, 4}, 2, false},
		{[]int32{1, 2, 4, 5}, 2, false},
		{[]int32{7}, 1, true},
	}
	c := newCounter()
	nodes, heads, tokens := map[string]bool{}, map[string]bool{}, 0
	for _, x := range texts {
		c.add(x.ids, x.reply, x.after)
		tokens += len(x.ids)
		for n := 1; n <= len(x.ids); n++ {
			if n == len(x.ids) && !x.after {
				continue
			}
			key := ""
			for _, id := range x.ids[:n] {
				key += strconv.Itoa(int(id)) + " "
			}
			nodes[key] = true
			if n >= x.reply {
				heads[key] = true
			}
		}
	}
	want := counts{texts: len(texts), tokens: tokens, nodes: len(nodes), heads: len(heads)}
	if got := c.total(); got != want {
		t.Errorf("counts %+v, wanted %+v", got, want)
	}
}

func TestCompare(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name      string
		got, want []float32
		max, mean float64
	}{
		{"equal", []float32{-1, -2}, []float32{-1, -2}, 0, 0},
		{"different", []float32{-1, -2.5}, []float32{-1, -2}, 0.5, 0.25},
		{"not finite", []float32{nan, -2}, []float32{-1, -2}, math.Inf(1), math.Inf(1)},
		{"one missing", []float32{-1}, []float32{-1, -2}, math.Inf(1), math.Inf(1)},
		{"none", nil, nil, math.Inf(1), math.Inf(1)},
	} {
		if d := compare(c.got, c.want); d.max != c.max || d.mean != c.mean {
			t.Errorf("%s: %g, %g, wanted %g, %g", c.name, d.max, d.mean, c.max, c.mean)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name   string
		a      agreement
		agrees bool
	}{
		{"f32 near", agreement{ours: difference{max: 1e-4}}, true},
		{"f32 far", agreement{ours: difference{max: 1.1e-4}}, false},
		{"f32 nothing compared", agreement{ours: compare(nil, nil)}, false},
		{"bf16 nearer", agreement{ours: difference{max: 0.1, mean: 0.01}, theirs: &difference{max: 0.2, mean: 0.02}}, true},
		{"bf16 largest farther", agreement{ours: difference{max: 0.3, mean: 0.01}, theirs: &difference{max: 0.2, mean: 0.02}}, false},
		{"bf16 mean farther", agreement{ours: difference{max: 0.1, mean: 0.03}, theirs: &difference{max: 0.2, mean: 0.02}}, false},
		{"bf16 neither finite", agreement{ours: compare(nil, nil), theirs: &difference{max: math.Inf(1), mean: math.Inf(1)}}, false},
	} {
		if got := c.a.verdict() == ""; got != c.agrees {
			t.Errorf("%s: agrees %v, wanted %v", c.name, got, c.agrees)
		}
	}
}

// TestNumbers: what a sample's halves and a corpus job's items are compared with.
func TestNumbers(t *testing.T) {
	job := task{Sample: []pair{{Number: 1}, {Number: 3}}}
	n := numbers{}
	add := func(contest, name string, x ...float32) {
		t.Helper()
		if err := n.add(contest, &timing{side: side{name: name}, numbers: x}, job.sampled(contest), 2); err != nil {
			t.Fatal(err)
		}
	}
	add("sample f32", oursName, -1, -3, -11, -13)
	add("sample f32", "minicons", -1, -3)
	add("sample f32", "lm-eval", -11, -13)
	add("corpus bf16", oursName, 0, -1.25, -2, -3.25)
	add("corpus bf16", "minicons", -1.5, -3.5)
	got := n.compareAll()
	if len(got) != 3 || got[0].ours.max != 0 || got[1].ours.max != 0 || got[2].ours.max != 0.25 || got[2].theirs.max != 0.5 {
		t.Errorf("agreements %+v, wanted the sample twice without difference and the corpus with 0.25 against 0.5", got)
	}
	if err := n.add("corpus bf16", &timing{side: side{name: oursName}, numbers: []float32{0}}, job.sampled("corpus bf16"), 2); err == nil {
		t.Error("a corpus job without the sample's items passed")
	}
}

func TestRounds(t *testing.T) {
	rounds := []round{{others: 0.9}, {others: 0.1}, {others: 0.3}, {others: 0}}
	if quiet(rounds) != 2 {
		t.Errorf("%d quiet rounds, wanted 2", quiet(rounds))
	}
	var got []float64
	for _, r := range counted(rounds, 3) {
		got = append(got, r.others)
	}
	if want := []float64{0, 0.1, 0.3}; !slices.Equal(got, want) {
		t.Errorf("counted %v, wanted %v", got, want)
	}
}

func TestTable(t *testing.T) {
	x := table{head: []string{"a", "b"}}
	x.add("1|2", "3")
	x.add("4")
	const want = "| a | b |\n|---|---|\n| 1\\|2 | 3 |\n| 4 |  |\n"
	if got := x.String(); got != want {
		t.Errorf("table\n%s, wanted\n%s", got, want)
	}
	for _, c := range []struct {
		x    float64
		want string
	}{{0.6789, "0.68"}, {12.345, "12.3"}, {123.4, "123"}, {1234.5, "1,234"}, {4018194, "4,018,194"}} {
		if got := figure(c.x); got != c.want {
			t.Errorf("figure(%g) = %s, wanted %s", c.x, got, c.want)
		}
	}
	if m := median([]float64{3, 1, 2, 9}); m != 2 {
		t.Errorf("median %g, wanted 2", m)
	}
	if got, want := wrap("aa bb cc  dd", 5), "aa bb\ncc dd"; got != want {
		t.Errorf("wrapped %q, wanted %q", got, want)
	}
}

func TestStatusField(t *testing.T) {
	const status = "Name:\tx\nVmHWM:\t 1068208 kB\nRssAnon:\t  498704 kB\n"
	for name, want := range map[string]int64{"VmHWM": 1068208 << 10, "RssAnon": 498704 << 10, "RssFile": 0} {
		if got := statusField(status, name); got != want {
			t.Errorf("%s = %d, wanted %d", name, got, want)
		}
	}
}

func TestBeforeSpace(t *testing.T) {
	// "ab", ".", "\n", " ", "cd": the prompt ends in white space of two tokens.
	text := tokenize.Encoded{Rendered: "ab.\n cd", Start: 5, Reply: 4, Spans: [][2]int{{0, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 7}}}
	if got := beforeSpace(text); got != 2 {
		t.Errorf("reply from %d, wanted 2", got)
	}
	text = tokenize.Encoded{Rendered: "ab.cd", Start: 3, Reply: 2, Spans: [][2]int{{0, 2}, {2, 3}, {3, 5}}}
	if got := beforeSpace(text); got != 2 {
		t.Errorf("reply from %d, wanted 2", got)
	}
}

// TestWorker speaks the protocol to our own worker, over a random checkpoint that writeRandom
// made, and holds the jobs against each other.
func TestWorker(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	const donor = "../demo/data/llama/tuned"
	tok, err := tokenize.Load(donor)
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	c := bigConfig()
	c.D, c.Inner, c.Layers, c.Heads, c.KVHeads, c.Vocab, c.Context = 32, 48, 2, 4, 2, tok.VocabSize(), 256
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := writeRandom(t.Context(), dir, donor, c, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if size := int64(2 * c.parameters()); before.Size() < size || before.Size() > size+8192 {
		t.Errorf("%d bytes, wanted %d and a header", before.Size(), size)
	}
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	q, _ := w.Get("model.layers.1.mlp.up_proj.weight")
	values, err := q.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	square := 0.0
	for _, x := range values {
		square += float64(x) * float64(x)
	}
	if sd := math.Sqrt(square / float64(len(values))); math.Abs(sd-0.02) > 0.002 { // four standard errors of 1,536 draws: 0.0014
		t.Errorf("standard deviation %g, wanted 0.02", sd)
	}
	if err := writeRandom(t.Context(), dir, donor, c, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Error("a complete checkpoint was written again")
	}

	job := &task{Model: dir, Prompts: []string{"one", "two"}, Forms: []string{"love", " free"}, Sample: []pair{{Number: 0, Reply: "love"}, {Number: 3, Reply: " free"}}, Long: [][]int32{{1, 5, 6, 7}}}
	path := filepath.Join(t.TempDir(), "task.json")
	if err := job.write(path); err != nil {
		t.Fatal(err)
	}
	ask := func(name string) []float32 {
		t.Helper()
		file := filepath.Join(t.TempDir(), "numbers")
		var out bytes.Buffer
		err := runWork(t.Context(), strings.NewReader("go\nnumbers "+file+"\n"), &out, []string{"-backend", "go", "-dtype", "f32", "-task", path, "-job", name})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if lines := strings.Count(out.String(), "\n"); lines != 3 {
			t.Fatalf("%s: answered %q, wanted three lines", name, out.String())
		}
		x, err := readNumbers(file)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	rows := ask("next")
	if len(rows) != 2*c.Vocab {
		t.Fatalf("next: %d numbers, wanted 2 x %d", len(rows), c.Vocab)
	}
	sum := 0.0
	for _, x := range rows[:c.Vocab] {
		sum += math.Exp(float64(x))
	}
	if math.Abs(sum-1) > 1e-4 {
		t.Errorf("next: probabilities sum to %g", sum)
	}
	corpus, sampled := ask("corpus"), ask("sample")
	if len(corpus) != 4 || len(sampled) != 4 {
		t.Fatalf("corpus %v, sample %v, wanted 4 numbers each", corpus, sampled)
	}
	if d := compare(sampled[:2], []float32{corpus[0], corpus[3]}); d.max > 1e-5 {
		t.Errorf("the sample %v is not of the corpus job %v", sampled[:2], corpus)
	}
	if long := ask("long"); len(long) != 3 {
		t.Errorf("long: %v, wanted 3 numbers", long)
	}

	if err := job.rewardTask(tok, dir+"-score", []string{"love", "free"}); err != nil {
		t.Fatal(err)
	}
	if err := writeReward(job.Reward, dir); err != nil {
		t.Fatal(err)
	}
	if err := job.write(path); err != nil {
		t.Fatal(err)
	}
	rewards, some := ask("reward"), ask("reward-sample")
	if len(rewards) != 4 || rewards[0] == rewards[1] {
		t.Fatalf("rewards %v, wanted 4, different", rewards)
	}
	if d := compare(some, rewards); d.max > 1e-5 { // the sample is all
		t.Errorf("the sample %v is not of the reward job %v", some, rewards)
	}
}

func TestMakeTask(t *testing.T) {
	real := filepath.Join("..", "..", model)
	if _, err := os.Stat(real); err != nil {
		t.Skip("needs the real model (make real)")
	}
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	job, err := makeTask(real, filepath.Join("..", ".."), []string{"care", "loyalty"})
	if err != nil {
		t.Fatal(err)
	}
	if len(job.Prompts) != 54 || len(job.Next) != 54 || len(job.Forms) != 12 || len(job.Sample) != 256 {
		t.Errorf("%d prompts, %d chats, %d forms, %d in the sample, wanted 54, 54, 12, 256", len(job.Prompts), len(job.Next), len(job.Forms), len(job.Sample))
	}
	for _, s := range job.Sample {
		p, f := s.Number/len(job.Forms), s.Number%len(job.Forms)
		if s.Reply != job.Forms[f] || s.Prompt != job.Next[p].Text {
			t.Fatalf("item %d is %q after %q", s.Number, s.Reply, s.Prompt)
		}
	}
	t.Chdir(filepath.Join("..", ".."))
	words, name, err := corpusWords()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := makeTask(model, ".", words); err != nil || len(all.Forms) < 2*len(words) {
		t.Errorf("%s: %v, wanted a task with two forms a word or more", name, err)
	}
	if len(job.Long) != longWindows || len(job.Long[7]) != longTokens {
		t.Errorf("%d long texts, wanted %d of %d tokens", len(job.Long), longWindows, longTokens)
	}
}

func TestProducts(t *testing.T) {
	backend, err := cli.Backend("go", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	c := config{D: 8, Inner: 12, Layers: 3, Heads: 4, KVHeads: 2, Vocab: 20}
	// q and o 8x8, k and v 4x8, gate, up and down 12x8: 480 products a node and block, 160 at the head.
	if got, want := c.operations(counts{nodes: 10, heads: 2}), 2.0*(10*3*480+2*160); got != want {
		t.Errorf("%g operations, wanted %g", got, want)
	}
	p, err := plainProducts(backend, c, dtypes.Float32)
	if err != nil {
		t.Fatal(err)
	}
	if !(p.block > 0 && p.head > 0) {
		t.Errorf("plain products took %+v, wanted more than no time", p)
	}
	if got, want := p.of(c, counts{nodes: 512, heads: 256}), 6*p.block+p.head; math.Abs(got-want) > 1e-12 {
		t.Errorf("plain time %g, wanted %g", got, want)
	}
}

func TestSameFirst(t *testing.T) {
	for _, c := range []struct {
		ours, theirs string
		same         bool
	}{
		{`{"token": 5195, "lnp": -1.716}`, `{"token": 504, "lnp": -1.789}`, true},
		{`{"token": 5195, "lnp": -1.716}`, `{"token": 5195, "lnp": -2.789}`, false},
	} {
		b := &bench{}
		if err := b.sameFirst([]byte(c.ours), []byte(c.theirs)); err != nil || (len(b.wrong) == 0) != c.same {
			t.Errorf("%s against %s: %v, %q, wanted same %v", c.ours, c.theirs, err, b.wrong, c.same)
		}
	}
	if err := (&bench{}).sameFirst(nil, []byte(`{}`)); err == nil {
		t.Error("a process without an answer passed")
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-only", "next,nothing"}, {"x"}} {
		err := start(context.Background(), strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, args)
		if !errors.As(err, new(*cli.UsageError)) {
			t.Errorf("%v: error %v, wanted a UsageError", args, err)
		}
	}
	if got, err := choose("", false); err != nil || slices.Contains(got, "big") || !slices.Contains(got, "corpus") {
		t.Errorf("without flags %v, %v", got, err)
	}
	if got, err := choose("", true); err != nil || !slices.Contains(got, "big") {
		t.Errorf("with -big %v, %v", got, err)
	}
}
