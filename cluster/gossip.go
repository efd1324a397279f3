package cluster

import (
	"context"
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
	list *memberlist.Memberlist

	mu    sync.Mutex
	alive map[string]gossipMeta // by id
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

// startGossip returns nil where there is no port for it.
func startGossip(cfg Config, id identity, p ports) (*gossip, error) {
	if p.gossip == nil {
		return nil, nil
	}
	meta := gossipMeta{PeerAddr: p.peerAdvertise, HTTPAddr: cfg.HTTPAdvertise, Version: cfg.Version}
	mc := memberlist.DefaultLANConfig()
	mc.Name = id.NodeID
	mc.Label = id.ClusterID
	mc.Transport = p.gossip
	mc.BindPort, mc.AdvertisePort = p.gossipPort, p.gossipPort
	mc.AdvertiseAddr = p.gossipIP.String()
	mc.SecretKey = cfg.GossipKey
	mc.GossipVerifyIncoming, mc.GossipVerifyOutgoing = true, true
	mc.DeadNodeReclaimTime = gossipReclaim
	g := &gossip{alive: make(map[string]gossipMeta)}
	mc.Delegate, mc.Events = meta, g
	mc.Logger = gossipLogger(cfg.Logger)
	var err error
	if g.list, err = memberlist.Create(mc); err != nil {
		return nil, fmt.Errorf("starting gossip: %w", err)
	}
	return g, nil
}

// gossipFarewell bounds the wait for the news of this node's stop to spread.
const gossipFarewell = 500 * time.Millisecond

// stop says goodbye, so that the others see this node gone at once and let it
// come back with another address.
func (g *gossip) stop(logger *slog.Logger) error {
	if g == nil {
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
		alive := g.seen()
		for _, s := range c.servers() {
			if _, ok := alive[string(s.ID)]; ok || s.ID == c.self {
				continue
			}
			if err := n.meet(ctx, c, g, s); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Debug("meeting a member by gossip", "member", s.ID, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) meet(ctx context.Context, c *core, g *gossip, s raft.Server) error {
	info, err := n.askInfo(ctx, c, s)
	if err != nil {
		return err
	}
	if _, err := g.list.Join([]string{info.GossipAddr}); err != nil {
		return fmt.Errorf("joining gossip at %s: %w", info.GossipAddr, err)
	}
	return nil
}
