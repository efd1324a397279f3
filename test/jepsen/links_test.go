package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pipesync/internal/netns"
)

// Each topology is what its kind says, in clusters of all sizes. Host 0 leads.
func TestTopologies(t *testing.T) {
	for name, c := range map[string]struct {
		choose topology
		holds  func(n int, about []int, hears func(from, to int) bool) bool
	}{
		"leader hears no member": {deafLeader, func(n int, about []int, hears func(from, to int) bool) bool {
			return slices.Equal(about, []int{0}) && every(n, func(from, to int) bool { return hears(from, to) == (to != 0) })
		}},
		"leader heard by no member": {muteLeader, func(n int, about []int, hears func(from, to int) bool) bool {
			return slices.Equal(about, []int{0}) && every(n, func(from, to int) bool { return hears(from, to) == (from != 0) })
		}},
		"answers of the leader to clients lost": {lostAnswers, func(n int, about []int, hears func(from, to int) bool) bool {
			return slices.Equal(about, []int{0}) && every(n, hears) && !hears(0, netns.Hub) && hears(netns.Hub, 0) && hears(1, netns.Hub)
		}},
		"one direction between two members lost": {oneDirection, func(n int, about []int, hears func(from, to int) bool) bool {
			return every(n, func(from, to int) bool { return hears(from, to) != (from == about[0] && to == about[1]) })
		}},
		"members in a ring": {ring, func(n int, about []int, hears func(from, to int) bool) bool {
			return len(about) == n && every(n, func(from, to int) bool { return hears(from, to) == hears(to, from) && degree(n, from, hears) == 2 })
		}},
		"two halves": {halves, func(n int, about []int, hears func(from, to int) bool) bool {
			return len(about) == n/2 && separates(n, about, hears)
		}},
		"two halves that share a member": {bridge, func(n int, about []int, hears func(from, to int) bool) bool {
			shared := about[n-1]
			return degree(n, shared, hears) == n-1 && every(n, func(from, to int) bool {
				return from == shared || hears(from, to) == hears(to, from) && degree(n, from, hears) >= n/2-1 && degree(n, from, hears) < n-1
			})
		}},
		"minority of followers apart": {fewFollowers, func(n int, about []int, hears func(from, to int) bool) bool {
			return len(about) == (n-1)/2 && !slices.Contains(about, 0) && separates(n, about, hears)
		}},
		"leader in a minority": {fewWithLeader, func(n int, about []int, hears func(from, to int) bool) bool {
			return len(about) == (n-1)/2 && about[0] == 0 && separates(n, about, hears)
		}},
	} {
		for n := 3; n <= 7; n++ {
			if name == "members in a ring" && n == 3 {
				continue // nothing is lost
			}
			hosts := make([]int, n)
			for i := range hosts {
				hosts[i] = i
			}
			about, cut := c.choose(rand.New(rand.NewPCG(uint64(n), 0)), hosts)
			hears := func(from, to int) bool { return !slices.Contains(cut, link{from, to}) }
			if !c.holds(n, about, hears) {
				t.Errorf("%s of %d: %v, cut are %v", name, n, about, cut)
			}
		}
	}
}

// every says whether it is so for all links between hosts.
func every(n int, is func(from, to int) bool) bool {
	for from := range n {
		for to := range n {
			if from != to && !is(from, to) {
				return false
			}
		}
	}
	return true
}

// degree is how many others a host hears.
func degree(n, host int, hears func(from, to int) bool) (d int) {
	for other := range n {
		if other != host && hears(other, host) {
			d++
		}
	}
	return d
}

// separates says whether all links are cut between these and the others, and no others.
func separates(n int, some []int, hears func(from, to int) bool) bool {
	return every(n, func(from, to int) bool {
		return hears(from, to) == (slices.Contains(some, from) == slices.Contains(some, to))
	})
}
