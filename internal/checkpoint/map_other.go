//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package checkpoint

import (
	"fmt"
	"io"
	"math"
	"os"
)

// mapping is a file's content, read into memory on systems without mapping.
type mapping struct{ data []byte }

func mapFile(f *os.File, size int64) (mapping, error) {
	if size > math.MaxInt {
		return mapping{}, fmt.Errorf("%d bytes, more than this machine can address", size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return mapping{}, err
	}
	return mapping{data}, nil
}

func (mapping) close() error { return nil }

func forget([]byte) {}
