package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// body is a request for the log-probabilities of texts of ids.
func body(texts ...[]int32) string {
	b, _ := json.Marshal(map[string]any{"prompt": texts, "max_tokens": 0, "echo": true, "logprobs": 0})
	return string(b)
}

// right tells whether an answer to body(texts...) holds f's numbers.
func right(t testing.TB, f *fake, w *httptest.ResponseRecorder, texts ...[]int32) bool {
	t.Helper()
	got := object[completionsAnswer](t, w)
	for i, ids := range texts {
		for n := 1; n < len(ids); n++ {
			if v := got.Choices[i].Logprobs.TokenLogprobs[n]; *v != near(f.row(ids[:n])[ids[n]]) {
				t.Errorf("text %v token %d: %v, wanted %v", ids, n, *v, f.row(ids[:n])[ids[n]])
				return false
			}
		}
	}
	return true
}

// wait waits for something that another goroutine does.
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// TestTogether: 64 clients at once get the right numbers, of several endpoints, and their
// texts are computed together.
func TestTogether(t *testing.T) {
	f := newFake()
	s := serving(t, f, newFake(), nil)
	var group sync.WaitGroup
	const clients, requests = 64, 20
	for c := range clients {
		group.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(c)))
			for range requests {
				texts := make([][]int32, 1+r.IntN(4))
				for i := range texts {
					texts[i] = []int32{int32(r.IntN(5))} // prompts that others have too
					for range 1 + r.IntN(6) {
						texts[i] = append(texts[i], int32(r.IntN(100)))
					}
				}
				if r.IntN(4) == 0 {
					ids := texts[0]
					b, _ := json.Marshal(map[string]any{"prompt": ids, "ids": []int{3}})
					got := object[struct {
						Data []struct{ Logprobs []float64 }
					}](t, post(s.Handler(), "/v1/next_token_logprobs", string(b)))
					if v := got.Data[0].Logprobs[0]; v != near(f.row(ids)[3]) {
						t.Errorf("next after %v: %v, wanted %v", ids, v, f.row(ids)[3])
					}
				} else if !right(t, f, post(s.Handler(), "/v1/completions", body(texts...)), texts...) {
					return
				}
			}
		})
	}
	group.Wait()
	if calls, _ := f.counts(); calls > clients*requests/4 {
		t.Errorf("%d calls for %d requests, wanted them merged", calls, clients*requests)
	}
	if requests, tokens := s.queue.waiting(); requests != 0 || tokens != 0 {
		t.Errorf("%d requests and %d tokens are left", requests, tokens)
	}
}

// TestFair: while a client with 10,000 texts is served, one with a single text waits for
// the batch that is under way and for one more; and a second large client gets as many
// texts into each batch.
func TestFair(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	s := serving(t, f, nil, nil)
	large := func(first int32) string {
		texts := make([][]int32, 10_000)
		for i := range texts {
			texts[i] = []int32{first, int32(i / 100), int32(i % 100), 7}
		}
		return body(texts...)
	}
	var group sync.WaitGroup
	for first := range int32(2) {
		b := large(first)
		group.Go(func() { object[completionsAnswer](t, post(s.Handler(), "/v1/completions", b)) })
		wait(t, "the large request", func() bool { n, _ := s.queue.waiting(); return n == int(first)+1 })
		if first == 0 {
			f.gate <- struct{}{}
		}
	}
	f.gate <- struct{}{}
	f.gate <- struct{}{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		right(t, f, post(s.Handler(), "/v1/completions", body([]int32{50, 51})), []int32{50, 51})
	}()
	wait(t, "the small request", func() bool { n, _ := s.queue.waiting(); return n == 3 })
	before, _ := f.counts()
	served := false
	for !served {
		select {
		case f.gate <- struct{}{}:
		case <-done:
			served = true
		}
	}
	if after, _ := f.counts(); after-before > 3 { // the one under way, its own, and maybe one more before done was seen
		t.Errorf("the small request came in batch %d after its arrival, wanted the second", after-before)
	}
	close(f.gate)
	group.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, first := range f.batches[3 : len(f.batches)-3] {
		counts := [2]int{}
		for _, id := range first {
			if id < 2 {
				counts[id]++
			}
		}
		if counts[0] > 2*counts[1] || counts[1] > 2*counts[0] {
			t.Errorf("batch %d: %v texts of the two large requests, wanted about as many", n+3, counts)
		}
	}
}

// TestGone: the texts of a client that is gone are not computed, but for those of the batch
// under way, which stops when nobody waits for it; others get their answers.
func TestGone(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	s := serving(t, f, nil, nil)
	texts := make([][]int32, 10_000)
	for i := range texts {
		texts[i] = []int32{1, int32(i / 100), int32(i % 100), 7}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/v1/completions", strings.NewReader(body(texts...))).WithContext(ctx))
		if w.Code != statusGone {
			t.Errorf("status %d, wanted %d in the log", w.Code, statusGone)
		}
	})
	f.gate <- struct{}{}
	wait(t, "the first batch", func() bool { calls, _ := f.counts(); return calls == 1 })
	cancel()
	group.Wait()
	close(f.gate)
	right(t, f, post(s.Handler(), "/v1/completions", body([]int32{50, 51})), []int32{50, 51})
	if _, computed := f.counts(); computed > 2*batchTexts+1 {
		t.Errorf("%d texts computed after the client was gone", computed)
	}
}

// TestVanish: clients that close their connection in the middle of a request are gone from
// the queue, and the server goes on.
func TestVanish(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	s := serving(t, f, nil, nil)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	var conns []net.Conn
	for i := range int32(20) {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		b := body([]int32{i, 1, 2})
		fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
	}
	wait(t, "all requests", func() bool { n, _ := s.queue.waiting(); return n == 20 })
	for _, c := range conns {
		c.Close()
	}
	wait(t, "the requests to go", func() bool { n, tokens := s.queue.waiting(); return n == 0 && tokens == 0 })
	close(f.gate)
	right(t, f, post(s.Handler(), "/v1/completions", body([]int32{50, 51})), []int32{50, 51})
	if _, computed := f.counts(); computed != 1 {
		t.Errorf("%d texts computed, wanted the one of the client that is there", computed)
	}
}

// TestPanic: a text that makes the model panic fails its own request and no other of its
// batch; a panic in a handler is a 500.
func TestPanic(t *testing.T) {
	f := newFake()
	f.poison = 66
	f.gate = make(chan struct{})
	s := serving(t, f, nil, nil)
	var group sync.WaitGroup
	for i := range int32(8) {
		ids := []int32{5, i}
		if i == 3 {
			ids = append(ids, 66)
		}
		group.Go(func() {
			w := post(s.Handler(), "/v1/completions", body(ids))
			if i != 3 {
				right(t, f, w, ids)
			} else if e := refusal(t, w); w.Code != 500 || strings.Contains(e.Message, "poison") {
				t.Errorf("status %d %s, wanted 500", w.Code, w.Body)
			}
		})
	}
	wait(t, "all requests", func() bool { n, _ := s.queue.waiting(); return n == 8 })
	close(f.gate)
	group.Wait()
	w := httptest.NewRecorder()
	s.middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") })).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if refusal(t, w); w.Code != 500 {
		t.Errorf("status %d, wanted 500", w.Code)
	}
}

// TestFull: a full queue answers 429 with Retry-After, by requests and by tokens, and takes
// requests again when there is room; what it had accepted is answered.
func TestFull(t *testing.T) {
	for _, limits := range []Limits{{Requests: 2}, {Tokens: 6, Queue: 12}} {
		f := newFake()
		f.gate = make(chan struct{})
		s := serving(t, f, nil, func(o *Options) { o.Limits = limits })
		texts := [][]int32{{5, 6, 7}, {5, 6, 8}}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { right(t, f, post(s.Handler(), "/v1/completions", body(texts...)), texts...) })
		}
		wait(t, "two requests", func() bool { n, _ := s.queue.waiting(); return n == 2 })
		for range 50 {
			w := post(s.Handler(), "/v1/completions", body([]int32{5, 6}))
			if e := refusal(t, w); w.Code != 429 || w.Header().Get("Retry-After") == "" || *e.Code != "server_busy" {
				t.Fatalf("%+v: status %d %v %s, wanted 429", limits, w.Code, w.Header(), w.Body)
			}
		}
		close(f.gate)
		group.Wait()
		right(t, f, post(s.Handler(), "/v1/completions", body(texts...)), texts...)
	}
}

// TestTimeout: a request that takes too long is answered with 504.
func TestTimeout(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	s := serving(t, f, nil, func(o *Options) { o.Limits.Timeout = 20 * time.Millisecond })
	w := post(s.Handler(), "/v1/completions", body([]int32{5, 6}))
	if e := refusal(t, w); w.Code != 504 || *e.Code != "timeout" {
		t.Errorf("status %d %s, wanted 504", w.Code, w.Body)
	}
}

// TestShutdown: when it is told to stop, the server answers what it has accepted and takes
// no more.
func TestShutdown(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	s := serving(t, f, nil, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, time.Minute) }()
	url := "http://" + l.Addr().String()
	const clients = 32
	var group sync.WaitGroup
	for i := range int32(clients) {
		group.Go(func() {
			resp, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(body([]int32{i, 1, 2})))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			w := httptest.NewRecorder()
			w.Code = resp.StatusCode
			io.Copy(w.Body, resp.Body)
			right(t, f, w, []int32{i, 1, 2})
		})
	}
	wait(t, "all requests", func() bool { n, _ := s.queue.waiting(); return n == clients })
	cancel()
	wait(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-served:
		t.Fatalf("stopped (%v) before what it had accepted was answered", err)
	default:
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 {
		t.Errorf("readyz: %d while shutting down, wanted 503", w.Code)
	}
	close(f.gate)
	group.Wait()
	if err := <-served; err != nil {
		t.Errorf("error %v after an orderly end", err)
	}
	w = post(s.Handler(), "/v1/completions", body([]int32{1, 2}))
	if refusal(t, w); w.Code != 503 {
		t.Errorf("status %d after the end, wanted 503", w.Code)
	}
}

// TestGrace: what is not done within the grace is an error.
func TestGrace(t *testing.T) {
	f := newFake()
	f.gate = make(chan struct{})
	s := serving(t, f, nil, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go http.Post("http://"+l.Addr().String()+"/v1/completions", "application/json", strings.NewReader(body([]int32{1, 2})))
	go func() {
		wait(t, "the request", func() bool { n, _ := s.queue.waiting(); return n == 1 })
		cancel()
	}()
	if err := s.Serve(ctx, l, 20*time.Millisecond); err == nil {
		t.Error("no error, wanted one: a request was cut off")
	}
}

// TestConnections: connections that send nothing do not keep others from being served.
func TestConnections(t *testing.T) {
	f := newFake()
	s := serving(t, f, nil, nil)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	for i := range 400 {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
		if i%2 == 0 {
			fmt.Fprint(c, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
		}
	}
	resp, err := http.Post(server.URL+"/v1/completions", "application/json", strings.NewReader(body([]int32{1, 2})))
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// TestLog: one line a request, with numbers and without texts; with LogTexts with them.
func TestLog(t *testing.T) {
	for _, texts := range []bool{false, true} {
		var out bytes.Buffer
		s := serving(t, newFake(), nil, func(o *Options) {
			o.Log = slog.New(slog.NewJSONHandler(&out, nil))
			o.LogTexts = texts
		})
		post(s.Handler(), "/v1/completions", `{"prompt":[5,6],"max_tokens":1,"user":"secret"}`)
		var line struct {
			Msg, Method, Path, Body string
			Status, Texts, Tokens   int
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, &out)
		}
		if line.Msg != "request" || line.Path != "/v1/completions" || line.Status != 200 || line.Texts != 1 || line.Tokens != 2 || strings.Contains(out.String(), "secret") != texts {
			t.Errorf("log %s", &out)
		}
	}
}

// TestMetrics: what was done can be read.
func TestMetrics(t *testing.T) {
	s := serving(t, newFake(), nil, nil)
	post(s.Handler(), "/v1/completions", body([]int32{5, 6}, []int32{5, 7}))
	post(s.Handler(), "/v1/completions", "{")
	post(s.Handler(), "/nowhere", "{")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	lines := strings.Split(w.Body.String(), "\n")
	for _, want := range []string{
		`implicitreward_requests_total{path="/v1/completions",status="200"} 1`, `implicitreward_requests_total{path="/v1/completions",status="400"} 1`,
		`implicitreward_requests_total{path="other",status="404"} 1`, `implicitreward_texts_total{model="fake/tuned"} 2`,
		`implicitreward_tokens_total{model="fake/tuned"} 4`, `implicitreward_nodes_total{model="fake/tuned"} 3`,
		`implicitreward_batch_texts_count 1`, `implicitreward_admitted_requests 0`, `implicitreward_held_body_bytes 0`, `implicitreward_panics_total 0`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
}
