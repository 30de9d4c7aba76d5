package cli

import (
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/logprob"
)

// manual is the help as a manual page, in the macros of man(7).
func (f *Flags) manual() string {
	var b strings.Builder
	name, _, _ := strings.Cut(f.purpose, "\n")
	name, _, _ = strings.Cut(name, ". ")
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"implicitreward %s\" \"User Commands\"\n.ad l\n", strings.ToUpper(f.Name()), logprob.Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", f.Name(), roff(strings.TrimRight(name, ".:")))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n[\\fIflags\\fR]\n.SH DESCRIPTION\n", f.Name())
	for i, block := range strings.Split(f.Name()+" "+f.purpose, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		layout(&b, block)
	}
	b.WriteString(".SH OPTIONS\n")
	for _, o := range f.options() {
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR", roff("-"+o.name))
		if o.value != "" {
			fmt.Fprintf(&b, " \\fI%s\\fR", roff(o.value))
		}
		fmt.Fprintf(&b, "\n%s", roff(o.usage))
		if o.preset != "" {
			fmt.Fprintf(&b, " (default %s)", roff(o.preset))
		}
		b.WriteString("\n")
	}
	b.WriteString(".SH EXIT STATUS\n0 after success, 1 after an error, 2 after wrong use, 3 where the output is there and some of the input was left out, " +
		"130 and 143 when stopped.\n")
	if f.examples != "" {
		b.WriteString(".SH EXAMPLES\n")
		layout(&b, " "+f.examples)
	}
	return b.String()
}

// layout writes text as it stands where lines of it are indented, and as a paragraph where
// none are.
func layout(b *strings.Builder, text string) {
	if !strings.Contains("\n"+text, "\n ") {
		b.WriteString(roff(text) + "\n")
		return
	}
	b.WriteString(".nf\n" + roff(text) + "\n.fi\n")
}

// roff escapes what troff would take for its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
