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
	"internal/jinja":          {},
	"tokenize":                {"internal/jinja", "internal/regular", "internal/strictjson"},
	"internal/table":          {"internal/regular"},
	"internal/prefix":         {},
	"internal/regular":        {},
	"internal/output":         {"internal/table", "internal/regular"},
	"internal/strictjson":     {},
	"internal/checkpoint":     {"internal/regular", "internal/strictjson"},
	"internal/arch":           {},
	"internal/adapter":        {"internal/arch", "internal/checkpoint", "internal/regular", "internal/strictjson"},
	"internal/engine":         {"internal/arch", "internal/checkpoint", "internal/prefix"},
	"internal/gradient":       {"internal/arch", "internal/checkpoint", "internal/engine"},
	"logprob":                 {"tokenize", "internal/adapter", "internal/arch", "internal/checkpoint", "internal/engine", "internal/gradient", "internal/table", "internal/regular", "internal/strictjson"},
	"implicit/lexicon":        {"internal/table", "internal/strictjson"},
	"implicit":                {"tokenize", "logprob", "internal/table"},
	"implicit/rewardmodel":    {"tokenize", "logprob", "implicit", "internal/arch", "internal/strictjson"},
	"implicit/words":          {"tokenize", "logprob", "implicit", "implicit/rewardmodel", "implicit/lexicon", "stats", "internal/table", "internal/strictjson"},
	"implicit/preference":     {"tokenize", "logprob", "implicit", "implicit/rewardmodel", "stats", "internal/table", "internal/regular", "internal/strictjson"},
	"implicit/shard":          {"tokenize", "logprob", "implicit", "implicit/preference", "implicit/rewardmodel", "implicit/lexicon", "implicit/words", "internal/output", "internal/regular", "internal/strictjson", "internal/table"},
	"implicit/train":          {"tokenize", "logprob", "implicit", "implicit/rewardmodel", "implicit/preference", "internal/checkpoint", "internal/output", "internal/table", "internal/regular", "internal/strictjson"},
	"implicit/implicittest":   {"tokenize", "logprob", "implicit", "implicit/words", "implicit/rewardmodel"},
	"stats":                   {},
	"internal/plot":           {"stats"},
	"internal/study/cube":     {"implicit/words", "implicit/lexicon", "logprob"},
	"internal/study/input":    {"internal/study/cube", "implicit/shard", "internal/arch", "implicit/words", "implicit/lexicon", "logprob", "internal/table", "internal/regular"},
	"internal/study/analysis": {"internal/study/cube", "implicit", "logprob", "tokenize", "stats", "internal/plot", "internal/table"},
	"internal/study/report":   {"internal/study/cube", "internal/study/analysis", "logprob", "internal/plot", "internal/table", "internal/output"},
	"internal/study":          {"internal/study/cube", "internal/study/input", "internal/study/analysis", "internal/study/report", "internal/output", "internal/regular"},
	"internal/demo":           {},
	"internal/demo/make":      {"internal/checkpoint", "internal/demo", "internal/strictjson"},
	"internal/replicate":      {"implicit/lexicon", "internal/strictjson"},
	"internal/cli/home":       {},
	"internal/cli/clitest":    {},
	"internal/cli":            {"implicit/words", "implicit/lexicon", "implicit/rewardmodel", "tokenize", "logprob", "implicit", "internal/cli/home", "internal/output", "internal/regular", "internal/strictjson", "internal/table"},
	"internal/worker":         {"implicit/shard", "internal/cli"},
	"internal/serve":          {"tokenize", "logprob", "implicit", "implicit/rewardmodel", "internal/prefix", "internal/strictjson"},
	"internal/bench":          {"implicit/train", "implicit/rewardmodel", "implicit/words", "implicit/lexicon", "internal/cli", "internal/output", "internal/prefix", "implicit", "logprob", "tokenize"},
	"setup/gotest":            {},
	"setup":                   {},
}

// examples may import everything but the machinery behind logprob.
var machinery = []string{"internal/adapter", "internal/arch", "internal/engine", "internal/gradient", "internal/checkpoint"}

// source is a parsed file that is no test.
type source struct {
	path string // from the root, with slashes
	file *ast.File
	set  *token.FileSet
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
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(p), file, set})
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
		if !ok {
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
		if strings.HasPrefix(dir, "examples/") || dir == "internal/cli" || dir == "internal/cli/home" || dir == "internal/demo/make" || dir == "internal/bench" || dir == "setup" || dir == "setup/gotest" {
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
		if !public(path.Dir(s.path)) {
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

// Limits of what is read as one piece.
const (
	maxFile   = 450 // lines
	maxLines  = 80  // of a function
	maxBranch = 20  // cyclomatic complexity of a function
)

// TestSizes: a file or a function that passes its limit has become two things. A
// function that is best read whole says in its doc comment why it stays "in one piece".
func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		b, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(b), "\n"); lines > maxFile {
			t.Errorf("%s has %d lines, wanted at most %d", s.path, lines, maxFile)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil || strings.Contains(strings.Join(strings.Fields(f.Doc.Text()), " "), "in one piece") {
				continue
			}
			lines := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
			if branches := complexity(f); lines > maxLines || branches > maxBranch {
				t.Errorf("%s: %s has %d lines and %d branches, wanted at most %d and %d", s.path, f.Name.Name, lines, branches, maxLines, maxBranch)
			}
		}
	}
}

// complexity is the cyclomatic complexity of a function with the functions written
// inside it: one, and one for each if, loop, case and each && and ||.
func complexity(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			n += min(len(node.List), 1) // default adds none
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// TestNoHiddenTypes: a public package shows no name for a type of an internal one,
// whose fields and methods go doc would not show.
func TestNoHiddenTypes(t *testing.T) {
	var found []string
	for _, s := range sources(t) {
		if !public(path.Dir(s.path)) {
			continue
		}
		internal := map[string]bool{}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			name := path.Base(imported)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			internal[name] = strings.Contains(imported, "internal/")
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Assign.IsValid() || !spec.Name.IsExported() {
				return true
			}
			ast.Inspect(spec.Type, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if pkg, ok := sel.X.(*ast.Ident); ok && internal[pkg.Name] {
						found = append(found, path.Dir(s.path)+"."+spec.Name.Name)
					}
				}
				return true
			})
			return true
		})
	}
	for _, name := range found {
		t.Errorf("%s is an alias of an internal type, wanted a type of its own", name)
	}
}

// public reports whether other modules may import the package in the folder.
func public(dir string) bool {
	root, _, _ := strings.Cut(dir, "/")
	return slices.Contains([]string{"tokenize", "logprob", "implicit", "stats"}, root) && !strings.Contains(dir, "/internal")
}
