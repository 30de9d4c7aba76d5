package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// tiny are checkpoints of four families with random weights.
var tiny = map[string]string{
	"llama": "../../logprob/testdata/families/llama-mha", "gpt2": "../../logprob/testdata/families/gpt2-plain",
	"gemma2": "../../logprob/testdata/families/gemma2-base", "qwen3": "../../logprob/testdata/families/qwen3-headdim",
}

// idRows are rows of token ids for a task, read as from a file.
func idRows(t *testing.T, task Task, n int) *Data {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	ids := func(n int) []int32 {
		all := make([]int32, n)
		for i := range all {
			all[i] = int32(3 + rng.IntN(80))
		}
		return all
	}
	var file bytes.Buffer
	for range n {
		prompt, chosen, rejected := ids(4+rng.IntN(4)), ids(2+rng.IntN(3)), ids(2+rng.IntN(3))
		row := map[string]any{}
		switch task {
		case Reward:
			row["chosen_ids"], row["rejected_ids"] = slices.Concat(prompt, chosen), slices.Concat(prompt, rejected)
		case DPO:
			row["prompt_ids"], row["chosen_ids"], row["rejected_ids"] = prompt, chosen, rejected
		default:
			row["input_ids"] = slices.Concat(prompt, chosen)
		}
		if err := strictjson.Write(&file, row, ""); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Read(t.Context(), &file, task)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func goBackend(t *testing.T) compute.Backend {
	t.Helper()
	b, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// runOptions are options of a short run of LoRA, with dropout.
func runOptions(t *testing.T, family string, task Task) Options {
	return Options{
		Task: task, Model: tiny[family], Out: filepath.Join(t.TempDir(), "run"), LoRA: &LoRA{R: 4, Dropout: 0.1}, LR: 1e-2, Warmup: 0.1, Batch: 4,
		MicroBatch: 40, Epochs: 2, Seed: 7, Checkpoints: Cadence{Pow2: true}, Eval: idRows(t, task, 3), Backend: goBackend(t),
	}
}

// held is the last line of eval.jsonl.
func lastEvaluation(t *testing.T, dir string) Evaluation {
	t.Helper()
	all := lines[Evaluation](t, filepath.Join(dir, evalFile))
	return all[len(all)-1]
}

// TestRunReward: what a run says of its held-out pairs is what package rewardmodel says of them
// with the adapter that it leaves.
func TestRunReward(t *testing.T) {
	for family, base := range tiny {
		t.Run(family, func(t *testing.T) {
			o := runOptions(t, family, Reward)
			summary, err := Run(t.Context(), idRows(t, Reward, 10), o)
			if err != nil {
				t.Fatal(err)
			}
			if summary.Steps != 6 || !slices.Equal(summary.Checkpoints, []int{0, 1, 2, 4, 6}) || summary.Rows.Rows != 10 {
				t.Errorf("%+v", summary)
			}
			last := fmt.Sprintf("%s+%s/checkpoint-6", base, o.Out)
			m, err := rewardmodel.Load(t.Context(), last, &rewardmodel.Options{Model: logprob.Options{Backend: o.Backend}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			rows, _, err := o.Eval.encode(t.Context(), nil, o)
			if err != nil {
				t.Fatal(err)
			}
			var margin, mean float64
			for _, r := range rows {
				for i, text := range r.texts {
					score := rewardOf(t, m, text.ids)
					mean += score / float64(2*len(rows))
					margin += score * float64(1-2*i) / float64(len(rows))
				}
			}
			e := lastEvaluation(t, o.Out)
			near(t, "mean reward", *e.Reward, mean, 1e-5)
			near(t, "margin", *e.Margin, margin, 1e-4)
		})
	}
}

// TestRunFull: the same of all weights, in a checkpoint by itself.
func TestRunFull(t *testing.T) {
	for _, family := range []string{"gpt2", "gemma2"} {
		o := runOptions(t, family, Reward)
		o.LoRA, o.LR = nil, 1e-3
		summary, err := Run(t.Context(), idRows(t, Reward, 10), o)
		if err != nil {
			t.Fatal(err)
		}
		m, err := rewardmodel.Load(t.Context(), filepath.Join(o.Out, "checkpoint-6"), &rewardmodel.Options{Model: logprob.Options{Backend: o.Backend}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		rows, _, err := o.Eval.encode(t.Context(), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		mean, size := 0.0, 0.0
		for _, r := range rows {
			for _, text := range r.texts {
				score := rewardOf(t, m, text.ids) / float64(2*len(rows))
				mean += score
				size += math.Abs(score)
			}
		}
		// Rewards of either sign cancel in the mean, their rounding does not.
		near(t, family+": mean reward", size+*lastEvaluation(t, o.Out).Reward, size+mean, 1e-6)
		if len(summary.Warnings) == 0 || !strings.Contains(summary.Warnings[0].Error(), "no tokenizer.json") {
			t.Errorf("warnings %v", summary.Warnings)
		}
		// Going on after the end changes nothing.
		want := contents(t, o.Out)
		o.Resume = true
		again, err := Run(t.Context(), idRows(t, Reward, 10), o)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(summary) {
			t.Errorf("once more: %+v, %v, wanted %+v", again, err, summary)
		}
		compare(t, "once more", contents(t, o.Out), want)
	}
}

// TestRunLM: a model with random weights learns, and another run goes on with what it leaves.
func TestRunLM(t *testing.T) {
	o := runOptions(t, "llama", LM)
	o.LoRA, o.Epochs, o.LR, o.Checkpoints = nil, 10, 5e-3, Cadence{Every: 10}
	summary, err := Run(t.Context(), idRows(t, LM, 10), o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(summary.Checkpoints, []int{0, 10, 20, 30}) {
		t.Errorf("checkpoints %v", summary.Checkpoints)
	}
	log := lines[Record](t, filepath.Join(o.Out, logFile))
	uniform := math.Log(float64(vocabOf(t, o.Model)))
	if near(t, "first loss", log[0].Loss, uniform, 0.05); log[29].Loss > 0.7*uniform {
		t.Errorf("the loss went from %v to %v, wanted less", log[0].Loss, log[29].Loss)
	}
	next := runOptions(t, "llama", SFT)
	next.LoRA, next.Init, next.LR, next.Eval = nil, filepath.Join(o.Out, "checkpoint-30"), 1e-5, nil
	if _, err := Run(t.Context(), idRows(t, SFT, 10), next); err != nil {
		t.Fatal(err)
	}
	if got := lines[Record](t, filepath.Join(next.Out, logFile))[0].Loss; got > 1.1*log[29].Loss {
		t.Errorf("the loss of what goes on is %v, of the last step %v", got, log[29].Loss)
	}
}

func vocabOf(t *testing.T, dir string) int {
	t.Helper()
	m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: goBackend(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return m.VocabSize()
}

// TestRunDPO: the implicit reward of the adapter that a run leaves is what the run says.
func TestRunDPO(t *testing.T) {
	o := runOptions(t, "llama", DPO)
	if _, err := Run(t.Context(), idRows(t, DPO, 10), o); err != nil {
		t.Fatal(err)
	}
	base, err := logprob.Load(t.Context(), o.Model, &logprob.Options{Backend: o.Backend})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	tuned, err := base.WithAdapter(t.Context(), filepath.Join(o.Out, "checkpoint-6"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tuned.Close()
	rows, _, err := o.Eval.encode(t.Context(), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	var samples [2][]*sample
	for i, m := range []*logprob.Model{tuned, base} {
		for _, r := range rows {
			samples[i] = append(samples[i], &sample{row: r})
		}
		if err := refer(t.Context(), m, samples[i]); err != nil {
			t.Fatal(err)
		}
	}
	margin := 0.0
	for i := range rows {
		a, b := samples[0][i].reference, samples[1][i].reference
		margin += 0.1 * ((a[0] - b[0]) - (a[1] - b[1])) / float64(len(rows))
	}
	e := lastEvaluation(t, o.Out)
	near(t, "margin", *e.Margin, margin, 1e-4)
	first := lines[Evaluation](t, filepath.Join(o.Out, evalFile))[0]
	if math.Abs(first.Loss-math.Ln2) > 1e-6 {
		t.Errorf("the loss of step 0 is %v, wanted ln 2: the model is its own reference", first.Loss)
	}
}

// TestRunSFT: the loss of a run's held-out texts is the mean of -ln p of what it leaves.
func TestRunSFT(t *testing.T) {
	o := runOptions(t, "gpt2", SFT)
	o.Clip, o.Schedule = -1, "constant"
	if _, err := Run(t.Context(), idRows(t, SFT, 10), o); err != nil {
		t.Fatal(err)
	}
	m, err := logprob.Load(t.Context(), o.Model, &logprob.Options{Backend: o.Backend, Adapter: filepath.Join(o.Out, "checkpoint-6")})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	rows, _, err := o.Eval.encode(t.Context(), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	var requests []logprob.Request
	for _, r := range rows {
		requests = append(requests, r.texts[0].scored())
	}
	var total, n float64
	err = logprob.Collect(t.Context(), m, requests, func(_ int, r logprob.Result) error {
		total, n = total-r.Sum(), n+float64(len(r.LogProbs))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", lastEvaluation(t, o.Out).Loss, total/n, 1e-6)
	log := lines[Record](t, filepath.Join(o.Out, logFile))
	if log[5].Loss >= log[0].Loss {
		t.Errorf("the loss went from %v to %v", log[0].Loss, log[5].Loss)
	}
}

// TestRunGRM: the regulariser's share of the loss, and the score row is saved with the adapter.
func TestRunGRM(t *testing.T) {
	o := runOptions(t, "llama", Reward)
	plain, err := Run(t.Context(), idRows(t, Reward, 10), o)
	if err != nil {
		t.Fatal(err)
	}
	g := o
	g.Out, g.SFT = filepath.Join(t.TempDir(), "grm"), 0.5
	if _, err := Run(t.Context(), idRows(t, Reward, 10), g); err != nil {
		t.Fatal(err)
	}
	a, b := lines[Record](t, filepath.Join(o.Out, logFile))[0], lines[Record](t, filepath.Join(g.Out, logFile))[0]
	if near(t, "margin", *b.Margin, *a.Margin, 1e-6); b.Loss <= a.Loss || plain.Steps != 6 {
		t.Errorf("losses %v and, with the regulariser, %v", a.Loss, b.Loss)
	}
	m, err := rewardmodel.Load(t.Context(), o.Model+"+"+filepath.Join(g.Out, "checkpoint-6"), &rewardmodel.Options{Model: logprob.Options{Backend: o.Backend}})
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

func rewardOf(t *testing.T, m *rewardmodel.Model, ids []int32) float64 {
	t.Helper()
	for r, err := range m.Run(t.Context(), slices.Values([]tokenize.Encoded{{IDs: ids}})) {
		if err != nil {
			t.Fatal(err)
		}
		return r.Reward
	}
	t.Fatal("no reward")
	return 0
}

// TestRunResumed: a run that is interrupted after every step, with dropout, ends with the same
// bytes, whatever the memory limit.
func TestRunResumed(t *testing.T) {
	for _, task := range []Task{Reward, DPO} {
		o := runOptions(t, "llama", task)
		data := idRows(t, task, 10)
		if _, err := Run(t.Context(), data, o); err != nil {
			t.Fatal(err)
		}
		want := contents(t, o.Out)
		o.Out, o.Resume, o.MemoryLimit = filepath.Join(t.TempDir(), "run"), true, 128<<20
		for i := 0; ; i++ {
			ctx, cancel := context.WithCancel(t.Context())
			o.Step = func(Record) { cancel() }
			_, err := Run(ctx, data, o)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || i > 12 {
				t.Fatal(err)
			}
		}
		compare(t, string(task), contents(t, o.Out), want)
	}
}

// TestRunBFloat16: products in bfloat16 move the first loss a little; what is trained and saved is
// float32.
func TestRunBFloat16(t *testing.T) {
	wide := runOptions(t, "llama", Reward)
	narrow := wide
	narrow.Out, narrow.DType = filepath.Join(t.TempDir(), "bf16"), dtypes.BFloat16
	var first [2]float64
	for i, o := range []Options{wide, narrow} {
		if _, err := Run(t.Context(), idRows(t, Reward, 10), o); err != nil {
			t.Fatal(err)
		}
		first[i] = lines[Record](t, filepath.Join(o.Out, logFile))[0].Loss
	}
	if d := math.Abs(first[0] - first[1]); d == 0 || d > 0.02 {
		t.Errorf("the first loss is %v in float32, %v in bfloat16", first[0], first[1])
	}
	a, err := os.Stat(filepath.Join(wide.Out, "checkpoint-6", "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(filepath.Join(narrow.Out, "checkpoint-6", "adapter_model.safetensors"))
	if err != nil || a.Size() != b.Size() {
		t.Errorf("%v: adapters of %d and %d bytes", err, a.Size(), b.Size())
	}
}

// TestKilledRun is the run that TestKillRun has killed: with TRAIN_KILL_RUN=EVENT,FOLDER.
func TestKilledRun(t *testing.T) {
	event, dir, ok := strings.Cut(os.Getenv("TRAIN_KILL_RUN"), ",")
	if !ok {
		return // a part of TestKillRun
	}
	at, err := strconv.Atoi(event)
	if err != nil {
		t.Fatal(err)
	}
	o := runOptions(t, "llama", DPO)
	o.Out, o.Resume, o.event = dir, true, killer(at)
	if _, err := Run(t.Context(), idRows(t, DPO, 10), o); err != nil {
		t.Fatal(err)
	}
}

// TestKillRun: TestKill of a model with an adapter and dropout, at some of its events.
func TestKillRun(t *testing.T) {
	o := runOptions(t, "llama", DPO)
	events := 0
	o.event = func(string) { events++ }
	if _, err := Run(t.Context(), idRows(t, DPO, 10), o); err != nil {
		t.Fatal(err)
	}
	want := contents(t, o.Out)
	every := 11
	if testing.Short() {
		every = 33
	}
	for at := 2; at < events; at += every {
		dir := filepath.Join(t.TempDir(), "run")
		child := exec.Command(os.Args[0], "-test.run=^TestKilledRun$")
		child.Env = append(os.Environ(), fmt.Sprintf("TRAIN_KILL_RUN=%d,%s", at, dir), "TMPDIR="+t.TempDir()) // in which it leaves its own
		out, err := child.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("event %d: the run was not killed: %v: %s", at, err, out)
		}
		o.Out, o.Resume, o.event = dir, true, nil
		if _, err := Run(t.Context(), idRows(t, DPO, 10), o); err != nil {
			t.Fatalf("event %d: %v", at, err)
		}
		compare(t, fmt.Sprint("event ", at), contents(t, dir), want)
	}
}

// TestRunRefused: options that do not go together, and rows that the model cannot read.
func TestRunRefused(t *testing.T) {
	base := runOptions(t, "llama", Reward)
	for want, change := range map[string]func(*Options){
		`task "rl"`:                       func(o *Options) { o.Task = "rl" },
		"no Model":                        func(o *Options) { o.Model = "" },
		"no Out":                          func(o *Options) { o.Out = "" },
		"LR is NaN":                       func(o *Options) { o.LR = math.NaN() },
		"Warmup is 1.5":                   func(o *Options) { o.Warmup = 1.5 },
		`schedule "steps"`:                func(o *Options) { o.Schedule = "steps" },
		"wanted float32 or bfloat16":      func(o *Options) { o.DType = 9 },
		"lm begins with random weights":   func(o *Options) { o.Task = LM },
		"or SFT, which are parts":         func(o *Options) { o.Task, o.Center = DPO, 0.1 },
		"GRM's regulariser":               func(o *Options) { o.SFT, o.LoRA = 0.1, nil },
		"rows read for reward":            func(o *Options) { o.Task = SFT },
		"order: place 1 has row 10":       func(o *Options) { o.Order = []int{0, 10} },
		"LoRA.Dropout is 1":               func(o *Options) { o.LoRA = &LoRA{Dropout: 1} },
		"wanted a number from 1 and less": func(o *Options) { o.Batch = -1 },
	} {
		o := base
		o.Out = filepath.Join(t.TempDir(), "run")
		change(&o)
		_, err := Run(t.Context(), idRows(t, Reward, 10), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, wanted %q", err, want)
		}
		if _, err := os.Stat(o.Out); o.Out != "" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a folder was made", want)
		}
	}
}

// TestUnlearnt: one step of warm-up changes nothing, and the run says so.
func TestUnlearnt(t *testing.T) {
	o := runOptions(t, "llama", SFT)
	o.Steps = 1
	summary, err := Run(t.Context(), idRows(t, SFT, 10), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(summary.Warnings) != 1 || !strings.Contains(summary.Warnings[0].Error(), "8 of the adapter's 8 matrices B are zero still") {
		t.Errorf("warnings %v", summary.Warnings)
	}
	initial := func(string) ([]float32, error) { return []float32{1, 0.5, 2, 3}, nil }
	doubts, err := unlearnt([]*logprob.Param{{Name: "w", Value: []float32{1.001, 0.5005, 2.5, 3}}}, initial)
	if err != nil || len(doubts) != 1 || !strings.Contains(doubts[0].Error(), "of 3 weights that training has changed 2 are") {
		t.Errorf("%v, %v", doubts, err)
	}
	if doubts, _ := unlearnt([]*logprob.Param{{Name: "w", Value: []float32{1.01, 0.5005, 2.5, 3}}}, initial); len(doubts) > 0 {
		t.Errorf("%v, though most are learnt", doubts)
	}
}
