package fsm

import "fmt"

// Bodies of the kinds that rotate the cluster's CA, after the 22 bytes that all
// entries share:
//
//	CA rotation begin      CA (text) │ replaces (32)
//	CA rotation advance    CA's SHA-256 (32) │ to (1)

func (c *CARotationBegin) encode() ([]byte, error) {
	if err := checkCA(c.CA); err != nil {
		return nil, encodeError("CA rotation begin", err)
	}
	e := beginEntry(KindCARotationBegin, c.RequestID, len(c.CA)+adminFieldBytes)
	e.textBytes(c.CA)
	e.raw(c.Replaces[:])
	return sealEntry(e.b), nil
}

func decodeCARotationBegin(d *decoder, h Header) (*CARotationBegin, error) {
	c := &CARotationBegin{RequestID: h.RequestID, CA: []byte(d.text("CA", MaxCABytes))}
	d.fill("replaces", c.Replaces[:])
	if d.err == nil {
		if err := checkCA(c.CA); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func checkCA(der []byte) error {
	if len(der) == 0 || len(der) > MaxCABytes {
		return fmt.Errorf("a CA's certificate of %d bytes, want 1..%d", len(der), MaxCABytes)
	}
	return nil
}

func (c *CARotationAdvance) encode() ([]byte, error) {
	if err := checkPhase(c.To); err != nil {
		return nil, encodeError("CA rotation advance", err)
	}
	e := beginEntry(KindCARotationAdvance, c.RequestID, adminFieldBytes)
	e.raw(c.CA[:])
	e.u8(byte(c.To))
	return sealEntry(e.b), nil
}

// checkPhase refuses what no rotation advances to.
func checkPhase(to RotationPhase) error {
	if to <= RotationTrust || to > RotationDone {
		return fmt.Errorf("to phase %d, want 2..4", to)
	}
	return nil
}

func decodeCARotationAdvance(d *decoder, h Header) (*CARotationAdvance, error) {
	c := &CARotationAdvance{RequestID: h.RequestID}
	d.fill("CA", c.CA[:])
	c.To = RotationPhase(d.u8("to"))
	if d.err == nil {
		if err := checkPhase(c.To); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}
