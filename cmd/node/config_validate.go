package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
)

const (
	maxNodeIDBytes      = 64
	maxJoinAddrs        = 9
	minBodyBytes        = 1 << 10
	minCacheBytes       = 8 << 20
	minSnapshotBytes    = 64 << 10
	minAuditBytes       = 1 << 20
	maxBodyBytesSetting = 64 << 20
)

// validate checks all that can be checked without touching disk or network, and
// reports every fault at once.
func (c *Config) validate() error {
	faults := []error{
		c.validateIdentity(),
		checkBind("http.addr", c.HTTP.Addr, c.HTTP.Advertise),
		c.HTTP.checkTLS(),
		c.checkHTTPIsPrivate(),
		checkBind("peer.addr", c.Peer.Addr, c.Peer.Advertise),
		checkBind("gossip.addr", c.Gossip.Addr, c.Gossip.Advertise),
		checkAddr("http.advertise", c.HTTP.Advertise),
		checkAddr("peer.advertise", c.Peer.Advertise),
		checkAddr("gossip.advertise", c.Gossip.Advertise),
		checkDebug(c.Debug.Addr),
	}
	if v := c.HTTP.UnknownFields; v != refuseUnknownFields && v != ignoreUnknownFields {
		faults = append(faults, fmt.Errorf("http.unknown_fields is %q: it must be refuse or ignore", v))
	}
	if v := c.HTTP.MaxBodyBytes; v < minBodyBytes || v > maxBodyBytesSetting {
		faults = append(faults, fmt.Errorf("http.max_body_bytes is %d: it must be from %d to %d", v, minBodyBytes, maxBodyBytesSetting))
	}
	if v := c.Disk.MinFreeBytes; v < 0 {
		faults = append(faults, fmt.Errorf("disk.min_free_bytes is %d: it can't be negative; 0 is the default", v))
	}
	if v := c.Disk.CacheBytes; v < minCacheBytes {
		faults = append(faults, fmt.Errorf("disk.cache_bytes is %d: it must be at least %d", v, minCacheBytes))
	}
	if v := c.Raft.SnapshotBytes; v < minSnapshotBytes {
		faults = append(faults, fmt.Errorf("raft.snapshot_bytes is %d: it must be at least %d", v, minSnapshotBytes))
	}
	if v := c.Raft.TrailingBytes; v < 0 {
		faults = append(faults, fmt.Errorf("raft.trailing_bytes is %d: it can't be negative; 0 is the default", v))
	}
	if v := c.Audit.MaxBytes; v < minAuditBytes {
		faults = append(faults, fmt.Errorf("audit.max_bytes is %d: it must be at least %d", v, minAuditBytes))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		faults = append(faults, fmt.Errorf("log.level is %q: it must be debug, info, warn or error", c.Log.Level))
	}
	if v := c.Log.Format; v != logText && v != logJSON {
		faults = append(faults, fmt.Errorf("log.format is %q: it must be text or json", v))
	}
	return errors.Join(faults...)
}

func (c *Config) validateIdentity() error {
	if c.DataDir == "" {
		return errors.New("data_dir is empty: name a directory")
	}
	if c.Bootstrap && c.Join != "" {
		return errors.New("bootstrap and join are both set: a node forms a cluster or joins one")
	}
	return errors.Join(c.validateJoin(), checkName("node_id", c.NodeID))
}

// validateJoin wants the addresses of all nodes that found a cluster together, so that
// all mean the same ones.
func (c *Config) validateJoin() error {
	addrs := c.joinAddrs()
	if len(addrs) > maxJoinAddrs {
		return fmt.Errorf("join has %d addresses: at most %d are allowed", len(addrs), maxJoinAddrs)
	}
	for i, addr := range addrs {
		if addr == "" || slices.Contains(addrs[:i], addr) {
			return fmt.Errorf("join is %q: address %d is empty or a repetition", c.Join, i+1)
		}
		if err := checkAddr("join", addr); err != nil {
			return err
		}
	}
	switch {
	case c.BootstrapExpect == 0:
		return nil
	case c.Bootstrap:
		return errors.New("bootstrap and bootstrap_expect are both set: a node forms a cluster alone or together with others")
	case c.BootstrapExpect != int64(len(addrs)):
		return fmt.Errorf("bootstrap_expect is %d, and join has %d addresses: name the peer addresses of all %d nodes, this one's too, and the same on each",
			c.BootstrapExpect, len(addrs), c.BootstrapExpect)
	case c.AdminToken == "" && c.AdminTokenFile == "":
		return errors.New("bootstrap_expect is set, and admin_token_file isn't: give all nodes the same admin token, by which they let one another in")
	}
	return nil
}

// checkName makes sure that text can be a node's or a cluster's id.
func checkName(key, text string) error {
	if len(text) > maxNodeIDBytes || strings.ContainsFunc(text, notInNodeID) {
		return fmt.Errorf("%s is %q: it must be at most %d letters, digits, '.', '_' or '-'", key, text, maxNodeIDBytes)
	}
	return nil
}

func notInNodeID(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
}

func checkAddr(key, addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s is %q: it must be HOST:PORT, such as 10.0.0.7:8801 or [::1]:8801", key, addr)
	}
	return nil
}

// checkHTTPIsPrivate refuses an HTTP port that others reach and nothing encrypts.
func (c *Config) checkHTTPIsPrivate() error {
	host, _, err := net.SplitHostPort(c.HTTP.Addr)
	if err != nil || isLoopback(host) || c.InsecureHTTP || c.HTTP.hasTLS() {
		return nil
	}
	return fmt.Errorf("http.addr is %s, beyond loopback, and nothing encrypts it: set http.tls_cert_file and http.tls_key_file, bind 127.0.0.1, or say --insecure-http if the network is trusted", c.HTTP.Addr)
}

func (c *HTTPConfig) hasTLS() bool { return c.TLSCertFile != "" && c.TLSKeyFile != "" }

func (c *HTTPConfig) checkTLS() error {
	switch {
	case c.TLSCertFile != "" && c.TLSKeyFile == "":
		return errors.New("http.tls_cert_file is set, and http.tls_key_file is not: a certificate needs its key")
	case c.TLSCertFile == "" && c.TLSKeyFile != "":
		return errors.New("http.tls_key_file is set, and http.tls_cert_file is not: a key needs its certificate")
	case c.ClientCAFile != "" && !c.hasTLS():
		return errors.New("http.client_ca_file is set, and http.tls_cert_file is not: only over TLS does a client show a certificate")
	}
	return nil
}

func checkBind(key, addr, advertise string) error {
	if addr == "" {
		return fmt.Errorf("%s is empty: it must be HOST:PORT", key)
	}
	if err := checkAddr(key, addr); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		name := strings.TrimSuffix(key, ".addr")
		return fmt.Errorf("%s is %s, which others can't dial: set %s.advertise", key, addr, name)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
