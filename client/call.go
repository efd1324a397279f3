package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

type credential int

const (
	anonymous credential = iota
	withAPIKey
	withAdminToken
)

// call is one request, the same whichever address it goes to.
type call struct {
	method     string
	path       string // escaped
	query      url.Values
	header     http.Header
	credential credential
	body       any // nil: none
	out        any // nil: the reply's body is not wanted
	// repeatable calls may go to another node after one that may have done them;
	// those with GET always may.
	repeatable bool
	// alsoOK is one more status, besides 2xx, whose body is decoded into out.
	alsoOK int
}

func (c *Client) do(ctx context.Context, k call) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	payload, err := encodeBody(k.body)
	if err != nil {
		return nil, fmt.Errorf("encoding the body of %s %s: %w", k.method, k.path, err)
	}
	var failures []error
	first := int(c.preferred.Load())
	for i := range c.addrs {
		n := (first + i) % len(c.addrs)
		header, err := c.ask(ctx, c.addrs[n], k, payload)
		if err == nil {
			c.preferred.Store(uint32(n))
			return header, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || !nextMayTry(err, k.repeatable || k.method == http.MethodGet) {
			break
		}
	}
	return nil, errors.Join(failures...)
}

// nextMayTry says whether the same request may go to another node after err.
func nextMayTry(err error, repeatable bool) bool {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Code == "NOT_JOINED" || refused.Code == "NOT_READY"
	}
	var conn *ConnectionError
	return errors.As(err, &conn) && (repeatable || !conn.Sent)
}

func (c *Client) ask(ctx context.Context, addr string, k call, payload []byte) (http.Header, error) {
	// The transport repeats a request of which it has written nothing, because the
	// connection had just been closed. What it may have written it repeats too, where
	// that is a read or has an idempotency key.
	var connected atomic.Bool
	keyed := k.header.Get(idempotencyKey) != ""
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connected.CompareAndSwap(true, keyed) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := c.request(ctx, addr, k, payload)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &ConnectionError{Addr: addr, Sent: connected.Load(), Err: bare(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	if err != nil {
		return nil, &ConnectionError{Addr: addr, Sent: true, Err: err}
	}
	if len(body) > maxReplyBytes {
		return nil, &ConnectionError{Addr: addr, Sent: true,
			Err: fmt.Errorf("the reply is over %d bytes", maxReplyBytes)}
	}
	if resp.StatusCode/100 != 2 && resp.StatusCode != k.alsoOK {
		return nil, decodeError(addr, resp, body)
	}
	if k.out == nil {
		return resp.Header, nil
	}
	if err := json.Unmarshal(body, k.out); err != nil {
		return nil, &ConnectionError{Addr: addr, Sent: true,
			Err: fmt.Errorf("decoding the reply to %s %s: %w", k.method, k.path, err)}
	}
	return resp.Header, nil
}

func (c *Client) request(ctx context.Context, addr string, k call, payload []byte) (*http.Request, error) {
	target := addr + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	var body io.Reader
	if payload != nil {
		body = bytes.NewReader(payload)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("making a request to %s: %w", addr, err)
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	switch k.credential {
	case withAPIKey:
		req.Header.Set("X-API-Key", c.apiKey)
	case withAdminToken:
		if c.adminToken != "" { // a certificate may stand for it
			req.Header.Set("Authorization", "Bearer "+c.adminToken)
		}
	}
	return req, nil
}

// bare takes the method and URL off the error of http.Client.Do: the address is
// told by ConnectionError, and a query may hold what logs should not.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// segment escapes one path parameter. Dots alone would be taken for a relative
// path by proxies on the way.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// encodeBody leaves <, > and & in records as they are; a nil body is empty.
func encodeBody(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(body)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
