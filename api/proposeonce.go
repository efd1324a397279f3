package api

import (
	"cmp"
	"context"
	"errors"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
)

const (
	minProposePause = 20 * time.Millisecond
	maxProposePause = 500 * time.Millisecond
)

// proposeOnce has the cluster decide about a sync, or another command that is applied
// once however often it is proposed. It proposes the same bytes again where the outcome
// is unknown, until ctx's deadline: a sync under its request id, of which the second
// proposal is answered with what became of the first. Where that has too few contents,
// whole, which is nil for what is no sync, makes the body that is proposed from then
// on; whichever of them comes first is applied, and with the same result.
//
// After an unknown outcome only a reply that says that it was applied is
// certain. The first proposal may still be on its way to the leader that has just
// refused the second, and be applied when the reason has passed. So anything
// else is told as unknown.
func (s *server) proposeOnce(ctx context.Context, body []byte, whole func() ([]byte, error)) (*fsm.Result, error) {
	var unknown error
	for pause := minProposePause; ; pause = min(2*pause, maxProposePause) {
		result, err := s.propose(ctx, body)
		switch {
		case err == nil && result.Outcome == fsm.ContentsOmitted && whole != nil:
			if body, err = whole(); err != nil {
				return nil, cmp.Or(unknown, err)
			}
			whole = nil
			continue
		case errors.Is(err, cluster.ErrOutcomeUnknown):
			unknown = err
		case unknown == nil, err == nil && isApplied(result):
			return result, err
		case !errors.Is(err, cluster.ErrOverloaded):
			return nil, unknown
		}
		if !sleep(ctx, pause) {
			return nil, unknown
		}
	}
}

func isApplied(r *fsm.Result) bool { return r.Outcome == fsm.OK || r.Outcome == fsm.Replayed }

// sleep returns false where ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
