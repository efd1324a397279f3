package operations

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// whoIsHere is what the document has the first machine's shells say.
const whoIsHere = "ME=n1 HERE=$N1\n"

// operator gives a command of pipesync again that has failed for a passing reason, as
// during an election, and takes it for done where the second time says so.
const operator = `pipesync() {
  local try code
  for try in 1 2 3 4 5; do
    command pipesync "$@" 2>/tmp/said && code=0 || code=$?
    cat /tmp/said >&2
    [ $code -ne 0 ] || return 0
    [ $try -eq 1 ] || ! grep -qE ' (MEMBER_NOT_FOUND|ALREADY_JOINED):' /tmp/said || return 0
    grep -qE ' (OUTCOME_UNKNOWN|NO_LEADER|NOT_READY|QUORUM_AT_RISK):' /tmp/said || return $code
    echo "the operator tries again: pipesync $*" >&2
    sleep 1
  done
  return $code
}
`

// documented are the addresses that the document has.
var documented = regexp.MustCompile(`192\.0\.2\.(\d+)`)

// run types the commands of a block, on one machine after the other. What no machine is
// named for goes before all that come later: there stand the addresses, which may be
// others here, and who the machine is.
func (w *walk) run(b block) {
	w.Helper()
	if b.machines == nil {
		w.everyShell += b.code
		return
	}
	everyShell := w.everyShell
	if w.lab.IPv6 {
		everyShell = documented.ReplaceAllString(everyShell, "[2001:db8::$1]")
	}
	for _, name := range b.machines {
		m := w.machines[name]
		if m == nil || !strings.Contains(everyShell, whoIsHere) {
			w.Fatalf("%s:%d: there is no machine %s, or no shell is told %q", documentFile, b.line, name, whoIsHere)
		}
		here := strings.Replace(everyShell, whoIsHere, fmt.Sprintf("ME=%s HERE=$%s\n", name, strings.ToUpper(name)), 1)
		began := time.Now()
		out, err := m.typed(w.ctx, operator+here, b.code)
		w.Logf("line %d on %s: %v", b.line, name, time.Since(began).Round(time.Millisecond))
		if strings.Contains(out, "the operator tries again") {
			w.Log(out)
		}
		if err != nil {
			w.Fatalf("%s:%d, on %s: %v\n%s\n%s", documentFile, b.line, name, err, b.code, out)
		}
	}
}
