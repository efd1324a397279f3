package cluster

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"
)

// gossip tells which members are alive, which version they run and where their
// HTTP port is. All of it is a hint: who is a member is Raft's configuration
// alone, and whoever holds the gossip key is trusted no further than this.
type gossip struct {
	cfg   Config
	id    identity
	ports ports

	mu    sync.Mutex
	alive map[string]gossipMeta // by id

	// running is held while it starts, stops or gets other keys.
	running sync.Mutex
	list    *memberlist.Memberlist // nil: it has no keys yet
	keyring *memberlist.Keyring
	held    *heldRing
	stopped bool
}

// NotifyJoin implements memberlist.EventDelegate, as do the next two. Nodes may
// be read only while they run: memberlist goes on changing them.
func (g *gossip) NotifyJoin(m *memberlist.Node) {
	meta, err := decodeGossipMeta(m.Meta)
	if err != nil {
		meta = gossipMeta{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive[m.Name] = meta
}

// NotifyUpdate is called when the meta has changed.
func (g *gossip) NotifyUpdate(m *memberlist.Node) { g.NotifyJoin(m) }

// NotifyLeave is called when the member has failed or has said goodbye.
func (g *gossip) NotifyLeave(m *memberlist.Node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.alive, m.Name)
}

// gossipReclaim is how long a dead member's name stays bound to its old
// address, so that a restarted node can come back with another.
const gossipReclaim = time.Second

func gossipLogger(to *slog.Logger) *log.Logger {
	return log.New(lineLogger{to.With("component", "gossip")}, "", 0)
}

// newGossip returns nil where there is no port for it. It starts with its first keys.
func newGossip(cfg Config, id identity, p ports) *gossip {
	if p.gossip == nil {
		return nil
	}
	return &gossip{cfg: cfg, id: id, ports: p, alive: make(map[string]gossipMeta)}
}

// use has it go on with the keys of ring, or start with them.
func (g *gossip) use(ring GossipRing) error {
	g.running.Lock()
	defer g.running.Unlock()
	if g.stopped || len(ring.Keys) == 0 || g.held != nil && g.held.Revision >= ring.Revision {
		return nil
	}
	held := ring.held()
	if g.list == nil {
		if err := g.start(ring); err != nil {
			return fmt.Errorf("starting gossip: %w", err)
		}
	} else if err := ring.install(g.keyring); err != nil {
		return fmt.Errorf("changing the keys of gossip: %w", err)
	}
	if ring.Revision > 0 {
		g.cfg.Logger.Info("gossip has the cluster's keys", "revision", held.Revision, "keys", held.Keys)
	}
	g.held = held
	return nil
}

// start is use for the first keys.
func (g *gossip) start(ring GossipRing) (err error) {
	if g.keyring, err = memberlist.NewKeyring(ring.Keys, ring.Keys[0]); err != nil {
		return err
	}
	p := g.ports
	mc := memberlist.DefaultLANConfig()
	mc.Name = g.id.NodeID
	mc.Label = g.id.ClusterID
	mc.Transport = p.gossip
	mc.BindPort, mc.AdvertisePort = p.gossipPort, p.gossipPort
	mc.AdvertiseAddr = p.gossipIP.String()
	mc.Keyring = g.keyring
	mc.GossipVerifyIncoming, mc.GossipVerifyOutgoing = true, true
	mc.DeadNodeReclaimTime = gossipReclaim
	if g.cfg.gossipSuspicion > 0 {
		mc.SuspicionMult = g.cfg.gossipSuspicion
	}
	mc.Delegate = gossipMeta{PeerAddr: p.peerAdvertise, HTTPAddr: g.cfg.HTTPAdvertise, Version: g.cfg.Version}
	mc.Events = g
	mc.Logger = gossipLogger(g.cfg.Logger)
	g.list, err = memberlist.Create(mc)
	return err
}

// started is the running gossip and the ring that it has, nil and nil before it has one.
func (g *gossip) started() (*memberlist.Memberlist, *heldRing) {
	if g == nil {
		return nil, nil
	}
	g.running.Lock()
	defer g.running.Unlock()
	if g.stopped {
		return nil, nil
	}
	return g.list, g.held
}

// fingerprints are those of the keys that it has, of which the first encrypts.
func (g *gossip) fingerprints() []string {
	if _, held := g.started(); held != nil {
		return held.Keys
	}
	return nil
}

// gossipFarewell bounds the wait for the news of this node's stop to spread.
const gossipFarewell = 500 * time.Millisecond

// stop says goodbye, so that the others see this node gone at once and let it
// come back with another address.
func (g *gossip) stop(logger *slog.Logger) error {
	if g == nil {
		return nil
	}
	g.running.Lock()
	defer g.running.Unlock()
	g.stopped = true
	if g.list == nil {
		g.ports.drainGossip()
		return nil
	}
	if err := g.list.Leave(gossipFarewell); err != nil {
		logger.Debug("saying goodbye by gossip", "error", err)
	}
	if err := g.list.Shutdown(); err != nil {
		return fmt.Errorf("stopping gossip: %w", err)
	}
	return nil
}

// seen returns the metas of the members that are alive, by id.
func (g *gossip) seen() map[string]gossipMeta {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.alive)
}

// gossipInterval is how often members that gossip doesn't see are looked for.
const gossipInterval = time.Second

// keepGossip meets the members of the configuration that gossip doesn't see:
// those that started after this node, and those behind a healed partition.
// Their gossip addresses are asked for over the peer port.
func (n *Node) keepGossip(ctx context.Context, c *core, g *gossip) {
	tick := time.NewTicker(min(gossipInterval, n.cfg.HeartbeatTimeout))
	defer tick.Stop()
	for {
		if list, _ := g.started(); list != nil {
			n.meetAll(ctx, c, g, list)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) meetAll(ctx context.Context, c *core, g *gossip, list *memberlist.Memberlist) {
	alive := g.seen()
	for _, s := range c.servers() {
		if _, ok := alive[string(s.ID)]; ok || s.ID == c.self {
			continue
		}
		if err := n.meet(ctx, c, list, s); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Debug("meeting a member by gossip", "member", s.ID, "error", err)
		}
	}
}

func (n *Node) meet(ctx context.Context, c *core, list *memberlist.Memberlist, s raft.Server) error {
	info, err := n.askInfo(ctx, c, s)
	if err != nil {
		return err
	}
	if info.GossipAddr == "" {
		return errors.New("its gossip has not started")
	}
	if _, err := list.Join([]string{info.GossipAddr}); err != nil {
		return fmt.Errorf("joining gossip at %s: %w", info.GossipAddr, err)
	}
	return nil
}
