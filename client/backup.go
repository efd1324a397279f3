package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Backup is a backup on its way. Body must be read to its end and closed; what has
// come of it is a backup only if it verifies (pipesync backup inspect).
type Backup struct {
	Index      uint64 // all entries up to it are in
	StateBytes int64  // of the state, before compression
	Body       io.ReadCloser
}

// Backup asks a node for its state. Only ctx bounds how long that takes.
func (c *Client) Backup(ctx context.Context) (*Backup, error) {
	k := call{method: http.MethodGet, path: "/v1/admin/backup", credential: withAdminToken}
	var failures []error
	for _, addr := range c.addrs {
		b, err := c.backup(ctx, addr, k)
		if err == nil {
			return b, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || !nextMayTry(err, true) {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func (c *Client) backup(ctx context.Context, addr string, k call) (*Backup, error) {
	req, err := c.request(ctx, addr, k, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &ConnectionError{Addr: addr, Err: bare(err)}
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes))
		if err != nil {
			return nil, &ConnectionError{Addr: addr, Sent: true, Err: err}
		}
		return nil, decodeError(addr, resp, body)
	}
	b := &Backup{Body: resp.Body}
	b.Index, err = strconv.ParseUint(resp.Header.Get("X-Pipesync-Index"), 10, 64)
	if err == nil {
		b.StateBytes, err = strconv.ParseInt(resp.Header.Get("X-Pipesync-State-Bytes"), 10, 64)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, &ConnectionError{Addr: addr, Sent: true, Err: fmt.Errorf("reading what the backup is of: %w", err)}
	}
	return b, nil
}
