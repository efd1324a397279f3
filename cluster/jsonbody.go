package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxSmallBody bounds the bodies of all operations but a proposal.
const maxSmallBody = 16 << 10

// decodeStrict reads an operation's JSON body: a field that is not known is a
// request that this version can't honour.
func decodeStrict(body []byte, into any) error {
	if len(body) > maxSmallBody {
		return fmt.Errorf("reading a request of %d bytes: %w", len(body), ErrInvalid)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("reading a request: %w: %w", ErrInvalid, err)
	}
	return nil
}
