package regular

import (
	"context"
	"io"
)

// Until returns a reader that fails when ctx ends, even during a blocked Read, such as of a
// terminal; that Read is abandoned.
func Until(ctx context.Context, r io.Reader) io.Reader { return &until{ctx: ctx, r: r} }

type until struct {
	ctx context.Context
	r   io.Reader
	buf []byte // private, since an abandoned Read may still write to it
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	if u.buf == nil {
		u.buf = make([]byte, 1<<16)
	}
	buf := u.buf[:min(len(p), len(u.buf))]
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := u.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	case got := <-done:
		return copy(p, buf[:got.n]), got.err
	}
}
