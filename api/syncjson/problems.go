package syncjson

import (
	"fmt"
	"unicode/utf8"
)

// Codes of Problems: the error code of the whole reply.
const (
	MalformedJSON     = "MALFORMED_JSON"
	ValidationFailed  = "VALIDATION_FAILED"
	BatchSizeExceeded = "BATCH_SIZE_EXCEEDED"
)

// Codes of a Detail, beside MalformedJSON and BatchSizeExceeded.
const (
	Required     = "REQUIRED"
	WrongType    = "WRONG_TYPE"
	InvalidValue = "INVALID_VALUE"
	UnknownField = "UNKNOWN_FIELD"
	NotAllowed   = "NOT_ALLOWED" // a known field where its action takes none
)

const (
	maxDetails = 100
	// maxEchoedCodePoints bounds each piece of the request that a Detail
	// repeats. It holds every valid id and namespace whole.
	maxEchoedCodePoints = 255
)

// Problems says why a request is refused. It never holds a value of data,
// file or any other content: only names of fields, ids and namespaces.
type Problems struct {
	// Code is one of MalformedJSON, ValidationFailed and BatchSizeExceeded.
	Code    string
	Message string
	// Details are the first 100 problems: those of the request itself, then
	// those of operations in their order.
	Details []Detail
	// Total is how many problems there are.
	Total int
}

// Detail is one problem.
type Detail struct {
	Index     int    // of the operation; −1 where it isn't one's
	Field     string // empty: the request or the operation as a whole
	ID        string // of the operation, where it could be read
	Namespace string // likewise
	Code      string
	Message   string
}

// collector gathers problems in bounded memory.
type collector struct {
	request    []Detail
	operations []Detail
	total      int
}

func (c *collector) add(d Detail) {
	c.total++
	switch {
	case d.Index < 0 && len(c.request) < maxDetails:
		c.request = append(c.request, d)
	case d.Index >= 0 && len(c.operations) < maxDetails:
		c.operations = append(c.operations, d)
	}
}

// room says whether the next operation's problem would still be kept.
func (c *collector) room(index int) bool {
	if index < 0 {
		return len(c.request) < maxDetails
	}
	return len(c.operations) < maxDetails
}

// problems is nil where there are none.
func (c *collector) problems() *Problems {
	if c.total == 0 {
		return nil
	}
	details := append(c.request, c.operations...)
	details = details[:min(len(details), maxDetails)]
	p := &Problems{Code: ValidationFailed, Details: details, Total: c.total}
	p.Message = details[0].path() + " " + details[0].Message
	if c.total > 1 {
		p.Message = fmt.Sprintf("%d problems; the first: %s", c.total, p.Message)
	}
	return p
}

// path is where the problem is, as a person writes it.
func (d Detail) path() string {
	switch {
	case d.Index < 0 && d.Field == "":
		return "the body"
	case d.Index < 0:
		return d.Field
	case d.Field == "":
		return fmt.Sprintf("operations[%d]", d.Index)
	}
	return fmt.Sprintf("operations[%d].%s", d.Index, d.Field)
}

// clip bounds text that is repeated to the caller.
func clip(text string) string {
	if utf8.RuneCountInString(text) <= maxEchoedCodePoints {
		return text
	}
	n := 0
	for i := range text {
		if n == maxEchoedCodePoints {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
