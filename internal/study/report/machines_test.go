package report

import (
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/study/analysis"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestMachines: a report doubts files that were computed on different kinds of machines.
func TestMachines(t *testing.T) {
	at := func(processor, plugin string) *cube.RewardFile {
		m := logprob.Meta{Processor: processor, Plugin: "xla.so", PluginHash: plugin}
		return &cube.RewardFile{Meta: words.Provenance{Tuned: m, Base: m}}
	}
	for _, test := range []struct {
		a, b *cube.RewardFile
		want string
	}{
		{at("amd64 avx2", "01"), at("amd64 avx2", "01"), ""},
		{at("", ""), at("amd64 avx2", "01"), ""}, // of a file of an earlier version it is not known
		{at("amd64 avx2", "01"), at("amd64 avx512", "01"), "Some of the files were computed on other processors (amd64 avx2; amd64 avx512)"},
		{at("amd64 avx2", "01"), at("amd64 avx2", "02"), "Some of the files were computed with other plugins (xla.so, 01; xla.so, 02)"},
	} {
		res := &analysis.Result{}
		in := &cube.Inputs{Rewards: []*cube.RewardFile{test.a, test.b}}
		New(&analysis.Options{}, in, []*analysis.Result{res})
		if got := strings.Join(res.Warnings, ";"); test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
			t.Errorf("doubts %q, wanted %q", got, test.want)
		}
	}
}

// TestFamilies: a report says whose family is that of an architecture.
func TestFamilies(t *testing.T) {
	scores := func(m cube.Model) *cube.Scores { return &cube.Scores{Models: []cube.Model{m}} }
	in := &cube.Inputs{Sets: []cube.Set{{Scores: []*cube.Scores{
		scores(cube.Model{ID: "a", Family: "Llama", Architecture: "llama"}), scores(cube.Model{ID: "b", Family: "Gemma"})}}}}
	got := strings.Join(New(&analysis.Options{}, in, nil).settings(), "\n")
	if want := "(-family or -models gives others): a: Llama (llama)\n"; !strings.Contains(got, want) {
		t.Errorf("settings %q, wanted %q in them", got, want)
	}
	if got := strings.Join(New(&analysis.Options{}, &cube.Inputs{}, nil).settings(), "\n"); strings.Contains(got, "architecture") {
		t.Errorf("settings %q", got)
	}
}
