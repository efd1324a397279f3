package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

// Names of systems.
const (
	pipesyncName = "pipesync"
	ceilingName  = "ceiling"
	etcdName     = "etcd"
)

var systemNames = []string{pipesyncName, ceilingName, etcdName}

// system is something that does jobs.
type system struct {
	name string
	run  func(context.Context, load.Job) (load.Figures, error)
	// rest waits for what goes on behind a job's last answer: nobody else is to pay for it.
	rest func(context.Context) error
}

// lab is what runs on this machine, in a directory of its own.
type lab struct {
	options
	dir      string
	progress io.Writer
	stops    []func() error
}

// newLab builds a pipesync if it isn't given one.
func newLab(ctx context.Context, o options, progress io.Writer) (_ *lab, err error) {
	l := &lab{options: o, progress: progress}
	if l.dir, err = os.MkdirTemp("", "pipesync-bench-"); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	if l.binary == "" {
		fmt.Fprintln(progress, "building pipesync")
		l.binary, err = testcluster.Build(ctx, l.dir, false)
	}
	if err == nil {
		l.binary, err = filepath.Abs(l.binary)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close ends what was started, last things first, and removes all of it.
func (l *lab) close() error {
	err := l.stop()
	return errors.Join(err, os.RemoveAll(l.dir))
}

// stop ends what was started.
func (l *lab) stop() error {
	var errs []error
	for _, stop := range slices.Backward(l.stops) {
		errs = append(errs, stop())
	}
	l.stops = nil
	return errors.Join(errs...)
}

// pipesync starts a cluster of three. Its data goes when it is stopped.
func (l *lab) pipesync(ctx context.Context, env func(node int) []string) (*pipesync, error) {
	dir, err := os.MkdirTemp(l.dir, "cluster-")
	if err != nil {
		return nil, err
	}
	c, err := testcluster.Start(ctx, testcluster.Config{Binary: l.binary, Dir: dir, Nodes: 3, TLS: l.tls, Env: env})
	if err != nil {
		return nil, err
	}
	l.stops = append(l.stops, func() error { return errors.Join(c.Close(), os.RemoveAll(dir)) })
	return newPipesync(ctx, c)
}

// peer builds and starts what Pipesync is compared to.
func (l *lab) peer(ctx context.Context, name string) (system, error) {
	fmt.Fprintln(l.progress, "building", name)
	program := filepath.Join(l.dir, name)
	if err := buildPeer(ctx, name, program); err != nil {
		return system{}, err
	}
	data := program + ".data"
	if err := os.Mkdir(data, 0o700); err != nil {
		return system{}, err
	}
	d, err := load.Start(ctx, program, "--dir", data)
	if err != nil {
		return system{}, err
	}
	l.stops = append(l.stops, d.Close)
	return system{name,
		func(_ context.Context, j load.Job) (load.Figures, error) { return d.Run(j) },
		func(ctx context.Context) error { return resting(ctx, d.PID()) },
	}, nil
}

// buildPeer builds a driver in its own folder, which may be a module of its own: what
// another system is made of is nothing that Pipesync depends on. It is compiled by the same
// profile: what is as hot in it as in Pipesync gains by that too.
func buildPeer(ctx context.Context, name, program string) error {
	root, err := testcluster.ModuleRoot(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-pgo", filepath.Join(root, "cmd", "node", "default.pgo"), "-o", program, ".")
	cmd.Dir = filepath.Join(root, "internal", "bench", name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the driver of %s: %w\n%s", name, err, text)
	}
	return nil
}
