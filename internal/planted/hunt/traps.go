package main

import "pipesync/internal/planted"

// suite is what may catch a bug: a package's tests, and what they are run with.
type suite struct {
	pkg   string
	tests string // of -test.run
	flags string // more of them, separated by spaces
}

var (
	// model compares replies and rows with those of plain maps. Of its histories one in
	// thirty shows the rarest bug: a hundred, as many as rapid draws, may all miss it.
	model = suite{pkg: "fsm", tests: "^TestAgainstModel$", flags: "-rapid.shrinktime=1s -rapid.checks=300"}
	// crashes loses what isn't synced at random moments.
	crashes = suite{pkg: "fsm", tests: "^TestCrashes$", flags: "-crash.seeds=200"}
	// swaps crashes at each write of a snapshot and a restore.
	swaps = suite{pkg: "fsm", tests: "^TestCrashAtEachWriteOfASnapshot$", flags: "-test.short"}
	// once delays proposals past look-ups and changes of the leader.
	once = suite{pkg: "fsm/admission", tests: "^TestAProposalDelayed|^TestTwoWithOneKeyInFlight$|^TestTheFence$"}
	// clustertime is about the only clock that rate windows see.
	clustertime = suite{pkg: "fsm/admission", tests: "Term|ClusterTime"}
	rot         = suite{pkg: "cluster", tests: "^TestNoFlippedBitIsServed$|^TestMisplacedEntriesAreRot$"}
	reads       = suite{pkg: "cluster", tests: "^TestDeposedLeaderGivesNoReadIndex$|^TestReadsNeverGoBack$"}
	commits     = suite{pkg: "cluster", tests: "^TestNothingBeyondTheRequestIsCommitted$"}
	newTerms    = suite{pkg: "cluster", tests: "^TestWhoHearsOfANewTermAppendsNothingOfIt$"}
	hops        = suite{pkg: "cluster", tests: "^TestHopFailures$"}
	peers       = suite{pkg: "cluster", tests: "^TestWhoIsRefusedAtThePeerPort$"}
	rotation    = suite{pkg: "cluster", tests: "^TestGossipKeysRotate$"}
	edge        = suite{pkg: "api", tests: "^TestKeyMadeElsewhere$"}
)

// trap says which suite has to catch a bug.
type trap struct {
	bug planted.Bug
	suite
}

var traps = []trap{
	{planted.CutUnflushed, crashes},
	{planted.HalfSwap, swaps},
	{planted.IndexAlone, crashes},
	{planted.NoTermFence, once},
	{planted.WallWindow, model},
	{planted.RebasedTime, clustertime},
	{planted.NoTombstone, model},
	{planted.UnchangedUnstamped, model},
	{planted.RevokedApplies, model},
	{planted.UnscopedApplies, model},
	{planted.FloorForTombstones, model},
	{planted.StaleTable, model},
	{planted.ForgetfulRequests, model},
	{planted.NoChecksum, rot},
	{planted.BareVerify, reads},
	{planted.OwnIndex, reads},
	{planted.CommitAhead, commits},
	{planted.ReplayedForward, hops},
	{planted.AnyCertificate, peers},
	{planted.ReusableToken, model},
	{planted.HastyRotation, rotation},
	{planted.LocalRefusal, edge},
	{planted.HeartbeatsBeside, newTerms},
}
