package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"pipesync/client"
)

const (
	batchOperations = 5000
	maxTries        = 20
	shownNamespaces = 8
	retryPause      = 200 * time.Millisecond
)

// retried calls do again for as long as the cluster says that it may be: while
// it elects a leader, for example.
func retried[T any](ctx context.Context, do func(context.Context) (T, error)) (T, error) {
	var last error
	for range maxTries {
		reply, err := do(ctx)
		if err == nil {
			return reply, nil
		}
		last = err
		pause := retryPause
		var refused *client.Error
		if errors.As(err, &refused) {
			if !refused.Retryable {
				break
			}
			pause = max(pause, refused.RetryAfter)
		}
		select {
		case <-ctx.Done():
			return reply, ctx.Err()
		case <-time.After(pause):
		}
	}
	var none T
	return none, last
}

// push sends one batch to node i until it is acknowledged; sending an upsert
// twice changes nothing.
func push(ctx context.Context, c *cluster, i int, ops []client.Operation) (client.SyncReply, error) {
	batch := client.SyncRequest{
		OrganizationID: c.org, VectorStoreID: c.store, Mode: client.Incremental,
		Timestamp: time.Now().UTC().Format(time.RFC3339Nano), Operations: ops,
	}
	reply, err := retried(ctx, func(ctx context.Context) (client.SyncReply, error) { return c.node(i).Sync(ctx, batch) })
	if err != nil {
		return reply, fmt.Errorf("pushing a batch to %s: %w", c.addrs[i], err)
	}
	return reply, nil
}

func load(ctx context.Context, c *cluster, records []client.Operation, out io.Writer) error {
	started, done := time.Now(), 0
	for batch := range slices.Chunk(records, batchOperations) {
		i := done / batchOperations % len(c.addrs)
		sent := time.Now()
		reply, err := push(ctx, c, i, batch)
		if err != nil {
			return err
		}
		done += reply.Processed
		fmt.Fprintf(out, "  %6d of %d: %d records through %s in %d ms, log index %d\n",
			done, len(records), reply.Processed, c.addrs[i], time.Since(sent).Milliseconds(), reply.Index)
	}
	took := time.Since(started)
	fmt.Fprintf(out, "  %d records in %.1f s, %.0f a second\n", done, took.Seconds(), float64(done)/took.Seconds())
	return nil
}

// showCounts reads all namespaces back from the last node and compares their
// counts with what was sent.
func showCounts(ctx context.Context, c *cluster, records []client.Operation, out io.Writer) error {
	want := map[string]uint64{}
	for _, r := range records {
		want[r.Namespace]++
	}
	last := len(c.addrs) - 1
	var all []client.Namespace
	opts := client.ReadOptions{Limit: 1000}
	for {
		page, err := retried(ctx, func(ctx context.Context) (client.NamespacePage, error) {
			return c.node(last).Namespaces(ctx, c.store, opts)
		})
		if err != nil {
			return fmt.Errorf("reading the counts back: %w", err)
		}
		all = append(all, page.Namespaces...)
		if page.NextCursor == nil {
			break
		}
		opts.Cursor = *page.NextCursor
	}
	var total uint64
	for _, ns := range all {
		if want[ns.Name] != ns.Records {
			return fmt.Errorf("reading the counts back: %s has %d records, %d were sent", ns.Name, ns.Records, want[ns.Name])
		}
		total += ns.Records
	}
	if len(all) != len(want) {
		return fmt.Errorf("reading the counts back: %d namespaces, %d were sent", len(all), len(want))
	}
	slices.SortFunc(all, func(a, b client.Namespace) int { return cmp.Compare(b.Records, a.Records) })
	fmt.Fprintf(out, "\nRead back from %s: %d records in %d namespaces, all as sent\n", c.addrs[last], total, len(all))
	for _, ns := range all[:min(len(all), shownNamespaces)] {
		fmt.Fprintf(out, "  %7d  %-24s digest %s\n", ns.Records, ns.Name, ns.Digest)
	}
	if rest := len(all) - shownNamespaces; rest > 0 {
		fmt.Fprintf(out, "           and %d more\n", rest)
	}
	return nil
}

// showKill ends the leader, syncs on through a survivor, and brings it back.
func showKill(ctx context.Context, c *cluster, records []client.Operation, out io.Writer) error {
	fmt.Fprintln(out, "\nNow without the leader")
	killed, err := c.kill(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	survivor := (killed + 1) % len(c.addrs)
	reply, err := push(ctx, c, survivor, records[:min(len(records), batchOperations)])
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  %.1f s later %s has committed %d operations (%d of them unchanged), log index %d\n",
		time.Since(started).Seconds(), c.addrs[survivor], reply.Processed, reply.Details.Unchanged, reply.Index)
	if err := c.revive(ctx, killed); err != nil {
		return err
	}
	r := records[0]
	found, err := retried(ctx, func(ctx context.Context) (client.Record, error) {
		return c.node(killed).Record(ctx, c.store, r.Namespace, r.ID, client.ReadOptions{})
	})
	if err != nil {
		return fmt.Errorf("reading from the node that was killed: %w", err)
	}
	if string(found.Data) != string(r.Data) {
		return fmt.Errorf("reading from the node that was killed: %q is %s, was sent as %s", r.ID, found.Data, r.Data)
	}
	fmt.Fprintf(out, "  it is back at %s, has caught up and answers linearizable reads\n", c.addrs[killed])
	return nil
}

// showUse prints what to paste into a shell.
func showUse(c *cluster, r client.Operation, out io.Writer) {
	fmt.Fprintf(out, `
Nodes: %s
Try it:

export PIPESYNC_URL=%s
export PIPESYNC_API_KEY=%s
export PIPESYNC_ADMIN_TOKEN=%s

curl -H "X-API-Key: $PIPESYNC_API_KEY" \
  "$PIPESYNC_URL/v1/vector-stores/%s/namespaces/%s/records/%s"

curl -H "X-API-Key: $PIPESYNC_API_KEY" -H "Content-Type: application/json" "$PIPESYNC_URL/v1/pipeline/sync" -d '{
  "organization_id": "%s", "vector_store_id": "%s", "sync_mode": "incremental", "sync_timestamp": "%s",
  "operations": [{"action": "upsert", "namespace": "notes", "id": "1", "data": {"text": "hello"}}]}'

./examples/curl.sh; bin/pipesync status --addr $PIPESYNC_URL
`, strings.Join(c.addrs, ", "), c.addrs[0], c.key, c.adminToken, c.store, url.PathEscape(r.Namespace), url.PathEscape(r.ID),
		c.org, c.store, time.Now().UTC().Format(time.RFC3339))
}
