package syncjson

import "bytes"

const (
	maxNesting     = 128
	maxNumberBytes = 1000
)

// byteClass sorts bytes for findExcess; the zero class is of no interest.
var byteClass = func() (t [256]byte) {
	t['"'], t['{'], t['['], t['}'], t[']'], t['-'] = inString, opens, opens, closes, closes, inNumber
	for c := '0'; c <= '9'; c++ {
		t[c] = inNumber
	}
	for _, c := range "+.eE" {
		t[c] = inNumberOnly
	}
	return t
}()

const (
	inString     = 1
	opens        = 2
	closes       = 3
	inNumber     = 4 // starts a number, or goes on with one
	inNumberOnly = 5 // goes on with a number
)

// findExcess returns where body nests deeper than maxNesting or has a number
// token over maxNumberBytes, and which of them it is; reason is empty where it
// does neither. It knows just enough JSON to step over strings: on a body that
// isn't JSON its answer is meaningless but its work still linear.
func findExcess(body []byte) (offset int, reason string) {
	depth := 0
	for i := 0; i < len(body); {
		switch byteClass[body[i]] {
		case inString:
			i = stringEnd(body, i)
			continue
		case opens:
			if depth++; depth > maxNesting {
				return i, "nested deeper than 128 levels"
			}
		case closes:
			depth--
		case inNumber:
			start := i
			for i < len(body) && byteClass[body[i]] >= inNumber {
				i++
			}
			if i-start > maxNumberBytes {
				return start, "a number longer than 1000 bytes"
			}
			continue
		}
		i++
	}
	return 0, ""
}

// stringEnd returns the offset after the string that starts at body[start].
func stringEnd(body []byte, start int) int {
	for i := start + 1; i < len(body); {
		n := bytes.IndexByte(body[i:], '"')
		if n < 0 {
			break
		}
		i += n
		backslashes := 0
		for body[i-1-backslashes] == '\\' {
			backslashes++
		}
		i++
		if backslashes%2 == 0 {
			return i
		}
	}
	return len(body)
}
