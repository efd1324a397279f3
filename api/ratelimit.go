package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"pipesync/fsm"
)

// setRateLimit tells the organization's window in the customary headers and in
// those of the IETF draft (draft-ietf-httpapi-ratelimit-headers). All times are
// whole seconds from now.
func setRateLimit(h http.Header, w fsm.Window) {
	reset := resetSeconds(w)
	h.Set("X-RateLimit-Limit", strconv.FormatUint(uint64(w.Limit), 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatUint(uint64(w.Remaining), 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	// The window's length is told without its allowance for drifting clocks.
	h.Set("RateLimit-Policy", fmt.Sprintf(`"syncs";q=%d;w=%d`, w.Limit, w.WindowMillis/1000))
	h.Set("RateLimit", fmt.Sprintf(`"syncs";r=%d;t=%d`, w.Remaining, reset))
}

func resetSeconds(w fsm.Window) int64 {
	return wholeSeconds(time.Duration(w.ResetMillis) * time.Millisecond)
}

// windowAfter is the organization's window as the decision left it, or as this
// node knows it where the leader had no part in the reply.
func (s *server) windowAfter(result *fsm.Result, org string) (w fsm.Window, known bool) {
	if result != nil && result.Sync != nil && result.Sync.Window.Limit != 0 {
		return result.Sync.Window, true
	}
	view, err := s.State.View()
	if err != nil {
		return w, false
	}
	defer view.Close()
	now := view.System().ClusterTime
	if s.ClusterTime != nil {
		now = max(now, s.ClusterTime())
	}
	w, _, err = view.Window(org, now)
	return w, err == nil
}
