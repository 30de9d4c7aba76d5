package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
)

const testVocab, testWidth = 7, 4

// testSamples draws pairs, or texts alone.
func testSamples(task Task, n int) (all []*sample) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		e := &sample{row: row{index: i, number: i + 1, margin: 0.1 * float64(i%3)}, reference: []float64{-4, -4.5}}
		for range 2 {
			t := text{from: 2}
			for range 4 + rng.IntN(4) {
				t.ids = append(t.ids, int32(rng.IntN(testVocab)))
			}
			e.texts = append(e.texts, t)
		}
		if task == SFT || task == LM {
			e.texts = e.texts[:1]
		}
		all = append(all, e)
	}
	return all
}

// fakeOptions are complete options of a run of bigrams.
func fakeOptions(task Task, out string) Options {
	return Options{
		Task: task, Out: out, LR: 0.05, Schedule: "cosine", Warmup: 0.2, Batch: 4, Epochs: 2, Clip: 1, WeightDecay: 0.01,
		Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Seed: 1, Beta: 0.1, Checkpoints: Cadence{Pow2: true},
	}
}

// fakeTrainer is a run of a bigram, on ten rows with three held out.
func fakeTrainer(o Options, event func(string)) (*trainer, error) {
	m := newBigram(testVocab, testWidth)
	f := &folder{path: o.Out, event: event}
	t := &trainer{o: o, model: m, folder: f, samples: testSamples(o.Task, 10), held: testSamples(o.Task, 3)}
	switch o.Task {
	case Reward:
		score := &logprob.Param{Name: "score.weight", Shape: []int{1, testWidth}, Value: []float32{0.1, -0.2, 0.3, 0.1}, Grad: make([]float32, testWidth)}
		t.objective = newBradleyTerry(&o, score)
	case DPO:
		t.objective = preferred{o.Beta}
	default:
		t.objective = likelihood{}
	}
	first := map[string][]float32{}
	for _, p := range append(m.Params(), t.objective.params()...) {
		first[p.Name] = slices.Clone(p.Value)
	}
	t.initial = func(name string) ([]float32, error) { return first[name], nil }
	t.write = func(_ context.Context, dir string, params []*logprob.Param) error {
		if err := os.Mkdir(dir+".part", 0o777); err != nil {
			return err
		}
		f.at("in the middle of " + dir)
		file, err := os.Create(filepath.Join(dir+".part", "weights"))
		if err != nil {
			return err
		}
		for _, p := range params {
			if err := writeFloats(file, p.Value); err != nil {
				return err
			}
		}
		if err := file.Close(); err != nil {
			return err
		}
		return os.Rename(dir+".part", dir)
	}
	if err := t.plan(); err != nil {
		return nil, err
	}
	t.adamw = newAdamW(&o, t.params())
	return t, nil
}

// fakeRun runs it to its end.
func fakeRun(ctx context.Context, o Options, event func(string)) (*Summary, error) {
	t, err := fakeTrainer(o, event)
	if err != nil {
		return nil, err
	}
	return t.fakeRun(ctx)
}

// fakeRun is what Run does around a trainer.
func (t *trainer) fakeRun(ctx context.Context) (*Summary, error) {
	m := &manifest{Settings: settings{Steps: t.steps, Task: t.o.Task, LR: t.o.LR, Rows: hashRows(t.samples)}}
	defer t.folder.close()
	s, err := t.folder.open(m, t.o.Resume)
	if err != nil {
		return nil, err
	}
	if s == nil {
		dir := t.folder.checkpoint(0)
		if err := t.folder.writeFolder(dir, func() error { return t.write(ctx, dir, t.params()) }); err != nil {
			return nil, err
		}
	}
	if s != nil {
		t.model.(*bigram).passes = s.Passes // as Tune is told of them
	}
	t.manifest = m
	return t.run(ctx, s)
}

// contents are the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compare holds the files of one folder to those of another.
func compare(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: no %s", what, name)
		} else if got[name] != want[name] {
			t.Errorf("%s: other bytes of %s: %q, wanted %q", what, name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is left", what, name)
		}
	}
}

var tasks = []Task{Reward, DPO, SFT}

// TestGradients: the gradients of a step equal central differences of its loss, through the
// whole loop, in one pass or in many.
func TestGradients(t *testing.T) {
	for _, task := range tasks {
		for _, tokens := range []int{1, 12, 1000} {
			o := fakeOptions(task, t.TempDir())
			o.Center, o.SFT = 0.1, 0.2
			tr, err := fakeTrainer(o, nil)
			if err != nil {
				t.Fatal(err)
			}
			tr.model.(*bigram).tokens = tokens
			loss := func() float64 {
				sums, err := tr.compute(t.Context(), 1, tr.samples, false)
				if err != nil {
					t.Fatal(err)
				}
				return sums.loss()
			}
			sums, err := tr.compute(t.Context(), 1, tr.samples, true)
			if err != nil {
				t.Fatal(err)
			}
			tr.objective.settle()
			near(t, "loss", sums.loss(), loss(), 1e-12)
			for _, p := range tr.params() {
				for i := range p.Value {
					const h = 1.0 / 512
					at := p.Value[i]
					p.Value[i] = at + h
					up, step := loss(), float64(p.Value[i])
					p.Value[i] = at - h
					down := loss()
					step -= float64(p.Value[i])
					p.Value[i] = at
					if want := (up - down) / step; math.Abs(float64(p.Grad[i])-want) > 3e-6 {
						t.Errorf("%s, passes of %d: %s[%d]: gradient %v, wanted %v", task, tokens, p.Name, i, p.Grad[i], want)
					}
				}
			}
			m := tr.model.(*bigram)
			if m.closed == 0 {
				t.Error("no pass was closed")
			}
		}
	}
}

// TestLog: lines of the log say what the step's rows amount to, by hand, and the loss falls.
func TestLog(t *testing.T) {
	for _, task := range tasks {
		o := fakeOptions(task, filepath.Join(t.TempDir(), "run"))
		o.Epochs = 20
		var told []Record
		o.Step = func(r Record) { told = append(told, r) }
		summary, err := fakeRun(t.Context(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if summary.Steps != 60 || len(told) != 60 || told[59].Epoch != 20 {
			t.Fatalf("%s: %d steps, %d told, the last %+v", task, summary.Steps, len(told), told[len(told)-1])
		}
		tr, err := fakeTrainer(o, nil)
		if err != nil {
			t.Fatal(err)
		}
		var samples []*sample
		var tokens int64
		for _, i := range tr.order.step(1) {
			samples = append(samples, tr.samples[i])
			for _, text := range tr.samples[i].texts {
				tokens += int64(len(text.ids))
			}
		}
		first, err := tr.compute(t.Context(), 1, samples, false)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "loss of step 1", told[0].Loss, first.loss(), 1e-12)
		if told[0].LR != 0 || told[0].Tokens != tokens || told[0].Step != 1 {
			t.Errorf("step 1: %+v, wanted learning rate 0 and %d tokens", told[0], tokens)
		}
		if (told[0].Accuracy == nil) != (task == SFT) {
			t.Errorf("%s: accuracy %v", task, told[0].Accuracy)
		}
		evals := lines[Evaluation](t, filepath.Join(o.Out, evalFile))
		if a, b := evals[0], evals[len(evals)-1]; a.Step != 0 || b.Step != 60 || b.Loss >= a.Loss || a.Rows != 3 {
			t.Errorf("%s: held-out rows: %+v, then %+v", task, a, b)
		}
		if logged := lines[Record](t, filepath.Join(o.Out, logFile)); !slices.EqualFunc(logged, told, func(a, b Record) bool { return fmt.Sprint(a.Loss, a.Tokens) == fmt.Sprint(b.Loss, b.Tokens) }) {
			t.Errorf("%s: the log is not what was told", task)
		}
	}
}

// lines reads a file of values, one a line.
func lines[T any](t *testing.T, path string) (all []T) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			t.Fatal(err)
		}
		all = append(all, value)
	}
	return all
}

// TestNotFinite: a loss or a gradient that is not finite ends the run, and names step and row.
func TestNotFinite(t *testing.T) {
	for _, task := range tasks {
		tr, err := fakeTrainer(fakeOptions(task, filepath.Join(t.TempDir(), "run")), nil)
		if err != nil {
			t.Fatal(err)
		}
		tr.held = nil
		bad := tr.samples[tr.order.step(2)[1]]
		tr.model.(*bigram).spoil = func(group []logprob.Request, out []logprob.Outputs) {
			if slices.Equal(group[0].IDs, bad.texts[0].ids) {
				for _, numbers := range append(out[0].States, out[0].LogProbs) {
					if len(numbers) > 0 {
						numbers[0] = math.Inf(-1)
					}
				}
			}
		}
		_, err = tr.fakeRun(t.Context())
		want := fmt.Sprintf("step 2: row %d: the loss is ", bad.number)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, wanted %q", task, err, want)
		}
	}
	// A state whose product with the score row is finite, and the gradient's square is not.
	tr, err := fakeTrainer(fakeOptions(Reward, filepath.Join(t.TempDir(), "run")), nil)
	if err != nil {
		t.Fatal(err)
	}
	tr.held = nil
	bad := tr.samples[tr.order.step(1)[2]]
	tr.model.(*bigram).spoil = func(group []logprob.Request, out []logprob.Outputs) {
		if slices.Equal(group[0].IDs, bad.texts[0].ids) {
			out[0].States[0][0], out[0].States[0][1] = 2e40, 1e40 // 0.1 and -0.2 of the score row
		}
	}
	_, err = tr.fakeRun(t.Context())
	want := fmt.Sprintf("step 1: row %d: the gradient is not finite", bad.number)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, wanted %q", err, want)
	}
}
