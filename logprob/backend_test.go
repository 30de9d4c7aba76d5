//go:build !nodaulet

package logprob_test

import (
	"flag"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// plugin is the XLA plugin on which numbers are compared beside the pure-Go backend: cpu, cuda, or a file's path.
var plugin = flag.String("xla", "cpu", "compare numbers on this `plugin` of XLA: cpu, cuda, or a file")

// onXLA is the backend of that plugin, as the programs make it: see package cli.
var onXLA = sync.OnceValues(func() (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	if *plugin != "cpu" {
		return compute.NewWithConfig("xla:" + *plugin + ",tf32=false")
	}
	return xla.NewWithOptions("cpu", pjrt.NamedValuesMap{"asynchronous": false})
})

// backends are those that numbers are compared on: the pure-Go one and XLA, where its plugin is installed. XLA
// compiles for too long for -short.
func backends(t testing.TB) []compute.Backend {
	all := []compute.Backend{pureGo(t)}
	if testing.Short() {
		return all
	}
	b, err := onXLA()
	if err != nil {
		if t, ok := t.(*testing.T); ok {
			t.Run("xla:"+*plugin, func(t *testing.T) { t.Skip("needs XLA's plugin: ", err) })
		}
		return all
	}
	return append(all, b)
}
