// Package client speaks to a Pipesync cluster over HTTP. It needs only the
// standard library.
//
// A Client is given the addresses of several nodes: any node answers any call.
// It goes on to the next address where a node can't be reached or says that it
// isn't part of a cluster yet, but only where the request can't have been
// taken, or reads only. Whether an interrupted write was applied is for the
// caller to find out: see Error.Retryable and ConnectionError.Sent.
package client

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultAddr is where a node listens that was told nothing else.
	DefaultAddr = "127.0.0.1:8800"
	// DefaultTimeout bounds a call, all addresses together.
	DefaultTimeout = 30 * time.Second

	dialTimeout      = 5 * time.Second
	handshakeTimeout = 10 * time.Second
	maxReplyBytes    = 256 << 20
	maxIdlePerNode   = 32
	idleConnLifetime = 90 * time.Second
)

// Options say how to reach a cluster and as whom.
type Options struct {
	// Addrs are the nodes' HTTP addresses, as host:port or as URLs, in order of
	// preference. None means DefaultAddr. Without a scheme it is https where TLS is
	// set, else http.
	Addrs []string
	// TLS is for https addresses: whom to trust, and the certificate to show, which may
	// make an administrator of whoever has it. Nil: the system's CAs, and none.
	TLS *tls.Config
	// APIKey goes with pipeline and vector store calls.
	APIKey string
	// AdminToken goes with calls under /v1/admin.
	AdminToken string
	// Timeout bounds a call whose context has no earlier deadline; 0 means
	// DefaultTimeout.
	Timeout time.Duration
	// HTTPClient replaces the client's own, and has its own TLS. It must not follow
	// redirects.
	HTTPClient *http.Client
}

// Client is safe for concurrent use.
type Client struct {
	addrs      []string
	apiKey     string
	adminToken string
	timeout    time.Duration
	http       *http.Client
	preferred  atomic.Uint32 // index of the address that answered last
}

// New returns a client. It connects to nothing yet.
func New(o Options) *Client {
	c := &Client{
		apiKey:     o.APIKey,
		adminToken: o.AdminToken,
		timeout:    o.Timeout,
		http:       o.HTTPClient,
	}
	if len(o.Addrs) == 0 {
		o.Addrs = []string{DefaultAddr}
	}
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
	}
	for _, addr := range o.Addrs {
		c.addrs = append(c.addrs, baseURL(scheme, addr))
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.http == nil {
		c.http = newHTTPClient(o.TLS)
	}
	return c
}

// Close drops idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Addrs are the addresses in use, as URLs without a trailing slash.
func (c *Client) Addrs() []string { return append([]string(nil), c.addrs...) }

func newHTTPClient(config *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			MaxIdleConnsPerHost: maxIdlePerNode,
			IdleConnTimeout:     idleConnLifetime,
			TLSClientConfig:     config,
			TLSHandshakeTimeout: handshakeTimeout,
		},
		// A redirect would carry the credentials to an address nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func baseURL(scheme, addr string) string {
	addr = strings.TrimRight(strings.TrimSpace(addr), "/")
	if !strings.Contains(addr, "://") {
		addr = scheme + "://" + addr
	}
	return addr
}
