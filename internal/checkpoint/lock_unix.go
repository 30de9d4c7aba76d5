//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package checkpoint

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks f until it is closed. The error is errLocked if another process has the
// lock, and errors.ErrUnsupported if the file system has no locks.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return errLocked
	case errors.Is(err, syscall.EINTR):
		return errLocked // try again
	case errors.Is(err, syscall.ENOLCK):
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("flock", err)
}
