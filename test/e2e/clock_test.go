package e2e

import (
	"context"
	"fmt"
	"testing"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/vdso"
)

// A follower whose clock is an hour late, so that all certificates are from the future,
// goes by the clocks of the others: it takes the connections of a member that comes back,
// and the two are a majority without the third.
func TestAMemberWithAWrongClockTakesGoodCertificates(t *testing.T) {
	t.Parallel()
	if err := vdso.Available(); err != nil {
		netns.Unavailable(t, err)
	}
	s := own(t, 3, testDeadline)
	leader := s.leader()
	followers, err := s.Followers(s.ctx)
	s.must(err)
	wrong, back := followers[0], followers[1]
	s.await("the clocks of all at "+wrong.ID, func(ctx context.Context) error {
		members, err := s.admin(wrong).Members(ctx)
		if err != nil {
			return err
		}
		for _, m := range members.Members {
			if m.ClockOffsetMS == nil {
				return fmt.Errorf("that of %s isn't known", m.ID)
			}
		}
		return nil
	})
	clock, err := vdso.Take(wrong.Process().Pid())
	s.must(err)
	s.must(clock.Shift(-60))
	s.must(clock.Close())
	s.must(back.Stop(s.ctx))
	s.must(back.Restart(s.ctx))
	s.must(leader.Kill9())
	for _, n := range []*testcluster.Node{back, wrong} {
		s.await("a key through "+n.ID, func(ctx context.Context) error {
			_, err := s.admin(n).CreateKey(ctx, client.KeyRequest{OrganizationID: "org_clock_" + n.ID, Name: t.Name(), VectorStoreID: "vs_clock"})
			return err
		})
	}
}
