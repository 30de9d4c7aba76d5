//go:build !nodaulet

package tokenize

// github.com/daulet/tokenizers links with -ltokenizers and leaves the library's location to
// the program. In a clone, `make deps` puts it into .deps/lib; for a program that imports
// the module, setup puts it beside the module in Go's module cache, in a folder named after
// its version. With both folders given here, a plain go build, test or run needs no
// environment variable. A library in the linker's own folders or in CGO_LDFLAGS works too.

// #cgo LDFLAGS: -L${SRCDIR}/../.deps/lib -L${SRCDIR}/../../libtokenizers-1.26.0
import "C"
