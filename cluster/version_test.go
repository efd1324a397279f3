package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// testVersions has the cluster's version in the entries "raise 2" and so on.
type testVersions struct {
	supported atomic.Uint32
	sm        atomic.Pointer[bytelog]
}

func (v *testVersions) Supported() uint32 { return v.supported.Load() }

func (v *testVersions) Current() uint32 {
	sm := v.sm.Load()
	if sm == nil {
		return 0
	}
	current := uint32(1)
	for _, body := range sm.bodies() {
		var to uint32
		if _, err := fmt.Sscanf(body, "raise %d", &to); err == nil {
			current = max(current, to)
		}
	}
	return current
}

func (v *testVersions) Raise(to uint32) ([]byte, error) { return fmt.Appendf(nil, "raise %d", to), nil }

// versioned is a member whose program supports a version.
func versioned(t *testing.T, name string, supported uint32) (*member, *testVersions) {
	t.Helper()
	v := &testVersions{}
	v.supported.Store(supported)
	m := newMember(t, name, patient, func(c *Config) { c.Versions = v })
	v.sm.Store(m.sm)
	return m, v
}

func TestVersionFollowsTheOldestMember(t *testing.T) {
	t.Parallel()
	n1, v1 := versioned(t, "n1", 1)
	n1.bootstrap()
	n2, v2 := versioned(t, "n2", 3)
	n3, v3 := versioned(t, "n3", 1)
	for _, m := range []*member{n2, n3} {
		if err := m.Join(m.ctx(), n1.ports.peerAdvertise, testToken, m == n3); err != nil {
			t.Fatal(err)
		}
	}
	c, err := n1.running()
	if err != nil {
		t.Fatal(err)
	}
	raise := func(reported map[string]uint32) {
		t.Helper()
		if err := n1.raiseVersion(n1.ctx(), c, reported); err != nil {
			t.Fatal(err)
		}
	}
	raise(map[string]uint32{"n2": 3, "n3": 2})
	if got := v1.Current(); got != 1 {
		t.Fatalf("version %d, and the leader supports only 1", got)
	}
	v1.supported.Store(3) // its program was replaced
	raise(map[string]uint32{"n2": 3})
	if got := v1.Current(); got != 1 {
		t.Fatalf("version %d, and n3 hasn't reported", got)
	}
	v3.supported.Store(2)
	// Reports come by themselves; the non-voter has a say.
	eventually(t, "version 2", func() bool { return v1.Current() == 2 && v2.Current() == 2 && v3.Current() == 2 })
	v3.supported.Store(3)
	eventually(t, "version 3", func() bool { return v1.Current() == 3 })
	raise(map[string]uint32{"n2": 3, "n3": 3})
	if got := n1.read(); !slices.Equal(got, []string{"raise 2", "raise 3"}) {
		t.Errorf("entries %q", got)
	}

	late, v4 := versioned(t, "n4", 2)
	err = late.Join(late.ctx(), n2.ports.peerAdvertise, testToken, false)
	if !errors.Is(err, ErrVersionTooOld) || late.Status().ClusterID != "" {
		t.Errorf("a node that is too old joined: %v", err)
	}
	v4.supported.Store(4)
	if err := late.Join(late.ctx(), n2.ports.peerAdvertise, testToken, false); err != nil {
		t.Error(err)
	}
}

// A joiner that supports less waits until the raise is through, and is refused.
func TestNobodyJoinsWhileTheVersionIsRaised(t *testing.T) {
	t.Parallel()
	n1, v1 := versioned(t, "n1", 1)
	n1.bootstrap()
	eventually(t, "a leader", func() bool { return n1.Status().Ready })
	applying, goOn := make(chan struct{}), make(chan struct{})
	n1.sm.setStall(func(body []byte) {
		if string(body) == "raise 2" {
			close(applying)
			<-goOn
		}
	})
	v1.supported.Store(2)
	<-applying // the next exchange has proposed it
	late, _ := versioned(t, "n2", 1)
	joined := make(chan error, 1)
	ctx, cancel := context.WithCancel(late.ctx())
	defer cancel()
	go func() { joined <- late.Join(ctx, n1.ports.peerAdvertise, testToken, false) }()
	eventually(t, "the joiner to be let in", func() bool { return n1.gate.asked() > 0 })
	close(goOn)
	if err := <-joined; !errors.Is(err, ErrVersionTooOld) {
		t.Errorf("joined: %v", err)
	}
}
