package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/tokenize"
)

// TestLoad: the clients count what a server does wrong: errors, numbers that are not those
// wanted; what it refuses with 429 they ask again.
func TestLoad(t *testing.T) {
	texts := []continuation{
		{text: tokenize.Encoded{IDs: []int32{1, 2, 3}, Reply: 2}, want: []float32{-3}},
		{text: tokenize.Encoded{IDs: []int32{1, 4, 5}, Reply: 1}, want: []float32{-4, -5}},
	}
	for _, c := range []struct {
		name   string
		answer func(n int64, ids []int32) (status int, logProbs []float32)
		check  func(l *load) bool
	}{
		{"right", right, func(l *load) bool {
			return l.busy == 0 && len(l.failed) == 0 && l.wrong == 0 && l.most == 0 && len(l.done) >= 4 && l.rate() > 0 && l.coldRate() > 0 && len(l.latencies(true)) == 2
		}},
		{"one is wrong", func(n int64, ids []int32) (int, []float32) {
			status, p := right(n, ids)
			if n == 1 {
				p[len(ids)-1] += 1e-3
			}
			return status, p
		}, func(l *load) bool { return l.wrong == 1 && l.most > 1e-4 && l.most < 1e-3 && len(l.failed) == 0 }},
		{"one is too short", func(n int64, ids []int32) (int, []float32) {
			status, p := right(n, ids)
			if n == 1 {
				p = p[1:]
			}
			return status, p
		}, func(l *load) bool { return len(l.failed) == 1 && l.wrong == 0 }},
		{"one fails", func(n int64, ids []int32) (int, []float32) {
			if n == 1 {
				return http.StatusInternalServerError, nil
			}
			return right(n, ids)
		}, func(l *load) bool { return len(l.failed) == 1 && l.busy == 0 }},
		{"one is too many", func(n int64, ids []int32) (int, []float32) {
			if n == 1 {
				return http.StatusTooManyRequests, nil
			}
			return right(n, ids)
		}, func(l *load) bool { return len(l.failed) == 0 && l.busy == 1 && l.wrong == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var requests atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var body struct{ Prompt [][]int32 }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Prompt) != 1 {
					t.Errorf("body %v, %v", body, err)
					return
				}
				status, logProbs := c.answer(requests.Add(1), body.Prompt[0])
				w.WriteHeader(status)
				list := []any{nil}
				for _, p := range logProbs[min(1, len(logProbs)):] {
					list = append(list, p)
				}
				list = append(list, -0.5) // of the token that is written
				json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"logprobs": map[string]any{"token_logprobs": list}}}})
			}))
			defer s.Close()
			l := &load{url: s.URL, all: texts, clients: 3, pid: os.Getpid()}
			if err := l.run(t.Context(), 300*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			if !c.check(l) {
				t.Errorf("%d done, %d with 429, failed %v, %d wrong, by up to %g, rates %g and %g, first round %v", len(l.done), l.busy, l.failed, l.wrong, l.most, l.rate(), l.coldRate(), l.latencies(true))
			}
			if l.early == 0 {
				t.Error("no memory was seen")
			}
		})
	}
}

// right answers -id for each token but the first.
func right(_ int64, ids []int32) (int, []float32) {
	p := make([]float32, len(ids))
	for i, id := range ids {
		p[i] = -float32(id)
	}
	return http.StatusOK, p
}

func TestQuantile(t *testing.T) {
	s := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.99: 10, 1: 10} {
		if got := quantile(s, q); got != want {
			t.Errorf("quantile %g: %g, wanted %g", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got == got {
		t.Errorf("quantile of nothing: %g, wanted NaN", got)
	}
}

func TestDiffer(t *testing.T) {
	f := func(v float32) *float32 { return &v }
	for _, c := range []struct {
		got  []*float32
		want []float32
		is   float64
	}{
		{nil, nil, 0},
		{[]*float32{f(-1)}, []float32{-1.5}, 0.5 / 1.5},
		{[]*float32{f(-0.5), f(0)}, []float32{-0.25, 0}, 0.25},
		{[]*float32{f(-4)}, []float32{-8}, 0.5},
		{[]*float32{f(-4)}, []float32{-4, -4}, math.Inf(1)},
		{[]*float32{nil}, []float32{-4}, math.Inf(1)},
		{[]*float32{f(float32(math.NaN()))}, []float32{-4}, math.Inf(1)},
	} {
		if got := differ(c.got, c.want); math.Abs(got-c.is) > 1e-6 && got != c.is {
			t.Errorf("%s: %g, wanted %g", fmt.Sprint(c.want), got, c.is)
		}
	}
}
