package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestReport(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
		code int
	}{
		{nil, "", 0},
		{errors.New("two\nlines"), "p: two lines\n", 1},
		{fmt.Errorf("x: %w", context.Canceled), "p: stopped\n", 130},
		{fmt.Errorf("x: %w", Usagef("no %s", "y")), "p: x: no y\np -h lists the flags\n", 2},
	} {
		var b bytes.Buffer
		if code := Report("p", test.err, &b); code != test.code || b.String() != test.want {
			t.Errorf("%v: code %d, %q, wanted %d, %q", test.err, code, b.String(), test.code, test.want)
		}
	}
}

// TestHubOptions: the variables count as they do in huggingface_hub.
func TestHubOptions(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env                    map[string]string
		endpoint, cache, token string
		offline                bool
	}{
		{map[string]string{"HF_HOME": home}, "", filepath.Join(home, "hub"), "hf_file", false},
		{map[string]string{"HF_HOME": home, "HF_TOKEN": " hf_env ", "HF_HUB_CACHE": "/c", "HF_HUB_OFFLINE": "yes", "HF_ENDPOINT": "http://x"}, "http://x", "/c", "hf_env", true},
		{map[string]string{"HF_HOME": home, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "TRANSFORMERS_OFFLINE": "1"}, "", filepath.Join(home, "hub"), "", true},
		{map[string]string{"XDG_CACHE_HOME": "/x"}, "", "/x/huggingface/hub", "", false},
	} {
		o := hubOptions(func(k string) string { return test.env[k] }, io.Discard)
		if o.Endpoint != test.endpoint || o.CacheDir != test.cache || o.Token != test.token || o.Offline != test.offline {
			t.Errorf("%v gave %+v", test.env, o)
		}
	}
}

func TestCheckOutput(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.csv"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, ok := range map[string]bool{"a.csv": true, "d.csv": false, "a.txt": false, "no/a.csv": false} {
		if err := CheckOutput(filepath.Join(dir, path), ".csv"); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestRefuseOverwrite(t *testing.T) {
	dir := t.TempDir()
	in, link, meta := filepath.Join(dir, "in.csv"), filepath.Join(dir, "link.csv"), filepath.Join(dir, "out.csv.meta.json")
	for _, path := range []string{in, meta} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(in, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		out, in string
		ok      bool
	}{
		{in, in, false}, {dir + "/./in.csv", in, false}, {in, link, false}, {filepath.Join(dir, "out.csv"), meta, false},
		{filepath.Join(dir, "new.csv"), in, true}, {in, "paper", true}, {in, "", true},
	} {
		if err := RefuseOverwrite(test.out, "paper", test.in); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
