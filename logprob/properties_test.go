package logprob_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

func scores(t *testing.T, m *logprob.Model, texts ...tokenize.Encoded) []logprob.Result {
	t.Helper()
	var all []logprob.Result
	for s, err := range logprob.Score(t.Context(), m, slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func rows(t *testing.T, m *logprob.Model, texts ...tokenize.Encoded) [][]float32 {
	t.Helper()
	var all [][]float32
	for r, err := range logprob.Next(t.Context(), m, slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestProperties checks, for every checkpoint in its dtype, what must hold of any language
// model.
func TestProperties(t *testing.T) {
	backend := pureGo(t)
	for _, path := range references(t) {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m := load(t, dir, backend, 0)
			ids := readGolden(t, dir).Texts[0].IDs
			text := tokenize.Encoded{IDs: ids, Reply: 1}

			// Probabilities sum to 1, and Score equals chained Next.
			var prefixes []tokenize.Encoded
			for n := 1; n < len(ids); n++ {
				prefixes = append(prefixes, tokenize.Encoded{IDs: ids[:n], Reply: n})
			}
			whole := scores(t, m, text)[0]
			for i, row := range rows(t, m, prefixes...) {
				sum := 0.0
				for _, x := range row {
					sum += math.Exp(float64(x))
				}
				if !(math.Abs(sum-1) < 1e-5) {
					t.Errorf("probabilities after %d tokens sum to %v", i+1, sum)
				}
				if got, want := whole.LogProbs[i], row[ids[i+1]]; !(math.Abs(float64(got-want)) <= 1e-5) {
					t.Errorf("token %d: Score %v, Next %v", i+1, got, want)
				}
			}

			// A later token changes nothing earlier.
			other := slices.Clone(ids)
			other[len(other)-1] = (other[len(other)-1] + 1) % int32(m.VocabSize())
			changed := scores(t, m, tokenize.Encoded{IDs: other, Reply: 1})[0]
			for i := range len(ids) - 2 {
				if changed.LogProbs[i] != whole.LogProbs[i] {
					t.Errorf("log-probability %d is %v, and %v after a later token changed", i, whole.LogProbs[i], changed.LogProbs[i])
				}
			}

			// A model against itself, loaded anew, gives exactly 0.
			again := scores(t, load(t, dir, backend, 0), text)[0]
			if !slices.Equal(again.LogProbs, whole.LogProbs) {
				t.Errorf("the same checkpoint gave %v, then %v", whole.LogProbs, again.LogProbs)
			}
		})
	}
}

// TestStreams: scores come in input order however many windows the texts fill, an
// empty reply has an empty score, and leaving the loop ends the work.
func TestStreams(t *testing.T) {
	m := load(t, "testdata/families/llama-mha", pureGo(t), 0)
	m.SetWindow(1000)
	long := make([]int32, 7)
	read := 0
	texts := func(yield func(tokenize.Encoded) bool) {
		for i := range 1000 { // 1,000 x 7 tokens are four windows and more
			read++
			ids := slices.Clone(long)
			ids[1], ids[2] = int32(i%90), int32(i/90)
			if !yield(tokenize.Encoded{IDs: ids, Reply: 7 - i%3}) {
				return
			}
		}
	}
	n := 0
	for s, err := range logprob.Score(t.Context(), m, texts) {
		if err != nil {
			t.Fatal(err)
		}
		if len(s.LogProbs) != n%3 {
			t.Fatalf("score %d has %d values, wanted %d", n, len(s.LogProbs), n%3)
		}
		if n++; n == 200 {
			break
		}
	}
	if read >= 1000 { // the 200th score is of the second window, and the third is drawn
		t.Errorf("%d texts were read for 200 scores", read)
	}

	bad := []tokenize.Encoded{{IDs: []int32{1, 2}, Reply: 1}, {IDs: []int32{1, 1 << 20}, Reply: 1}, {IDs: []int32{1, 2}, Reply: 1}}
	var errs []error
	for _, err := range logprob.Score(t.Context(), m, slices.Values(bad)) {
		errs = append(errs, err)
	}
	const want = "logprob: testdata/families/llama-mha: text 1: token 1 has id 1048576, wanted 0 to 100"
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil || errs[1].Error() != want {
		t.Errorf("errors %v, wanted none, then %q", errs, want)
	}
}
