//go:build !(cgo && (linux || darwin || dragonfly || freebsd || netbsd || openbsd))

package cli

// stdoutCanTell says whether stdoutWasClosed can.
const stdoutCanTell = false

// stdoutWasClosed cannot be told here: the Go runtime has opened it.
func stdoutWasClosed() bool { return false }
