package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/faultfs"
)

const (
	// tellSeconds is how long a file system may take to come or to obey.
	tellSeconds = 10
	// touchSeconds is how long an access of the harness itself may take before it counts
	// as one that hangs.
	touchSeconds = 2
	touchBytes   = 64 << 10
	// maxTouches is how often the harness looks for what becomes of one call in some.
	maxTouches = 400
)

// faultyDisk is a node's disk behind a file system that does as it is told. It has
// a process of its own, which can be ended when all else hangs.
type faultyDisk struct {
	node     *testcluster.Node
	process  *testcluster.Process
	commands *os.File
	answers  *os.File
}

// mountFaulty mounts it over the disk of a node that doesn't run.
func mountFaulty(node *testcluster.Node, seed uint64) (*faultyDisk, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	in, commands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	answers, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), commands.Close())
	}
	cmd := exec.Command(self, "--faultfs", diskOf(node), "--seed", fmt.Sprint(seed))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	process, err := testcluster.StartProcess(cmd)
	if err := errors.Join(err, in.Close(), out.Close()); err != nil {
		return nil, errors.Join(err, commands.Close(), answers.Close())
	}
	d := &faultyDisk{node: node, process: process, commands: commands, answers: answers}
	if _, err := d.answer(); err != nil {
		return nil, errors.Join(err, d.process.Kill9(), commands.Close(), answers.Close())
	}
	return d, nil
}

// tell has it go by rules, and returns what others have changed by then.
func (d *faultyDisk) tell(rules faultfs.Rules) (faultfs.Counts, error) {
	if err := json.NewEncoder(d.commands).Encode(rules); err != nil {
		return faultfs.Counts{}, fmt.Errorf("telling the disk of %s: %w", d.node.ID, err)
	}
	return d.answer()
}

func (d *faultyDisk) answer() (counts faultfs.Counts, err error) {
	if err := d.answers.SetReadDeadline(time.Now().Add(tellSeconds * time.Second)); err != nil {
		return counts, err
	}
	line := make([]byte, 1<<10)
	n, err := d.answers.Read(line)
	if err == nil {
		err = json.Unmarshal(line[:n], &counts)
	}
	if err != nil {
		err = fmt.Errorf("the answer of the disk of %s: %w", d.node.ID, err)
	}
	return counts, err
}

// remove lets go of what hangs, ends the node's process, and leaves the disk as it
// was, with whatever got there.
func (d *faultyDisk) remove(ctx context.Context) error {
	_, told := d.tell(faultfs.Rules{})
	if told != nil {
		told = errors.Join(told, d.process.Kill9()) // then nothing hangs either
	}
	var gone error
	if d.node.Running() {
		gone = d.node.Kill9()
	}
	err := errors.Join(told, gone, unmountDisk(ctx, diskOf(d.node)))
	err = errors.Join(err, d.commands.Close(), d.process.Kill9(), d.answers.Close())
	return errors.Join(err, os.RemoveAll(filepath.Join(diskOf(d.node), canaryName)))
}

// touched is what an access to a disk came to.
type touched struct {
	Took   time.Duration `json:"took"`
	Error  string        `json:"error,omitzero"`
	Differ bool          `json:"differ,omitzero"` // what was read isn't what was written
	Hangs  bool          `json:"-"`
}

// touch accesses a node's disk from a process of its own: "write" writes and syncs a
// file, "read" reads one that was written.
func touch(how string, node *testcluster.Node) (t touched, err error) {
	self, err := os.Executable()
	if err != nil {
		return t, err
	}
	var out bytes.Buffer
	cmd := exec.Command(self, "--touch", filepath.Join(diskOf(node), canaryName), "--touch-how", how)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	process, err := testcluster.StartProcess(cmd)
	if err != nil {
		return t, err
	}
	select {
	case <-process.Exited():
		if err := process.Err(); err != nil {
			return t, fmt.Errorf("%s of the disk of %s: %w", how, node.ID, err)
		}
		return t, json.Unmarshal(out.Bytes(), &t)
	case <-time.After(touchSeconds * time.Second):
		t.Hangs = true
		return t, process.Signal(os.Kill) // it ends when the disk lets it
	}
}

// seen accesses a node's disk until that breaks.
func seen(how string, node *testcluster.Node, breaks func(touched) bool) (bool, error) {
	for range maxTouches {
		t, err := touch(how, node)
		if err != nil || breaks(t) {
			return err == nil, err
		}
	}
	return false, nil
}

// touchHere is what the process does that touch starts.
func touchHere(file, how string, out io.Writer) error {
	began := time.Now()
	var t touched
	var err error
	switch want := make([]byte, touchBytes); how {
	case "write":
		err = writeSynced(file, want)
	case "read":
		var got []byte
		got, err = readUncached(file)
		t.Differ = err == nil && !bytes.Equal(got, want)
	default:
		return fmt.Errorf("--touch-how is %q", how)
	}
	t.Took = time.Since(began)
	if err != nil {
		var failed *fs.PathError
		if !errors.As(err, &failed) {
			return err
		}
		t.Error = failed.Err.Error()
	}
	return json.NewEncoder(out).Encode(t)
}

// readUncached has the kernel forget what it has read of a file before it reads it.
func readUncached(file string) (content []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return nil, fmt.Errorf("forgetting %s: %w", file, err)
	}
	return io.ReadAll(f)
}

func writeSynced(file string, content []byte) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
