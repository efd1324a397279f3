package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"pipesync/internal/netns"
)

var linkFaults = []fault{
	{kind: "leader hears no member", needs: netns.CanCutLinks, begin: cutLinks(deafLeader)},
	{kind: "leader heard by no member", needs: netns.CanCutLinks, begin: cutLinks(muteLeader)},
	{kind: "answers of the leader to clients lost", needs: netns.CanCutLinks, begin: cutLinks(lostAnswers)},
	{kind: "one direction between two members lost", needs: netns.CanCutLinks, begin: cutLinks(oneDirection)},
	{kind: "members in a ring", needs: netns.CanCutLinks, nodes: 4, begin: cutLinks(ring)},
	{kind: "two halves", needs: netns.CanCutLinks, begin: cutLinks(halves)},
	{kind: "two halves that share a member", needs: netns.CanCutLinks, begin: cutLinks(bridge)},
	{kind: "minority of followers apart", needs: netns.CanCutLinks, begin: cutLinks(fewFollowers)},
	{kind: "leader in a minority", needs: netns.CanCutLinks, begin: cutLinks(fewWithLeader)},
}

// link is one direction between two hosts, one of which may be the hub.
type link struct{ from, to int }

// topology is which links to cut, and which hosts it is about. Of the hosts the leader's
// is the first, and the others are in an order of chance.
type topology func(rng *rand.Rand, hosts []int) (about []int, cut []link)

func deafLeader(_ *rand.Rand, hosts []int) ([]int, []link) {
	return hosts[:1], between(hosts[1:], hosts[:1])
}

func muteLeader(_ *rand.Rand, hosts []int) ([]int, []link) {
	return hosts[:1], between(hosts[:1], hosts[1:])
}

// lostAnswers has the leader do what clients want, and them never hear of it.
func lostAnswers(_ *rand.Rand, hosts []int) ([]int, []link) {
	return hosts[:1], []link{{hosts[0], netns.Hub}}
}

func oneDirection(rng *rand.Rand, hosts []int) ([]int, []link) {
	rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	return hosts[:2], between(hosts[:1], hosts[1:2])
}

// ring has each reach its two neighbours alone. Nobody but those agrees with a member on
// whom it reaches.
func ring(_ *rand.Rand, hosts []int) ([]int, []link) {
	var cut []link
	for i, from := range hosts {
		for j, to := range hosts {
			if apart := (i - j + len(hosts)) % len(hosts); apart > 1 && apart < len(hosts)-1 {
				cut = append(cut, link{from, to})
			}
		}
	}
	return hosts, cut
}

// halves leaves nobody a majority where the number is even.
func halves(rng *rand.Rand, hosts []int) ([]int, []link) {
	rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	return apart(hosts, len(hosts)/2)
}

// bridge has two halves that don't reach each other, and the last host reach both: each
// half has a majority with it where the number is odd.
func bridge(rng *rand.Rand, hosts []int) ([]int, []link) {
	rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	_, cut := apart(hosts[:len(hosts)-1], len(hosts)/2)
	return hosts, cut
}

func fewFollowers(_ *rand.Rand, hosts []int) ([]int, []link) {
	slices.Reverse(hosts)
	return apart(hosts, (len(hosts)-1)/2)
}

func fewWithLeader(_ *rand.Rand, hosts []int) ([]int, []link) {
	return apart(hosts, (len(hosts)-1)/2)
}

// apart cuts the first few hosts from the others.
func apart(hosts []int, few int) ([]int, []link) {
	return hosts[:few], append(between(hosts[:few], hosts[few:]), between(hosts[few:], hosts[:few])...)
}

func between(from, to []int) (links []link) {
	for _, f := range from {
		for _, t := range to {
			links = append(links, link{f, t})
		}
	}
	return links
}

// cutLinks has what goes over some links be lost. Clients in the hub reach all members,
// and hear them, where the topology doesn't say otherwise.
func cutLinks(choose topology) func(context.Context, *nemesis) (*broken, error) {
	return func(ctx context.Context, n *nemesis) (*broken, error) {
		leader, err := n.cluster.Leader(ctx)
		if err != nil {
			return nil, err
		}
		hosts := []int{n.host(leader)}
		for _, node := range n.shuffled() {
			if node != leader {
				hosts = append(hosts, n.host(node))
			}
		}
		about, cut := choose(n.rng, hosts)
		var done []link
		b := &broken{heal: func(context.Context) error {
			var all []error
			for _, l := range done {
				all = append(all, n.lab.HealLink(l.from, l.to))
			}
			return errors.Join(all...)
		}}
		for _, host := range about {
			b.on = append(b.on, n.cluster.Nodes[host])
		}
		for _, l := range cut {
			if err := n.lab.CutLink(l.from, l.to); err != nil {
				return b, errors.Join(err, b.heal(ctx))
			}
			done = append(done, l)
		}
		b.proof, err = n.lossProof(ctx, cut)
		return b, err
	}
}

const (
	// maxLinksTried of those that are cut, and as many of the others, are looked at.
	maxLinksTried = 3
	// arrivesWithin is how long a datagram may take that should arrive, and lostAfter,
	// after which time one is taken for lost that should be.
	arrivesWithin = 2 * time.Second
	lostAfter     = 300 * time.Millisecond
)

// lossProof sends datagrams over links that are cut, and over others.
func (n *nemesis) lossProof(ctx context.Context, cut []link) (string, error) {
	var told []string
	for _, lost := range []bool{true, false} {
		links := cut
		few := netns.Stream{Count: 5, Bytes: 100, Every: time.Millisecond, Within: lostAfter}
		if !lost {
			links, few.Within = n.others(cut), arrivesWithin
		}
		n.rng.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
		for _, l := range links[:min(len(links), maxLinksTried)] {
			f, err := n.flow(ctx, l.from, l.to, few)
			if err != nil || (f.Arrived == 0) != lost {
				return "", err
			}
			told = append(told, fmt.Sprintf("%d of %d from %s to %s", f.Arrived, f.Sent, n.hostName(l.from), n.hostName(l.to)))
		}
	}
	return "datagrams arrive: " + strings.Join(told, ", "), nil
}

// others are the links that aren't cut.
func (n *nemesis) others(cut []link) (links []link) {
	for from := netns.Hub; from < n.nodes; from++ {
		for to := netns.Hub; to < n.nodes; to++ {
			if l := (link{from, to}); from != to && !slices.Contains(cut, l) {
				links = append(links, l)
			}
		}
	}
	return links
}

func (n *nemesis) hostName(host int) string {
	if host == netns.Hub {
		return "the clients"
	}
	return n.cluster.Nodes[host].ID
}

func (n *nemesis) flow(ctx context.Context, from, to int, s netns.Stream) (netns.Flow, error) {
	self, err := asPart()
	if err != nil {
		return netns.Flow{}, err
	}
	return n.lab.Flow(ctx, self, from, to, s)
}

// asPart is the command for what a lab needs on a host.
func asPart() ([]string, error) {
	self, err := os.Executable()
	return []string{self, "--part"}, err
}
