package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Imports that would let two nodes compute different things from one log.
var impureImports = []string{"math/rand", "math/rand/v2", "crypto/rand", "regexp", "reflect", "unsafe", "hash/maphash"}

// clockCalls read or wait for the machine's clock.
var clockCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

// impureCalls lists, by import path, what must not be called.
var impureCalls = map[string][]string{
	"time":          clockCalls,
	"os":            {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Hostname", "Getpid"},
	"path":          {"Match"},
	"path/filepath": {"Match"},
	"strconv":       {"ParseFloat", "FormatFloat", "AppendFloat"},
}

// deterministic packages are held to all rules; in admission only the clock is
// forbidden, outside of the files named clock*.go that implement it.
var deterministic = []string{"fsm", "fsm/contenthash"}

const clockInjected = "fsm/admission"

func TestStateMachineIsDeterministic(t *testing.T) {
	byPackage := map[string][]source{}
	for _, file := range parseModule(t) {
		if !file.isTest() {
			byPackage[file.pkg] = append(byPackage[file.pkg], file)
		}
	}
	for _, pkg := range deterministic {
		if len(byPackage[pkg]) == 0 {
			t.Errorf("found no Go file of package %s", pkg)
		}
		for _, why := range checkPurity(byPackage[pkg]) {
			t.Error(why)
		}
	}
	for _, file := range byPackage[clockInjected] {
		if strings.HasPrefix(filepath.Base(file.path), "clock") {
			continue
		}
		for _, why := range checkCalls(file, map[string][]string{"time": clockCalls}) {
			t.Error(why)
		}
	}
}

// checkPurity returns what in the files of one package may differ between nodes.
func checkPurity(files []source) []string {
	var found []string
	for _, file := range files {
		for _, imp := range file.imports() {
			if slices.Contains(impureImports, imp) {
				found = append(found, fmt.Sprintf("%s imports %s", file.path, imp))
			}
		}
		found = append(found, checkCalls(file, impureCalls)...)
		found = append(found, checkFloats(file)...)
	}
	return append(found, checkMapOrder(files)...)
}

// checkCalls reports each use of a forbidden name of a package, under whatever
// name the file imports it. A dot import is reported as such.
func checkCalls(file source, forbidden map[string][]string) []string {
	local := map[string][]string{}
	var found []string
	for _, spec := range file.file.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		names, watched := forbidden[target]
		if !watched {
			continue
		}
		name := path.Base(target)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			found = append(found, fmt.Sprintf("%s: dot import of %s", file.path, target))
		}
		local[name] = names
	}
	ast.Inspect(file.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(local[x.Name], sel.Sel.Name) {
				found = append(found, fmt.Sprintf("%s: %s.%s", file.at(sel), x.Name, sel.Sel.Name))
			}
		}
		return true
	})
	return found
}

func checkFloats(file source) []string {
	var found []string
	ast.Inspect(file.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if slices.Contains([]string{"float32", "float64", "complex64", "complex128"}, n.Name) {
				found = append(found, fmt.Sprintf("%s: %s", file.at(n), n.Name))
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT || n.Kind == token.IMAG {
				found = append(found, fmt.Sprintf("%s: literal %s", file.at(n), n.Value))
			}
		}
		return true
	})
	return found
}

// orderFree in a comment above a range over a map is the author's statement
// that the order of its rounds can't be seen afterwards.
const orderFree = "order-free:"

// checkMapOrder reports ranges over maps, except those that only collect into
// a slice which the same function sorts, and those marked order-free. Types
// are computed from these files and the standard library, so a map type of
// another package escapes it.
func checkMapOrder(files []source) []string {
	if len(files) == 0 {
		return nil
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, file := range files {
		// positions of one type check have to come from one file set
		again, err := parser.ParseFile(fset, file.path, render(file), parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return []string{fmt.Sprintf("%s: parsing again: %v", file.path, err)}
		}
		parsed = append(parsed, again)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: standardLibrary, Error: func(error) {}}
	_, _ = conf.Check(files[0].pkg, fset, parsed, info) // unknown imports are expected; what can be typed is
	var found []string
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				return true
			}
			for _, node := range unsortedRanges(fn.Body, info, file, fset) {
				found = append(found, fmt.Sprintf("%s: ranges over a map without sorting", fset.Position(node.Pos())))
			}
			return false
		})
	}
	return found
}

func unsortedRanges(body *ast.BlockStmt, info *types.Info, file *ast.File, fset *token.FileSet) []ast.Node {
	var found []ast.Node
	ast.Inspect(body, func(n ast.Node) bool {
		loop, ok := n.(*ast.RangeStmt)
		if !ok || !overMap(loop.X, info) {
			return true
		}
		if !(onlyCollects(loop) && sortsAfter(body, loop)) && !marked(file, fset, loop) {
			found = append(found, loop)
		}
		return true
	})
	return found
}

// overMap is true for a map, and for the iterators that package maps makes of one.
func overMap(x ast.Expr, info *types.Info) bool {
	if tv, ok := info.Types[x]; ok && tv.Type != nil {
		if _, isMap := tv.Type.Underlying().(*types.Map); isMap {
			return true
		}
	}
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "maps" && slices.Contains([]string{"Keys", "Values", "All"}, sel.Sel.Name)
}

// onlyCollects is true where the loop's body is x = append(x, …) alone.
func onlyCollects(loop *ast.RangeStmt) bool {
	if len(loop.Body.List) != 1 {
		return false
	}
	assign, ok := loop.Body.List[0].(*ast.AssignStmt)
	if !ok || len(assign.Rhs) != 1 {
		return false
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	fun, ok := call.Fun.(*ast.Ident)
	return ok && fun.Name == "append"
}

func sortsAfter(body *ast.BlockStmt, loop *ast.RangeStmt) bool {
	sorts := false
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || call.Pos() < loop.End() {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "sort" || x.Name == "slices" && strings.HasPrefix(sel.Sel.Name, "Sort")) {
				sorts = true
			}
		}
		return true
	})
	return sorts
}

func marked(file *ast.File, fset *token.FileSet, loop *ast.RangeStmt) bool {
	line := fset.Position(loop.Pos()).Line
	for _, group := range file.Comments {
		if end := fset.Position(group.End()).Line; (end == line-1 || end == line) && strings.Contains(group.Text(), orderFree) {
			return true
		}
	}
	return false
}
