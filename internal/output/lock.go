package output

import "errors"

// errLocked is tryLock's error if another process has locked the file.
var errLocked = errors.New("locked by another process")
