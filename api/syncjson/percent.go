package syncjson

import (
	"bytes"

	"pipesync/fsm"
)

// percentDigits is how many digits a percentage may have after its point.
const percentDigits = 3

// parsePercent reads the literal of a JSON number from 0 to 100 as thousandths.
// It is exact: no such number goes through a float. One with an exponent isn't
// read, whatever its value.
func parsePercent(literal []byte) (thousandths uint32, ok bool) {
	whole, fraction, point := bytes.Cut(literal, []byte("."))
	if len(whole) > 3 || len(fraction) > percentDigits || point && len(fraction) == 0 {
		return 0, false
	}
	digits := append(bytes.Clone(whole), fraction...)
	for range percentDigits - len(fraction) {
		digits = append(digits, '0')
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		thousandths = 10*thousandths + uint32(c-'0')
	}
	return thousandths, thousandths <= fsm.AllDeleted
}
