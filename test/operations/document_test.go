package operations

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section is what stands under one heading.
type section struct {
	heading string
	blocks  []block
}

// block is one box of commands.
type block struct {
	line     int      // of its first command
	machines []string // on which it is typed, in this order; none: in every shell
	code     string
}

var (
	// where ends the paragraph before a block: 'On n1:', or 'On n2, then on n3:'.
	where       = regexp.MustCompile(`(?:^|[.:;] )On (n\d+(?:(?:, then on |, and on |, | and )n\d+)*):$`)
	machineName = regexp.MustCompile(`n\d+`)
)

// readDocument returns the document's sections that have blocks of commands. Every
// block of the language sh is one.
func readDocument(text string) ([]section, error) {
	var sections []section
	var paragraph string
	var open *block
	for i, line := range strings.Split(text, "\n") {
		number := i + 1
		switch {
		case open != nil && line == "```":
			last := &sections[len(sections)-1]
			last.blocks = append(last.blocks, *open)
			open, paragraph = nil, ""
		case open != nil:
			open.code += line + "\n"
		case line == "```sh":
			if len(sections) == 0 {
				return nil, fmt.Errorf("line %d: commands before the first heading", number)
			}
			open = &block{line: number + 1}
			if found := where.FindStringSubmatch(paragraph); found != nil {
				open.machines = machineName.FindAllString(found[1], -1)
			}
		case strings.HasPrefix(line, "```"):
			return nil, fmt.Errorf("line %d: a box that isn't sh", number)
		case strings.HasPrefix(line, "## "):
			sections = append(sections, section{heading: strings.TrimPrefix(line, "## ")})
		case line != "":
			paragraph = line
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: a box that doesn't end", open.line)
	}
	return slices.DeleteFunc(sections, func(s section) bool { return s.blocks == nil }), nil
}

func TestReadDocument(t *testing.T) {
	const box = "```"
	got, err := readDocument(strings.ReplaceAll(`# Title
## First
In each shell:

BOXsh
A=1
BOX
## Words
Nothing to do.
## Second
Words. On n1:

BOXsh
one
two
BOX

On n2, then on n3, and on n4:

BOXsh
three
BOX
On n1 it is said that nothing is done here, nor on n2: see there:
BOXsh
four
BOX
`, "BOX", box))
	if err != nil {
		t.Fatal(err)
	}
	if text, want := fmt.Sprint(got), "[{First [{6 [] A=1\n}]} {Second [{14 [n1] one\ntwo\n} {21 [n2 n3 n4] three\n} {25 [] four\n}]}]"; text != want {
		t.Errorf("read %s\nwant %s", text, want)
	}
	for text, want := range map[string]string{
		box + "sh\n" + box:              "before the first heading",
		"## A\n" + box + "sh\nx":        "doesn't end",
		"## A\n" + box + "\nx\n" + box:  "isn't sh",
		"## A\n" + box + "sh a\n" + box: "isn't sh",
		"## A\n" + box + "yaml\n" + box: "isn't sh",
		"## A\n\n" + box + "json\n{}\n": "isn't sh",
	} {
		if _, err := readDocument(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
