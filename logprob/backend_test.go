//go:build !nodaulet

package logprob_test

import (
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

var cpu = sync.OnceValues(func() (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	return xla.NewWithOptions("cpu", pjrt.NamedValuesMap{"asynchronous": false}) // as the programs do: see package cli
})

// backends are those that numbers are compared on: the pure-Go one and XLA's CPU
// client, where its plugin is installed. XLA compiles for too long for -short.
func backends(t testing.TB) []compute.Backend {
	all := []compute.Backend{pureGo(t)}
	if testing.Short() {
		return all
	}
	b, err := cpu()
	if err != nil {
		if t, ok := t.(*testing.T); ok {
			t.Run("xla:cpu", func(t *testing.T) { t.Skip("needs XLA's plugin: ", err) })
		}
		return all
	}
	return append(all, b)
}
