// Package implicitreward_test holds the rules of the whole repository.
package implicitreward_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/implicitreward/implicitreward/"

// arrows says which packages of ours a package may import. A package that is not
// here may import none, and a new one must be entered.
var arrows = map[string][]string{
	"tokenize/internal/jinja": {},
	"tokenize":                {"tokenize/internal/jinja", "internal/regular", "internal/strictjson"},
	"internal/csv":            {},
	"internal/parquetfile":    {},
	"internal/prefix":         {},
	"internal/regular":        {},
	"internal/output":         {"internal/parquetfile", "internal/regular"},
	"internal/strictjson":     {},
	"internal/checkpoint":     {"internal/regular", "internal/strictjson"},
	"internal/arch":           {},
	"internal/engine":         {"internal/arch", "internal/checkpoint", "internal/prefix"},
	"logprob":                 {"tokenize", "internal/arch", "internal/checkpoint", "internal/engine", "internal/csv", "internal/parquetfile", "internal/prefix", "internal/regular"},
	"implicit/lexicon":        {"internal/csv"},
	"implicit":                {"tokenize", "logprob", "implicit/lexicon", "internal/csv", "internal/parquetfile"},
	"implicit/preference":     {"tokenize", "logprob", "implicit", "stats", "internal/csv", "internal/parquetfile", "internal/regular", "internal/strictjson"},
	"implicit/implicittest":   {"implicit/lexicon", "tokenize", "logprob", "implicit"},
	"stats":                   {},
	"internal/plot":           {"stats"},
	"internal/study":          {"implicit/lexicon", "stats", "internal/plot", "implicit", "logprob", "tokenize", "internal/csv", "internal/parquetfile", "internal/regular", "internal/output"},
	"internal/demo":           {},
	"internal/demo/make":      {"internal/checkpoint", "internal/demo"},
	"internal/cli/home":       {},
	"internal/cli":            {"implicit/lexicon", "tokenize", "logprob", "implicit", "internal/cli/home", "internal/output", "internal/regular", "internal/strictjson"},
	"internal/serve":          {"tokenize", "logprob", "implicit", "internal/prefix", "internal/strictjson"},
	"internal/bench":          {"implicit/lexicon", "internal/cli", "internal/output", "internal/prefix", "implicit", "logprob", "tokenize"},
	"setup/pjrt":              {},
}

// examples may import everything but the machinery behind logprob.
var machinery = []string{"internal/arch", "internal/engine", "internal/checkpoint"}

// source is a parsed file that is no test.
type source struct {
	path string // from the root, with slashes
	file *ast.File
}

// sources parses every Go file that is committed and no test.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "bin" || len(name) > 1 && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(p), file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("%d Go files, wanted the whole repository", len(all))
	}
	return all
}

// TestArrows: imports go one way, backends are chosen by programs alone, and
// programs do not reach behind logprob.
func TestArrows(t *testing.T) {
	for _, s := range sources(t) {
		dir := path.Dir(s.path)
		program := strings.HasPrefix(dir, "examples/")
		allowed, known := arrows[dir]
		if !program && !known {
			t.Errorf("%s: package %s is not in the table of arrows", s.path, dir)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, isOurs := strings.CutPrefix(imported, module)
			switch {
			case isOurs && program && slices.Contains(machinery, ours),
				isOurs && !program && !slices.Contains(allowed, ours):
				t.Errorf("%s imports %s, which the arrows do not allow", s.path, ours)
			case dir != "internal/cli" && (strings.HasPrefix(imported, "github.com/gomlx/go-xla/compute") || strings.HasSuffix(imported, "/gobackend")):
				t.Errorf("%s imports the backend %s, which only internal/cli does", s.path, imported)
			case dir == "stats" && strings.Contains(imported, ".") && !strings.HasPrefix(imported, "gonum.org/v1/gonum/"):
				t.Errorf("%s imports %s, wanted gonum and the standard library alone", s.path, imported)
			}
		}
	}
}

// TestPackageComments: every package says what it is for.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		dir := path.Dir(s.path)
		documented[dir] = documented[dir] || s.file.Doc != nil && len(s.file.Doc.Text()) > 40
	}
	for dir, ok := range documented {
		if !ok && dir != "setup/pjrt" {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestQuiet: packages do not print, exit or read environment variables; programs and
// what they share may.
func TestQuiet(t *testing.T) {
	forbidden := map[string][]string{
		"fmt": {"Print", "Println", "Printf"},
		"os":  {"Exit", "Getenv", "LookupEnv", "Environ", "Setenv", "Stdout", "Stderr"},
		"log": {"Print", "Println", "Printf", "Fatal", "Fatalf", "Fatalln"},
	}
	for _, s := range sources(t) {
		dir := path.Dir(s.path)
		if strings.HasPrefix(dir, "examples/") || dir == "internal/cli" || dir == "internal/cli/home" || dir == "internal/demo/make" || dir == "internal/bench" || dir == "setup/pjrt" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Obj == nil && slices.Contains(forbidden[pkg.Name], sel.Sel.Name) {
				t.Errorf("%s uses %s.%s", s.path, pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// TestExportedDocs: every exported name of the public packages has a doc comment.
func TestExportedDocs(t *testing.T) {
	for _, s := range sources(t) {
		if dir := path.Dir(s.path); dir != "tokenize" && dir != "logprob" && dir != "implicit" && dir != "implicit/implicittest" && dir != "implicit/preference" && dir != "stats" {
			continue
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && d.Name.Name != "Unwrap" && d.Name.Name != "Error" {
					t.Errorf("%s: %s has no doc comment", s.path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
							t.Errorf("%s: %s has no doc comment", s.path, spec.Name.Name)
						}
					case *ast.ValueSpec:
						if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
							t.Errorf("%s: %s has no doc comment", s.path, spec.Names[0].Name)
						}
					}
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}

// TestFileSizes: a file that passes 500 lines has become two things.
func TestFileSizes(t *testing.T) {
	for _, s := range sources(t) {
		b, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(b), "\n"); lines > 500 {
			t.Errorf("%s has %d lines, wanted at most 500", s.path, lines)
		}
	}
}
