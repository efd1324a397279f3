package storage

import "github.com/cockroachdb/pebble/v2"

// oneKindOfRecords has no table with rows of fingerprints beside rows of contents or of
// changes. The keys of the latter ascend, so that their tables overlap nothing and move down
// as they are, while those of fingerprints are merged level by level: what is in one table
// with them is written anew each time, too (ADR 34).
//
// It is a pebble.SpanPolicyFunc: a table ends at the end of the span that it begins in.
func oneKindOfRecords(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	for _, k := range [...]kind{kindFingerprint, kindContent, kindChange, kindChange + 1} {
		if start[0] < byte(k) {
			return policy, []byte{byte(k)}, nil
		}
	}
	return policy, nil, nil
}
