package cli

import (
	"flag"
	"fmt"
	"strings"
)

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
	"task":       {"reward", "dpo", "sft", "lm"},
	"schedule":   {"constant", "linear", "cosine"},
	"long":       {"drop", "cut"},
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
