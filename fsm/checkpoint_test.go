package fsm

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A late retry never moves a pipeline's state back.
func TestCheckpointsAreOrdered(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	for _, step := range []struct {
		name    string
		sync    *Sync
		outcome Outcome
		skipped bool
		state   string
	}{
		{"the first", newSync(Incremental).at(10).checkpointed("p", "1"), OK, false, "1"},
		{"newer", newSync(Incremental).at(20).checkpointed("p", "2"), OK, false, "2"},
		{"older", newSync(Incremental).at(19).checkpointed("p", "3"), OK, true, "2"},
		{"older, and rejecting", newSync(Incremental).at(19).checkpointed("p", "3").rejecting(), StaleSync, false, "2"},
		{"older, with a full refresh", newSync(FullRefresh, upsert("n", "a", "1")).at(19).checkpointed("p", "3"), OK, true, "2"},
		{"of the same time", newSync(Incremental).at(20).checkpointed("p", "4").rejecting(), OK, false, "4"},
		{"none", newSync(Incremental).at(30), OK, false, "4"},
		{"without a time", newSync(Incremental).checkpointed("p", "5"), OK, false, "5"},
		{"which leaves that of the stored one", newSync(Incremental).at(19).checkpointed("p", "6"), OK, true, "5"},
		{"with a stale operation", newSync(Incremental, upsert("n", "a", "2")).at(18).checkpointed("q", "7"), OK, false, "5"},
		{"a refused sync's", newSync(Incremental).at(400).checkpointed("p", "8"), TimestampInFuture, false, "5"},
	} {
		got := r.apply(step.sync)
		v := r.view()
		row, _, err := v.Checkpoint(testOrg, "p")
		v.Close()
		if got.Outcome != step.outcome || got.Sync.CheckpointSkipped != step.skipped || string(row.State) != step.state || err != nil {
			t.Errorf("%s: outcome %d, skipped %v, state %s, %v", step.name, got.Outcome, got.Sync.CheckpointSkipped, row.State, err)
		}
	}
	v := r.view()
	defer v.Close()
	if row, found, err := v.Checkpoint(testOrg, "q"); string(row.State) != "7" || !found || err != nil {
		t.Errorf("q: %+v, %v, %v", row, found, err)
	}
	if _, found, err := v.Checkpoint("org_b", "p"); found || err != nil {
		t.Errorf("another organization's: %v, %v", found, err)
	}
}

// A replay tells what came of the checkpoint, and doesn't store it again.
func TestCheckpointOfAReplay(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	r.mustApply(newSync(Incremental).at(20).checkpointed("p", "2"))
	s := newSync(Incremental).at(10).checkpointed("p", "1").keyed("k1")
	want := r.mustApply(s)
	got := r.apply(s.again("sync_2"))
	want.Outcome, want.Sync.Window = Replayed, got.Sync.Window
	if diff := cmp.Diff(want, got); diff != "" || !got.Sync.CheckpointSkipped {
		t.Errorf("replay (-want +got): %s", diff)
	}
	if got := r.apply(newSync(Incremental).at(10).checkpointed("p", "other").keyed("k1")); got.Outcome != IdempotencyKeyReused {
		t.Errorf("with another state: %+v", got)
	}
}

func TestCheckpointsOfAnOrganizationAreBounded(t *testing.T) {
	r := newHistoryRig(t, 1, 0)
	r.mustApply(&SettingsSet{Figures: []FigureValue{{1, MaxRequestsPerWindow}}})
	for i := range maxCheckpoints {
		r.mustApply(newSync(Incremental).checkpointed(fmt.Sprint("p", i), "1"))
	}
	before := dump(t, r.fsm)
	more := newSync(Incremental).checkpointed("more", "1")
	if got := r.apply(more); got.Outcome != QuotaExceeded {
		t.Errorf("one more: %+v", got)
	}
	if early := r.checkEarly(more, Stamp{ClusterTime: r.now, WallTime: r.wall}); early == nil || early.Outcome != QuotaExceeded {
		t.Errorf("the leader: %+v", early)
	}
	after := dump(t, r.fsm)
	after.seemsAt(before)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a refusal wrote %s", diff)
	}
	r.mustApply(newSync(Incremental).checkpointed("p7", "2"))
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	r.mustApply(&CheckpointDelete{Org: testOrg, KeyID: testKey, Pipeline: "p9"})
	r.mustApply(more)
}

// A pipeline whose checkpoint was deleted begins anew, with a timestamp of any age, and
// makes room for another.
func TestCheckpointDelete(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	r.mustApply(&KeyCreate{KeyID: "key_reader", Org: testOrg, Scope: Scope{Actions: MayRead | MayDeleteNamespace}})
	r.mustApply(&KeyCreate{KeyID: "key_deleter", Org: testOrg, Scope: Scope{Actions: MayDelete, Stores: []string{"vs_other"}}})
	r.mustApply(&KeyCreate{KeyID: "key_other", Org: "org_b"})
	r.mustApply(&KeyCreate{KeyID: "key_gone", Org: testOrg})
	r.mustApply(&KeyRevoke{KeyID: "key_gone"})
	r.mustApply(newSync(Incremental).at(20).checkpointed("p", "2"))
	before := dump(t, r.fsm)
	for _, c := range []struct {
		org, key, pipeline string
		want               Outcome
	}{
		{testOrg, "key_none", "p", KeyNotFound},
		{testOrg, "key_gone", "p", KeyRevoked},
		{testOrg, "key_other", "p", OrgMismatch},
		{testOrg, "key_reader", "p", KeyScopeDenied},
		{testOrg, testKey, "q", CheckpointNotFound},
		{"org_b", "key_other", "p", CheckpointNotFound},
	} {
		if got := r.apply(&CheckpointDelete{Org: c.org, KeyID: c.key, Pipeline: c.pipeline}); got.Outcome != c.want {
			t.Errorf("%+v: outcome %d", c, got.Outcome)
		}
	}
	after := dump(t, r.fsm)
	after.seemsAt(before)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("refusals wrote %s", diff)
	}
	r.mustApply(&CheckpointDelete{Org: testOrg, KeyID: "key_deleter", Pipeline: "p"})
	if got := r.apply(&CheckpointDelete{Org: testOrg, KeyID: testKey, Pipeline: "p"}); got.Outcome != CheckpointNotFound {
		t.Errorf("again: outcome %d", got.Outcome)
	}
	if d := dump(t, r.fsm); d.HistoryHeads[testOrg].Checkpoints != 0 || len(d.Checkpoints) != 0 {
		t.Errorf("left are %d, %v", d.HistoryHeads[testOrg].Checkpoints, d.Checkpoints)
	}
	if got := r.mustApply(newSync(Incremental).at(1).checkpointed("p", "1")); got.Sync.CheckpointSkipped {
		t.Error("an older one was skipped")
	}
}
