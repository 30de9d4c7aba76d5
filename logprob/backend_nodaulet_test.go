//go:build nodaulet

package logprob_test

import (
	"testing"

	"github.com/gomlx/compute"
)

// backends: without other people's cgo there is the pure-Go backend only.
func backends(t testing.TB) []compute.Backend {
	return []compute.Backend{pureGo(t)}
}
