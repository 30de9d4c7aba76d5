package main

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The bytes of an index' page and of a wheel, at most.
const (
	maxPage  = 64 << 20
	maxWheel = 4 << 30
)

// wheel is a line of a list, NAME==VERSION --hash=sha256:HEX, as pip's --require-hashes reads it.
type wheel struct{ name, version, sha256 string }

var requirement = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.+!]+) --hash=sha256:([0-9a-f]{64})$`)

// readList reads the wheels of a list.
func readList(path string) (all []wheel, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		m := requirement.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%s:%d: %q, wanted NAME==VERSION --hash=sha256:HEX", path, n, line)
		}
		all = append(all, wheel{m[1], m[2], m[3]})
	}
	return all, lines.Err()
}

// fetcher gets wheels by the simple repository API (PEP 503 in HTML, PEP 691 in JSON).
type fetcher struct {
	client   *http.Client
	indexes  []string
	patience time.Duration // without a byte
	pause    time.Duration // before a second try
}

// fetch downloads the wheels of a list and unpacks them into a folder. An index says where a
// wheel is; what it is, the list's hash says.
func (f *fetcher) fetch(ctx context.Context, list, folder string) error {
	all, err := readList(list)
	if err != nil {
		return err
	}
	for _, w := range all {
		if err := f.wheel(ctx, w, folder); err != nil {
			return fmt.Errorf("%s %s: %w", w.name, w.version, err)
		}
	}
	return nil
}

func (f *fetcher) wheel(ctx context.Context, w wheel, folder string) error {
	var missing error
	for _, index := range f.indexes {
		from, err := f.find(ctx, index, w)
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		file, err := os.CreateTemp(folder, ".wheel-*")
		if err != nil {
			return err
		}
		defer os.Remove(file.Name())
		err = f.download(ctx, from, w.sha256, file)
		if err = errors.Join(err, file.Close()); err == nil {
			err = unpack(file.Name(), folder)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", from.Redacted(), err)
		}
		return nil
	}
	return missing
}

// listed is a file that an index lists.
type listed struct {
	url    *url.URL
	sha256 string // "" where the index does not say
}

// find returns where an index has a wheel.
func (f *fetcher) find(ctx context.Context, index string, w wheel) (*url.URL, error) {
	at, err := url.Parse(strings.TrimRight(index, "/") + "/" + normal(w.name) + "/")
	if err != nil {
		return nil, errors.New("an index whose address is none") // which may hold a password
	}
	var files []listed
	err = f.twice(ctx, func() (err error) { files, err = f.page(ctx, at); return err })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at.Redacted(), err)
	}
	var unsaid *url.URL
	var others []string
	for _, file := range files {
		name := path.Base(file.url.Path)
		switch {
		case file.sha256 == w.sha256:
			return file.url, nil
		case !w.named(name):
		case file.sha256 == "" && unsaid == nil:
			unsaid = file.url
		default:
			others = append(others, name)
		}
	}
	switch {
	case unsaid != nil:
		return unsaid, nil
	case len(others) > 0:
		return nil, fmt.Errorf("%s: no file with sha256 %s, but %s with others", at.Redacted(), w.sha256, strings.Join(others, ", "))
	}
	return nil, fmt.Errorf("%s: none of %d files is of that version", at.Redacted(), len(files))
}

var separators = regexp.MustCompile(`[-_.]+`)

// normal is the spelling of a package's name that stands for all (PEP 503).
func normal(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

// named tells of a file by its name whether it is of the wheel's name and version.
func (w wheel) named(file string) bool {
	name, rest, ok := strings.Cut(file, "-")
	version, rest, also := strings.Cut(rest, "-")
	return ok && also && strings.HasSuffix(rest, ".whl") && normal(name) == normal(w.name) && version == w.version
}

// final is an error that a second try would not change.
type final struct{ error }

func (e final) Unwrap() error { return e.error }

// twice tries something again that may have failed by the network.
func (f *fetcher) twice(ctx context.Context, try func() error) error {
	err := try()
	var last final
	if err == nil || errors.As(err, &last) || ctx.Err() != nil {
		return err
	}
	time.Sleep(f.pause)
	return try()
}

// get opens an address. The body ends with an error where nothing comes for long.
func (f *fetcher) get(ctx context.Context, from *url.URL, accept string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	patience := time.AfterFunc(f.patience, func() { cancel(fmt.Errorf("no byte in %v", f.patience)) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, final{err}
	}
	request.Header.Set("Accept", accept)
	answer, err := f.client.Do(request)
	if err != nil {
		cancel(nil)
		var said *url.Error // repeats the address
		if errors.As(err, &said) {
			err = said.Err
		}
		return nil, err
	}
	answer.Body = &body{answer.Body, ctx, cancel, patience, f.patience}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	answer.Body.Close()
	err = fmt.Errorf("answered %s", answer.Status)
	if answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		err = final{err}
	}
	return nil, err
}

// body is an answer's, whose every byte renews the patience.
type body struct {
	io.ReadCloser
	ctx      context.Context
	cancel   context.CancelCauseFunc
	left     *time.Timer
	patience time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.left.Reset(b.patience)
	}
	if err != nil && err != io.EOF && context.Cause(b.ctx) != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *body) Close() error {
	b.left.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// page reads what an index lists of a package.
func (f *fetcher) page(ctx context.Context, at *url.URL) ([]listed, error) {
	const asJSON, asHTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
	answer, err := f.get(ctx, at, asJSON+", "+asHTML+";q=0.2, text/html;q=0.1")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxPage+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxPage {
		return nil, final{fmt.Errorf("a page of more than %d bytes", maxPage)}
	}
	base := answer.Request.URL // after redirections
	switch kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind {
	case asJSON:
		return fromJSON(base, text)
	case asHTML, "text/html":
		return fromHTML(base, text), nil
	default:
		return nil, final{fmt.Errorf("a page of type %q, wanted %s or text/html", kind, asJSON)}
	}
}

func fromJSON(base *url.URL, text []byte) (files []listed, err error) {
	var page struct {
		Files []struct {
			URL    string
			Hashes struct{ SHA256 string }
		}
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return nil, final{err}
	}
	for _, file := range page.Files {
		if to, ok := resolve(base, file.URL); ok {
			files = append(files, listed{to, file.Hashes.SHA256})
		}
	}
	return files, nil
}

var anchor = regexp.MustCompile(`(?is)<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')`)

func fromHTML(base *url.URL, text []byte) (files []listed) {
	for _, m := range anchor.FindAllSubmatch(text, -1) {
		if to, ok := resolve(base, html.UnescapeString(string(m[1])+string(m[2]))); ok {
			sum, _ := strings.CutPrefix(to.Fragment, "sha256=")
			if sum == to.Fragment { // none, or another hash
				sum = ""
			}
			to.Fragment = ""
			files = append(files, listed{to, sum})
		}
	}
	return files
}

// resolve makes an address of a link. What the index' address has of user and password, its own
// host is told.
func resolve(base *url.URL, link string) (*url.URL, bool) {
	to, err := base.Parse(link)
	if err != nil {
		return nil, false
	}
	if to.Host == base.Host && to.Scheme == base.Scheme && to.User == nil {
		to.User = base.User
	}
	return to, true
}

// download writes a file that must have a hash.
func (f *fetcher) download(ctx context.Context, from *url.URL, want string, to *os.File) error {
	var sum hash.Hash
	err := f.twice(ctx, func() error {
		if err := to.Truncate(0); err != nil {
			return final{err}
		}
		if _, err := to.Seek(0, io.SeekStart); err != nil {
			return final{err}
		}
		answer, err := f.get(ctx, from, "*/*")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		sum = sha256.New()
		n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(answer.Body, maxWheel+1))
		if err == nil && n > maxWheel {
			err = final{fmt.Errorf("more than %d bytes", int64(maxWheel))}
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", n, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("sha256 %s, wanted %s: another file than the one that is known, which is not used", got, want)
	}
	return nil
}

// unpack unpacks a wheel, which is a zip file. Files that are there already are an error.
func unpack(wheel, folder string) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if kind := f.Mode().Type(); !filepath.IsLocal(f.Name) || strings.Contains(f.Name, `\`) || kind != 0 && kind != os.ModeDir {
			return fmt.Errorf("it holds %q (%v), wanted plain files within it", f.Name, f.Mode())
		}
	}
	return os.CopyFS(folder, z)
}
