package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gomlx/go-xla/pjrt"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/logprob"
)

// version says what the program is: its version and commit, Go's version, and what it
// could compute with on this machine.
func (f *Flags) version() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", f.Name(), logprob.Version)
	settings := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	commit := settings["vcs.revision"]
	switch {
	case commit == "":
		commit = "unknown (not built from a clone)"
	case settings["vcs.modified"] == "true":
		commit += ", changed"
	}
	fmt.Fprintf(&b, "commit: %s\n", commit)
	fmt.Fprintf(&b, "go: %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if e := settings["GOEXPERIMENT"]; e != "" && !strings.Contains(runtime.Version(), "X:") {
		fmt.Fprintf(&b, ", GOEXPERIMENT=%s", e)
	}
	fmt.Fprintf(&b, "\nprocessor: %s\nbackend: go\n", logprob.Processor())
	plugins := pjrt.AvailablePlugins()
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		hash, err := regular.Hash(plugins[name])
		if err != nil {
			hash = err.Error()
		}
		fmt.Fprintf(&b, "backend: xla:%s, plugin %s, sha256 %s\n", name, filepath.Base(plugins[name]), hash)
	}
	if len(plugins) == 0 {
		fmt.Fprintln(&b, "no XLA plugin found")
	}
	return b.String()
}
