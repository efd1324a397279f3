package layout

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/token"
	"go/types"
	"strings"
)

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// render turns a parsed file back into text.
func render(s source) []byte {
	var out bytes.Buffer
	if err := format.Node(&out, s.fset, s.file); err != nil {
		panic(fmt.Sprintf("formatting %s: %v", s.path, err)) // it was parsed from text
	}
	return out.Bytes()
}

// lenient imports the standard library and leaves everything else unresolved:
// type-checking Pebble and Raft from source would take longer than all the
// rest of this test.
type lenient struct{ types.Importer }

func (l lenient) Import(target string) (*types.Package, error) {
	if strings.Contains(strings.SplitN(target, "/", 2)[0], ".") || strings.HasPrefix(target, module+"/") {
		return nil, fmt.Errorf("importing %s: not looked into", target)
	}
	return l.Importer.Import(target)
}

// standardLibrary is shared, so that each of its packages is checked once.
var standardLibrary = lenient{importer.ForCompiler(token.NewFileSet(), "source", nil)}
