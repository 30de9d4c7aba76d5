package study

import (
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestMachines: a report doubts files that were computed on different kinds of machines.
func TestMachines(t *testing.T) {
	at := func(processor, plugin string) *Reward {
		m := logprob.Meta{Processor: processor, Plugin: "xla.so", PluginHash: plugin}
		return &Reward{Meta: words.Provenance{Tuned: m, Base: m}}
	}
	for _, test := range []struct {
		a, b *Reward
		want string
	}{
		{at("amd64 avx2", "01"), at("amd64 avx2", "01"), ""},
		{at("", ""), at("amd64 avx2", "01"), ""}, // of a file of an earlier version it is not known
		{at("amd64 avx2", "01"), at("amd64 avx512", "01"), "Some of the files were computed on other processors (amd64 avx2; amd64 avx512)"},
		{at("amd64 avx2", "01"), at("amd64 avx2", "02"), "Some of the files were computed with other plugins (xla.so, 01; xla.so, 02)"},
	} {
		res := &Result{}
		in := &Inputs{Rewards: []*Reward{test.a, test.b}}
		if _, err := NewReport(&Config{}, in, []*Result{res}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(res.Warnings, ";"); test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
			t.Errorf("doubts %q, wanted %q", got, test.want)
		}
	}
}
