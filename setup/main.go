// Command setup provides the two native libraries for programs that import the
// module, with the scripts that make deps runs in a clone:
//
//	go run github.com/implicitreward/implicitreward/setup@latest
//
// libtokenizers.a goes into Go's module cache, beside the module, where package
// tokenize tells the linker to look; the XLA plugin goes into the home folder, where
// go-xla looks. Standard output is the CGO_LDFLAGS for builds that do not take the
// module from the module cache, such as those with a vendor folder.
//
// With the arguments "fetch LIST FOLDER" it fetches the wheels that a list names and unpacks
// them, as the scripts need it, from the index that pip would ask (PyPI, or what PIP_INDEX_URL
// or pip.conf name). With "plugin FOLDER" it runs go-xla's own installer, which pjrt.sh does
// where the wheel cannot be had.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	release "go/version"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gomlx/go-xla/installer"
)

// tokenizers is the module that libtokenizers.a belongs to, in the version of go.mod
// and of the folder in tokenize/link.go (a test holds them together).
const (
	tokenizers = "github.com/daulet/tokenizers"
	version    = "1.26.0"
)

//go:embed check.sh tokenizers.sh pjrt.sh pjrt.txt
var scripts embed.FS

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = provide()
	case len(args) == 3 && args[0] == "fetch":
		err = fetch(args[1], args[2])
	case len(args) == 2 && args[0] == "plugin":
		err = plugin(args[1])
	default:
		err = errors.New("usage: setup, or setup fetch LIST FOLDER, or setup plugin FOLDER")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

// provide runs the scripts in a folder of their own and says what is where.
func provide() error {
	// The module of the program that is being built may want a newer one than ours.
	wanted := version
	if v, err := command("list", "-m", "-f", "{{.Version}}", tokenizers); err == nil && v != "" {
		wanted = strings.TrimPrefix(v, "v")
	}
	into, found, err := folder("libtokenizers-" + wanted)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "implicitreward-setup")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := os.CopyFS(filepath.Join(root, "setup"), scripts); err != nil {
		return err
	}
	module := "module setup\n\ngo " + strings.TrimPrefix(release.Lang(runtime.Version()), "go") + "\n"
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(module), 0o644); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, script := range []string{"check.sh", "tokenizers.sh", "pjrt.sh"} {
		c := exec.Command("sh", filepath.Join(root, "setup", script))
		c.Env = append(os.Environ(), "AGAIN=setup", "SETUP="+self, "TOKENIZERS_VERSION="+wanted, "TOKENIZERS_INTO="+into)
		c.Stdout, c.Stderr = os.Stderr, os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("%s: %w", script, err)
		}
	}
	if found && wanted == version {
		fmt.Fprintln(os.Stderr, "setup: go build links now; only where it takes the module from elsewhere than the module cache (vendor, replace) does it need:")
	} else {
		fmt.Fprintln(os.Stderr, "setup: go build links with this in its environment:")
	}
	fmt.Println("CGO_LDFLAGS=-L" + into)
	return nil
}

// folder returns the folder of that name beside the module in the module cache, where
// the linker finds a library without being told, or in the user's cache where that
// cannot be written.
func folder(name string) (path string, found bool, err error) {
	cache, err := command("env", "GOMODCACHE")
	if err != nil {
		return "", false, err
	}
	path = filepath.Join(cache, "github.com", "implicitreward", name)
	if os.MkdirAll(path, 0o755) == nil {
		return path, true, nil
	}
	if cache, err = os.UserCacheDir(); err != nil {
		return "", false, err
	}
	path = filepath.Join(cache, "implicitreward", name)
	return path, false, os.MkdirAll(path, 0o755)
}

// command returns what a go command prints.
func command(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// fetch unpacks the wheels of a list into a folder that is there.
func fetch(list, folder string) error {
	p, err := readPip(os.Getenv, "/etc")
	if err != nil {
		return err
	}
	f, err := p.fetcher()
	if err != nil {
		return err
	}
	return f.fetch(context.Background(), list, folder)
}

// plugin downloads the PJRT CPU plugin that this go-xla was tested with.
func plugin(folder string) error {
	// The installer has no time limits of its own: ask first whether anybody is there.
	probe := http.Client{Timeout: 10 * time.Second}
	answer, err := probe.Head("https://api.github.com")
	if err != nil {
		return err
	}
	answer.Body.Close()
	done := make(chan error, 1)
	go func() { done <- installer.CPUAutoInstall(folder, false, installer.Quiet) }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Minute):
		return errors.New("download took longer than ten minutes")
	}
}
