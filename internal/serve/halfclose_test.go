package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listening serves s at an address until the test ends.
func listening(t *testing.T, s *Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, 10*time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// send writes a request of one text and leaves the connection open.
func send(t *testing.T, address, version string) *net.TCPConn {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	b := body([]int32{1, 2, 3})
	fmt.Fprintf(c, "POST /v1/completions HTTP/%s\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", version, len(b), b)
	return c.(*net.TCPConn)
}

// TestHalfClose: a client that ends its side after the request gets its answer, whether that
// comes at once or after the server has asked whether the client is there.
func TestHalfClose(t *testing.T) {
	const patience = 200 * time.Millisecond
	for _, delay := range []time.Duration{0, patience + 5*askAgain} {
		f := newFake()
		f.gate = make(chan struct{})
		s := serving(t, f, nil, nil)
		s.patience = patience
		if delay == 0 {
			s.patience = time.Minute
		}
		c := send(t, listening(t, s), "1.1")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the request", func() bool { n, _ := s.queue.waiting(); return n == 1 })
		time.Sleep(delay)
		close(f.gate)
		all, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		const interim = "HTTP/1.1 100 Continue\r\n"
		if n := strings.Count(string(all), interim); (n > 0) != (delay > 0) {
			t.Errorf("%d interim answers after %v", n, delay)
		}
		// As a client reads it, which skips what is interim.
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(all)[max(strings.LastIndex(string(all), "HTTP/1.1"), 0):])), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%v %q, wanted 200", err, all)
		}
	}
}

// TestGoneForGood: a client that has closed its connection is found out, and what it asked
// for is dropped.
func TestGoneForGood(t *testing.T) {
	for _, version := range []string{"1.1", "1.0"} {
		f := newFake()
		f.gate = make(chan struct{})
		s := serving(t, f, nil, nil)
		s.patience = 200 * time.Millisecond
		c := send(t, listening(t, s), version)
		wait(t, "the request", func() bool { n, _ := s.queue.waiting(); return n == 1 })
		c.Close()
		wait(t, "the end of the request", func() bool { n, _ := s.queue.waiting(); return n == 0 })
		close(f.gate)
	}
}
