package main

import (
	"fmt"
	"strings"
	"time"

	"pipesync/internal/planted"
	"pipesync/internal/seeds"
)

// trap says what has to catch a planted bug.
type trap struct {
	bug planted.Bug
	// alone has it live in one node: one that writes otherwise than the others. Else it
	// is live in all.
	alone bool
	scenario
	check string // that has to break
}

// scenario is what the clients and the nemesis of a run do. Runs of one scenario differ by
// their seeds.
type scenario struct {
	faults string // as of --fault
	time   time.Duration
	pace   float64       // as of --pace; 0: as usual
	window time.Duration // as of --window; 0: as usual
}

var (
	// written has one of everything that the state machine writes.
	written = scenario{faults: "kill of a member", time: 15 * time.Second, pace: 0.3}
	// failovers have a leader go with requests under way.
	failovers = scenario{faults: "kill of the leader,pause of the leader", time: 20 * time.Second, pace: 0.3}
	// majorityGone has those who are left say what became of requests to a leader.
	majorityGone = scenario{faults: "kill of a majority", time: 15 * time.Second, pace: 0.3}
	strangers    = scenario{faults: "stranger at the peer ports,member that looks at no scope", time: 6 * time.Second, pace: 0.2}
	twoJoiners   = scenario{faults: "join token used twice", time: 10 * time.Second, pace: 0.3}
	lateMember   = scenario{faults: "gossip key rotated", time: 10 * time.Second, pace: 0.3}
	backups      = scenario{faults: "backup taken and restored", time: 8 * time.Second, pace: 0.3}
	flippedLog   = scenario{faults: "bit flipped in the log", time: 10 * time.Second, pace: 0.3}
	installing   = scenario{faults: "kill while a snapshot is installed", time: 10 * time.Second, pace: 0.3}
	// wrongClocks are an hour ahead, while windows are used up again and again.
	wrongClocks = scenario{faults: "clocks of a majority an hour ahead", time: 15 * time.Second, pace: 0.3, window: 8 * time.Second}
	// stuttering has the leader fall behind its followers.
	stuttering = scenario{faults: "leader stutters", time: 15 * time.Second, pace: 0.3}
	// busyWindows are much used, and short enough to be used up again and again.
	busyWindows = scenario{faults: "leader stutters", time: 20 * time.Second, pace: 0.5, window: 8 * time.Second}
)

var traps = []trap{
	{bug: planted.WallWindow, alone: true, scenario: written, check: "replicas"},
	{bug: planted.WallWindow, scenario: wrongClocks, check: "rate limit"},
	{bug: planted.NoTombstone, scenario: written, check: "contents"},
	{bug: planted.UnchangedUnstamped, scenario: written, check: "contents"},
	{bug: planted.RevokedApplies, scenario: written, check: "keys"},
	{bug: planted.LocalRefusal, scenario: written, check: "keys"},
	{bug: planted.FloorForTombstones, scenario: written, check: "changes"},
	{bug: planted.ForgetfulRequests, scenario: failovers, check: "exactly once"},
	{bug: planted.ReplayedForward, scenario: majorityGone, check: "exactly once"},
	{bug: planted.AnyCertificate, scenario: strangers, check: "attempts"},
	{bug: planted.UnscopedApplies, scenario: strangers, check: "attempts"},
	{bug: planted.ReusableToken, scenario: twoJoiners, check: "attempts"},
	{bug: planted.HastyRotation, scenario: lateMember, check: "attempts"},
	{bug: planted.RebasedTime, scenario: busyWindows, check: "rate limit"},
	{bug: planted.CutUnflushed, scenario: backups, check: "backups"},
	{bug: planted.NoChecksum, scenario: flippedLog, check: "rot"},
	{bug: planted.HalfSwap, scenario: installing, check: "crashes"},
	{bug: planted.OwnIndex, scenario: stuttering, check: "real time"},
}

// unseen are the bugs that no trap is for, and why nobody can see them from outside of the
// process, in ten minutes. The tests of their packages catch them (internal/planted/hunt).
var unseen = map[planted.Bug]string{
	planted.IndexAlone: "the database has to begin to be flushed in the microseconds between two commits that follow one another, " +
		"which it is every 30 s or 32 MiB, and the process to end before the next flush",
	planted.NoTermFence: "a leader would have to lose its term and win another between stamping an entry and handing it to Raft, which is " +
		"microseconds; Raft refuses what waits for it when it steps down",
	planted.StaleTable: "tombstones are collected every ten minutes",
	planted.BareVerify: "an answer from before another leader was elected has to arrive afterwards, but before the lease ends, " +
		"which is half of the time that an election takes to begin; a leader that stands still in between has to take up a read before it",
	planted.CommitAhead: "appends to a disk have to fail again and again, without that the process ends, between the moment in which a " +
		"former leader has stored the new term and the first entry of it",
	planted.HeartbeatsBeside: "the first that a former leader's main loop hears of after a heartbeat of the new term has to be a proposal: " +
		"ten minutes of pauses of a leader didn't have it, one of the runs of 21 minutes with everything else did",
}

// chooseTraps picks those to try: all, those of one bug, or so many of the day. Samples of
// following days follow each other, so that each comes round.
func chooseTraps(bug string, sample int) (chosen []trap, err error) {
	if bug != "" {
		var names []string
		for _, t := range traps {
			if string(t.bug) == bug {
				chosen = append(chosen, t)
			}
			names = append(names, string(t.bug))
		}
		if len(chosen) > 0 {
			return chosen, nil
		}
		return nil, fmt.Errorf("--planted is %q: it must be one of %s", bug, strings.Join(names, ", "))
	}
	if sample <= 0 {
		return traps, nil
	}
	number, err := seeds.Day()
	if err != nil {
		return nil, err
	}
	date, err := time.Parse("20060102", fmt.Sprint(number))
	if err != nil {
		return nil, fmt.Errorf("reading the day of %s: %w", seeds.DayEnv, err)
	}
	first := int(date.Unix()/86_400) * sample
	for i := range min(sample, len(traps)) {
		chosen = append(chosen, traps[(first+i)%len(traps)])
	}
	return chosen, nil
}
