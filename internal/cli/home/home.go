// Package home finds the home folder of a user whose environment has no HOME, as under cron,
// in some containers and with env -i: the system's own, which Python's tools take too.
//
// It is a package of its own because go-xla looks for HOME when it is initialised, and
// complains. Packages are initialised in the order of their paths as soon as all that they
// import is: this one imports the standard library alone, and comes before klog, which go-xla
// imports. A test holds it.
package home

import (
	"os"
	"os/user"
	"runtime"
)

// Guessed is the home folder that the system has told; "" where HOME was set, and where the
// system knows none.
var Guessed string

func init() {
	if runtime.GOOS == "windows" || os.Getenv("HOME") != "" {
		return
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" && os.Setenv("HOME", u.HomeDir) == nil {
		Guessed = u.HomeDir
	}
}
