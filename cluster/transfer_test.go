package cluster

import (
	"testing"
	"time"
)

// Raft gives an attempt up before the other node begins its term: leadership is handed
// over once all the same.
func TestAnAttemptThatComesTrueLate(t *testing.T) {
	f := &heldFile{writing: make(chan struct{}, 1), proceed: make(chan struct{})}
	all := newCluster(t, 2, func(c *Config) {
		if c.NodeID == "n2" {
			c.Simulation.OpenLog = func(dir string) (_ LogFile, err error) {
				f.LogFile, err = openBolt(dir)
				return f, err
			}
		}
	})
	leader, next := all[0], all[1]
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
