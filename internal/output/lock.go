package output

import "errors"

// errLocked is tryLock's answer where another process has the file.
var errLocked = errors.New("locked by another process")
