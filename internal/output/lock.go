package output

import (
	"errors"
	"fmt"
	"os"
)

// errLocked is tryLock's error if another process has locked the file.
var errLocked = errors.New("locked by another process")

// Claim locks a folder, which must exist, for programs that write into it bit by bit: until what
// it returns is closed, or the process ends, another process that claims it gets an error. Where
// the system has no locks there is none.
func Claim(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	switch err := tryLock(f); {
	case errors.Is(err, errLocked):
		f.Close()
		return nil, fmt.Errorf("output %s: another process is writing it: wait for that to end, or choose another output", folder)
	case err != nil && !errors.Is(err, errors.ErrUnsupported):
		f.Close()
		return nil, fmt.Errorf("output %s: %w", folder, err)
	}
	return f, nil
}
