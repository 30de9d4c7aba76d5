package cli

import (
	"flag"
	"io"
)

// informer are the flags, of every program, that make it tell about itself and do no more.
type informer struct {
	version, man bool
	completion   string
}

func (i *informer) register(f *Flags) {
	f.BoolVar(&i.version, "version", false, "print the version, the commit, and the backends and XLA plugins that are found")
	f.BoolVar(&i.man, "man", false, "print this help as a manual page")
	f.StringVar(&i.completion, "completion", "", "print the completion of these flags for a `shell`: bash, zsh or fish")
}

// print tells what was asked for, and returns flag.ErrHelp then.
func (i *informer) print(f *Flags, w io.Writer) error {
	var text string
	switch {
	case i.version:
		text = f.version()
	case i.man:
		text = f.manual()
	case i.completion != "":
		script := map[string]func() string{"bash": f.bash, "zsh": f.zsh, "fish": f.fish}[i.completion]
		if script == nil {
			return Usagef("-completion %q, wanted bash, zsh or fish", i.completion)
		}
		text = script()
	default:
		return nil
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return flag.ErrHelp
}
