package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// source is one parsed Go file of the module.
type source struct {
	path string // relative to the module's root
	pkg  string // its folder, relative and with slashes
	fset *token.FileSet
	file *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) imports() []string {
	var all []string
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// parseModule parses every Go file of the module, whatever its build tags.
// Folders with a go.mod of their own are other modules.
func parseModule(t *testing.T) []source {
	t.Helper()
	const root = "../.."
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(root, p, d)
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), fset: fset, file: file})
		return nil
	})
	if err != nil {
		t.Fatalf("parsing the module: %v", err)
	}
	return all
}

func skipFolder(root, p string, d fs.DirEntry) error {
	name := d.Name()
	if p == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" {
		return filepath.SkipDir
	}
	if matches, err := filepath.Glob(filepath.Join(p, "go.mod")); err != nil || len(matches) > 0 {
		return filepath.SkipDir
	}
	return nil
}
