package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
	"pipesync/test/jepsen/rot"
)

const (
	// noticeSeconds is how long a node may take to notice what it has a reason to read.
	noticeSeconds = 20
	// readSeconds is how long a node that runs on is given for that, before it is
	// restarted: it may have in memory what is damaged on its disk.
	readSeconds = 3
)

const (
	bitFlipped = "bit flipped"
	tailTorn   = "tail torn"
)

// damage is something that is done to files of a minority.
type damage struct {
	file string // kind
	how  string
	// find finds what to damage, in the directory of a node that stands still.
	find func(dir string, rng *rand.Rand) (rot.Place, error)
	// stopped wants the node stopped, not just paused.
	stopped bool
	// scrubbed has it read in a scrub; else it is read at a start.
	scrubbed bool
	// cut says that its end may be cut off as well as become zero.
	cut bool
	// replayed says that the node may get from elsewhere what was there.
	replayed bool
}

var damageFaults = []fault{
	{kind: "bit flipped in the log", begin: damage{file: "log", how: bitFlipped, find: rot.LogEntry}.begin},
	{kind: "bit flipped in the term", begin: damage{file: "log", how: bitFlipped, find: rot.LogVariable, stopped: true}.begin},
	{kind: "bit flipped in a page of the log", begin: damage{file: "log", how: bitFlipped, find: rot.LogPage, stopped: true}.begin},
	{kind: "bit flipped in a table", begin: damage{file: "table", how: bitFlipped, find: rot.TableBlock, scrubbed: true}.begin},
	{kind: "bit flipped in the manifest", begin: damage{file: "manifest", how: bitFlipped, find: rot.ManifestRecord, replayed: true}.begin},
	{kind: "bit flipped in META of a snapshot", begin: damage{file: "snapshot", how: bitFlipped, find: rot.SnapshotMeta, stopped: true}.begin},
	{kind: "bit flipped in a snapshot that is sent", begin: damage{file: "snapshot", how: bitFlipped, find: rot.SnapshotFile, scrubbed: true}.beginSending},
	{kind: "tail of the log torn", begin: damage{file: "log", how: tailTorn, find: rot.LogTail, stopped: true, cut: true}.begin},
	{kind: "tail of a table torn", begin: damage{file: "table", how: tailTorn, find: rot.TableTail, stopped: true, scrubbed: true}.begin},
	{kind: "tail of a snapshot torn", begin: damage{file: "snapshot", how: tailTorn, find: rot.SnapshotTail, stopped: true, cut: true}.begin},
	{kind: "tail of the manifest torn", begin: damage{file: "manifest", how: tailTorn, find: rot.ManifestTail, stopped: true, cut: true, replayed: true}.begin},
}

// victim is a node with a damaged file.
type victim struct {
	node   *testcluster.Node
	rot    history.Rot
	place  rot.Place
	ranOn  bool
	logged int64 // bytes of the node's log before the damage
}

// begin damages a file of each of a minority, and waits until they have noticed. Those
// that have ended are reseeded.
func (d damage) begin(ctx context.Context, n *nemesis) (*broken, error) {
	b := &broken{heal: nothing}
	most := (n.nodes - 1) / 2
	all := n.shuffled()
	nodes, others := all[:1+n.rng.IntN(most)], all[most:]
	var victims []*victim
	for _, node := range nodes {
		v, err := d.strike(ctx, n, node)
		if errors.Is(err, rot.ErrNothing) {
			continue
		}
		if err != nil {
			return b, fmt.Errorf("%s: %w", node.ID, err)
		}
		victims, b.on = append(victims, v), append(b.on, node)
	}
	if len(victims) == 0 {
		b.on = nodes
		return b, nil
	}
	errs := make([]error, len(victims))
	var noticing sync.WaitGroup
	for i, v := range victims {
		noticing.Go(func() { errs[i] = d.notice(ctx, v, others[0]) })
	}
	noticing.Wait()
	var proof []string
	for _, v := range victims {
		if told := v.rot.Detected + v.rot.Repaired; told != "" {
			proof = append(proof, v.rot.Place+": "+told)
		}
		n.mu.Lock()
		n.hist.Rots = append(n.hist.Rots, v.rot)
		n.mu.Unlock()
	}
	b.proof = strings.Join(proof, "; ")
	b.heal = func(ctx context.Context) error {
		for _, v := range victims {
			if v.node.Running() {
				continue
			}
			if err := beginAnew(ctx, n, v.node, others[0]); err != nil {
				return err
			}
			if err := comesAnew(ctx, v.node, others[0]); err != nil {
				return err
			}
		}
		return nil
	}
	return b, errors.Join(errs...)
}

// strike damages a file of a node, which runs on or is started again.
func (d damage) strike(ctx context.Context, n *nemesis, node *testcluster.Node) (v *victim, err error) {
	log, err := os.Stat(node.Log)
	if err != nil {
		return nil, err
	}
	ranOn := !d.stopped && n.rng.IntN(2) == 0
	if d.scrubbed { // a compaction may read from memory what is damaged, and leave the table
		ranOn = ranOn && n.rng.IntN(2) == 0
	}
	v = &victim{node: node, ranOn: ranOn, logged: log.Size()}
	switch {
	case v.ranOn:
		err = d.whilePaused(n, v)
		if d.scrubbed && errors.Is(err, rot.ErrNothing) { // as long as all is in memory
			v.ranOn = false
			err = node.Stop(ctx)
		}
	case d.scrubbed || n.rng.IntN(2) == 0:
		err = node.Stop(ctx)
	default:
		err = node.Kill9()
	}
	if v.ranOn || err != nil {
		return v, err
	}
	return v, errors.Join(d.strikeAt(n, v), node.Start())
}

func (d damage) whilePaused(n *nemesis, v *victim) error {
	if err := v.node.Pause(); err != nil {
		return err
	}
	err := rot.ErrNothing
	if stateOf(v.node.Process().Pid()) == "T" {
		err = d.strikeAt(n, v)
	}
	return errors.Join(err, v.node.Continue())
}

func (d damage) strikeAt(n *nemesis, v *victim) (err error) {
	if v.place, err = d.find(v.node.Dir, n.rng); err != nil {
		return err
	}
	switch {
	case d.how == bitFlipped:
		v.place, err = v.place.Flip(n.rng)
	case d.cut && n.rng.IntN(2) == 0:
		err = v.place.Cut()
	default:
		err = v.place.Zero()
	}
	v.rot = history.Rot{Node: v.node.ID, File: d.file, How: d.how, Place: v.place.String(), At: n.now()}
	return err
}

// notice gives the node reason to read what is damaged, and notes what comes of it.
func (d damage) notice(ctx context.Context, v *victim, via *testcluster.Node) error {
	if v.ranOn {
		if d.scrubbed {
			within, cancel := context.WithTimeout(ctx, readSeconds*time.Second)
			_ = scrubbed(within, v.node, via)
			cancel()
		}
		if v.node.Running() {
			if err := v.node.Kill9(); err != nil {
				return err
			}
			if err := v.node.Start(); err != nil {
				return err
			}
		}
	}
	within, cancel := context.WithTimeout(ctx, noticeSeconds*time.Second)
	defer cancel()
	err := v.node.AwaitReady(within)
	if err == nil {
		err = scrubbed(within, v.node, via)
	}
	if !v.node.Running() {
		return d.noticed(v)
	}
	if err != nil {
		return err
	}
	return d.unnoticed(ctx, v)
}

// scrubbed has a node read all its rows and compare them, and returns when it has or has
// ended.
func scrubbed(ctx context.Context, node, via *testcluster.Node) error {
	var index uint64
	return testcluster.Await(ctx, "the scrub of "+node.ID, func(ctx context.Context) error {
		if !node.Running() {
			return nil
		}
		if index == 0 {
			begun, err := via.Client().Scrub(ctx)
			if err != nil {
				return err
			}
			index = begun.Index
		}
		status, err := node.Client().Status(ctx)
		if err != nil {
			return err
		}
		if s := status.State.Scrub; s == nil || s.Index < index || s.Verdict == "unknown" {
			return fmt.Errorf("the last one is %+v", s)
		}
		return nil
	})
}

// noticed notes what a node that has ended has said that names the damage. A state that is
// damaged isn't opened again.
func (d damage) noticed(v *victim) error {
	said, err := saidSince(v.node, v.logged, v.place.Told)
	if err != nil || said == "" || !d.scrubbed {
		v.rot.Detected = said
		return err
	}
	log, err := os.Stat(v.node.Log)
	if err != nil {
		return err
	}
	if err := v.node.Start(); err != nil {
		return err
	}
	select {
	case <-v.node.Process().Exited():
	case <-time.After(noticeSeconds * time.Second):
		return v.node.Kill9()
	}
	if refusal, err := saidSince(v.node, log.Size(), quarantined); err != nil || refusal == "" {
		return err
	}
	v.rot.Detected = said + ", and it isn't started again"
	return nil
}

// quarantined is in what a node says that doesn't open a damaged state.
const quarantined = "says that the state must not be used"

// unnoticed notes why a node that has had reason to read what is damaged has said nothing.
// Where there is no good reason it is ended, so that it is reseeded.
func (d damage) unnoticed(ctx context.Context, v *victim) error {
	status, err := v.node.Client().Status(ctx)
	if err != nil {
		return err
	}
	if s := status.State.Scrub; d.replayed && s != nil && s.Verdict == "agrees" {
		v.rot.Repaired = fmt.Sprintf("its rows are the others' at entry %d", s.Index)
		return nil
	}
	if err := v.node.Kill9(); err != nil {
		return err
	}
	if v.rot.Gone, err = d.gone(v); err != nil || v.rot.Gone == "" {
		return err
	}
	return v.node.Start()
}

// gone is why what is damaged isn't of any use any more to a node, which is stopped; empty
// where it is.
func (d damage) gone(v *victim) (string, error) {
	switch {
	case d.scrubbed:
		if whole, err := rot.Readable(v.node.Dir); err != nil || !whole {
			return "", err
		}
		return "no row is read from there any more", nil
	case v.place.Entry > 0:
		if last, err := rot.Snapshotted(v.node.Dir); err != nil || last < v.place.Entry {
			return "", err
		}
		return "a snapshot has taken its place", nil
	}
	return "", nil
}

// saidSince is the first line with a text that a node's log has behind its first bytes, as
// far as it is of interest; empty where there is none.
func saidSince(node *testcluster.Node, bytes int64, text string) (string, error) {
	log, err := os.Open(node.Log)
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	all, err := io.ReadAll(io.NewSectionReader(log, bytes, maxLogBytes))
	for line := range strings.Lines(string(all)) {
		if at := strings.Index(line, text); at >= 0 {
			return strings.TrimSpace(line[at:min(len(line), at+maxSaidBytes)]), err
		}
	}
	return "", err
}

const (
	maxLogBytes  = 64 << 20
	maxSaidBytes = 120
)
