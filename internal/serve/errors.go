package serve

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// apiError is an answer that is not 200, in OpenAI's form:
//
//	{"error": {"message": "...", "type": "invalid_request_error", "param": "prompt", "code": null}}
type apiError struct {
	Status  int           `json:"-"`
	Retry   time.Duration `json:"-"` // Retry-After, rounded up to seconds; 0 for none
	Message string        `json:"message"`
	Type    string        `json:"type"`
	Param   *string       `json:"param"`
	Code    *string       `json:"code"`
}

func (e *apiError) Error() string { return e.Message }

// refuse is a 400: the request asks for what is not done, or is not well formed. param is
// the field, "" for none.
func refuse(param, format string, args ...any) *apiError {
	return fail(http.StatusBadRequest, "invalid_request_error", param, "", format, args...)
}

func fail(status int, kind, param, code, format string, args ...any) *apiError {
	e := &apiError{Status: status, Type: kind, Message: fmt.Sprintf(format, args...)}
	if param != "" {
		e.Param = &param
	}
	if code != "" {
		e.Code = &code
	}
	return e
}

// busy is a 429.
func busy(retry time.Duration, format string, args ...any) *apiError {
	e := fail(http.StatusTooManyRequests, "rate_limit_error", "", "server_busy", format, args...)
	e.Retry = retry
	return e
}

// asAPI makes any error an answer. What is not the client's doing is a 500 whose text
// stays in the log: it may hold paths.
func asAPI(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return fail(http.StatusInternalServerError, "server_error", "", "internal_error", "the server failed at this request; its log says how")
}

func writeError(w http.ResponseWriter, e *apiError) {
	if e.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.Retry+time.Second-1)/time.Second)))
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, e.Status, map[string]any{"error": e})
}

// writeJSON answers with v. What cannot be written has no reader any more.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b := encodeJSON(v)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// encodeJSON is v in JSON, with "<" as it stands: nothing of it goes into a page.
func encodeJSON(v any) []byte {
	b, err := strictjson.Marshal(v)
	if err != nil { // a NaN, or a type that JSON has not: our mistake
		panic(fmt.Sprintf("serve: response: %v", err))
	}
	return b
}
