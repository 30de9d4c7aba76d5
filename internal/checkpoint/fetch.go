package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"
)

// sink is the destination of a transfer: a bytes.Buffer, or a partial file.
type sink interface {
	io.Writer
	Len() int
	Reset()
}

// partial is a file that keeps what has arrived when a transfer is interrupted.
type partial struct {
	file *os.File
	n    int
	err  error // error of Reset, returned by the next Write
}

func (p *partial) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.file.Write(b)
	p.n += n
	return n, err
}

func (p *partial) Len() int { return p.n }

func (p *partial) Reset() {
	p.n = 0
	if p.err = p.file.Truncate(0); p.err == nil {
		_, p.err = p.file.Seek(0, io.SeekStart)
	}
}

// client sends the token only to the host that was asked, and not to its subdomains. It
// follows redirects until the transfer counts as stalled.
var client = &http.Client{CheckRedirect: func(next *http.Request, via []*http.Request) error {
	if first := via[0].URL; next.URL.Host != first.Host || next.URL.Scheme != first.Scheme {
		next.Header.Del("Authorization")
	}
	return nil
}}

// fetch downloads an address into a sink, resuming at the sink's end if the server supports
// it. It fails if no byte arrives for a while, or if the sink would exceed limit bytes (0:
// no limit). progress is called with the number of bytes in the sink.
func (r *repo) fetch(ctx context.Context, address string, to sink, limit int64, progress func(done int64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(r.options.stall, func() { cancel(errStalled) })
	defer stall.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "implicitreward")
	request.Header.Set("Accept-Encoding", "identity") // so that offsets are those of the file
	if r.options.Token != "" {
		request.Header.Set("Authorization", "Bearer "+r.options.Token)
	}
	if to.Len() > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", to.Len()))
	}
	answer, err := client.Do(request)
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			return errStalled
		}
		return err
	}
	defer answer.Body.Close()
	if err := begin(answer, to); err != nil {
		return err
	}
	for buf := make([]byte, 1<<20); ; {
		n, broken := answer.Body.Read(buf)
		if n > 0 {
			stall.Reset(r.options.stall)
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			if limit > 0 && int64(to.Len()) > limit {
				return &contentError{fmt.Sprintf("more than %d bytes came", limit)}
			}
			progress(int64(to.Len()))
		}
		switch {
		case broken == io.EOF:
			return nil
		case errors.Is(context.Cause(ctx), errStalled):
			return errStalled
		case broken != nil:
			return errBroken
		}
	}
}

// begin prepares the sink for the body of an answer: the whole file, or its remainder.
func begin(answer *http.Response, to sink) error {
	partly := answer.StatusCode == http.StatusPartialContent
	switch {
	case answer.StatusCode == http.StatusOK:
		to.Reset()
		return nil
	case to.Len() == 0, !partly && answer.StatusCode != http.StatusRequestedRangeNotSatisfiable:
		return refusal(answer)
	case partly && strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", to.Len())):
		return nil
	}
	to.Reset() // not the range that was asked for: the next attempt starts anew
	return errBroken
}

// statusError is an HTTP status other than success.
type statusError struct {
	code int
	text string // the server's message in one short line; empty for a web page
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.text) }

// refusal reads the server's message from its JSON, else the body, the header or the status.
func refusal(answer *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
	text := strings.TrimSpace(string(body))
	var known struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &known) == nil && known.Error != "" {
		text = known.Error
	}
	if text == "" {
		text = answer.Header.Get("X-Error-Message")
	}
	if text == "" {
		text = answer.Status
	}
	if text = oneLine(text); strings.HasPrefix(text, "<") {
		text = ""
	}
	return &statusError{answer.StatusCode, text}
}

// contentError is content other than the announced.
type contentError struct{ text string }

func (e *contentError) Error() string { return e.text }

var (
	errStalled = errors.New("no byte arrived for a minute")
	errBroken  = errors.New("the connection was cut")
)

// passing reports whether another attempt may succeed.
func passing(err error) bool {
	_, content := errors.AsType[*contentError](err)
	switch status, _ := status(err); {
	case content, errors.Is(err, errStalled), status == 429, status >= 500:
		return true
	case status != 0, noRoom(err):
		return false
	}
	return !local(err)
}

// local reports whether an error is about a local file, not the network.
func local(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}
