package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// fake is a language model whose distribution after a text is a hash of the text.
type fake struct {
	rows    int
	context int
	tok     *tokenize.Tokenizer
	seed    byte
	poison  int32         // a text with this id panics; 0 for none
	broken  int32         // a text with this id is an error; 0 for none
	gate    chan struct{} // each call takes one value first; nil for no wait

	mu      sync.Mutex
	calls   int
	texts   int     // of all calls
	batches [][]int // the first id of each text, by call
}

func (f *fake) Tokenizer() *tokenize.Tokenizer { return f.tok }
func (f *fake) Context() int                   { return f.context }
func (f *fake) Rows() int                      { return f.rows }

func (f *fake) row(ids []int32) []float32 {
	h := fnv.New64a()
	h.Write([]byte{f.seed})
	for _, id := range ids {
		h.Write([]byte{byte(id), byte(id >> 8)})
	}
	state := h.Sum64()
	row := make([]float32, f.rows)
	sum := 0.0
	for i := range row {
		state = state*6364136223846793005 + 1442695040888963407
		row[i] = float32(state>>40) / (1 << 22)
		sum += math.Exp(float64(row[i]))
	}
	for i := range row {
		row[i] -= float32(math.Log(sum))
	}
	return row
}

func (f *fake) start(ctx context.Context, texts iter.Seq[tokenize.Text]) ([]tokenize.Text, error) {
	var list []tokenize.Text
	var first []int
	for t := range texts {
		list = append(list, t)
		first = append(first, int(t.IDs[0]))
	}
	if len(list) == 0 {
		return nil, nil
	}
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.texts += len(list)
	f.batches = append(f.batches, first)
	for _, t := range list {
		for _, id := range t.IDs {
			if f.poison != 0 && id == f.poison {
				panic("a poisoned text")
			}
			if f.broken != 0 && id == f.broken {
				return nil, errors.New("a broken text in /a/secret/path")
			}
		}
	}
	return list, nil
}

func (f *fake) counts() (calls, texts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.texts
}

func (f *fake) Score(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[logprob.Score, error] {
	return func(yield func(logprob.Score, error) bool) {
		list, err := f.start(ctx, texts)
		if err != nil {
			yield(logprob.Score{}, err)
			return
		}
		for _, t := range list {
			s := logprob.Score{LogProb: make([]float32, len(t.IDs)-t.Reply)}
			for i := range s.LogProb {
				s.LogProb[i] = f.row(t.IDs[:t.Reply+i])[t.IDs[t.Reply+i]]
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (f *fake) Next(ctx context.Context, texts iter.Seq[tokenize.Text]) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		list, err := f.start(ctx, texts)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, t := range list {
			if !yield(f.row(t.IDs), nil) {
				return
			}
		}
	}
}

func newFake() *fake { return &fake{rows: 100, context: 64} }

// serving makes a server of fakes, base being nil for one model.
func serving(t testing.TB, tuned, base *fake, change func(*Options)) *Server {
	t.Helper()
	o := Options{Tuned: &Model{LM: tuned, Name: "fake/tuned", As: "raw"}}
	if base != nil {
		o.Base = &Model{LM: base, Name: "fake/base", As: "raw"}
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Close(ctx)
		if ctx.Err() != nil {
			t.Error("the server did not close: a request was not released")
		}
	})
	return s
}

// post sends a body to a path without a network.
func post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	h.ServeHTTP(w, r)
	return w
}

// object reads an answer that must be 200.
func object[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	strict(t, w.Body.Bytes(), &v)
	return v
}

// refusal reads an answer that must be an error in OpenAI's form.
func refusal(t testing.TB, w *httptest.ResponseRecorder) (e apiError) {
	t.Helper()
	var v struct {
		Error *apiError `json:"error"`
	}
	strict(t, w.Body.Bytes(), &v)
	if v.Error == nil || v.Error.Message == "" || v.Error.Type == "" {
		t.Fatalf("status %d: %s, wanted an error object", w.Code, w.Body)
	}
	return *v.Error
}

func strict(t testing.TB, body []byte, to any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	if _, ours := to.(*completionsAnswer); ours {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(to); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one value: %.300s", body)
	}
}

// completionsAnswer is completionsResponse as a client reads it.
type completionsAnswer struct {
	ID      string
	Object  string
	Created int64
	Model   string
	Choices []struct {
		Text     string
		Index    int
		Logprobs *struct {
			Tokens        []string
			TokenLogprobs []*float64           `json:"token_logprobs"`
			TopLogprobs   []map[string]float64 `json:"top_logprobs"`
			TextOffset    []int                `json:"text_offset"`
		}
		FinishReason string `json:"finish_reason"`
	}
	Usage usage
}
