package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
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
func (f *fake) MaxTokens() int                 { return f.context }
func (f *fake) VocabSize() int                 { return f.rows }

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

func (f *fake) Run(ctx context.Context, queries iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		list := slices.Collect(queries)
		if err := f.start(ctx, list); err != nil {
			yield(logprob.Result{}, err)
			return
		}
		for _, q := range list {
			ids, from := q.IDs, q.From
			a := logprob.Result{LogProbs: make([]float32, len(ids)-from)}
			for at := from; at <= len(ids); at++ {
				row := f.row(ids[:at])
				if at < len(ids) {
					a.LogProbs[at-from] = row[ids[at]]
				} else if q.Distribution {
					a.Distribution = row
				}
				if q.TopK > 0 {
					a.Top = append(a.Top, likeliest(row, q.TopK))
				}
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

// start waits for the gate, counts, and fails as it is told to.
func (f *fake) start(ctx context.Context, list []logprob.Request) error {
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var first []int
	for _, q := range list {
		first = append(first, int(q.IDs[0]))
	}
	f.calls++
	f.texts += len(list)
	f.batches = append(f.batches, first)
	for _, q := range list {
		if f.poison != 0 && slices.Contains(q.IDs, f.poison) {
			panic("a poisoned text")
		}
		if f.broken != 0 && slices.Contains(q.IDs, f.broken) {
			return errors.New("a broken text in /a/secret/path")
		}
	}
	return nil
}

func (f *fake) counts() (calls, texts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.texts
}

// likeliest returns the k tokens with the highest log-probabilities, of equal ones those of
// lower id, likeliest first.
func likeliest(row []float32, k int) []logprob.TokenLogProb {
	top := make([]logprob.TokenLogProb, len(row))
	for id, v := range row {
		top[id] = logprob.TokenLogProb{ID: int32(id), LogProb: v}
	}
	slices.SortStableFunc(top, func(a, b logprob.TokenLogProb) int { return cmp.Compare(b.LogProb, a.LogProb) })
	return top[:min(k, len(top))]
}

func newFake() *fake { return &fake{rows: 100, context: 64} }

// serving makes a server of fakes, base being nil for one model and tuned for none.
func serving(t testing.TB, tuned, base *fake, change func(*Options)) *Server {
	t.Helper()
	var o Options
	if tuned != nil {
		o.Tuned = &Model{LM: tuned, Name: "fake/tuned", As: "raw"}
	}
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

// rankedAnswer is a token of prompt_logprobs as a client reads it.
type rankedAnswer struct {
	Logprob float64
	Rank    *int
	Token   string `json:"decoded_token"`
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
		FinishReason   string                    `json:"finish_reason"`
		PromptLogprobs []map[string]rankedAnswer `json:"prompt_logprobs"`
	}
	Usage usage
}
