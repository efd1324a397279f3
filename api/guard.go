package api

import (
	"math/bits"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"pipesync/fsm"
)

// lossFigures are what a guard has refused. percent is rounded up to
// thousandths, so that it is always above limit.
type lossFigures struct {
	Live    uint64         `json:"live"`
	Removed uint64         `json:"removed"`
	Percent jsontext.Value `json:"percent"`
	Limit   jsontext.Value `json:"limit"`
}

const reasonDeleteGuard = "DELETE_GUARD"

func (f *failure) tellLosses(l *fsm.Losses) {
	high, low := bits.Mul64(l.Removed, fsm.AllDeleted)
	quotient, rest := bits.Div64(high, low, l.Live) // removed ≤ live
	if rest > 0 {
		quotient++
	}
	figures := &lossFigures{l.Live, l.Removed, percent(quotient), percent(uint64(l.Limit))}
	rule := "allows " + string(figures.Limit) + " % of the live records to be removed; these are " +
		strconv.FormatUint(l.Removed, 10) + " of " + strconv.FormatUint(l.Live, 10) + ", " + string(figures.Percent) + " %"
	f.message = "max_delete_percent " + rule
	f.details = []detail{{Field: "max_delete_percent", Code: reasonDeleteGuard, Message: rule, Figures: figures}}
	f.total = 1
}

// percent is the JSON number of thousandths.
func percent(thousandths uint64) jsontext.Value {
	b := strconv.AppendUint(nil, thousandths/1000, 10)
	if rest := thousandths % 1000; rest != 0 {
		digits := strconv.FormatUint(1000+rest, 10)[1:]
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		b = append(append(b, '.'), digits...)
	}
	return b
}
