package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
)

// Flags is a program's flag set. purpose says in a sentence or two what the program
// does, examples shows a few command lines.
type Flags struct {
	*flag.FlagSet
	purpose, examples string
	info              informer
}

// NewFlags makes a flag set whose -h text begins with purpose and ends with examples.
func NewFlags(name, purpose, examples string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), purpose: purpose, examples: examples}
	f.SetOutput(io.Discard)
	f.info.register(f)
	return f
}

// Parse reads the arguments. -h prints the help to stdout and returns flag.ErrHelp, as do
// -version, -completion and -man with what they print; an unknown flag, a value that does not
// parse or an argument is a UsageError.
func (f *Flags) Parse(args []string, stdout io.Writer) error {
	err := f.FlagSet.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		if failed := f.help(stdout); failed != nil {
			return failed
		}
		return err
	case err != nil:
		return Usagef("%v", err)
	case f.NArg() > 0:
		return Usagef("argument %q, wanted flags only", f.Arg(0))
	}
	return f.info.print(f, stdout)
}

func (f *Flags) help(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n\nFlags:\n", f.Name(), f.purpose)
	f.SetOutput(&b)
	f.PrintDefaults()
	f.SetOutput(io.Discard)
	if f.examples != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", f.examples)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Force registers the flag -force, for what output.File and output.Folder do with it.
func (f *Flags) Force() *bool {
	return f.Bool("force", false, "replace an output that is there and that this program did not make, or that was changed since")
}

// Need is a UsageError if one of the named flags was left empty.
func (f *Flags) Need(names ...string) error {
	for _, name := range names {
		if f.Lookup(name).Value.String() == "" {
			return Usagef("flag -%s is missing: %s", name, f.Lookup(name).Usage)
		}
	}
	return nil
}

// Given returns the first of the named flags that the command line sets, "" if it sets none.
func (f *Flags) Given(names ...string) string {
	given := ""
	f.Visit(func(set *flag.Flag) {
		if given == "" && slices.Contains(names, set.Name) {
			given = set.Name
		}
	})
	return given
}
