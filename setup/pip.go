package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pip are the settings of pip, so that what reaches an index for pip does so here: of
// environment and files as it reads them (configuration.py of pip), [download] before [global].
type pip struct {
	env      func(string) string
	sections map[string]map[string]string
}

// readPip reads pip's files; etc is the folder of the machine's.
func readPip(env func(string) string, etc string) (*pip, error) {
	p := &pip{env: env, sections: map[string]map[string]string{}}
	named := env("PIP_CONFIG_FILE")
	if named == os.DevNull {
		return p, nil
	}
	// Later ones count.
	var files []string
	for _, dir := range filepath.SplitList(cmp.Or(env("XDG_CONFIG_DIRS"), etc+"/xdg")) {
		files = append([]string{filepath.Join(dir, "pip/pip.conf")}, files...)
	}
	files = append(files, etc+"/pip.conf")
	if home := env("HOME"); home != "" {
		files = append(files, home+"/.pip/pip.conf", home+"/Library/Application Support/pip/pip.conf")
		files = append(files, filepath.Join(cmp.Or(env("XDG_CONFIG_HOME"), home+"/.config"), "pip/pip.conf"))
	}
	if venv := env("VIRTUAL_ENV"); venv != "" {
		files = append(files, venv+"/pip.conf")
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil {
			p.read(string(b))
		}
	}
	if named != "" {
		b, err := os.ReadFile(named)
		if err != nil {
			return nil, fmt.Errorf("PIP_CONFIG_FILE: %w", err)
		}
		p.read(string(b))
	}
	return p, nil
}

// read adds the settings of a file, whose values may go on in indented lines.
func (p *pip) read(text string) {
	section, key := "", ""
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section, key = strings.ToLower(line[1:len(line)-1]), ""
			if p.sections[section] == nil {
				p.sections[section] = map[string]string{}
			}
		case indented && key != "":
			p.sections[section][key] += "\n" + line
		case p.sections[section] != nil:
			if at := strings.IndexAny(line, "=:"); at > 0 {
				key = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(line[:at])), "_", "-")
				p.sections[section][key] = strings.TrimSpace(line[at+1:])
			}
		}
	}
}

// setting is the value of a key such as index-url; "" for none.
func (p *pip) setting(key string) string {
	return cmp.Or(p.env("PIP_"+strings.ToUpper(strings.ReplaceAll(key, "-", "_"))), p.sections["download"][key], p.sections["global"][key])
}

// fetcher makes a client of the settings.
func (p *pip) fetcher() (*fetcher, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if proxy := p.setting("proxy"); proxy != "" {
		to, err := url.Parse(proxy)
		if err != nil || to.Host == "" {
			return nil, fmt.Errorf("pip's setting proxy is no address")
		}
		transport.Proxy = http.ProxyURL(to)
	}
	if cert := cmp.Or(p.setting("cert"), p.env("REQUESTS_CA_BUNDLE"), p.env("CURL_CA_BUNDLE")); cert != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(cert)
		if err != nil {
			return nil, fmt.Errorf("pip's setting cert: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("pip's setting cert: %s: no certificate in it", cert)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	indexes := append([]string{cmp.Or(p.setting("index-url"), "https://pypi.org/simple")}, strings.Fields(p.setting("extra-index-url"))...)
	return &fetcher{client: &http.Client{Transport: transport}, indexes: indexes, patience: time.Minute, pause: time.Second}, nil
}
