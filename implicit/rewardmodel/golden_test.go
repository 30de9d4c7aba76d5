package rewardmodel

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

func pureGo(t testing.TB) compute.Backend {
	t.Helper()
	b, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// load loads a model on the pure-Go backend.
func load(t testing.TB, dir string, o *Options) (*Model, error) {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	if o.Model.Backend == nil {
		o.Model.Backend = pureGo(t)
	}
	m, err := Load(t.Context(), dir, o)
	if err == nil {
		t.Cleanup(func() { m.Close() })
	}
	return m, err
}

// results runs a model over token ids.
func results(t testing.TB, m RM, texts ...tokenize.Encoded) []Result {
	t.Helper()
	var all []Result
	for r, err := range m.Run(t.Context(), slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != len(texts) {
		t.Fatalf("%d results of %d texts", len(all), len(texts))
	}
	return all
}

// goldenHead is a golden.json of testdata/heads: see heads.py.
type goldenHead struct {
	Kind, Output string
	Texts        []goldenText
}

type goldenText struct {
	IDs                     []int32
	Messages                []tokenize.Message
	Reply                   string
	Position                int
	Outputs, Mixed, Weights []float64
	Quantiles               [][]float64
	Gate                    int
	Reward                  float64
	Normalized              *float64
}

func readGolden(t *testing.T, dir string) (g goldenHead) {
	t.Helper()
	readJSON(t, filepath.Join(dir, "golden.json"), &g)
	return g
}

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// near holds values to within 1e-4 of the largest wanted one.
func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	nearOf(t, what, got, want, want)
}

// nearOf is near of the largest of all.
func nearOf(t *testing.T, what string, got, want, all []float64) {
	t.Helper()
	largest := 0.0
	for _, v := range all {
		largest = max(largest, math.Abs(v))
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d values, wanted %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-4*largest) {
			t.Errorf("%s: %v at %d, wanted %v", what, got[i], i, want[i])
			return
		}
	}
}

// TestHeads holds every head to an independent computation (numpy on transformers' states).
func TestHeads(t *testing.T) {
	dirs, err := filepath.Glob("testdata/heads/*/golden.json")
	if err != nil || len(dirs) < 16 {
		t.Fatalf("%d goldens, %v", len(dirs), err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			g := readGolden(t, dir)
			if g.Kind == "gated" && !tokenize.Available {
				t.Skip("the end of a turn comes from the tokenizer")
			}
			m, err := load(t, dir, &Options{Output: g.Output})
			if err != nil {
				t.Fatal(err)
			}
			var texts []tokenize.Encoded
			for _, want := range g.Texts {
				text := tokenize.Encoded{IDs: want.IDs}
				if want.Messages != nil {
					if text, err = m.Encode(implicit.Item{Messages: want.Messages, Reply: want.Reply}); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(text.IDs, want.IDs) {
						t.Errorf("ids %v, wanted %v", text.IDs, want.IDs)
					}
				}
				texts = append(texts, text)
			}
			for i, r := range results(t, m, texts...) {
				golden(t, m, g.Texts[i], r)
			}
		})
	}
}

func golden(t *testing.T, m *Model, want goldenText, got Result) {
	t.Helper()
	near(t, "reward", []float64{got.Reward}, []float64{want.Reward})
	if got.Position != want.Position {
		t.Errorf("position %d, wanted %d", got.Position, want.Position)
	}
	outputs, weights := want.Outputs, want.Weights
	switch h := m.head.(type) {
	case *gated:
		p, err := m.pool(want.IDs)
		if err != nil || p.turn != want.Gate {
			t.Errorf("the gate reads %d, %v, wanted %d", p.turn, err, want.Gate)
		}
		quantiles := want.Quantiles
		if want.Mixed != nil && !h.raw { // QRM-Llama: the objectives after the transform
			outputs = want.Mixed
			quantiles = matrixOf(m, t).timesTransposed(want.Quantiles)
		}
		if h.raw { // ArmoRM: the weights of the objectives before it
			weights = matrixOf(m, t).times(want.Weights)
		}
		if len(got.Quantiles) != len(quantiles) {
			t.Fatalf("quantiles of %d outputs, wanted %d", len(got.Quantiles), len(quantiles))
		}
		for o := range quantiles {
			near(t, "quantiles", got.Quantiles[o], quantiles[o])
		}
	case *urm: // weights of the means alone
		weights = nil
		for _, w := range want.Weights {
			weights = append(weights, w, 0)
		}
	}
	near(t, "outputs", got.Outputs, outputs)
	near(t, "weights", got.Weights, weights)
	if weights != nil {
		near(t, "the weighted outputs", []float64{weighted(got.Weights, got.Outputs)}, []float64{got.Reward})
	}
	if len(got.Outputs) != len(m.Outputs()) {
		t.Errorf("%d outputs, wanted %q", len(got.Outputs), m.Outputs())
	}
}

// matrix is a reward_transform_matrix as the file has it.
type matrix [][]float64

func matrixOf(m *Model, t *testing.T) matrix {
	shape, values, err := m.lm.Tensor("reward_transform_matrix")
	if err != nil {
		t.Fatal(err)
	}
	var rows matrix
	for i := range shape[0] {
		rows = append(rows, widen(values[i*shape[1]:(i+1)*shape[1]]))
	}
	return rows
}

func (m matrix) times(x []float64) []float64 {
	var y []float64
	for _, row := range m {
		y = append(y, weighted(row, x))
	}
	return y
}

// timesTransposed is T^T q for every column of q [objectives quantiles].
func (m matrix) timesTransposed(q [][]float64) [][]float64 {
	out := make([][]float64, len(m))
	for o := range out {
		out[o] = make([]float64, len(q[0]))
		for k := range m {
			for i, v := range q[k] {
				out[o][i] += m[k][o] * v
			}
		}
	}
	return out
}

// TestNormalize holds OpenRLHF's mean and standard deviation to the golden.
func TestNormalize(t *testing.T) {
	n := 0
	for _, dir := range []string{"testdata/heads/openrlhf-normalize", "testdata/heads/openrlhf-prefix"} {
		g := readGolden(t, dir)
		if g.Texts[0].Normalized == nil {
			if _, err := load(t, dir, &Options{Normalize: true}); err == nil {
				t.Errorf("%s: normalised without mean and std", dir)
			}
			continue
		}
		m, err := load(t, dir, &Options{Normalize: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range g.Texts {
			got := results(t, m, tokenize.Encoded{IDs: want.IDs})[0]
			near(t, "normalised", []float64{got.Reward}, []float64{*want.Normalized})
			near(t, "raw output", got.Outputs, want.Outputs)
			n++
		}
		meta, err := m.Meta(t.Context())
		if err != nil || !meta.Normalize || *meta.Mean != 0.625 || *meta.Std != 1.75 { // of heads.py
			t.Errorf("%+v, %v", meta, err)
		}
		raw, err := load(t, dir, &Options{Model: logprob.Options{}})
		if err != nil {
			t.Fatal(err)
		}
		if w := raw.Warnings(); len(w) == 0 {
			t.Error("no warning that raw rewards are not what config.json asks for")
		}
	}
	if n == 0 {
		t.Fatal("no golden of a normalised reward")
	}
}
