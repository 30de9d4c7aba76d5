package serve

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits bound what one request, and all together, may cost. A zero field is the default.
type Limits struct {
	Body     int64         // bytes of a request's body; 16 MiB
	Texts    int           // of a request; 10,000
	Tokens   int           // of a request's texts, for each model; 1,000,000
	Rows     int           // whole rows of the vocabulary that a request may ask for; 16
	Requests int           // that are admitted at a time, those that wait included; 1,024
	Queue    int           // tokens that are admitted at a time; 4,000,000, at least twice Tokens
	Bodies   int64         // bytes of all requests' bodies that are held at a time; 256 MiB
	Timeout  time.Duration // from the admission of a request to its answer; 5 minutes
	Read     time.Duration // for a request to arrive, and for an answer to leave; 1 minute
	Wait     time.Duration // for which an idle server gathers requests before it computes; 2 ms
}

// logprobsMost is the largest logprobs of a request: vLLM's default. OpenAI's is 5.
const logprobsMost = 20

func (l Limits) withDefaults() Limits {
	or := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	or(&l.Texts, 10_000)
	or(&l.Tokens, 1_000_000)
	or(&l.Rows, 16)
	or(&l.Requests, 1024)
	or(&l.Queue, 4_000_000)
	l.Queue = max(l.Queue, 2*l.Tokens)
	if l.Body <= 0 {
		l.Body = 16 << 20
	}
	if l.Bodies <= 0 {
		l.Bodies = 256 << 20
	}
	l.Bodies = max(l.Bodies, l.Body)
	if l.Timeout <= 0 {
		l.Timeout = 5 * time.Minute
	}
	if l.Read <= 0 {
		l.Read = time.Minute
	}
	if l.Wait <= 0 {
		l.Wait = 2 * time.Millisecond
	}
	return l
}

// bodies counts the bytes of bodies that are held, so that many clients which send large
// ones, or never finish, take no more memory than the limit.
type bodies struct {
	held  atomic.Int64
	limit int64
}

// read reads a body whole. The caller calls release when it is done with it.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, most int64) (body []byte, release func(), err error) {
	if r.ContentLength > most {
		return nil, nil, tooLarge(w, most)
	}
	in := &countedReader{r: http.MaxBytesReader(w, r.Body, most), held: &b.held, limit: b.limit}
	release = func() { b.held.Add(-in.n) }
	if body, err = io.ReadAll(in); err == nil {
		return body, release, nil
	}
	release()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, nil, tooLarge(w, most)
	}
	if _, ok := errors.AsType[*apiError](err); ok {
		w.Header().Set("Connection", "close")
		return nil, nil, err
	}
	w.Header().Set("Connection", "close")
	return nil, nil, fail(http.StatusRequestTimeout, "invalid_request_error", "", "body_incomplete", "the body did not arrive whole, or not in time")
}

func tooLarge(w http.ResponseWriter, most int64) error {
	w.Header().Set("Connection", "close") // the rest is not read
	return fail(http.StatusRequestEntityTooLarge, "invalid_request_error", "", "body_too_large", "the body is larger than %d bytes", most)
}

type countedReader struct {
	r     io.Reader
	held  *atomic.Int64
	limit int64
	n     int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.held.Add(int64(n)) > c.limit {
		return 0, busy(time.Second, "the server holds as many bodies of requests as it may: try again")
	}
	return n, err
}
