package main

import (
	"cmp"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"pipesync/storage"
)

// Config is what one node is told: by flags, else the environment, else the
// file, else the defaults. It holds only what is local to a node; what all nodes
// must agree on is replicated and never configured.
type Config struct {
	DataDir string `yaml:"data_dir"`
	NodeID  string `yaml:"node_id"`

	Bootstrap       bool   `yaml:"bootstrap"`
	BootstrapExpect int64  `yaml:"bootstrap_expect"` // nodes; 0: none is waited for
	Join            string `yaml:"join"`             // addresses, with commas between them
	JoinToken       string `yaml:"join_token"`
	JoinTokenFile   string `yaml:"join_token_file"`

	AdminToken     string `yaml:"admin_token"`
	AdminTokenFile string `yaml:"admin_token_file"`

	HTTP   HTTPConfig   `yaml:"http"`
	Peer   PeerConfig   `yaml:"peer"`
	Gossip GossipConfig `yaml:"gossip"`
	Disk   DiskConfig   `yaml:"disk"`
	Raft   RaftConfig   `yaml:"raft"`
	Audit  AuditConfig  `yaml:"audit"`
	Debug  DebugConfig  `yaml:"debug"`
	Log    LogConfig    `yaml:"log"`

	Insecure     bool `yaml:"insecure"`
	InsecureHTTP bool `yaml:"insecure_http"`
}

// HTTPConfig is the port that pipelines and people use.
type HTTPConfig struct {
	Addr          string `yaml:"addr"`
	Advertise     string `yaml:"advertise"`
	UnknownFields string `yaml:"unknown_fields"`
	MaxBodyBytes  int64  `yaml:"max_body_bytes"`
	TLSCertFile   string `yaml:"tls_cert_file"`
	TLSKeyFile    string `yaml:"tls_key_file"`
	ClientCAFile  string `yaml:"client_ca_file"`
}

// PeerConfig is the port of nodes among themselves.
type PeerConfig struct {
	Addr      string `yaml:"addr"`
	Advertise string `yaml:"advertise"`
	CertsDir  string `yaml:"certs_dir"`
}

// GossipConfig is the port on which nodes learn who is alive.
type GossipConfig struct {
	Addr      string `yaml:"addr"`
	Advertise string `yaml:"advertise"`
	Key       string `yaml:"key"`
	KeyFile   string `yaml:"key_file"`
}

// DiskConfig is how much room the node's disks have to have, and how much memory
// spares reading them.
type DiskConfig struct {
	MinFreeBytes int64 `yaml:"min_free_bytes"`
	CacheBytes   int64 `yaml:"cache_bytes"`
}

// RaftConfig is how much of the log is kept.
type RaftConfig struct {
	SnapshotBytes int64 `yaml:"snapshot_bytes"`
	TrailingBytes int64 `yaml:"trailing_bytes"`
}

// AuditConfig is where the audit log goes, and how large it may become.
type AuditConfig struct {
	File     string `yaml:"file"`
	MaxBytes int64  `yaml:"max_bytes"`
}

// DebugConfig is where Go's profiles are served.
type DebugConfig struct {
	Addr string `yaml:"addr"` // empty: nowhere
}

// LogConfig is how much is logged, and in which form.
type LogConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

const (
	refuseUnknownFields = "refuse"
	ignoreUnknownFields = "ignore"
	logText             = "text"
	logJSON             = "json"

	defaultMaxBodyBytes = 16 << 20
	defaultAuditBytes   = 128 << 20

	defaultSnapshotBytes = 256 << 20
)

func defaultConfig() Config {
	return Config{
		DataDir: "pipesync-data",
		HTTP: HTTPConfig{
			Addr:          "127.0.0.1:8800",
			UnknownFields: refuseUnknownFields,
			MaxBodyBytes:  defaultMaxBodyBytes,
		},
		Peer:   PeerConfig{Addr: "127.0.0.1:8801"},
		Gossip: GossipConfig{Addr: "127.0.0.1:8802"},
		Disk:   DiskConfig{CacheBytes: storage.DefaultCacheBytes},
		Raft:   RaftConfig{SnapshotBytes: defaultSnapshotBytes},
		Audit:  AuditConfig{MaxBytes: defaultAuditBytes},
		Log:    LogConfig{Level: "info", Format: logText},
	}
}

// joinAddrs are the peer addresses through which the node may join.
func (c *Config) joinAddrs() []string {
	if c.Join == "" {
		return nil
	}
	return strings.Split(c.Join, ",")
}

// certsDir is where the node's certificates are.
func (c *Config) certsDir() string {
	return cmp.Or(c.Peer.CertsDir, filepath.Join(c.DataDir, certsName))
}

// auditFile is where the audit log is written to.
func (c *Config) auditFile() string {
	return cmp.Or(c.Audit.File, filepath.Join(c.DataDir, auditLogName))
}

// logger writes to w what is at or above the level, which may be changed later.
func (c LogConfig) logger(w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	_ = level.UnmarshalText([]byte(c.Level)) // validated before
	options := &slog.HandlerOptions{Level: level}
	if c.Format == logJSON {
		return slog.New(slog.NewJSONHandler(w, options)), level
	}
	return slog.New(slog.NewTextHandler(w, options)), level
}
