package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestReplicas: replicas, here on one device, give what one engine gives, in order, with the
// window of an error where it was; whoever stops early waits for what is under way.
func TestReplicas(t *testing.T) {
	dir := filepath.Join(families, "llama-mha")
	one := open(t, "llama-mha")
	e := open(t, "llama-mha")
	var mu sync.Mutex
	for range 2 {
		e.others = append(e.others, open(t, "llama-mha"))
	}
	told := 0
	e.onWindow = func(requests int, _ bool) { told += requests }
	one.WindowStates, e.WindowStates = 40, 40
	texts := randomTexts(rand.New(rand.NewPCG(1, 2)), 200, 40, e.model.V)
	want, err := run(t.Context(), one, texts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run(t.Context(), e, texts)
	if err != nil {
		t.Fatal(err)
	}
	if told != len(texts) {
		t.Errorf("told of %d requests, wanted %d", told, len(texts))
	}
	if len(got) != len(want) {
		t.Fatalf("%d results, wanted %d", len(got), len(want))
	}
	for i := range got {
		if err := near(got[i], want[i], 0); err != nil {
			t.Fatalf("text %d: %v", i, err)
		}
	}
	for _, e := range e.each() {
		if e.computed == 0 {
			t.Error("a replica computed nothing")
		}
	}

	texts[150].IDs = []int32{1, int32(e.model.V)}
	texts[150].From = 1
	got, err = run(t.Context(), e, texts)
	if err == nil || len(got) != 150 || !strings.HasPrefix(err.Error(), "text 150: ") {
		t.Errorf("%d results, error %v, wanted 150 and one about text 150", len(got), err)
	}
	for range e.Run(t.Context(), slices.Values(texts)) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err = range e.Run(ctx, slices.Values(texts[:150])) {
		if n++; n == 10 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v once the context has ended", err)
	}
	fault := errors.New("full")
	cached := 0
	results := e.run(t.Context(), slices.Values(texts[:150]), func(e *Engine, ctx context.Context, window []Request) outcome {
		mu.Lock()
		cached++
		n := cached
		mu.Unlock()
		if n == 2 {
			return outcome{err: fault}
		}
		return e.window(ctx, window)
	})
	for _, err = range results {
	}
	if !errors.Is(err, fault) {
		t.Errorf("error %v, wanted that of a window", err)
	}
	e.Close()
	if _, err := run(t.Context(), e, texts); err == nil {
		t.Error("a closed engine computes")
	}
	for _, test := range []struct {
		devices []int
		want    string
	}{
		{[]int{0}, ""},
		{[]int{1}, "engine: no device 1: backend go has 1, counted from 0"},
		{[]int{0, -1}, "engine: no device -1: backend go has 1, counted from 0"},
		{[]int{0, 0}, "engine: device 0 twice, wanted each once"},
	} {
		if _, err := openWith(t, dir, Options{Devices: test.devices}); test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
			t.Errorf("devices %v: error %v, wanted %q", test.devices, err, test.want)
		}
	}
}
