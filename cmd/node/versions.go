package main

import (
	"crypto/rand"

	"pipesync/fsm"
)

// versions tells the cluster's version, by the state.
type versions struct{ state *fsm.FSM }

func (versions) Supported() uint32 { return fsm.MaxClusterVersion }

// Current implements cluster.Versions. A state that is being replaced has none for
// the moment.
func (v versions) Current() uint32 {
	view, err := v.state.View()
	if err != nil {
		return 0
	}
	defer view.Close()
	return view.System().ClusterVersion
}

func (versions) Raise(version uint32) ([]byte, error) {
	command := &fsm.VersionRaise{Version: version}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	return fsm.Encode(command)
}
