package logprob_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// shelf is a Store in memory that counts.
type shelf struct {
	mu         sync.Mutex
	values     map[[sha256.Size]byte][]byte
	hits, puts int
	err        error
}

func (s *shelf) Get(key [sha256.Size]byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[key]
	if ok {
		s.hits++
	}
	return value, ok, nil
}

func (s *shelf) Put(key [sha256.Size]byte, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.puts++
	s.values[key] = slices.Clone(value)
	return nil
}

func stored(t *testing.T, s logprob.Store, dir string, dtype dtypes.DType, batch func(int, bool)) *logprob.Model {
	t.Helper()
	m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t), DType: dtype, Store: s, Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// someTexts are n texts of ten tokens over which several windows are needed.
func someTexts(n int) []tokenize.Encoded {
	var all []tokenize.Encoded
	for i := range n {
		ids := []int32{1, 2, int32(i % 90), int32(i / 90), 5, 6, 7, 8, 9, 10}
		all = append(all, tokenize.Encoded{IDs: ids, Reply: 2 + i%9})
	}
	return all
}

// TestStore: a run that was stopped and starts again computes what is missing, in the
// windows of an uninterrupted one, and gives the same bits; another model, dtype or
// text finds nothing.
func TestStore(t *testing.T) {
	const dir = "testdata/families/llama-mha"
	texts := someTexts(short(300, 120))
	plain := load(t, dir, pureGo(t), 0)
	plain.SetWindow(100)
	want := scores(t, plain, texts...)
	wantRows := rows(t, plain, texts[:70]...)

	s := &shelf{values: map[[sha256.Size]byte][]byte{}}
	first := stored(t, s, dir, 0, nil)
	first.SetWindow(100)
	n := 0
	for _, err := range logprob.Score(t.Context(), first, slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == len(texts)/2 {
			break
		}
	}
	done := s.puts
	if done < 3 || s.hits != 0 {
		t.Fatalf("%d batches kept, %d hits, wanted some and none", done, s.hits)
	}
	var found, computed int
	second := stored(t, s, dir, 0, func(texts int, stored bool) {
		if stored {
			found += texts
		} else {
			computed += texts
		}
	})
	second.SetWindow(100)
	if got := scores(t, second, texts...); !slices.EqualFunc(got, want, equal) {
		t.Error("a run with a store gives other numbers")
	}
	if s.hits != done || found < len(texts)/2 || found+computed != len(texts) || computed == 0 {
		t.Errorf("%d hits of %d batches, %d texts found and %d computed of %d", s.hits, done, found, computed, len(texts))
	}
	kept := s.puts
	if got := scores(t, second, texts...); !slices.EqualFunc(got, want, equal) || s.puts != kept {
		t.Errorf("a third run computed %d batches, or other numbers", s.puts-kept)
	}
	for range 2 {
		for i, row := range rows(t, second, texts[:70]...) {
			if !slices.Equal(row, wantRows[i]) {
				t.Fatalf("row %d is another", i)
			}
		}
	}

	// All that a request can ask, and sets of tokens.
	ask := func(m *logprob.Model) (all []logprob.Result) {
		requests := func(yield func(logprob.Request) bool) {
			for i, x := range texts[:40] {
				if !yield(logprob.Request{IDs: x.IDs, From: x.Reply, TopK: i % 3, Distribution: i%5 == 0}) {
					return
				}
			}
		}
		for a, err := range m.Run(t.Context(), requests) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		return all
	}
	ends := func(m *logprob.Model, ends []bool) (all []float32) {
		for s, err := range m.Run(t.Context(), asking(ends, texts[:40]...)) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s.Within)
		}
		return all
	}
	wantAnswers, wantEnds := ask(plain), ends(plain, []bool{false, true, true})
	for range 2 {
		hits := s.hits
		for i, a := range ask(second) {
			if want := wantAnswers[i]; !equal(a, want) || !slices.Equal(a.Distribution, want.Distribution) || !slices.EqualFunc(a.Top, want.Top, slices.Equal) {
				t.Fatalf("answer %d is another", i)
			}
		}
		if got := ends(second, []bool{false, true, true}); !slices.Equal(got, wantEnds) {
			t.Errorf("ends %v, wanted %v", got, wantEnds)
		}
		if hits == s.hits && kept != s.puts {
			kept = s.puts // computed, the first time
		} else if kept != s.puts {
			t.Error("answers are computed twice")
		}
	}
	if hits := s.hits; slices.Equal(ends(second, []bool{true}), wantEnds) || s.hits != hits {
		t.Error("other ends are answered from the store")
	}

	// What must not be found.
	hits := s.hits
	for name, m := range map[string]*logprob.Model{
		"another dtype": stored(t, s, dir, dtypes.BFloat16, nil),
		"another model": stored(t, s, "testdata/families/llama-gqa-tied", 0, nil),
	} {
		m.SetWindow(100)
		scores(t, m, texts...)
		if s.hits != hits {
			t.Errorf("%s: %d batches reused", name, s.hits-hits)
		}
		hits = s.hits
	}
	for name, change := range map[string]func(*tokenize.Encoded){
		"another id":    func(x *tokenize.Encoded) { x.IDs = append(slices.Clone(x.IDs[:9]), 11) },
		"a later start": func(x *tokenize.Encoded) { x.Reply++ },
		"an id less":    func(x *tokenize.Encoded) { x.IDs = x.IDs[:9] },
	} {
		x := someTexts(3)
		scores(t, second, x...)
		change(&x[1])
		hits = s.hits
		scores(t, second, x...)
		if s.hits != hits {
			t.Errorf("%s: reused", name)
		}
	}
}

func equal(a, b logprob.Result) bool {
	return a.Greedy == b.Greedy && slices.EqualFunc(a.LogProbs, b.LogProbs, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestStoreFails: a store that fails ends the work, one that answers nonsense is not
// believed, and what it holds is not handed out after the context's end.
func TestStoreFails(t *testing.T) {
	const dir = "testdata/families/llama-mha"
	texts := someTexts(5)
	s := &shelf{values: map[[sha256.Size]byte][]byte{}}
	m := stored(t, s, dir, 0, nil)
	want := scores(t, m, texts...)
	for key, value := range s.values {
		s.values[key] = value[:len(value)-1]
	}
	if got := scores(t, m, texts...); !slices.EqualFunc(got, want, equal) {
		t.Error("a value that was cut short was believed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range logprob.Score(ctx, m, slices.Values(texts)) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, wanted the context's", err)
		}
	}
	s.values, s.err = map[[sha256.Size]byte][]byte{}, errors.New("full")
	var errs []error
	for _, err := range logprob.Score(t.Context(), m, slices.Values(texts)) {
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], s.err) {
		t.Errorf("errors %v, wanted the store's", errs)
	}
}

// short is n, or the smaller number where time is short.
func short(n, smaller int) int {
	if testing.Short() {
		return smaller
	}
	return n
}
