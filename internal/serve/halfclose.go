package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A client that has shut down its side of the connection after the request (nc -N, some
// proxies) waits for the answer, and one that is gone does not. Both look alike: the server
// reads the end of what the client sends, for which net/http ends the request's context.
// Only something written tells them apart, as the machine of a client that is gone refuses
// it. So where an answer takes its time, "100 Continue" is written, which clients skip: once
// after patience, and then in growing intervals.
const (
	patience    = 5 * time.Second // longer than most answers, a first one that compiles included
	askAgain    = 100 * time.Millisecond
	askAgainMax = 10 * time.Second
)

// errGone is the cause of the end of a request whose client is gone.
var errGone = errors.New("the client is gone")

// listener hands out connections that know what became of them.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

type conn struct {
	net.Conn
	broken atomic.Bool // reading or writing failed: not the mere end of what the client sends
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note(err)
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.note(err)
	return n, err
}

func (c *conn) note(err error) {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.broken.Store(true)
	}
}

type connKey struct{}

// withConn keeps a connection in the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// whileThere returns a context that ends when the client is gone. The caller calls done
// before it writes the answer. Where the connection is not one of listener's, or the request
// of HTTP 1.0, which has no interim answers, one that has ended its side is taken for gone.
func (s *Server) whileThere(w http.ResponseWriter, r *http.Request) (ctx context.Context, done func()) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok || !r.ProtoAtLeast(1, 1) {
		return r.Context(), func() {}
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	var writing sync.Mutex
	finished := make(chan struct{})
	stop := context.AfterFunc(r.Context(), func() {
		wait, next := s.patience, askAgain
		for !c.broken.Load() {
			select {
			case <-finished:
				return
			case <-time.After(wait):
			}
			writing.Lock()
			select {
			case <-finished:
			default:
				w.WriteHeader(http.StatusContinue)
			}
			writing.Unlock()
			wait, next = next, min(2*next, askAgainMax)
		}
		cancel(errGone)
	})
	return ctx, func() {
		stop()
		writing.Lock()
		close(finished)
		writing.Unlock()
		cancel(nil)
	}
}
