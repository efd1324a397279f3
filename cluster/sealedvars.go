package cluster

import (
	"encoding/binary"
	"fmt"

	"github.com/hashicorp/raft"
)

// sealedVariables seals Raft's variables: its term, and whom it voted for in
// which. A node that forgot a vote could elect two leaders.
type sealedVariables struct {
	store raft.StableStore
	alarm *rotAlarm
}

func (v *sealedVariables) Set(name, value []byte) error {
	return v.store.Set(name, sealVariable(name, value))
}

// Get returns the store's own error for what was never set: Raft knows it by
// its text.
func (v *sealedVariables) Get(name []byte) ([]byte, error) {
	stored, err := v.store.Get(name)
	if err != nil {
		return nil, v.alarm.read(err)
	}
	value, err := openVariable(name, stored)
	if err != nil {
		return nil, v.alarm.rotten(string(name), err)
	}
	return value, nil
}

func (v *sealedVariables) SetUint64(name []byte, value uint64) error {
	return v.Set(name, binary.BigEndian.AppendUint64(nil, value))
}

func (v *sealedVariables) GetUint64(name []byte) (uint64, error) {
	value, err := v.Get(name)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, v.alarm.rotten(string(name), fmt.Errorf("it has %d bytes, not 8", len(value)))
	}
	return binary.BigEndian.Uint64(value), nil
}
