package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"pipesync/internal/bench/load"
)

const (
	// growingRecords are there where it isn't they that grow.
	growingRecords = 100_000
	// smallBytes of data a record let many of them fit on the disk.
	smallBytes = 100
	// A request whose values grow has so many records: at 64 KiB they fit into a body.
	valuesOperations = 100
	// So many administrators make organizations at a time.
	makers = 16
)

func growOperations(ctx context.Context, g *growing) error {
	if err := g.anew(ctx); err != nil {
		return err
	}
	where := g.batches
	if err := g.fill(ctx, where, growingRecords, recordBytes); err != nil {
		return err
	}
	for _, operations := range []int{1, 5, 10, 50, 100, 500, 1000, 2500, 5000} {
		for _, work := range []struct{ name, kind string }{{"inserts", load.Fresh}, {"updates", load.Update}, {"re-pushes", load.Repush}} {
			j := single(work.kind, 1, max(40, min(300, 30_000/operations)), load.Leader)
			j.Operations = operations
			f, err := g.time(ctx, work.name, operations, where, j)
			if err != nil {
				return err
			}
			g.add(work.name+", each operation", "µs", point{X: float64(operations), Value: f.P50 * 1000 / float64(operations)})
		}
	}
	return nil
}

func growValues(ctx context.Context, g *growing) error {
	if err := g.anew(ctx); err != nil {
		return err
	}
	t, err := newTenant(ctx, g.cluster, "org_values")
	if err != nil {
		return err
	}
	for _, bytes := range []int{0, 100, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		where := newPlace(1, t)
		where.prefix = fmt.Sprintf("values-%d", bytes)
		many, one, read := single(load.Fresh, 1, 30, load.Leader), single(load.Fresh, 1, 300, load.Leader), single(load.Read, 1, 500, load.Leader)
		many.Operations, many.Bytes, one.Bytes = valuesOperations, bytes, bytes
		if _, err := g.time(ctx, fmt.Sprintf("inserts of %d", valuesOperations), bytes, where, many); err != nil {
			return err
		}
		if _, err := g.time(ctx, "1 operation", bytes, where, one); err != nil {
			return err
		}
		if _, err := g.time(ctx, "reads", bytes, where, read); err != nil {
			return err
		}
	}
	return nil
}

func growNamespaces(ctx context.Context, g *growing) error {
	for _, namespaces := range []int{1, 10, 100, 1000, 10_000, 100_000} {
		if err := g.anew(ctx); err != nil {
			return err
		}
		t, err := newTenant(ctx, g.cluster, "org_namespaces")
		if err != nil {
			return err
		}
		all, one := newPlace(namespaces, t), newPlace(1, t)
		one.prefix = "one"
		if err := g.fill(ctx, all, growingRecords, recordBytes); err != nil {
			return err
		}
		for _, work := range []struct {
			name  string
			where *place
			job   load.Job
		}{
			{"inserts of 5000 into one", one, batch(load.Fresh, 1, 20, load.Leader)},
			{"inserts of 5000 over all", all, batch(load.Fresh, 1, 20, load.Leader)},
			{"updates of 5000 over all", all, batch(load.Update, 1, 20, load.Leader)},
			{"1 operation", one, single(load.Fresh, 1, 300, load.Leader)},
			{"reads", all, single(load.Read, 1, 500, load.Leader)},
		} {
			if _, err := g.time(ctx, work.name, namespaces, work.where, work.job); err != nil {
				return err
			}
		}
	}
	return nil
}

func growOrganizations(ctx context.Context, g *growing) error {
	for _, organizations := range []int{1, 10, 100, 1000, 10_000} {
		if err := g.anew(ctx); err != nil {
			return err
		}
		tenants, err := g.newTenants(ctx, organizations)
		if err != nil {
			return err
		}
		where := newPlace(1, tenants...)
		// Each organization has at least a record before anything is measured.
		if _, err := g.in(ctx, where, single(load.Fresh, 16, organizations, load.Leader)); err != nil {
			return err
		}
		// One organization may send no more than the limit in a second.
		if _, err := g.time(ctx, "1 operation, 64 clients", organizations, where, single(load.Fresh, 64, 6000, load.Leader)); err != nil {
			return err
		}
		if _, err := g.time(ctx, "1 operation, 1 client", organizations, where, single(load.Fresh, 1, 500, load.Leader)); err != nil {
			return err
		}
		if _, err := g.time(ctx, "inserts of 5000, 8 clients", organizations, where, batch(load.Fresh, 8, 32, load.Leader)); err != nil {
			return err
		}
	}
	return nil
}

// newTenants makes so many organizations.
func (g *growing) newTenants(ctx context.Context, count int) ([]tenant, error) {
	all := make([]tenant, count)
	_, err := load.Run(ctx, load.Job{Clients: makers, Requests: count}, func(ctx context.Context, _, i int) (err error) {
		all[i], err = newTenant(ctx, g.cluster, fmt.Sprintf("org_many_%d", i))
		return err
	})
	return all, err
}

func growRecords(ctx context.Context, g *growing) error {
	if err := g.anew(ctx); err != nil {
		return err
	}
	t, err := newTenant(ctx, g.cluster, "org_records")
	if err != nil {
		return err
	}
	where := newPlace(1, t)
	for _, records := range []int{10_000, 100_000, 1_000_000, 3_000_000, 10_000_000} {
		if err := g.fill(ctx, where, records, smallBytes); err != nil {
			return err
		}
		if err := g.holdings(ctx, records); err != nil {
			return err
		}
		for _, work := range []struct {
			name string
			job  load.Job
		}{
			{"reads", single(load.Read, 1, 1000, load.Leader)},
			{"updates of 5000", batch(load.Update, 1, 20, load.Leader)},
			{"re-pushes of 5000", batch(load.Repush, 1, 20, load.Leader)},
			{"1 operation", single(load.Fresh, 1, 500, load.Leader)},
			{"inserts of 5000", batch(load.Fresh, 1, 20, load.Leader)}, // last: these are more than the first records
		} {
			work.job.Bytes = smallBytes
			if _, err := g.time(ctx, work.name, records, where, work.job); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdings adds what a follower holds in memory and on disk, and how long it takes to be
// ready when it starts again.
func (g *growing) holdings(ctx context.Context, x int) error {
	followers, err := g.cluster.Followers(ctx)
	if err != nil {
		return err
	}
	pid := followers[0].Process().Pid()
	own, err := memoryMiB(pid, memoryOwn)
	if err != nil {
		return err
	}
	mapped, err := memoryMiB(pid, memoryMapped)
	if err != nil {
		return err
	}
	disk, err := diskMiB(followers[0].Dir)
	if err != nil {
		return err
	}
	restart, err := g.restartSeconds(ctx)
	if err != nil {
		return err
	}
	g.add("memory of a follower", "MiB", point{X: float64(x), Value: own})
	g.add("its pages of mapped files", "MiB", point{X: float64(x), Value: mapped})
	g.add("its disk", "MiB", point{X: float64(x), Value: disk})
	g.add("its restart, until ready", "s", point{X: float64(x), Value: restart})
	return nil
}

// diskMiB is how long the files in a directory are together. What goes away meanwhile is
// left out.
func diskMiB(dir string) (mib float64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				mib += float64(info.Size()) / (1 << 20)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return mib, err
}
