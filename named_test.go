package implicitreward_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamed: the tests that scripts and documents name after -run are there. go test runs
// nothing, and is content, where none has the name.
func TestNamed(t *testing.T) {
	there := map[string]bool{}
	var texts []string
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" {
			return filepath.SkipDir
		}
		switch {
		case strings.HasSuffix(file, "_test.go"):
			b, err := os.ReadFile(file)
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`).FindAllStringSubmatch(string(b), -1) {
				there[m[1]] = true
			}
			return err
		case filepath.Ext(file) == ".sh" || filepath.Ext(file) == ".md" || file == "Makefile" || file == filepath.Join(".ci", "run"):
			texts = append(texts, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, file := range texts {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`-run[ =]['"]?\^?\(?((?:Test|Fuzz|Example)[\w|]*)(\$?)\)?(\$?)`).FindAllStringSubmatch(string(b), -1) {
			for name := range strings.SplitSeq(m[1], "|") {
				found := there[name]
				for other := range there { // without $ a name's beginning is enough
					found = found || m[2]+m[3] == "" && strings.HasPrefix(other, name)
				}
				if named++; !found {
					t.Errorf("%s: -run %s: no test has that name", file, name)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no test is named")
	}
}
