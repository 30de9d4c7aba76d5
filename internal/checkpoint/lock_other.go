//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package checkpoint

import (
	"errors"
	"os"
)

// tryLock is not supported on this system.
func tryLock(*os.File) error { return errors.ErrUnsupported }
