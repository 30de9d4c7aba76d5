package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"testing"
)

// asProgram makes the test binary be a program.
const asProgram = "IMPLICITREWARD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main("toy", toy) // exits
	}
	os.Exit(m.Run())
}

// toyFlags are those of a program that prints a line and looks for a model.
func toyFlags() (f *Flags, model, corpus *string, models *ModelFlags) {
	f = NewFlags("toy", "prints a line: it's `here`.\nMore of it.\n\n  .an indented table\n  'and' \\n", "  toy -quiet")
	models = new(ModelFlags)
	f.Bool("quiet", false, "print nothing")
	model = f.String("model", "", "`model` to look for; a folder")
	corpus = f.String("corpus", "", "`file` of words: it's [one] a line")
	f.Force()
	models.Register(f)
	return f, model, corpus, models
}

func toy(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	f, model, _, models := toyFlags()
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if f.Given("quiet") != "" {
		return nil
	}
	if *model != "" {
		loader, err := models.Loader(stderr)
		if err != nil {
			return err
		}
		defer loader.Close()
		_, err = loader.Load(ctx, *model)
		return err
	}
	fmt.Fprintln(stdout, "a line") // as a program that does not look at the error
	return nil
}

// shell runs a shell's command, in which "$0" is the toy.
func shell(t *testing.T, name, script string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs the program " + name)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", script, exe)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(append(os.Environ(), asProgram+"=1"), env...), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestStandardOutput: what could not be written is an error, whoever wrote it.
func TestStandardOutput(t *testing.T) {
	for _, args := range []string{"", "-h", "-version", "-man", "-completion zsh"} {
		stdout, stderr, code := shell(t, "sh", `"$0" `+args)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%q: code %d, %q, %q", args, code, stdout, stderr)
		}
		if !stdoutCanTell {
			continue
		}
		_, stderr, code = shell(t, "sh", `"$0" `+args+` >&-`)
		if code != 1 || stderr != "toy: standard output: it is closed\n" {
			t.Errorf("%q to a closed one: code %d, %q", args, code, stderr)
		}
		if _, err := os.Stat("/dev/full"); err != nil {
			continue
		}
		_, stderr, code = shell(t, "sh", `"$0" `+args+` >/dev/full`)
		if code != 1 || stderr != "toy: standard output: no space left on device\n" {
			t.Errorf("%q to a full disk: code %d, %q", args, code, stderr)
		}
	}
	if _, stderr, code := shell(t, "sh", `"$0" -quiet >&-`); code != 0 || stderr != "" {
		t.Errorf("nothing to a closed one: code %d, %q", code, stderr)
	}
}

// TestNoHome: without HOME the system's is taken, with one line where it is needed, and
// nothing else says a word.
func TestNoHome(t *testing.T) {
	system, err := user.LookupId(strconv.Itoa(os.Getuid())) // which HOME need not name
	if err != nil {
		t.Skip("needs a system that knows this user: ", err)
	}
	home := system.HomeDir
	if stdout, stderr, code := shell(t, "sh", `unset HOME; "$0"`); code != 0 || stdout != "a line\n" || stderr != "" {
		t.Errorf("a program that needs none: code %d, %q, %q", code, stdout, stderr)
	}
	_, stderr, code := shell(t, "sh", `unset HOME HF_HOME HF_HUB_CACHE XDG_CACHE_HOME; HF_HUB_OFFLINE=1 "$0" -backend go -model toy/none`)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != 1 || len(lines) != 2 || !strings.HasPrefix(lines[0], "HOME is not set: taking "+home+", ") || !strings.Contains(lines[1], home+"/.cache/huggingface/hub") {
		t.Errorf("code %d, %q", code, stderr)
	}
	if home, err = os.UserHomeDir(); err != nil {
		t.Fatal(err)
	}
	o := hubOptions(func(string) string { return "" }, io.Discard)
	if want := home + "/.cache/huggingface/hub"; o.CacheDir != want {
		t.Errorf("cache %q, wanted %q", o.CacheDir, want)
	}
}

// TestVersion: both spellings, with what decides numbers.
func TestVersion(t *testing.T) {
	for _, args := range []string{"-version", "--version", "-quiet --version"} {
		stdout, stderr, code := shell(t, "sh", `"$0" `+args)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "toy 0.1.0\ncommit: ") {
			t.Errorf("%s: code %d, %q, %q", args, code, stdout, stderr)
		}
		for _, part := range []string{"\ngo: go1.", "\nprocessor: ", "\nbackend: go\n"} {
			if !strings.Contains(stdout, part) {
				t.Errorf("%s: no %q in %q", args, part, stdout)
			}
		}
		if hasPlugin("cpu") != strings.Contains(stdout, "\nbackend: xla:cpu") || hasPlugin("cpu") != strings.Contains(stdout, ", sha256 ") {
			t.Errorf("%s: plugin is %v in %q", args, hasPlugin("cpu"), stdout)
		}
	}
}

// TestBashCompletion sources the script and asks as bash does.
func TestBashCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"toy -ba":                    "-backend",
		"toy --ba":                   "-backend",
		"toy -backend ":              "auto xla:cpu xla:cuda go",
		"toy -backend xla:":          "cpu cuda", // bash cuts words at the colon
		"toy -backend xla:cu":        "cuda",
		"toy --dtype b":              "bf16",
		"toy -quiet -dtype f32 -dat": "-date",
		"toy -corpus /etc/pass":      "/etc/passwd",
		"toy -model /et":             "/etc",
		"toy -date ":                 "",
	} {
		script := `source <("$0" -completion bash) || exit 9
COMP_LINE='` + line + `' COMP_POINT=${#COMP_LINE}
_implicitreward_toy 2>&1
echo "${COMPREPLY[*]}"; complete -p toy >/dev/null`
		stdout, stderr, code := shell(t, "bash", script)
		got := " " + strings.TrimSpace(stdout) + " "
		for w := range strings.FieldsSeq(want) {
			if !strings.Contains(got, " "+w+" ") {
				t.Errorf("%q: %q, wanted %q in it", line, got, w)
			}
		}
		if code != 0 || stderr != "" || want == "" && got != "  " {
			t.Errorf("%q: code %d, %q, %q", line, code, stdout, stderr)
		}
	}
	if _, stderr, code := shell(t, "sh", `"$0" -completion tcsh`); code != 2 || !strings.Contains(stderr, "wanted bash, zsh or fish") {
		t.Errorf("another shell: code %d, %q", code, stderr)
	}
}

// TestShells: the other scripts are ones that their shells understand.
func TestShells(t *testing.T) {
	t.Run("zsh", func(t *testing.T) {
		stdout, stderr, code := shell(t, "zsh", `autoload -Uz compinit; compinit -D -u; source <("$0" -completion zsh); print ${_comps[toy]}
_arguments() { print -rl -- "$@" }; _toy`)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "_toy\n") || !strings.Contains(stdout, "*-backend[backend that computes]:backend:(auto xla\\:cpu xla\\:cuda go)\n") ||
			!strings.Contains(stdout, "*-corpus[file of words]:file:_files\n") || !strings.Contains(stdout, "*-quiet[print nothing]\n") {
			t.Errorf("code %d, %q, %q", code, stdout, stderr)
		}
	})
	t.Run("fish", func(t *testing.T) {
		exe, _ := os.Executable()
		stdout, stderr, code := shell(t, "fish", asProgram+`=1 '`+exe+`' -completion fish | source; complete -C 'toy -backend '; complete -C 'toy -qui'`)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "xla:cpu\tbackend that computes\n") || !strings.Contains(stdout, "-quiet\tprint nothing\n") {
			t.Errorf("code %d, %q, %q", code, stdout, stderr)
		}
	})
}

// TestManual: the page says what it should, and troff has nothing to say of it.
func TestManual(t *testing.T) {
	stdout, stderr, code := shell(t, "sh", `"$0" -man`)
	if code != 0 || stderr != "" || !strings.Contains(stdout, ".TH TOY 1 ") || !strings.Contains(stdout, "\\fB\\-backend\\fR \\fIbackend\\fR\n") {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
	for _, renderer := range []string{"mandoc -W error,stop -T utf8", "groff -man -Tascii -ww -P-c"} {
		t.Run(strings.Fields(renderer)[0], func(t *testing.T) {
			if _, err := exec.LookPath(strings.Fields(renderer)[0]); err != nil {
				t.Skip("needs the program " + strings.Fields(renderer)[0])
			}
			stdout, stderr, _ := shell(t, "bash", `"$0" -man | `+renderer+` | col -bx`)
			for _, part := range []string{"toy - prints a line: it's `here`\n", "\n       More of it.", "  .an indented table\n", "'and' \\n\n", "-backend backend", "(default auto)", "toy -quiet\n"} {
				if !strings.Contains(strings.ReplaceAll(stdout, " More of it.", "\n       More of it."), part) {
					t.Errorf("no %q in\n%s", part, stdout)
				}
			}
			if stderr != "" {
				t.Error(stderr)
			}
		})
	}
}
