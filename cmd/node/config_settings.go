package main

import (
	"fmt"
	"strconv"
	"strings"
)

const envPrefix = "PIPESYNC_"

// setting is one value of Config under its three names: http.addr in the file,
// PIPESYNC_HTTP_ADDR in the environment, --http-addr on the command line.
type setting struct {
	key   string
	usage string
	pick  func(*Config) any // *string, *bool or *int64
	// rival is the key of the setting that gives the same secret another way.
	rival  string
	secret bool
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }

var settings = []setting{
	{key: "data_dir", usage: "directory of everything that the node keeps",
		pick: func(c *Config) any { return &c.DataDir }},
	{key: "node_id", usage: "name of this node for ever (default: minted on the first start)",
		pick: func(c *Config) any { return &c.NodeID }},
	{key: "bootstrap", usage: "form a new cluster if this node belongs to none",
		pick: func(c *Config) any { return &c.Bootstrap }},
	{key: "bootstrap_expect", usage: "form a new cluster together with the other nodes at the addresses of join, once so many are there",
		pick: func(c *Config) any { return &c.BootstrapExpect }},
	{key: "join", usage: "peer addresses of members, separated by commas, whose cluster to join if this node belongs to none",
		pick: func(c *Config) any { return &c.Join }},
	{key: "join_token", usage: "token that lets this node join", secret: true, rival: "join_token_file",
		pick: func(c *Config) any { return &c.JoinToken }},
	{key: "join_token_file", usage: "file with the token that lets this node join", rival: "join_token",
		pick: func(c *Config) any { return &c.JoinTokenFile }},
	{key: "admin_token", usage: "admin token of this node", secret: true, rival: "admin_token_file",
		pick: func(c *Config) any { return &c.AdminToken }},
	{key: "admin_token_file", usage: "file with the admin token (default: DATA/admin-token, made if missing)", rival: "admin_token",
		pick: func(c *Config) any { return &c.AdminTokenFile }},
	{key: "http.addr", usage: "address of the HTTP port; port 0 picks a free one",
		pick: func(c *Config) any { return &c.HTTP.Addr }},
	{key: "http.advertise", usage: "HTTP address that others are told (default: the bound one)",
		pick: func(c *Config) any { return &c.HTTP.Advertise }},
	{key: "http.unknown_fields", usage: "what to do with unknown fields of a request: refuse or ignore",
		pick: func(c *Config) any { return &c.HTTP.UnknownFields }},
	{key: "http.max_body_bytes", usage: "largest request body, decompressed",
		pick: func(c *Config) any { return &c.HTTP.MaxBodyBytes }},
	{key: "http.tls_cert_file", usage: "certificate of the HTTP port, with intermediates if any, in PEM (default: plain text)",
		pick: func(c *Config) any { return &c.HTTP.TLSCertFile }},
	{key: "http.tls_key_file", usage: "its key, in PEM; mode 0600 or 0640",
		pick: func(c *Config) any { return &c.HTTP.TLSKeyFile }},
	{key: "http.client_ca_file", usage: "CAs of administrators' certificates, which count as the admin token (default: none do)",
		pick: func(c *Config) any { return &c.HTTP.ClientCAFile }},
	{key: "peer.addr", usage: "address of the peer port; port 0 picks a free one",
		pick: func(c *Config) any { return &c.Peer.Addr }},
	{key: "peer.advertise", usage: "peer address that other nodes dial (default: the bound one)",
		pick: func(c *Config) any { return &c.Peer.Advertise }},
	{key: "peer.certs_dir", usage: "directory of this node's certificates for the peer port (default: DATA/certs)",
		pick: func(c *Config) any { return &c.Peer.CertsDir }},
	{key: "gossip.addr", usage: "address of the gossip port, TCP and UDP; port 0 picks a free one",
		pick: func(c *Config) any { return &c.Gossip.Addr }},
	{key: "gossip.advertise", usage: "gossip address that other nodes are told (default: the bound one)",
		pick: func(c *Config) any { return &c.Gossip.Advertise }},
	{key: "gossip.key", usage: "key with which the cluster's gossip begins: 32 bytes in base64", secret: true, rival: "gossip.key_file",
		pick: func(c *Config) any { return &c.Gossip.Key }},
	{key: "gossip.key_file", usage: "file with the key that the cluster's gossip begins with (default: one is made)", rival: "gossip.key",
		pick: func(c *Config) any { return &c.Gossip.KeyFile }},
	{key: "disk.min_free_bytes", usage: "free space below which this node takes no writes as leader (default: 1 GiB, or 5 % of the disk if less)",
		pick: func(c *Config) any { return &c.Disk.MinFreeBytes }},
	{key: "disk.cache_bytes", usage: "memory for what was read or written last of the state, some 100 bytes for each record that syncs name",
		pick: func(c *Config) any { return &c.Disk.CacheBytes }},
	{key: "raft.snapshot_bytes", usage: "log since the last snapshot at which this node takes the next",
		pick: func(c *Config) any { return &c.Raft.SnapshotBytes }},
	{key: "raft.trailing_bytes", usage: "log kept behind a snapshot, for members that lag (default: what was logged in ten minutes, 256 MiB to 2 GiB)",
		pick: func(c *Config) any { return &c.Raft.TrailingBytes }},
	{key: "audit.file", usage: "file of the audit log, with older ones beside it (default: DATA/audit.log)",
		pick: func(c *Config) any { return &c.Audit.File }},
	{key: "audit.max_bytes", usage: "bytes of all files of the audit log together",
		pick: func(c *Config) any { return &c.Audit.MaxBytes }},
	{key: "insecure", usage: "speak plain text on the peer port, on a network that you trust; all nodes or none",
		pick: func(c *Config) any { return &c.Insecure }},
	{key: "insecure_http", usage: "allow the HTTP port beyond loopback without TLS",
		pick: func(c *Config) any { return &c.InsecureHTTP }},
	{key: "debug.addr", usage: "loopback address of Go's profiles (pprof), such as 127.0.0.1:8803 (default: none)",
		pick: func(c *Config) any { return &c.Debug.Addr }},
	{key: "log.level", usage: "debug, info, warn or error",
		pick: func(c *Config) any { return &c.Log.Level }},
	{key: "log.format", usage: "text or json",
		pick: func(c *Config) any { return &c.Log.Format }},
}

func settingByKey(key string) setting {
	for _, s := range settings {
		if s.key == key {
			return s
		}
	}
	panic("no setting " + key)
}

func (s setting) set(c *Config, text string) error {
	switch p := s.pick(c).(type) {
	case *string:
		*p = text
	case *bool:
		value, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*p = value
	case *int64:
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = value
	}
	return nil
}

func (s setting) clear(c *Config) {
	if p, ok := s.pick(c).(*string); ok {
		*p = ""
	}
}

func (s setting) text(c *Config) string {
	switch p := s.pick(c).(type) {
	case *string:
		return *p
	case *bool:
		return strconv.FormatBool(*p)
	case *int64:
		return strconv.FormatInt(*p, 10)
	}
	return ""
}
