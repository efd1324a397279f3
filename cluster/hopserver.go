package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	hopHeaderTimeout = 10 * time.Second
	// hopBodyTimeout bounds the reading of a request's body.
	hopBodyTimeout = 60 * time.Second
	// hopServerIdle is longer than the client's, so that the server rarely
	// closes a connection on which a request is being written.
	hopServerIdle = 3 * hopIdleTimeout
	// maxHopTimeout bounds what a sender may ask for.
	maxHopTimeout     = 10 * time.Minute
	maxHopHeaderBytes = 16 << 10
	// hopMargin is how much earlier than the sender the leader gives up, so
	// that its answer, which knows more than a broken connection, arrives.
	maxHopMargin = 100 * time.Millisecond
)

type peerConnKey struct{}

func newHopServer(n *Node) *http.Server {
	return &http.Server{
		Handler:           n,
		ReadHeaderTimeout: hopHeaderTimeout,
		IdleTimeout:       hopServerIdle,
		MaxHeaderBytes:    maxHopHeaderBytes,
		ErrorLog:          slog.NewLogLogger(n.cfg.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerConnKey{}, c)
		},
	}
}

// ServeHTTP serves the peer port's HTTP connections: the hops of other nodes.
// It is not meant for any other listener.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	reply, err := n.serveHop(w, r)
	defer n.logHop(r, began, err)
	o, cause := outcomeOf(err)
	w.Header().Set(headerOutcome, string(o))
	w.Header().Set("Content-Type", "application/octet-stream")
	if err == nil {
		_, _ = w.Write(reply) // #nosec G705 -- to a member, which is no browser
		return
	}
	w.Header().Set(headerCause, cause)
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, err.Error()) // #nosec G705 -- likewise
}

func (n *Node) serveHop(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	name := opName(strings.TrimPrefix(r.URL.Path, pathPrefix))
	op, ok := operationNamed(name)
	if !ok || r.Method != http.MethodPost {
		return nil, fmt.Errorf("there is no operation %s %s: %w", r.Method, r.URL.Path, ErrInvalid)
	}
	conn, _ := r.Context().Value(peerConnKey{}).(*peerConn)
	anonymous := conn == nil || conn.clusterID == ""
	if name == opFounding {
		return n.serveFounding(conn)
	}
	if anonymous && name != opJoin {
		return nil, fmt.Errorf("a connection without a cluster id can only join: %w", ErrInvalid)
	}
	if name == opInfo {
		return n.serveInfo()
	}
	c, err := n.running()
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := hopContext(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	flow, err := flowOf(r, name)
	if err != nil {
		return nil, err
	}
	body, free, err := n.readHopBody(ctx, w, r, flow)
	if err != nil {
		return nil, err
	}
	if err := conn.mayAsk(c, name, body); err != nil {
		free()
		return nil, err
	}
	switch name {
	case opCertify:
		free()
		return n.serveCertify(c, conn, body)
	case opAuthority:
		free()
		return n.serveAuthority(c, conn, body)
	}
	var term uint64
	if !anonymous {
		if term, err = strconv.ParseUint(r.Header.Get(headerTerm), 10, 64); err != nil {
			free()
			return nil, fmt.Errorf("reading %s: %w", headerTerm, ErrInvalid)
		}
	}
	if anonymous || term == anyTerm && op.anyTerm {
		// Who asks knows neither the leader nor the term, and asks any member.
		free()
		reply, _, err := n.onLeader(ctx, name, body)
		return reply, err
	}
	return op.do(n, ctx, c, term, body, free)
}

// hopContext ends a little before the sender gives up.
func hopContext(r *http.Request) (context.Context, context.CancelFunc, error) {
	timeout := defaultOperationTimeout
	if h := r.Header.Get(headerTimeout); h != "" {
		ms, err := strconv.ParseInt(h, 10, 64)
		if err != nil || ms < 0 {
			return nil, nil, fmt.Errorf("reading %s: %w", headerTimeout, ErrInvalid)
		}
		timeout = min(time.Duration(min(ms, maxHopTimeout.Milliseconds()))*time.Millisecond, maxHopTimeout)
	}
	timeout -= min(timeout/10, maxHopMargin)
	ctx, cancel := context.WithTimeout(withOrigin(r.Context(), r.Header), timeout)
	return ctx, cancel, nil
}

// flowOf is the flow that a proposal names: its room is taken before its body is
// there.
func flowOf(r *http.Request, name opName) (string, error) {
	if name != opPropose {
		return "", nil
	}
	flow, err := url.QueryUnescape(r.Header.Get(headerFlow))
	if err != nil || len(flow) > maxFlowBytes {
		return "", fmt.Errorf("reading %s, of at most %d bytes: %w", headerFlow, maxFlowBytes, ErrInvalid)
	}
	return flow, nil
}

// readHopBody reads a body whose length is announced, after room for it has
// been taken. Until then the body stays with the sender.
func (n *Node) readHopBody(ctx context.Context, w http.ResponseWriter, r *http.Request, flow string) ([]byte, func(), error) {
	if r.ContentLength < 0 {
		return nil, nil, fmt.Errorf("reading a request without a length: %w", ErrInvalid)
	}
	free, err := n.budget.take(ctx, flow, r.ContentLength)
	if err != nil {
		return nil, nil, err
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(hopBodyTimeout))
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		free()
		return nil, nil, fmt.Errorf("reading a request's body: %w: %w", errLeaderBusy, err)
	}
	_ = rc.SetReadDeadline(time.Time{})
	return body, free, nil
}
