package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
)

func program(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = run(t.Context(), strings.NewReader(""), &out, &errs, args)
	return out.String(), errs.String(), err
}

// TestStudy: the same by -data, by flags and by YAML.
func TestStudy(t *testing.T) {
	in := synth.Dir(t)
	data := filepath.Join(in, "data")
	out := func() string { return filepath.Join(t.TempDir(), "report") }
	read := func(dir, name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	byData := out()
	line, _, err := program(t, "-data", in, "-only", "fig1,fig4a", "-draws", "99", "-out", byData)
	if err != nil {
		t.Fatal(err)
	}
	if want := byData + "/report.html: 3 analyses, 5 figures,"; !strings.HasPrefix(line, want) {
		t.Errorf("%q, want %q", line, want)
	}
	for _, name := range []string{"figures/fig1-big2.png", "figures/a1-mfd.svg", "figures/fig4a.svg", "tables/fig1-big2-panels.parquet", "report.md"} {
		if read(byData, name) == "" {
			t.Errorf("%s is empty", name)
		}
	}
	byFlags := out()
	if _, _, err := program(t, "-corpus", "big2="+filepath.Join(data, "corpora", "dict_big2_nouns.csv"), "-scores", filepath.Join(data, "reward_model_scores", "dict_big2_nouns"),
		"-only", "fig1", "-draws", "99", "-out", byFlags); err != nil {
		t.Fatal(err)
	}
	yaml := filepath.Join(in, "study.yaml")
	if err := os.WriteFile(yaml, []byte(`# paths are relative to this file
corpora:
  - name: big2
    file: data/corpora/dict_big2_nouns.csv
    scores: [data/reward_model_scores/dict_big2_nouns]
only: [fig2]
seed: 1
draws: 99
`), 0o644); err != nil {
		t.Fatal(err)
	}
	byYAML := out()
	if _, _, err := program(t, "-config", yaml, "-only", "fig1", "-out", byYAML); err != nil { // a flag wins over the file
		t.Fatal(err)
	}
	for _, name := range []string{"tables/fig1-big2-panels.csv", "tables/fig1-big2-medians.csv", "figures/fig1-big2.svg"} {
		if read(byData, name) != read(byFlags, name) || read(byData, name) != read(byYAML, name) {
			t.Errorf("%s differs between -data, flags and YAML", name)
		}
	}
}

func TestPower(t *testing.T) {
	out := filepath.Join(t.TempDir(), "power")
	if _, _, err := program(t, "-power", "-design", "3,3,4,6,8", "-sims", "20", "-shifts", "0,1", "-out", out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "figures", "power.svg")); err != nil {
		t.Error(err)
	}
}

func TestHelpAndMisuse(t *testing.T) {
	out, _, err := program(t, "-h")
	if !errors.Is(err, flag.ErrHelp) || !strings.Contains(out, "fig1") || !strings.Contains(out, "-compat") {
		t.Errorf("-h: %v, %q", err, out)
	}
	for _, args := range [][]string{
		{"-data", "x"}, {"-figure", "1"}, {"-shifts", "0,much", "-out", "x"}, {"-scores", "x", "-out", "y"}, {"-scores", "a=x", "-corpus", "b=y", "-out", "z"},
	} {
		if _, _, err := program(t, args...); !errors.As(err, new(*cli.UsageError)) {
			t.Errorf("%q: %v, want wrong use", args, err)
		}
	}
}

// TestGroupsAndContrast: groups and contrast by flags and by YAML are the same, and -h says
// how prompts are grouped without.
func TestGroupsAndContrast(t *testing.T) {
	in := synth.Dir(t)
	corpus := filepath.Join(in, "data", "corpora", "dict_big2_nouns.csv")
	write := func(name, text string) string {
		path := filepath.Join(in, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	scores := filepath.Join(in, "data", "reward_model_scores", "dict_big2_nouns")
	groups := write("groups.csv", "prompt,group\nbest_ever_one,short\nworst_ever_one,short\n")
	byFlags, byYAML := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if _, _, err := program(t, "-corpus", "big2="+corpus, "-scores", scores, "-groups", groups, "-contrast", "Agency, Communion", "-only", "fig1", "-draws", "99", "-out", byFlags); err != nil {
		t.Fatal(err)
	}
	config := write("study.yaml", "corpora:\n  - name: big2\n    file: data/corpora/dict_big2_nouns.csv\n    scores: [data/reward_model_scores/dict_big2_nouns]\ngroups: groups.csv\ncontrast: [Agency, Communion]\nonly: [fig1]\ndraws: 99\nseed: 1\n")
	if _, _, err := program(t, "-config", config, "-out", byYAML); err != nil {
		t.Fatal(err)
	}
	read := func(dir string) string {
		b, err := os.ReadFile(filepath.Join(dir, "tables", "fig1-big2-families.csv"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a := read(byFlags); a != read(byYAML) || !strings.Contains(a, "\nshort,") {
		t.Errorf("by flags\n%s, by YAML\n%s, wanted the same, with the group short", a, read(byYAML))
	}
	_, _, err := program(t, "-corpus", "big2="+corpus, "-scores", scores, "-contrast", "Agency,Warmth", "-out", byFlags)
	if err == nil || !strings.Contains(err.Error(), `no category "Warmth", wanted two of `) {
		t.Errorf("%v, wanted the categories that there are", err)
	}
	if out, _, _ := program(t, "-h"); !strings.Contains(out, "best_, greatest_ or good_ are positive") {
		t.Errorf("-h does not say how prompts are grouped: %s", out)
	}
}
