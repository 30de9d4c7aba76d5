// Command pjrt runs go-xla's own installer: it downloads the PJRT CPU plugin that this
// go-xla was tested with into the folder named by the argument.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/gomlx/go-xla/installer"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: go run ./setup/pjrt FOLDER"))
	}
	// The installer has no time limits of its own: ask first whether anybody is there.
	probe := http.Client{Timeout: 10 * time.Second}
	if _, err := probe.Head("https://api.github.com"); err != nil {
		fail(err)
	}
	time.AfterFunc(10*time.Minute, func() { fail(fmt.Errorf("download took longer than ten minutes")) })
	if err := installer.CPUAutoInstall(os.Args[1], false, installer.Quiet); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pjrt:", err)
	os.Exit(1)
}
