package spdkgo_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/spdk-go/spdk-go"

// source is one file of the repository as the checks see it.
type source struct {
	path   string // slash-separated, relative to the repository's root
	text   string
	fset   *token.FileSet
	ast    *ast.File // nil unless it is a Go file
	nested bool      // it belongs to a nested module, which has a go.mod and dependencies of its own
}

// parseSource makes a source of text. path decides which rules apply to it.
func parseSource(path, text string) (*source, error) {
	s := &source{path: path, text: text, fset: token.NewFileSet()}
	if !strings.HasSuffix(path, ".go") {
		return s, nil
	}
	var err error
	s.ast, err = parser.ParseFile(s.fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

func (s *source) dir() string     { return path.Dir(s.path) }
func (s *source) isTest() bool    { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) isProgram() bool { return s.ast.Name.Name == "main" }
func (s *source) in(dir string) bool {
	return s.dir() == dir || strings.HasPrefix(s.path, dir+"/")
}

// isPublic says whether others can import the file's package.
func (s *source) isPublic() bool {
	return !s.isProgram() && !s.in("internal") && !s.in("test") && !s.nested
}

// isGenerated says whether the file carries the marker of https://go.dev/s/generatedcode.
func (s *source) isGenerated() bool { return ast.IsGenerated(s.ast) }

// problemf reports that the node at pos breaks a rule, and what to do about it.
func (s *source) problemf(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s: %s", s.fset.Position(pos), fmt.Sprintf(format, args...))
}

// A rule looks at one file and returns what is wrong with it.
type rule struct {
	name  string
	check func(s *source) []string
}

// rules are the checks of single Go files. What needs the whole repository at once has a test of its own.
var rules = []rule{
	{"unsafe", checkUnsafe},
	{"imports", checkImports},
	{"docs", checkDocs},
	{"skips", checkSkips},
	{"notes", checkNotes},
	{"size", checkSize},
}

// TestTidy applies every rule to every Go file of the repository.
func TestTidy(t *testing.T) {
	sources := loadRepository(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, s := range sources {
				if s.ast == nil {
					continue
				}
				for _, p := range r.check(s) {
					t.Error(p)
				}
			}
		})
	}
}

// TestTidyAssembly keeps assembly out of all rooms but one.
func TestTidyAssembly(t *testing.T) {
	for _, s := range loadRepository(t) {
		for _, p := range checkAssembly(s) {
			t.Error(p)
		}
	}
}

// TestTidyPackageDocs wants a package comment in every package, in exactly the place where go doc looks.
func TestTidyPackageDocs(t *testing.T) {
	for _, p := range checkPackageDocs(loadRepository(t)) {
		t.Error(p)
	}
}

// TestTidyGoMod keeps the core's direct dependencies to those that were agreed on.
func TestTidyGoMod(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range checkGoMod("go.mod", string(text)) {
		t.Error(p)
	}
}

// loadRepository reads the Go and assembly files below the working directory, which go test sets to the root.
func loadRepository(t *testing.T) []*source {
	t.Helper()
	var sources []*source
	var nested []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(path.Join(name, "go.mod")); err == nil && name != "." {
				nested = append(nested, name)
			}
			return nil
		}
		if ext := path.Ext(name); ext != ".go" && ext != ".s" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parseSource(name, string(text))
		if err != nil {
			return err
		}
		s.nested = slices.ContainsFunc(nested, s.in)
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatal("found no Go files: run this test from the repository's root")
	}
	return sources
}
