package checkpoint

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"syscall"
)

// hubError is an error about the hub, in one line, with what to do.
type hubError struct {
	text   string
	err    error // the cause for errors.Is, or nil
	status int   // the HTTP status, 0 if there was no answer
}

func (e *hubError) Error() string { return e.text }
func (e *hubError) Unwrap() error { return e.err }

// fallback reports whether a cached revision may be used instead: no answer, a busy hub, or
// a missing or refused token.
func (e *hubError) fallback() bool {
	var content *contentError
	if errors.Is(e.err, context.Canceled) || errors.Is(e.err, context.DeadlineExceeded) || errors.As(e.err, &content) {
		return false
	}
	return e.status == 0 || e.status == 401 || e.status == 403 || e.status == 429 || e.status >= 500
}

// page is the address of the model's page.
func (r *repo) page() string { return r.options.Endpoint + "/" + r.id }

// explain turns the error of a transfer into one that a user can act on.
func (r *repo) explain(ctx context.Context, what string, err error) error {
	code, said := status(err)
	h := &hubError{err: err, status: code}
	say := func(format string, args ...any) error {
		h.text = r.errorf(format, args...).Error()
		return h
	}
	if cause := context.Cause(ctx); cause != nil {
		var other *hubError
		if errors.As(cause, &other) {
			return cause // the failure of another file stopped this one
		}
		h.err = cause
		return say("%s: stopped: %v; what is whole stays in the cache", what, cause)
	}
	switch h.status {
	case 401, 403:
		if said != "" {
			said = " (" + said + ")"
		}
		if r.options.Token == "" {
			return say("%s: the hub wants a login (%d)%s: check the name, accept the licence at %s if it has one, and give a token (HF_TOKEN)",
				what, h.status, said, r.page())
		}
		return say("%s: the hub refuses the token (%d)%s: accept the licence at %s with the token's account, and let the token read gated models",
			what, h.status, said, r.page())
	case 404:
		if r.revision != "main" {
			return say("%s: not found (404): no such model or revision at %s", what, r.page())
		}
		return say("%s: not found (404): no such model at %s, and no such folder here", what, r.page())
	case 429:
		return say("%s: too many requests (429): wait, or give a token (HF_TOKEN)", what)
	case 0:
	default:
		return say("%s: the hub fails (%d): try again later", what, h.status)
	}
	var content *contentError
	switch {
	case noRoom(err):
		return say("%s: the disk is full (%s): make room, or name another cache folder (HF_HUB_CACHE)", what, oneLine(root(err).Error()))
	case local(err):
		return say("%s: the cache: %s", what, oneLine(root(err).Error()))
	case errors.As(err, &content):
		return say("%s: not what the hub announced, %d times: %v; try again, and mind what stands between", what, tries, content)
	case errors.Is(err, errStalled):
		return say("%s: %v: run again, files that are whole are kept", what, err)
	}
	return say("%s: %s cannot be reached, or broke off: %s; run again, files that are whole are kept",
		what, r.options.Endpoint, oneLine(root(err).Error()))
}

// noRoom reports whether the disk or the quota is full.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// status returns the HTTP status of a statusError, else 0, and the server's message.
func status(err error) (code int, text string) {
	if refused, ok := errors.AsType[*statusError](err); ok {
		return refused.code, refused.text
	}
	return 0, ""
}

// root returns the cause without the address, which for a file of the hub is long and
// signed.
func root(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	for {
		below := errors.Unwrap(err)
		if below == nil || local(err) && !local(below) {
			return err
		}
		err = below
	}
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return text
}
