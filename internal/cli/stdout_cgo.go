//go:build cgo && (linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package cli

// #include <fcntl.h>
//
// static int closed;
//
// // Before main, and so before the Go runtime opens what is closed.
// __attribute__((constructor)) static void look(void) { closed = fcntl(1, F_GETFD) == -1; }
//
// static int stdout_was_closed(void) { return closed; }
import "C"

// stdoutCanTell says whether stdoutWasClosed can.
const stdoutCanTell = true

// stdoutWasClosed says whether the process was started without a standard output.
func stdoutWasClosed() bool { return C.stdout_was_closed() != 0 }
