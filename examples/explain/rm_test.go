package main

import (
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/tokenize"
)

// heads are the tiny checkpoints of package rewardmodel.
const heads = "../../implicit/rewardmodel/testdata/heads/"

// TestExplainRM compares the whole output with golden files: a linear head beside a pair, and
// the heads that weigh their outputs.
func TestExplainRM(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	dir := t.TempDir()
	base, tuned, err := demo.Pair{Name: "llama"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	rm, err := demo.Pair{Name: "llama"}.ExtractRM(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		golden string
		args   []string
	}{
		{"testdata/rm.golden", []string{"-rm", rm, "-tuned", tuned, "-base", base}},
		{"testdata/armorm.golden", []string{"-rm", heads + "armorm"}},
		{"testdata/armorm_output.golden", []string{"-rm", heads + "armorm", "-output", "column=7", "-pooling", "hf-old"}},
		{"testdata/qrm.golden", []string{"-rm", heads + "qrm-gemma"}},
	} {
		stdout, stderr, code := call(t, append(test.args, "-prompt", "What is best?", "-reply", " love")...)
		if code != 0 {
			t.Fatalf("exit code %d, stderr %q", code, stderr)
		}
		compare(t, test.golden, strings.ReplaceAll(stdout, dir, "DIR"))
	}
}

// TestTabulateRM: the sum of what the outputs add is the head's own reward, which may be
// normalised, or not be the reward at all.
func TestTabulateRM(t *testing.T) {
	mean, std := 1.5, 0.5
	urm := rewardmodel.Result{Reward: 2.25, Outputs: []float64{1.5, 9, -3}, Weights: []float64{0.5, 0, -0.5}}
	labels := []string{"help", "help spread", "harm"}
	for _, c := range []struct {
		name  string
		facts rewardmodel.Meta
		score rewardmodel.Score
		want  []string
	}{
		{"its own reward", rewardmodel.Meta{Outputs: labels}, rewardmodel.Score{Result: urm},
			[]string{"column output value weight weight x value", "0 help 1.5 0.5 0.75", "1 help spread 9 0 0", "2 harm -3 -0.5 1.5", "sum 2.25", "", "reward: 2.25"}},
		{"an output", rewardmodel.Meta{Outputs: labels, Output: "harm"}, rewardmodel.Score{Result: rewardmodel.Result{Reward: -3, Outputs: urm.Outputs}},
			[]string{"column output value", "0 help 1.5", "1 help spread 9", "2 harm -3", "", "reward (output harm): -3"}},
		{"could be normalised", rewardmodel.Meta{Outputs: []string{"r"}, Mean: &mean, Std: &std}, rewardmodel.Score{Result: rewardmodel.Result{Reward: 2.5, Outputs: []float64{2.5}}},
			[]string{"column output value", "0 r 2.5", "", "reward: 2.5", "normalised by mean 1.5 and std 0.5 of config.json (-normalize): 2"}},
		{"normalised", rewardmodel.Meta{Outputs: []string{"r"}, Mean: &mean, Std: &std, Normalize: true}, rewardmodel.Score{Result: rewardmodel.Result{Reward: 2, Outputs: []float64{2.5}}},
			[]string{"column output value", "0 r 2.5", "", "reward (normalised by mean 1.5 and std 0.5 of config.json): 2"}},
		{"doubts", rewardmodel.Meta{Outputs: []string{"r"}}, rewardmodel.Score{Text: tokenize.Encoded{Trimmed: true, Special: 1}, Result: rewardmodel.Result{Outputs: []float64{0}, Quantiles: [][]float64{{-1, 1}}}},
			[]string{"column output value", "0 r 0", "", "quantiles, of which an output is the mean:", "0 r -1 1", "", "reward: 0", "flag: trimmed", "flag: special"}},
	} {
		var b strings.Builder
		tabulateRM(&b, c.facts, c.score)
		var got []string
		for line := range strings.Lines(b.String()) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got\n%s", c.name, b.String())
		}
	}
}

// TestWrongRM: flags that do not fit together, and reward models and texts that are none.
func TestWrongRM(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	base, tuned, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rm, err := demo.Pair{Name: "llama"}.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const usage = "explain -h lists the flags\n"
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"-rm", rm, "-prompt", ""}, "flag -prompt is missing: ", 2},
		{[]string{"-rm", rm, "-tuned", tuned}, "flag -base is missing: ", 2},
		{[]string{"-rm", rm, "-base", base}, "flag -tuned is missing: ", 2},
		{[]string{"-rm", rm, "-certify"}, "explain: -certify with -rm: what is promised are log-probabilities, of which a reward model has none, wanted -tuned and -base alone\n" + usage, 2},
		{[]string{"-rm", rm, "-tuned-as", "raw"}, "explain: -tuned-as without -tuned and -base, wanted them\n" + usage, 2},
		{[]string{"-rm", rm, "-pooling", "first"}, "explain: -pooling \"first\", wanted last, hf or hf-old\n" + usage, 2},
		{[]string{"-rm", rm, "-rm-as", "raw", "-system", "x"}, "explain: -system is about chats, and every prompt is read raw: wanted a rendering as chat\n" + usage, 2},
		{[]string{"-tuned", tuned, "-base", base, "-output", "x"}, "explain: -output is about a reward model, wanted -rm\n" + usage, 2},
		{[]string{"-rm", tuned}, "wanted score.weight [n 64] or another head of a reward model", 1},
		{[]string{"-rm", rm, "-reply", "a<|begin_of_text|>"}, "2 BOS tokens ", 1},
	} {
		stdout, stderr, code := call(t, append([]string{"-prompt", "p", "-reply", "r"}, test.args...)...)
		if code != test.code || !strings.Contains(stderr, test.want) || stdout != "" {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q, wanted %d, %q", test.args, code, stdout, stderr, test.code, test.want)
		}
	}
}
