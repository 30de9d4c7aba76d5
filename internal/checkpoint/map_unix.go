//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package checkpoint

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is a file's content, mapped read-only.
type mapping struct{ data []byte }

func mapFile(f *os.File, size int64) (mapping, error) {
	if size == 0 {
		return mapping{}, nil // mmap refuses empty files; the parser reports them
	}
	if size > math.MaxInt {
		return mapping{}, fmt.Errorf("%d bytes, more than this machine can address", size)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return mapping{}, os.NewSyscallError("mmap", err)
	}
	return mapping{data}, nil
}

func (m mapping) close() error {
	if m.data == nil {
		return nil
	}
	return os.NewSyscallError("munmap", syscall.Munmap(m.data))
}

// forget drops mapped pages from memory; they are read again when used.
func forget(b []byte) {
	page := uintptr(os.Getpagesize())
	start := (page - uintptr(unsafe.Pointer(unsafe.SliceData(b)))%page) % page
	if uintptr(len(b)) <= start+page {
		return
	}
	whole := (uintptr(len(b)) - start) / page * page
	_ = unix.Madvise(b[start:start+whole], unix.MADV_DONTNEED) // only a hint
}
