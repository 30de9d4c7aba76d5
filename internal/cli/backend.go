package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // "go"
	"github.com/gomlx/go-xla/compute/xla"  // "xla"
)

// Backend makes the backend of that name: "xla:cpu", "xla:cuda", "go", or "auto" for
// xla:cpu where its plugin is installed and go, with a line on stderr, where it is
// not. Nothing is downloaded.
//
// On CUDA, TF32 is switched off: it would round float32 products to 10 bits.
func Backend(name string, stderr io.Writer) (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	switch kind, rest, _ := strings.Cut(name, ":"); {
	case name == "" || name == "auto":
		if !hasPlugin("cpu") {
			fmt.Fprintln(stderr, "no XLA plugin found: computing on the pure-Go backend, which is slower (make deps provides the plugin)")
			return newBackend("go:ops_sequential") // see logprob/backend.go
		}
		return newBackend("xla:cpu")
	case name == "go":
		return newBackend("go:ops_sequential")
	case kind == "xla" && strings.Contains(rest, "cuda") && !strings.Contains(rest, "tf32="):
		return newBackend(name + ",tf32=false")
	case kind == "xla" && rest == "":
		return newBackend("xla:cpu")
	case kind == "xla":
		return newBackend(name)
	}
	return nil, Usagef("-backend %q, wanted auto, xla:cpu, xla:cuda or go", name)
}

func newBackend(config string) (b compute.Backend, err error) {
	defer func() { // a plugin that cannot be loaded may panic
		if r := recover(); r != nil {
			err = fmt.Errorf("backend %s: %v", config, r)
		}
	}()
	b, err = compute.NewWithConfig(config)
	if err != nil {
		plugins := xla.GetAvailablePlugins()
		slices.Sort(plugins)
		return nil, fmt.Errorf("backend %s: %s (XLA plugins found: %s; -backend go needs none)",
			config, firstLine(err), strings.Join(append(plugins, ""), " "))
	}
	return b, nil
}

func hasPlugin(name string) bool {
	return slices.ContainsFunc(xla.GetAvailablePlugins(), func(p string) bool {
		return p == name || strings.HasPrefix(p, name+"_v")
	})
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
