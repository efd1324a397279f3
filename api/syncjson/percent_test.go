package syncjson

import (
	"fmt"
	"testing"
)

func TestParsePercent(t *testing.T) {
	for literal, want := range map[string]uint32{
		"0": 0, "0.0": 0, "0.001": 1, "5": 5000, "2.5": 2500, "12.345": 12_345, "99.999": 99_999, "100": 100_000, "100.000": 100_000,
	} {
		if got, ok := parsePercent([]byte(literal)); !ok || got != want {
			t.Errorf("%s is %d, %v, want %d", literal, got, ok, want)
		}
	}
	for _, literal := range []string{"-0", "-1", "100.001", "101", "1000", "0.0001", "1.0000", "1e1", "1E0", "1.5e1", "0.1e-1", "9007199254740993"} {
		if got, ok := parsePercent([]byte(literal)); ok {
			t.Errorf("%s is %d", literal, got)
		}
	}
	for thousandths := range uint32(100_001) {
		literal := fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)
		if got, ok := parsePercent([]byte(literal)); !ok || got != thousandths {
			t.Fatalf("%s is %d, %v", literal, got, ok)
		}
	}
}
