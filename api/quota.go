package api

import (
	"fmt"

	"pipesync/fsm"
)

const reasonQuotaExceeded = "QUOTA_EXCEEDED"

// tellExcess names the quota, what there would be and what may be.
func (f *failure) tellExcess(e *fsm.Excess) {
	rule := fmt.Sprintf("would be %d, and may be at most %d", e.Figure, e.Limit)
	f.message = fmt.Sprintf("the organization's quota %s %s", e.Quota, rule)
	f.details = []detail{{Field: e.Quota.String(), Code: reasonQuotaExceeded, Message: rule}}
	f.total = 1
}
