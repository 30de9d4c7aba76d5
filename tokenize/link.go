//go:build !nodaulet

package tokenize

// github.com/daulet/tokenizers links with -ltokenizers and leaves it to the
// program to say where that library is. `make deps` puts it into .deps/lib, and
// with the folder named here a plain go build, test or run needs no environment
// variable. A library in the linker's own folders or in CGO_LDFLAGS works as well.

// #cgo LDFLAGS: -L${SRCDIR}/../.deps/lib
import "C"
