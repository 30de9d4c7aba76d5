package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Model is a language model as the server offers it.
type Model struct {
	logprob.LM
	Name string                // by which requests name it, and which /v1/models shows
	As   string                // "raw" or "chat": how it reads a prompt where the request does not say
	Chat *tokenize.ChatOptions // how chats are rendered, and the BOS of raw text; nil is the checkpoint's own way
}

// with is m with another choice of the BOS, one that tokenize.ParseBOS reads; "" is m's own.
func (m *Model) with(bos string) *Model {
	if bos == "" {
		return m
	}
	other, chat := *m, tokenize.ChatOptions{}
	if m.Chat != nil {
		chat = *m.Chat
	}
	chat.BOS, _ = tokenize.ParseBOS(bos)
	other.Chat = &chat
	return &other
}

// Options say what is served. Tuned or RM is needed.
type Options struct {
	Tuned *Model  // with Base: the pair between which rewards are; the first model of completions
	Base  *Model  // nil: completions of Tuned alone, no implicit rewards
	RM    *RM     // explicit reward model, beside the others or alone
	Beta  float64 // factor of the rewards where a request does not say; 0 means 1

	Limits   Limits
	Token    string       // bearer token that requests need; "" for none
	Loopback bool         // requests must name a loopback host: set where the server listens there without a token
	Log      *slog.Logger // one line a request; nil for none
	LogTexts bool         // the body of each request is logged too, prompts and all
}

// Server answers requests. Close it when it is no longer needed.
type Server struct {
	models      []*Model // language models
	tuned, base int      // of models; base -1 without a pair
	rm          *RM      // nil for none; the queue's model after models
	reader      *Model   // rm as it reads text
	beta        float64
	limits      Limits
	token       string
	loopback    bool
	log         *slog.Logger
	logTexts    bool

	queue   *queue
	bodies  bodies
	metrics *metrics
	started time.Time
	handler http.Handler

	patience time.Duration // see halfclose.go

	stopping atomic.Bool // the shutdown has begun
}

// New makes a server and starts its worker. Nothing is listened on: see Serve and Handler.
func New(o Options) (*Server, error) {
	if o.Tuned == nil && (o.RM == nil || o.Base != nil) {
		return nil, errors.New("serve: no model, wanted Options.Tuned or Options.RM")
	}
	s := &Server{base: -1, beta: o.Beta, limits: o.Limits.withDefaults(), token: o.Token,
		loopback: o.Loopback, log: o.Log, logTexts: o.LogTexts, metrics: newMetrics(), patience: patience, started: time.Now()}
	if s.beta == 0 {
		s.beta = 1
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if o.Tuned != nil {
		s.models = append(s.models, o.Tuned)
	}
	if o.Base != nil {
		s.models = append(s.models, o.Base)
		s.base = 1
	}
	var scorers []scorer
	for _, m := range s.models {
		scorers = append(scorers, m.scorer())
	}
	if s.rm = o.RM; s.rm != nil {
		s.reader = s.rm.reader()
		scorers = append(scorers, s.rm.scorer())
	}
	s.bodies.limit = s.limits.Bodies
	s.queue = newQueue(scorers, s.limits, s.metrics, s.log.Error)
	s.metrics.gauge("admitted_requests", "Requests that wait or are computed.", func() float64 { n, _ := s.queue.waiting(); return float64(n) })
	s.metrics.gauge("admitted_tokens", "Tokens of these requests.", func() float64 { _, n := s.queue.waiting(); return float64(n) })
	s.metrics.gauge("held_body_bytes", "Bytes of request bodies held.", func() float64 { return float64(s.bodies.held.Load()) })
	s.handler = s.middleware(s.routes())
	return s, nil
}

// Handler answers all paths.
func (s *Server) Handler() http.Handler { return s.handler }

// Close finishes what was admitted, as long as ctx allows, and refuses what comes later. The
// models stay open.
func (s *Server) Close(ctx context.Context) {
	s.stopping.Store(true)
	s.queue.close(ctx)
}

// endpoint is a path of the API that takes a JSON object and answers with one.
type endpoint func(ctx context.Context, c *call) (any, error)

// call is a request whose body has arrived.
type call struct {
	*http.Request
	body   []byte
	client string // for fairness
	texts  int    // for the log
	tokens int
}

// posts are the endpoints that take a JSON object.
func (s *Server) posts() map[string]endpoint {
	return map[string]endpoint{
		"/v1/completions":         s.completions,
		"/v1/next_token_logprobs": s.next,
		"/v1/implicit_reward":     s.reward,
		"/v1/reward":              s.explicit,
		"/classify":               s.classify,
		"/pooling":                s.pooling,
		"/score":                  s.score,
		"/v1/score":               s.score,
		"/get_reward":             s.trainer,
		"/tokenize":               s.tokenize,
		"/detokenize":             s.detokenize,
	}
}

func (s *Server) gets() map[string]http.Handler {
	return map[string]http.Handler{
		"/v1/models":      http.HandlerFunc(s.listModels),
		"/tokenizer_info": http.HandlerFunc(s.tokenizerInfo),
		"/metrics":        s.metrics.handler(),
		"/healthz":        http.HandlerFunc(s.healthy),
		"/readyz":         http.HandlerFunc(s.ready),
		"/openapi.json":   static("openapi.json", "application/json"),
		"/{$}":            static("page.html", "text/html; charset=utf-8"),
		"/page.js":        static("page.js", "text/javascript; charset=utf-8"),
		"/page.css":       static("page.css", "text/css; charset=utf-8"),
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	allowed := map[string]string{}
	for path, e := range s.posts() {
		mux.Handle("POST "+path, s.post(e))
		allowed[path] = "POST"
	}
	for path, h := range s.gets() {
		mux.Handle("GET "+path, h)
		allowed[path] = "GET, HEAD"
	}
	mux.Handle("GET /v1/models/{model...}", http.HandlerFunc(s.oneModel))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if path == "/" {
			path = "/{$}"
		}
		if allow := allowed[path]; allow != "" {
			w.Header().Set("Allow", allow)
			writeError(w, fail(http.StatusMethodNotAllowed, "invalid_request_error", "", "method_not_allowed", "%s %s, wanted %s", r.Method, r.URL.Path, allow))
			return
		}
		writeError(w, fail(http.StatusNotFound, "invalid_request_error", "", "not_found", "no such path: %s; / explains those that there are", r.URL.Path))
	})
	return mux
}

// post reads the body, runs the endpoint within the time limit and writes what it answers.
func (s *Server) post(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		conn.SetReadDeadline(time.Now().Add(s.limits.Read))
		body, release, err := s.bodies.read(w, r, s.limits.Body)
		if err != nil {
			writeError(w, asAPI(err))
			return
		}
		defer release()
		conn.SetReadDeadline(time.Time{})
		c := &call{Request: r, body: body, client: host(r.RemoteAddr)}
		client, done := s.whileThere(w, r)
		ctx, cancel := context.WithTimeout(client, s.limits.Timeout)
		defer cancel()
		v, err := e(ctx, c)
		gone := client.Err() != nil
		done()
		if l, ok := w.(*recorder); ok {
			l.call = c
		}
		conn.SetWriteDeadline(time.Now().Add(s.limits.Read))
		switch api := asAPI(err); {
		case err == nil:
			writeJSON(w, http.StatusOK, v)
		case gone: // nobody reads the answer; the log shows why
			w.WriteHeader(statusGone)
		default:
			if api.Status == http.StatusInternalServerError {
				s.log.Error("request failed", "path", r.URL.Path, "error", err)
			}
			writeError(w, api)
		}
	})
}

// run admits a request's works and waits for their answers.
func (s *Server) run(ctx context.Context, c *call, works ...*work) error {
	for _, w := range works {
		c.texts += len(w.queries)
		tokens := 0
		for _, q := range w.queries {
			tokens += len(q.IDs)
		}
		c.tokens += tokens
		switch {
		case len(w.queries) > s.limits.Texts:
			return tooMuch("%d texts, wanted at most %d, the limit of a request", len(w.queries), s.limits.Texts)
		case tokens > s.limits.Tokens:
			return tooMuch("%d tokens, wanted at most %d, the limit of a request", tokens, s.limits.Tokens)
		}
	}
	release, err := s.queue.admit(c.tokens)
	if err != nil {
		return err
	}
	defer release()
	return s.queue.run(ctx, works...)
}

func tooMuch(format string, args ...any) error {
	return fail(http.StatusBadRequest, "invalid_request_error", "", "too_large", format, args...)
}

// statusGone is what the log calls a request whose client was gone before the answer, as
// nginx does.
const statusGone = 499

// host is the address of a client without its port.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	call   *call
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // those below are no answers yet
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// middleware is what every request goes through: panics, log and metrics, and the checks of
// auth.go.
func (s *Server) middleware(inner http.Handler) http.Handler {
	inner = s.auth(inner)
	known := map[string]bool{}
	for path := range s.posts() {
		known[path] = true
	}
	for path := range s.gets() {
		known[strings.TrimSuffix(path, "{$}")] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		// Replaced when there is an answer; every request sets it, so none inherits another's.
		http.NewResponseController(w).SetWriteDeadline(start.Add(s.limits.Timeout + 2*s.limits.Read))
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.metrics.panics.Inc()
				s.log.Error("panic", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					writeError(rec, asAPI(errors.New("panic")))
				}
			}
			path := r.URL.Path
			if !known[path] {
				path = "other"
			}
			took := time.Since(start)
			s.metrics.requests.WithLabelValues(path, strconv.Itoa(rec.status)).Inc()
			s.metrics.seconds.WithLabelValues(path).Observe(took.Seconds())
			attrs := []any{"method", r.Method, "path", r.URL.Path, "status", rec.status, "seconds", took.Seconds(), "client", r.RemoteAddr}
			if c := rec.call; c != nil {
				attrs = append(attrs, "texts", c.texts, "tokens", c.tokens)
				if s.logTexts {
					attrs = append(attrs, "body", string(c.body))
				}
			}
			s.log.Info("request", attrs...)
		}()
		inner.ServeHTTP(rec, r)
	})
}
