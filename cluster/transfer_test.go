package cluster

import (
	"testing"
	"time"
)

// Raft gives an attempt up before the other node begins its term: leadership is handed
// over once all the same.
func TestAnAttemptThatComesTrueLate(t *testing.T) {
	leader, next, f := newHeldPair(t)
	term := leader.Status().Term
	f.held.Store(true)
	handed := make(chan error, 1)
	go func() { handed <- leader.TransferLeadership(leader.ctx(), "") }()
	<-f.writing
	asked := time.Now()
	eventually(t, "Raft to give up", func() bool { return time.Since(asked) > leader.cfg.ElectionTimeout+100*time.Millisecond })
	f.held.Store(false)
	close(f.proceed)
	if err := <-handed; err != nil {
		t.Fatal(err)
	}
	if s := next.Status(); s.Role != RoleLeader || s.Term != term+1 {
		t.Errorf("it is %s in term %d, and should lead in %d", s.Role, s.Term, term+1)
	}
}
