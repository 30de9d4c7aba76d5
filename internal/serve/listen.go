package serve

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve answers on l until ctx ends. Then it takes no more connections and requests,
// finishes those that were admitted, for as long as grace, and returns. What is not done
// by then is cut off, and is an error.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	server := &http.Server{
		Handler:           s.handler,
		ConnContext:       withConn,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(logWriter{s.log}, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener{l}) }()
	select {
	case err := <-failed:
		s.Close(ctx)
		return err
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	requests, tokens := s.queue.waiting()
	s.log.Info("shutting down", "requests", requests, "tokens", tokens)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(end)
	s.Close(end)
	if err != nil {
		server.Close()
	}
	return err
}

// logWriter hands net/http's own messages to the log.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug("http", "message", string(b))
	return len(b), nil
}
