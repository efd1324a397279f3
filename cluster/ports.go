package cluster

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/hashicorp/memberlist"
)

// ports are a node's bound ports and the addresses that others reach them at.
type ports struct {
	peer            net.Listener
	peerAdvertise   string
	gossip          *memberlist.NetTransport // nil: none
	gossipBound     string
	gossipIP        net.IP
	gossipPort      int
	gossipAdvertise string
}

// gossipBindAttempts is how often a free port is looked for that TCP and UDP
// can share.
const gossipBindAttempts = 10

func bindPorts(cfg Config) (p ports, err error) {
	if p.peer, err = cfg.Simulation.Listen(cfg.PeerBind); err != nil {
		return p, fmt.Errorf("binding the peer port: %w", err)
	}
	defer func() {
		if err != nil {
			_ = p.peer.Close()
			if p.gossip != nil {
				_ = p.gossip.Shutdown()
			}
		}
	}()
	if p.peerAdvertise, err = advertised(cfg.PeerAdvertise, p.peer.Addr().String()); err != nil {
		return p, fmt.Errorf("the peer port's advertised address: %w", err)
	}
	if !cfg.Simulation.NoGossip {
		if err = p.bindGossip(cfg); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *ports) bindGossip(cfg Config) error {
	ip, port, err := resolve(cfg.GossipBind)
	if err != nil {
		return fmt.Errorf("binding the gossip port: %w", err)
	}
	nc := &memberlist.NetTransportConfig{
		BindAddrs: []string{ip.String()}, BindPort: port, Logger: gossipLogger(cfg.Logger),
	}
	for range gossipBindAttempts {
		if p.gossip, err = memberlist.NewNetTransport(nc); err == nil || port != 0 {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("binding the gossip port: %w", err)
	}
	bound := p.gossip.GetAutoBindPort()
	p.gossipBound = net.JoinHostPort(ip.String(), strconv.Itoa(bound))
	advertise := cfg.GossipAdvertise
	if advertise == "" && ip.IsUnspecified() {
		// The host that others reach the peer port at serves gossip too.
		host, _, _ := net.SplitHostPort(p.peerAdvertise)
		advertise = net.JoinHostPort(host, strconv.Itoa(bound))
	}
	p.gossipAdvertise, err = advertised(advertise, p.gossipBound)
	if err == nil {
		p.gossipIP, p.gossipPort, err = resolve(p.gossipAdvertise)
	}
	if err != nil {
		return fmt.Errorf("the gossip port's advertised address: %w", err)
	}
	return nil
}

// advertised returns the address to tell others: the wanted one, or the bound
// one where that is a real address.
func advertised(wanted, bound string) (string, error) {
	if wanted == "" {
		wanted = bound
	}
	return wanted, checkAddr(wanted)
}

const maxAddrBytes = 255

// checkAddr makes sure that addr is a host:port that can be dialed.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("reading the address %q: %w", addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("reading the address %q: %q is no port", addr, port)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("reading the address %q: nobody can dial it; an advertised address is required", addr)
	}
	if len(addr) > maxAddrBytes {
		return fmt.Errorf("reading the address %q: longer than %d bytes", addr, maxAddrBytes)
	}
	return nil
}

// resolve splits addr and looks its host up. An empty host is any address.
func resolve(addr string) (net.IP, int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the address %q: %w", addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the address %q: %w", addr, err)
	}
	if host == "" {
		return net.IPv6unspecified, int(n), nil
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip, int(n), nil
	}
	ips, err := net.LookupIP(host)
	if err == nil && len(ips) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("looking %q up: %w", host, err)
	}
	return ips[0], int(n), nil
}
