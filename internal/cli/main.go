// Package cli is what the programs of examples/ share: their outer shell, the
// choice of model and backend, prompts, progress, and output files that appear only
// when they are complete.
//
// Programs are the place where the environment is read, and this package reads it
// for them: HF_HOME and its like for the hub (hub.go), and nothing else of ours.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Run is a program: its flags and arguments in, its output to stdout, everything
// else to stderr.
type Run func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error

// Main runs a program and exits: 0 after success or -h, 2 after wrong use, 3 after work
// that left something out, 130 after Ctrl-C (143 after SIGTERM), 1 after any other error,
// which is printed in one line.
// Ctrl-C ends the context, so that the program stops at the next point where nothing is
// lost; a second one ends the process.
func Main(name string, run Run) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	code := exitStopped
	caught := make(chan struct{})
	go func() {
		s := <-signals
		signal.Stop(signals) // the next one is the system's
		if s == syscall.SIGTERM {
			code = exitTerminated
		}
		if isTerminal(os.Stderr) {
			fmt.Fprintln(os.Stderr) // after a progress bar, or ^C
		}
		fmt.Fprintf(os.Stderr, "%s: stopping (once more to stop at once)\n", name)
		close(caught)
		cancel()
	}()
	stdout := standardOutput()
	err := stdout.result(run(ctx, os.Stdin, stdout, os.Stderr, os.Args[1:]))
	reported := Report(name, err, os.Stderr)
	select {
	case <-caught:
		if reported == exitStopped {
			reported = code
		}
	default:
	}
	os.Exit(reported)
}

// Exit codes of shells for a process that a signal has ended: 128 and its number.
const (
	exitStopped    = 128 + int(syscall.SIGINT)
	exitTerminated = 128 + int(syscall.SIGTERM)
)

// Report prints a program's error in one line and returns its exit code.
func Report(name string, err error, stderr io.Writer) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "%s: stopped\n", name)
		return exitStopped
	}
	fmt.Fprintf(stderr, "%s: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	if errors.As(err, new(*UsageError)) {
		fmt.Fprintf(stderr, "%s -h lists the flags\n", name)
		return 2
	}
	if errors.As(err, new(*IncompleteError)) {
		return 3
	}
	return 1
}

// IncompleteError says that a program has done its work and written its output, but for
// some of its input.
type IncompleteError struct{ message string }

// Error is what was left out.
func (e *IncompleteError) Error() string { return e.message }

// Incompletef makes an IncompleteError.
func Incompletef(format string, args ...any) error {
	return &IncompleteError{fmt.Sprintf(format, args...)}
}

// UsageError is a wrong use of a program.
type UsageError struct{ message string }

// Error is what was wrong.
func (e *UsageError) Error() string { return e.message }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}
