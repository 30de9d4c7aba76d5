package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// open are the paths that need no token: they tell nothing about the models.
var open = map[string]bool{"/healthz": true, "/readyz": true, "/": true, "/page.js": true, "/page.css": true, "/openapi.json": true}

// auth lets those requests through that may be answered: with the token, where one is set;
// where the server is for this machine alone, under a name of this machine (a web page that
// has its own name point here is refused); and never from the script of another web site.
func (s *Server) auth(inner http.Handler) http.Handler {
	want := sha256.Sum256([]byte(s.token))
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, fail(http.StatusForbidden, "invalid_request_error", "", "cross_origin", "the request comes from the script of another web site"))
	}))
	inner = origin.Handler(inner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if s.loopback && !Loopback(r.Host) {
			writeError(w, fail(http.StatusMisdirectedRequest, "invalid_request_error", "", "wrong_host", "host %q, wanted localhost or a loopback address: the server answers this machine alone", r.Host))
			return
		}
		if s.token != "" && !open[r.URL.Path] {
			// Sums have one length, so that the comparison's time tells nothing.
			scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			got := sha256.Sum256([]byte(strings.TrimSpace(given)))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || !strings.EqualFold(scheme, "bearer") {
				writeError(w, fail(http.StatusUnauthorized, "invalid_request_error", "", "invalid_api_key", "wanted the header Authorization: Bearer TOKEN with the server's token"))
				return
			}
		}
		inner.ServeHTTP(w, r)
	})
}

// Loopback tells whether an address, with or without a port, is one that only this machine
// reaches.
func Loopback(address string) bool {
	h := strings.Trim(host(address), "[]")
	ip := net.ParseIP(h)
	return strings.EqualFold(h, "localhost") || ip != nil && ip.IsLoopback()
}
