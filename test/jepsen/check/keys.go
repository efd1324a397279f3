package check

import (
	"pipesync/test/jepsen/history"
)

const invalidKey = "INVALID_API_KEY"

// Keys has each API key work through every node as soon as it is made, and through none
// any more once its revocation is acknowledged: no sync with it is applied behind that,
// whenever it was sent. One that may only read writes nothing.
func Keys(h *history.History) *Report {
	r := newReport("keys")
	keys := map[string]*history.Key{}
	for i := range h.Keys {
		keys[h.Keys[i].ID] = &h.Keys[i]
		r.Figures["keys"]++
		if h.Keys[i].Revoked != 0 {
			r.Figures["keys that were revoked"]++
		}
	}
	for i := range h.Ops {
		op := &h.Ops[i]
		k := keys[op.KeyID]
		if k == nil {
			continue
		}
		r.Figures["uses"]++
		switch {
		case op.Outcome == history.OK:
			r.checkUse(op, k)
		case op.Code == invalidKey:
			r.Figures["refusals"]++
			if k.Revoking == 0 || op.Returned < k.Revoking {
				r.found([]int{op.ID}, "key %s was made by %v, and refused through %s at %v", k.ID, k.Made, op.Node, op.Invoked)
			}
		}
	}
	for _, c := range h.Commits {
		if k := keys[c.KeyID]; k != nil && k.RevokedIndex != 0 && c.Index > k.RevokedIndex {
			r.found(nil, "key %s was revoked at index %d, and the history has %s with it at %d", k.ID, k.RevokedIndex, c.SyncID, c.Index)
		}
	}
	return r
}

func (r *Report) checkUse(op *history.Op, k *history.Key) {
	ordered := op.Sync != nil || op.Read.Linearizable
	switch {
	case op.Sync != nil && k.ReadOnly:
		r.found([]int{op.ID}, "a sync with key %s, which may only read, was applied at index %d", k.ID, op.Sync.Index)
	case op.Sync != nil && k.RevokedIndex != 0 && op.Sync.Index > k.RevokedIndex:
		r.found([]int{op.ID}, "key %s was revoked at index %d, and a sync with it was applied at %d", k.ID, k.RevokedIndex, op.Sync.Index)
	case ordered && k.Revoked != 0 && op.Invoked > k.Revoked:
		r.found([]int{op.ID}, "key %s was revoked by %v, and was good for something through %s at %v", k.ID, k.Revoked, op.Node, op.Invoked)
	}
}
