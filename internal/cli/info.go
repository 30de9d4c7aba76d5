package cli

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/implicitreward/implicitreward/logprob"
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

// option is a flag as completions and manual pages show it.
type option struct {
	name, usage string
	value       string   // what its value is called; "" for none
	words       []string // the values, where they are few
	preset      string   // the default; "" where it says nothing
}

// values are those of flags that mean the same in all programs.
var values = map[string][]string{
	"backend":    {"auto", "xla:cpu", "xla:cuda", "go"},
	"dtype":      {"auto", "f32", "bf16"},
	"bos":        {"auto", "add", "none"},
	"base-bos":   {"auto", "add", "none"},
	"as":         {"raw", "chat"},
	"tuned-as":   {"chat", "raw"},
	"base-as":    {"raw", "chat"},
	"completion": {"bash", "zsh", "fish"},
	"log":        {"text", "json", "none"},
	"compat":     {"paper"},
}

func (f *Flags) options() []option {
	var all []option
	f.VisitAll(func(g *flag.Flag) {
		o := option{name: g.Name, words: values[g.Name], preset: g.DefValue}
		o.value, o.usage = flag.UnquoteUsage(g)
		o.usage = strings.Join(strings.Fields(o.usage), " ")
		if o.preset == "false" || o.preset == "0" {
			o.preset = ""
		}
		all = append(all, o)
	})
	return all
}

// short is the beginning of what a flag is for.
func (o option) short() string {
	end := strings.IndexAny(o.usage, ":;(")
	if end > 0 {
		return strings.TrimSpace(o.usage[:end])
	}
	return o.usage
}

// kind is what shells complete a value with: "files", "folders" or "".
func (o option) kind() string {
	switch o.value {
	case "file", "path", "prompts":
		return "files"
	case "folder", "model":
		return "folders"
	}
	return ""
}

const bashScript = `# Completion of %[1]s's flags for bash: source it, or keep it as
# ~/.local/share/bash-completion/completions/%[1]s
_implicitreward_%[1]s() {
	local line=${COMP_LINE:0:COMP_POINT} word flag
	word=${line##*[[:space:]]} # not COMP_WORDS, which are cut at colons
	line=${line%%"$word"}
	line=${line%%"${line##*[![:space:]]}"}
	flag=${line##*[[:space:]]}
	COMPREPLY=()
	case ${flag/#--/-} in
%[2]s	*)
		mapfile -t COMPREPLY < <(compgen -W '%[3]s' -- "${word/#--/-}")
		;;
	esac
	[[ $word != *[:=]* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%%"${word##*[:=]}"}"}")
}
complete -F _implicitreward_%[1]s %[1]s
`

func (f *Flags) bash() string {
	var cases strings.Builder
	var names []string
	for _, o := range f.options() {
		names = append(names, "-"+o.name)
		if o.value == "" {
			continue
		}
		fmt.Fprintf(&cases, "\t-%s)\n", o.name)
		switch {
		case o.words != nil:
			fmt.Fprintf(&cases, "\t\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\")\n", strings.Join(o.words, " "))
		case o.kind() == "files":
			cases.WriteString("\t\tcompopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n")
		case o.kind() == "folders":
			cases.WriteString("\t\tcompopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n")
		}
		cases.WriteString("\t\t;;\n")
	}
	return fmt.Sprintf(bashScript, f.Name(), cases.String(), strings.Join(names, " "))
}

const zshScript = `#compdef %[1]s
# Completion of %[1]s's flags for zsh: source it after compinit, or keep it as _%[1]s in a folder of $fpath.
_%[1]s() {
	_arguments \
%[2]s
}
if [ "${funcstack[1]}" = "_%[1]s" ]; then
	_%[1]s "$@"
else
	compdef _%[1]s %[1]s
fi
`

var zshEscape = strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`, `\`, `\\`)

func (f *Flags) zsh() string {
	var specs []string
	for _, o := range f.options() {
		spec := "*-" + o.name + "[" + zshEscape.Replace(o.short()) + "]"
		if o.value != "" {
			spec += ":" + zshEscape.Replace(o.value) + ":"
		}
		switch {
		case o.words != nil:
			var words []string
			for _, w := range o.words {
				words = append(words, zshEscape.Replace(w))
			}
			spec += "(" + strings.Join(words, " ") + ")"
		case o.kind() == "files":
			spec += "_files"
		case o.kind() == "folders":
			spec += "_files -/"
		}
		specs = append(specs, "\t\t'"+spec+"'")
	}
	return fmt.Sprintf(zshScript, f.Name(), strings.Join(specs, " \\\n"))
}

var fishEscape = strings.NewReplacer(`\`, `\\`, "'", `\'`)

func (f *Flags) fish() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completion of %[1]s's flags for fish: keep it as ~/.config/fish/completions/%[1]s.fish\ncomplete -c %[1]s -f\n", f.Name())
	for _, o := range f.options() {
		fmt.Fprintf(&b, "complete -c %s -o %s -d '%s'", f.Name(), o.name, fishEscape.Replace(o.short()))
		switch {
		case o.words != nil:
			fmt.Fprintf(&b, " -x -a '%s'", strings.Join(o.words, " "))
		case o.kind() == "files":
			b.WriteString(" -r -F")
		case o.kind() == "folders":
			b.WriteString(" -x -a '(__fish_complete_directories)'")
		case o.value != "":
			b.WriteString(" -x")
		}
		b.WriteString("\n")
	}
	return b.String()
}

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
