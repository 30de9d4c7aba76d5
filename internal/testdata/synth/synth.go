// Package synth unpacks made-up inputs of a study for tests.
package synth

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

//go:embed inputs.tar.gz
var inputs []byte

// files are the inputs by name, in the layout of the paper's data.
var files = sync.OnceValues(func() (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(inputs))
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if all[strings.TrimPrefix(h.Name, "./")], err = io.ReadAll(in); err != nil {
			return nil, err
		}
	}
})

// Open reads one input, such as "config/prompts.yaml".
func Open(t testing.TB, name string) io.Reader {
	t.Helper()
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	data, ok := all[name]
	if !ok {
		t.Fatalf("no %s in inputs.tar.gz", name)
	}
	return bytes.NewReader(data)
}

// Dir unpacks the inputs for the time of a test.
func Dir(t testing.TB) string {
	t.Helper()
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range all {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
