// Package demos loads the demo's pairs of models for tests.
package demos

import (
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Models loads both pairs on the pure-Go backend for the time of a test: by name, base and
// tuned. It skips the test where there are no tokenizers.
func Models(t testing.TB) map[string][2]*logprob.Model {
	t.Helper()
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	all := map[string][2]*logprob.Model{}
	for _, p := range demo.Pairs() {
		var pair [2]*logprob.Model
		base, tuned, err := p.Extract(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for i, dir := range []string{base, tuned} {
			if pair[i], err = logprob.Load(t.Context(), dir, &logprob.Options{Backend: backend}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { pair[i].Close() })
		}
		all[p.Name] = pair
	}
	return all
}
