package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"pipesync/internal/planted"
)

// A hop is one HTTP/1.1 request on the peer port:
//
//	POST /v1/{operation}
//	Pipesync-Term: 7                 the term that the request addresses
//	Pipesync-Timeout-Ms: 4870        how long the sender still waits
//	Pipesync-Flow: org_acme          whose turn it takes; escaped as in a query
//	X-Request-ID: req_01…            of the client's request, if there is one
//	traceparent: 00-4bf9…-01         likewise
//	body                             the operation's own bytes
//
// and its reply:
//
//	Pipesync-Outcome: decided | not-applied | unknown | refused
//	Pipesync-Cause: a word; see outcome.go
//	body                             the reply, or a text for people
//
// A reply without an outcome, or none at all, is an unknown outcome.
const (
	headerTerm    = "Pipesync-Term"
	headerTimeout = "Pipesync-Timeout-Ms"
	headerFlow    = "Pipesync-Flow"
	headerOutcome = "Pipesync-Outcome"
	headerCause   = "Pipesync-Cause"

	pathPrefix = "/v1/"
	// maxReplyBytes bounds what is read of a reply.
	maxReplyBytes = 64 << 20
	// maxFlowBytes bounds the name of a flow. Escaped it has three times as many at
	// most, far less than maxHopHeaderBytes.
	maxFlowBytes = 1024

	// maxForwards proposals of this node are with the leader at a time, further ones
	// wait for their turn. More of them would not be decided sooner, and each takes
	// a connection to the leader's peer port, where Raft's own have to find room.
	// The other operations find connections beside them.
	maxForwards = 112
	// maxHopConns to one node; further requests wait for one of them, in order.
	maxHopConns    = maxForwards + 16
	hopIdleConns   = 64
	hopIdleTimeout = 30 * time.Second
)

// hopClient sends operations to other nodes.
type hopClient struct {
	dialer dialer

	mu        sync.Mutex
	transport *http.Transport
	underWay  map[*http.Transport]int // requests, of transports that have any
}

type hopRequestKey struct{}

func newHopClient(d dialer) *hopClient {
	return &hopClient{dialer: d, transport: newHopTransport(d), underWay: map[*http.Transport]int{}}
}

func newHopTransport(d dialer) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			r, _ := ctx.Value(hopRequestKey{}).(hopRequest)
			return d.dial(ctx, r.addr, preamble{Kind: kindHTTP, ClusterID: r.clusterID, NodeID: r.nodeID})
		},
		MaxConnsPerHost:     maxHopConns,
		MaxIdleConnsPerHost: hopIdleConns,
		IdleConnTimeout:     hopIdleTimeout,
		DisableCompression:  true,
	}
}

func (h *hopClient) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.transport.CloseIdleConnections()
}

// renew has later requests go through connections that are made anew. Those that there
// are end with the requests on them.
func (h *hopClient) renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.transport.CloseIdleConnections()
	h.transport = newHopTransport(h.dialer)
}

// draining says that requests are under way on connections from before the last renew.
func (h *hopClient) draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.underWay {
		if t != h.transport {
			return true
		}
	}
	return false
}

// begin is the transport for a request, which ends with end.
func (h *hopClient) begin() *http.Transport {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.underWay[h.transport]++
	return h.transport
}

func (h *hopClient) end(t *http.Transport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.underWay[t]--; h.underWay[t] == 0 {
		delete(h.underWay, t)
		if t != h.transport {
			t.CloseIdleConnections()
		}
	}
}

type hopRequest struct {
	addr      string
	op        opName
	term      uint64
	clusterID string // empty only when joining
	nodeID    string // of the node at addr; likewise
	flow      string // empty: none
}

// host names the connections that may serve the request: those to the same node.
func (r hopRequest) host() string {
	if r.nodeID == "" {
		return r.addr
	}
	return r.nodeID
}

// send does one hop. An error before a connection was ready is errUnreachable:
// nothing was sent. Any later failure to get a reply is an unknown outcome,
// because the request may have been written. The transport repeats a request
// by itself only where it has written nothing of it: the request is a POST
// without an idempotency key.
func (h *hopClient) send(ctx context.Context, r hopRequest, body []byte) ([]byte, error) {
	doing := fmt.Sprintf("asking %s to %s", r.addr, r.op)
	if r.clusterID == "" {
		// A joiner's connection is good for nothing else.
		defer h.close()
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) }, // again, where it repeats the request
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	ctx = context.WithValue(ctx, hopRequestKey{}, r)
	to := url.URL{Scheme: "http", Host: r.host(), Path: pathPrefix + string(r.op)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", doing, errUnreachable, err)
	}
	req.Header.Set(headerTerm, strconv.FormatUint(r.term, 10))
	if r.flow != "" {
		req.Header.Set(headerFlow, url.QueryEscape(r.flow))
	}
	sendOrigin(ctx, req.Header)
	if deadline, ok := ctx.Deadline(); ok {
		req.Header.Set(headerTimeout, strconv.FormatInt(time.Until(deadline).Milliseconds(), 10))
	}
	transport := h.begin()
	defer h.end(transport)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if !connected.Load() || planted.Is(planted.ReplayedForward) {
			return nil, fmt.Errorf("%s: %w: %w", doing, errUnreachable, err)
		}
		return nil, unknownOutcome(doing, err)
	}
	defer resp.Body.Close()
	return readReply(doing, resp)
}

var errReplyTooLong = errors.New("the reply is too long")

func readReply(doing string, resp *http.Response) ([]byte, error) {
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	if err == nil && len(reply) > maxReplyBytes {
		err = errReplyTooLong
	}
	if err != nil {
		return nil, unknownOutcome(doing, err)
	}
	o := outcome(resp.Header.Get(headerOutcome))
	if o == outcomeDecided {
		return reply, nil
	}
	return nil, errorOf(o, resp.Header.Get(headerCause), string(reply))
}
