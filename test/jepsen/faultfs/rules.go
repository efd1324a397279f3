// Package faultfs is a file system that passes all calls on to a directory, until it is
// told to treat some of them as a broken disk does. It needs Linux, root and /dev/fuse.
package faultfs

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Rule is what becomes of one sort of calls. The zero value passes them on.
type Rule struct {
	OneIn int  `json:"one_in,omitzero"` // is treated so; 0: all are
	Fails bool `json:"fails,omitzero"`  // with EIO; of a write that fails the first half is done
	Hangs bool `json:"hangs,omitzero"`  // until there are other rules
	// From Min to Max is how long each takes before anything else is done.
	Min time.Duration `json:"min,omitzero"`
	Max time.Duration `json:"max,omitzero"`
}

// Rules are those of a whole file system. Names and sizes are always told.
type Rules struct {
	Reads  Rule `json:"reads,omitzero"`  // of files
	Writes Rule `json:"writes,omitzero"` // and whatever else changes files or directories
	Syncs  Rule `json:"syncs,omitzero"`
	// Spare is the name of a file that is written and synced as ever.
	Spare string `json:"spare,omitzero"`
	// FlipEvery, if not 0, has one read in so many return a wrong bit.
	FlipEvery int `json:"flip_every,omitzero"`
}

// Counts are calls that rules have changed, since the file system was mounted.
type Counts struct {
	Reads   int `json:"reads"`
	Writes  int `json:"writes"`
	Syncs   int `json:"syncs"`
	Flipped int `json:"flipped"`
}

// disk has the rules in force. Its methods may be called concurrently.
type disk struct {
	mu      sync.Mutex
	rules   Rules
	changed chan struct{} // closed when there are other rules
	rng     *rand.Rand
	counts  Counts
}

func newDisk(seed uint64) *disk {
	return &disk{changed: make(chan struct{}), rng: rand.New(rand.NewPCG(seed, 0))}
}

// set puts rules in force, and lets go of what hangs by the last.
func (d *disk) set(r Rules) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules = r
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *disk) counted() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts
}

func (d *disk) read() syscall.Errno {
	return d.call(func(r *Rules) Rule { return r.Reads }, func(c *Counts) *int { return &c.Reads })
}

// write is asked before the file or directory of that name is changed.
func (d *disk) write(name string) syscall.Errno {
	return d.call(func(r *Rules) Rule { return r.unlessSpared(name, r.Writes) }, func(c *Counts) *int { return &c.Writes })
}

func (d *disk) sync(name string) syscall.Errno {
	return d.call(func(r *Rules) Rule { return r.unlessSpared(name, r.Syncs) }, func(c *Counts) *int { return &c.Syncs })
}

func (r *Rules) unlessSpared(name string, rule Rule) Rule {
	if name == r.Spare {
		return Rule{}
	}
	return rule
}

// call returns when the rule for it says so. One that hung is under the rules that let
// it go.
func (d *disk) call(pick func(*Rules) Rule, count func(*Counts) *int) syscall.Errno {
	for {
		d.mu.Lock()
		rule, changed := pick(&d.rules), d.changed
		if rule.OneIn > 1 && d.rng.IntN(rule.OneIn) > 0 {
			rule = Rule{}
		}
		if rule != (Rule{}) {
			*count(&d.counts)++
		}
		delay := rule.Min
		if rule.Max > rule.Min {
			delay += time.Duration(d.rng.Int64N(int64(rule.Max - rule.Min)))
		}
		d.mu.Unlock()
		switch {
		case rule.Hangs:
			<-changed
			continue
		case rule.Fails:
			time.Sleep(delay)
			return syscall.EIO
		}
		time.Sleep(delay)
		return 0
	}
}

// flip flips a bit of what a read of the file of that name has returned, if the rules
// say so and it is aimed at anything.
func (d *disk) flip(name string, read []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rules.FlipEvery == 0 || d.rng.IntN(d.rules.FlipEvery) != 0 {
		return
	}
	if bit, ok := aim(name, read, d.rng); ok {
		read[bit/8] ^= 1 << (bit % 8)
		d.counts.Flipped++
	}
}
