// Package clitest runs the programs as processes of their own, in tests that kill them.
package clitest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// AsProgram is the environment variable that makes a test binary be its program, as its TestMain
// has to see to.
const AsProgram = "IMPLICITREWARD_TEST_AS_PROGRAM"

// Program is a program as a process of its own. It is killed when the test ends.
type Program struct {
	*exec.Cmd
	Stderr bytes.Buffer  // complete when it has ended
	Ended  chan struct{} // closed when it has
}

// Start starts the program with args.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{Cmd: exec.Command(exe, args...), Ended: make(chan struct{})}
	p.Env = append(p.Environ(), AsProgram+"=1")
	p.Cmd.Stderr = &p.Stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	go func() { p.Wait(); close(p.Ended) }()
	return p
}

// Code waits for the end and returns the exit code.
func (p *Program) Code() int {
	<-p.Ended
	return p.ProcessState.ExitCode()
}

// Files reads a folder of files: their contents, by name.
func Files(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}
