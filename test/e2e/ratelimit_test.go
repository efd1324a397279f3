package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const (
	syncsAMinute = 100
	rateWindow   = time.Minute
)

func TestRateLimitIsOneForTheCluster(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	started := time.Now()
	for i := range syncsAMinute {
		got := s.sync(s.Nodes[i%3], tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`)))
		s.ok(got)
		s.limitHeaders(got, syncsAMinute-1-i)
	}
	for _, n := range s.Nodes {
		s.limited(n, tn)
	}
	if took := time.Since(started); took > rateWindow {
		t.Fatalf("the machine was too slow for this test: %v", took)
	}
	if n := len(s.all(s.Nodes[1], tn, "ns")); n != syncsAMinute {
		t.Errorf("%d records, want %d", n, syncsAMinute)
	}
	other := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], other, other.batch(client.Incremental, upsert("ns", "a", `{}`))))
}

// limited sends one sync too many and checks the refusal.
func (s *suite) limited(n *testcluster.Node, tn tenant) {
	s.Helper()
	got := s.sync(n, tn, tn.batch(client.Incremental, upsert("ns", "one too many", `{}`)))
	if e := s.refused(got, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED"); !e.Error.Retryable {
		s.Error("a rate limited sync isn't retryable")
	}
	s.limitHeaders(got, 0)
	if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 61 {
		s.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
}

func (s *suite) limitHeaders(got reply, remaining int) {
	s.Helper()
	limit, left := got.header.Get("X-RateLimit-Limit"), got.header.Get("X-RateLimit-Remaining")
	if limit != strconv.Itoa(syncsAMinute) || left != strconv.Itoa(remaining) {
		s.Errorf("%s remaining of %s, want %d of %d", left, limit, remaining, syncsAMinute)
	}
	if reset, err := strconv.Atoi(got.header.Get("X-RateLimit-Reset")); err != nil || reset < 0 || reset > 61 {
		s.Errorf("X-RateLimit-Reset: %q", got.header.Get("X-RateLimit-Reset"))
	}
	if got.header.Get("RateLimit") == "" || got.header.Get("RateLimit-Policy") == "" {
		s.Errorf("RateLimit: %q, RateLimit-Policy: %q", got.header.Get("RateLimit"), got.header.Get("RateLimit-Policy"))
	}
}

func TestRateLimitSurvivesLeadershipTransfer(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	started, granted := time.Now(), 0
	for i := range syncsAMinute + 1 {
		if i == 40 || i == 80 {
			s.must(s.TransferLeadership(s.ctx, s.follower()))
		}
		got := s.sync(s.Nodes[i%3], tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`)))
		switch {
		case i < syncsAMinute:
			s.ok(got)
			s.limitHeaders(got, syncsAMinute-1-i)
			granted++
		default:
			s.refused(got, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED")
		}
	}
	if took := time.Since(started); took > rateWindow {
		t.Fatalf("the machine was too slow for this test: %v", took)
	}
	if n := len(s.all(s.Nodes[2], tn, "ns")); n != granted || granted != syncsAMinute {
		t.Errorf("%d granted, %d records", granted, n)
	}
}

// Each attempt has a record id of its own, so that the records tell which
// attempts were applied, also those whose answer was lost.
func TestRateLimitSurvivesKill9(t *testing.T) {
	s := own(t, 3, testDeadline)
	tn := s.tenant(s.Nodes[0])
	started, attempts, refusals := time.Now(), 0, 0
	acknowledged := map[string]bool{}
	for refusals < 3 {
		if attempts == 50 {
			s.must(s.leader().Kill9())
		}
		id := fmt.Sprint("attempt-", attempts)
		n := s.Nodes[attempts%3]
		attempts++
		if !n.Running() {
			continue
		}
		_, err := s.as(tn, n).Sync(s.ctx, tn.batch(client.Incremental, upsert("ns", id, `{}`)))
		var refused *client.Error
		switch {
		case err == nil:
			acknowledged[id] = true
		case errors.As(err, &refused) && refused.Code == "RATE_LIMIT_EXCEEDED":
			refusals++
		case !expectedFailure(err):
			t.Fatal(err)
		}
		if attempts > 5*syncsAMinute {
			t.Fatalf("%d attempts and no refusal", attempts)
		}
	}
	if took := time.Since(started); took > rateWindow {
		t.Fatalf("the machine was too slow for this test: %v", took)
	}
	for _, n := range s.Nodes {
		if !n.Running() {
			s.must(n.Restart(s.ctx))
		}
		found := s.all(n, tn, "ns")
		if len(found) != syncsAMinute {
			t.Errorf("%s: %d syncs were applied, want %d", n.ID, len(found), syncsAMinute)
		}
		for id := range acknowledged {
			if _, ok := found[id]; !ok {
				t.Errorf("%s lost the acknowledged %s", n.ID, id)
			}
		}
	}
	t.Logf("%d attempts, %d acknowledged", attempts, len(acknowledged))
}

// Concurrent syncs through all nodes are granted exactly up to the limit: those
// in flight never make one be refused that had room.
func TestRateLimitIsExactUnderConcurrency(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	started := time.Now()
	type answer struct {
		status int
		err    error
	}
	answers := make(chan answer)
	for i := range syncsAMinute + 20 {
		go func() {
			got, err := s.send(s.Nodes[i%3], request{path: syncPath, key: tn.key,
				body: tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`))})
			answers <- answer{got.status, err}
		}()
	}
	count := map[int]int{}
	for range syncsAMinute + 20 {
		a := <-answers
		s.must(a.err)
		count[a.status]++
	}
	if took := time.Since(started); took > rateWindow {
		t.Fatalf("the machine was too slow for this test: %v", took)
	}
	if count[http.StatusOK] != syncsAMinute || count[http.StatusTooManyRequests] != 20 {
		t.Errorf("answers by status: %v", count)
	}
}

// A refused sync costs no log entry.
func TestRateLimitedSyncsAreNotLogged(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for i := range syncsAMinute {
		s.ok(s.sync(s.Nodes[i%3], tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`))))
	}
	entries := s.entriesOf(tn, func() {
		for i := range 30 {
			s.limited(s.Nodes[i%3], tn)
		}
	})
	if entries != 0 {
		t.Errorf("30 refusals wrote %d log entries", entries)
	}
}

// What only stored records can decide costs an entry, and a key so many of these a
// minute, through whichever nodes. It holds up no other key of the organization.
func TestRefusalsOfAKeyAreLimited(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.at(2, client.Incremental, upsert("ns", "a", `{}`))))
	var stale uint64
	var limited int
	entries := s.entriesOf(tn, func() {
		stale, limited = 0, 0
		for i := range 60 {
			got := s.sync(s.Nodes[i%3], tn, rejecting(tn.at(1, client.Incremental, upsert("ns", "a", `{}`))))
			if got.status != http.StatusTooManyRequests {
				s.refused(got, http.StatusConflict, "STALE_SYNC")
				stale++
				continue
			}
			limited++
			s.refused(got, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED")
			if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 3 {
				s.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
			}
		}
	})
	if entries != stale || stale < 20 || limited == 0 {
		t.Errorf("%d log entries for %d refusals by stored records; %d were told to wait", entries, stale, limited)
	}
	other, err := s.admin(s.Nodes[0]).CreateKey(s.ctx, client.KeyRequest{OrganizationID: tn.org, Name: s.Name(), VectorStoreID: tn.store})
	s.must(err)
	tn.key = other.Key
	s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, upsert("ns", "b", `{}`))))
}

// entriesOf returns how many entries the log gets while do runs. Marks come by
// themselves once a minute, and others with each leader: where it was one of those
// times, do runs again.
func (s *suite) entriesOf(tn tenant, do func()) uint64 {
	s.Helper()
	for {
		before := s.idleLog(tn)
		do()
		after := s.idleLog(tn)
		if after.Term == before.Term && after.State.Mark.Index == before.State.Mark.Index {
			return after.LastLogIndex - before.LastLogIndex
		}
		s.Logf("a mark or a change of leader is among entries %d to %d", before.LastLogIndex+1, after.LastLogIndex)
	}
}

// idleLog is the leader's status when it has applied all of its log.
func (s *suite) idleLog(tn tenant) (status client.Status) {
	s.Helper()
	s.await("an idle log", func(ctx context.Context) error {
		leader, err := s.Leader(ctx)
		if err != nil {
			return err
		}
		first, err := s.admin(leader).Status(ctx)
		if err != nil {
			return err
		}
		// A linearizable read waits for what is committed to be applied.
		if _, err := s.as(tn, leader).Namespaces(ctx, tn.store, client.ReadOptions{Consistency: client.Linearizable}); err != nil {
			return err
		}
		if status, err = s.admin(leader).Status(ctx); err != nil {
			return err
		}
		if status.LastLogIndex != first.CommitIndex || status.Term != first.Term {
			return fmt.Errorf("%d of %d were committed", first.CommitIndex, status.LastLogIndex)
		}
		if status.State.Mark == nil {
			status.State.Mark = &client.Mark{} // none yet
		}
		return nil
	})
	return status
}
