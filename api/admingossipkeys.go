package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"pipesync/cluster"
	"pipesync/fsm"
)

// gossipKeysReply is the cluster's ring of gossip keys, by their fingerprints: a key is
// told nowhere.
type gossipKeysReply struct {
	Revision uint64           `json:"revision"` // 0: there is none yet
	Rotating bool             `json:"rotating"`
	Keys     []gossipKeyReply `json:"keys"` // the oldest first
	// WaitingFor are members that don't hold the ring as it is, or of which this node
	// doesn't know; Dead are those of them that nobody waits for.
	WaitingFor []string `json:"waiting_for"`
	Dead       []string `json:"dead"`
}

type gossipKeyReply struct {
	Fingerprint string   `json:"fingerprint"`
	Primary     bool     `json:"primary"`
	AddedAt     string   `json:"added_at"`
	HeldBy      []string `json:"held_by"` // ids of members
	UsedBy      []string `json:"used_by"` // of those that encrypt with it
}

func (s *server) handleGossipKeys(c *call) error {
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	return s.replyGossipKeys(c, http.StatusOK, view)
}

// handleGossipKeysRotate begins a rotation, which the leader goes on with.
func (s *server) handleGossipKeysRotate(c *call) error {
	command := &fsm.GossipKeyAdd{RequestID: mintRequestID()}
	_, _ = rand.Read(command.Key[:]) // never fails: it ends the process instead
	result, err := s.addGossipKey(c, command)
	if err != nil {
		return err
	}
	view, err := s.viewAt(c, result.Index)
	if err != nil {
		return err
	}
	defer view.Close()
	return s.replyGossipKeys(c, http.StatusAccepted, view)
}

// addGossipKey returns a result that is fsm.OK. However often the command is proposed,
// its key is added once.
func (s *server) addGossipKey(c *call, command *fsm.GossipKeyAdd) (*fsm.Result, error) {
	body, err := fsm.Encode(command)
	if err != nil {
		return nil, fmt.Errorf("encoding a command: %w", err)
	}
	ctx, cancel := c.within(s.Limits.SyncTimeout)
	defer cancel()
	result, err := s.proposeOnce(ctx, body, nil)
	if errors.Is(err, cluster.ErrOutcomeUnknown) {
		f := asFailure(err)
		f.unsafeRetry = true // would rotate to another key
		return nil, f
	}
	if err != nil {
		return nil, err
	}
	if result.Outcome != fsm.OK {
		return nil, refusal(result.Outcome)
	}
	return result, nil
}

func (s *server) replyGossipKeys(c *call, status int, view *fsm.View) error {
	ring, err := view.GossipRing()
	if err != nil {
		return fmt.Errorf("reading the gossip keys: %w", err)
	}
	members, err := s.Cluster.Members()
	if err != nil {
		return fmt.Errorf("listing the members: %w", err)
	}
	reply := gossipKeysReply{
		Revision: ring.Revision, Rotating: len(ring.Keys) > 1,
		Keys: make([]gossipKeyReply, len(ring.Keys)), WaitingFor: []string{}, Dead: []string{},
	}
	for i, k := range ring.Keys {
		reply.Keys[i] = gossipKeyReply{
			Fingerprint: cluster.GossipFingerprint(k.Key[:]), Primary: i == ring.Primary, AddedAt: timestamp(k.AddedAt),
			HeldBy: []string{}, UsedBy: []string{},
		}
	}
	if ring.Revision > 0 {
		reply.addHolders(members, s.Cluster.Status().Dead)
	}
	c.reply(status, reply)
	return nil
}

// addHolders adds which member has which keys.
func (reply *gossipKeysReply) addHolders(members []cluster.Member, dead []cluster.DeadMember) {
	for _, m := range members {
		current := len(m.GossipKeys) == len(reply.Keys)
		for i := range reply.Keys {
			k := &reply.Keys[i]
			held := slices.Contains(m.GossipKeys, k.Fingerprint)
			used := held && m.GossipKeys[0] == k.Fingerprint
			if held {
				k.HeldBy = append(k.HeldBy, m.ID)
			}
			if used {
				k.UsedBy = append(k.UsedBy, m.ID)
			}
			current = current && held && used == k.Primary
		}
		switch {
		case current:
		case !m.Alive && slices.ContainsFunc(dead, func(d cluster.DeadMember) bool { return d.ID == m.ID }):
			reply.Dead = append(reply.Dead, m.ID)
		default:
			reply.WaitingFor = append(reply.WaitingFor, m.ID)
		}
	}
}
