package main

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
)

// TestGate: one at a time, those of the model inside first, the others in the order in which they
// came, and those whose context has ended not at all.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		if err := g.enter(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		stopped, stop := context.WithCancel(t.Context())
		var order []string // written inside the gate
		for _, model := range []string{"b", "c", "a", "stopped", "b", "a"} {
			ctx := t.Context()
			if model == "stopped" {
				ctx = stopped
			}
			go func() {
				if g.enter(ctx, model) == nil {
					order = append(order, model)
					g.leave()
				}
			}()
			synctest.Wait()
		}
		stop()
		synctest.Wait()
		g.leave()
		synctest.Wait()
		if want := []string{"a", "a", "b", "b", "c"}; !slices.Equal(order, want) || g.busy {
			t.Errorf("%q, wanted %q, and nobody inside", order, want)
		}
	})
}
