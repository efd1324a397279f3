package contenthash

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/FORMAT.md prints the program that the tests run, and some of their vectors.
func TestDocumentAgrees(t *testing.T) {
	text, err := os.ReadFile("../../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	program, err := os.ReadFile("testdata/contenthash.py")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(document, "```python\n"+string(program)+"```\n") {
		t.Error("the document doesn't print testdata/contenthash.py as it is")
	}
	known := map[string]bool{}
	for _, v := range readVectors(t) {
		known[v.ContentHash] = true
	}
	rows := regexp.MustCompile("\\| `([0-9a-f]{32})` \\|\n").FindAllStringSubmatch(document, -1)
	if len(rows) == 0 {
		t.Error("the document prints no vector")
	}
	for _, row := range rows {
		if !known[row[1]] {
			t.Errorf("the document prints %s, which is the hash of no vector", row[1])
		}
	}
}
