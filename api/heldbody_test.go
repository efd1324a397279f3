package api

import "testing"

// TestFewOrganizationsLeaveRoomForOthers: those that send without end are refused
// while a small body of another still finds room.
func TestFewOrganizationsLeaveRoomForOthers(t *testing.T) {
	const bound = 512 << 20
	for _, c := range []struct {
		heavy []string
		hold  int64 // each, at least, in MiB
	}{
		{[]string{"a"}, 408},
		{[]string{"a", "b"}, 226},
		{[]string{"a", "b", "c", "d", "e", "f", "g", "h"}, 61},
	} {
		held := newHeldBodies(bound)
		var bodies []*heldBody
		for range 600 {
			for _, org := range c.heavy {
				body := &heldBody{held: held, org: org}
				if body.grow(1 << 20) {
					bodies = append(bodies, body)
				} else {
					body.release()
				}
			}
		}
		for _, org := range c.heavy {
			if got := held.of[org] >> 20; got < c.hold || got > c.hold+2 {
				t.Errorf("of %d, %s holds %d MiB, not %d", len(c.heavy), org, got, c.hold)
			}
		}
		small := &heldBody{held: held, org: "small"}
		if !small.grow(10 << 20) {
			t.Errorf("beside %d there is no room for another", len(c.heavy))
		}
		for _, body := range append(bodies, small, &heldBody{}) {
			body.release()
		}
		if held.total != 0 || len(held.of) != 0 {
			t.Errorf("%d bytes are held, of %v", held.total, held.of)
		}
	}
}
