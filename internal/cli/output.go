package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/table"
)

// RefuseOverwrite is a UsageError if the output would replace one of the files it is made from.
func RefuseOverwrite(out string, inputs ...string) error {
	for _, name := range []string{out, table.MetaPath(out), out + ".part"} {
		to, err := os.Stat(name)
		if err != nil {
			continue // nothing there to replace
		}
		for _, in := range inputs {
			if from, err := os.Stat(in); err == nil && os.SameFile(from, to) {
				return Usagef("output %s would replace the input %s", name, in)
			}
		}
	}
	return nil
}

// OutputFormat returns the format of an output: of a file by its ending, which a format that
// is given must fit, and of "-", standard output, the one that is given, or else the first.
// endings are the formats and the endings of their files.
func OutputFormat(out, given string, endings ...[2]string) (string, error) {
	var names, all []string
	for _, e := range endings {
		names = append(names, e[0])
		if !slices.Contains(all, e[1]) {
			all = append(all, e[1])
		}
	}
	if given != "" && !slices.Contains(names, given) {
		return "", Usagef("-format %q, wanted %s", given, strings.Join(names, " or "))
	}
	if out == "-" {
		if given == "" {
			given = names[0]
		}
		return given, nil
	}
	if err := CheckOutput(out, all...); err != nil {
		return "", err
	}
	for _, e := range endings {
		if strings.HasSuffix(out, e[1]) && (given == "" || given == e[0]) {
			return e[0], nil
		}
	}
	return "", Usagef("output %q with -format %s, wanted a name that ends in %s", out, given, endings[slices.Index(names, given)][1])
}

// CheckOutput refuses, before any work, an output whose name does not end in one of the
// endings or whose folder is not there.
func CheckOutput(path string, endings ...string) error {
	ok := false
	for _, e := range endings {
		ok = ok || strings.HasSuffix(path, e)
	}
	if !ok {
		return Usagef("output %q, wanted a name that ends in %s", path, strings.Join(endings, " or "))
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("output %s: there is no folder %s", path, filepath.Dir(path))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("output %s: a folder, wanted a file", path)
	}
	return nil
}
