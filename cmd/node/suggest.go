package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const maxTypoEdits = 2

// nearestFlag is the flag of cmd that is at most maxTypoEdits from name, or "".
func nearestFlag(cmd *cobra.Command, name string) string {
	best, bestEdits := "", maxTypoEdits+1
	consider := func(f *pflag.Flag) {
		if n := edits(name, f.Name); n < bestEdits {
			best, bestEdits = f.Name, n
		}
	}
	cmd.Flags().VisitAll(consider)
	cmd.InheritedFlags().VisitAll(consider)
	return best
}

// edits is the Levenshtein distance of two short ASCII words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
