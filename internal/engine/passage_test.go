package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestAbreast: a number does not depend on how many blocks compute at a time, to the last bit:
// with keys before a batch, blocks that attend by others' keys, recurrences and experts.
func TestAbreast(t *testing.T) {
	for _, name := range some(kinds...) {
		t.Run(name, func(t *testing.T) {
			e := open(t, name)
			e.stepTokens, e.batchTokens = 200, 48
			texts := randomTexts(rand.New(rand.NewPCG(3, 4)), 60, min(e.model.Context, 60), e.model.V)
			for i := range texts {
				texts[i].TopK = i % 3
			}
			if e.abreast != 1 {
				t.Fatalf("%d abreast on the pure-Go backend", e.abreast)
			}
			want, err := run(t.Context(), e, texts)
			if err != nil {
				t.Fatal(err)
			}
			choices := e.Routing().Choices
			for _, e.abreast = range []int{2, 3, 8} {
				got, err := run(t.Context(), e, texts)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if err := near(got[i], want[i], 0); err != nil || got[i].Greedy != want[i].Greedy {
						t.Fatalf("%d abreast: text %d: %v", e.abreast, i, err)
					}
					for k, top := range got[i].Top {
						if !slices.Equal(top, want[i].Top[k]) {
							t.Fatalf("%d abreast: text %d: likeliest tokens %v, wanted %v", e.abreast, i, top, want[i].Top[k])
						}
					}
				}
				if n := e.Routing().Choices - choices; e.abreast == 2 && n != choices {
					t.Errorf("%d choices of routers, wanted %d", n, choices)
				}
			}
		})
	}
}

// TestSplit: a number does not depend on which places have which layers, here all of one device,
// nor on how many of them compute at a time, nor on whether weights stay.
func TestSplit(t *testing.T) {
	for _, name := range some(kinds...) {
		t.Run(name, func(t *testing.T) {
			e := open(t, name)
			e.stepTokens, e.batchTokens = 200, 48
			texts := randomTexts(rand.New(rand.NewPCG(7, 8)), 40, min(e.model.Context, 60), e.model.V)
			want, err := run(t.Context(), e, texts)
			if err != nil {
				t.Fatal(err)
			}
			same := func(what string) {
				t.Helper()
				got, err := run(t.Context(), e, texts)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if err := near(got[i], want[i], 0); err != nil {
						t.Fatalf("%s: text %d: %v", what, i, err)
					}
				}
			}
			for _, places := range []int{2, 3} {
				e.devices = append(e.devices, 0)
				e.store.places = append(e.store.places, &place{memory: e.store.places[0].memory})
				e.store.divide(nil)
				holdDivision(t, e.store)
				for _, e.abreast = range []int{1, places} {
					same(fmt.Sprintf("%d places, %d abreast", places, e.abreast))
				}
			}
			for _, p := range e.store.shards {
				p.release()
				p.stays = false
			}
			e.abreast = 1
			same("streamed")
		})
	}
}

// holdDivision holds a store to places one after the other, each with no more than its share and a shard.
func holdDivision(t *testing.T, s *store) {
	t.Helper()
	var total, largest int64
	bytes := make([]int64, len(s.places))
	last := 0
	for i, p := range s.shards {
		at := slices.Index(s.places, p.on)
		if at < last {
			t.Errorf("shard %d lies at place %d, the one before it at %d", i, at, last)
		}
		last = at
		bytes[at] += p.size
		total += p.size
		largest = max(largest, p.size)
	}
	for _, n := range bytes {
		if n > total/int64(len(bytes))+largest {
			t.Errorf("%d bytes at one of %d places, of %d", n, len(bytes), total)
		}
	}
	if bytes[0] == 0 || last == 0 {
		t.Errorf("%v bytes", bytes)
	}
}

// TestAbreastStops: the end of the context ends blocks that wait for each other.
func TestAbreastStops(t *testing.T) {
	e := open(t, "llama-mha")
	e.stepTokens, e.batchTokens, e.abreast = 4096, 8, 3
	texts := randomTexts(rand.New(rand.NewPCG(5, 6)), 400, 60, e.model.V)
	for wait := range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(wait)*2*time.Millisecond, cancel)
		if _, err := run(ctx, e, texts); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d ms: error %v", 2*wait, err)
		}
	}
	if _, err := run(t.Context(), e, texts); err != nil {
		t.Errorf("after that: %v", err)
	}
}
