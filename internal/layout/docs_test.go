package layout

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/compatibility.md says which test holds each of its statements: those
// tests have to exist, and each test that is named for it has to be there.
func TestCompatibilityDocumentNamesRealTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(string(text), -1) {
		named[name] = true
	}
	if len(named) == 0 {
		t.Fatal("the document names no test")
	}
	exists := map[string]bool{}
	for _, file := range parseModule(t) {
		for _, decl := range file.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && file.isTest() && fn.Recv == nil {
				exists[fn.Name.Name] = true
			}
		}
	}
	for name := range named {
		if !exists[name] {
			t.Errorf("the document names %s, which doesn't exist", name)
		}
	}
	for name := range exists {
		if strings.HasPrefix(name, "TestCompat_") && !named[name] {
			t.Errorf("the document doesn't name %s", name)
		}
	}
}
