package serve

import (
	"embed"
	"net/http"
	"strconv"
)

// The page at / and the description of the API.
//
//go:embed page.html page.js page.css openapi.json
var files embed.FS

// static serves an embedded file. Pages may load what this server has and nothing else.
func static(name, kind string) http.Handler {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the file is named above
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(b)))
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		w.Write(b)
	})
}
