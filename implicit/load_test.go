package implicit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestLoad: a pair by its folders gives the rewards of its models loaded one by one, a model
// that is named twice is one, and what cannot be loaded says which.
func TestLoad(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	base, tuned, err := demo.Pairs()[0].Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := &implicit.LoadOptions{Model: logprob.Options{Backend: backend}, Beta: 0.5}
	list := []implicit.Item{{Prompt: "What is best?", Reply: "power"}, {Prompt: "What is best?", Reply: " love"}}
	pair, err := implicit.Load(t.Context(), tuned, base, o)
	if err != nil {
		t.Fatal(err)
	}
	defer pair.Close()
	byHand := implicit.Pair{Tuned: implicit.Chat(pair.Tuned.LM, nil), Base: implicit.Raw(pair.Base.LM), Beta: 0.5}
	want := collect(t, implicit.Rewards(t.Context(), byHand, slices.Values(list)))
	for i, r := range collect(t, implicit.Rewards(t.Context(), pair, slices.Values(list))) {
		if r.Value() != want[i].Value() || r.Value() == 0 {
			t.Errorf("%q: %v, wanted %v", r.Reply, r.Value(), want[i].Value())
		}
	}

	o.Base = func(m logprob.LM) *implicit.Policy { return implicit.Chat(m, nil) }
	same, err := implicit.Load(t.Context(), tuned, tuned, o)
	if err != nil {
		t.Fatal(err)
	}
	if same.Tuned.LM != same.Base.LM {
		t.Error("a model that is named twice is loaded twice")
	}
	for _, r := range collect(t, implicit.Rewards(t.Context(), same, slices.Values(list))) {
		if r.Err != nil || r.LogRatio() != 0 {
			t.Errorf("a model against itself: %v, %v", r.LogRatio(), r.Err)
		}
	}
	if err := same.Close(); err != nil {
		t.Error(err)
	}

	alone, err := implicit.Load(t.Context(), tuned, "", o)
	if err != nil || alone.Base != nil {
		t.Fatalf("%+v, %v", alone, err)
	}
	alone.Close()
	for _, c := range []struct{ tuned, base, want string }{
		{tuned, t.TempDir(), "implicit: base model: "},
		{"no/such/folder", base, `implicit: tuned model: checkpoint: "no/such/folder": no such folder`},
	} {
		if _, err := implicit.Load(t.Context(), c.tuned, c.base, o); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, wanted %s...", err, c.want)
		}
	}
}
