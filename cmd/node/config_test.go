package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// load loads a configuration from file (none if empty), env and args.
func load(t *testing.T, file string, env map[string]string, args ...string) (Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addConfigFlags(fs)
	if file != "" {
		path := filepath.Join(t.TempDir(), "node.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-c", path)
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(fs, func(name string) string { return env[name] })
}

func TestSampleIsTheDefaultsAndNamesEverySetting(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	if err := parseConfig([]byte(sampleConfig), &cfg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultConfig(), cfg); diff != "" {
		t.Errorf("the sample differs from the defaults:\n%s", diff)
	}
	var empty Config
	if err := parseConfig([]byte(sampleConfig), &empty); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultConfig(), empty); diff != "" {
		t.Errorf("the sample leaves out a setting:\n%s", diff)
	}
	for _, s := range settings {
		name := s.key[strings.LastIndex(s.key, ".")+1:]
		if !s.secret && !strings.Contains(sampleConfig, name+":") {
			t.Errorf("the sample doesn't name %s", s.key)
		}
	}
}

func TestEveryFieldIsASetting(t *testing.T) {
	t.Parallel()
	var cfg Config
	picked := map[any]bool{}
	for _, s := range settings {
		picked[s.pick(&cfg)] = true
		if s.rival != "" && settingByKey(s.rival).rival != s.key {
			t.Errorf("%s and %s don't name each other", s.key, s.rival)
		}
	}
	var visit func(reflect.Value)
	visit = func(v reflect.Value) {
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Struct {
				visit(f)
			} else if !picked[f.Addr().Interface()] {
				t.Errorf("no setting for %s", v.Type().Field(i).Name)
			}
		}
	}
	visit(reflect.ValueOf(&cfg).Elem())
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := "http:\n  addr: 127.0.0.1:1\n  unknown_fields: ignore\nlog:\n  level: warn\ngossip:\n  key_file: from-file\n"
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want func(*Config)
	}{
		{"the file over defaults", nil, nil, func(*Config) {}},
		{"the environment over the file", map[string]string{"PIPESYNC_HTTP_ADDR": "127.0.0.1:2"}, nil,
			func(c *Config) { c.HTTP.Addr = "127.0.0.1:2" }},
		{"a flag over the environment", map[string]string{"PIPESYNC_HTTP_ADDR": "127.0.0.1:2"}, []string{"--http-addr", "127.0.0.1:3"},
			func(c *Config) { c.HTTP.Addr = "127.0.0.1:3" }},
		{"a flag that says the default counts", nil, []string{"--http-unknown-fields", "refuse"},
			func(c *Config) { c.HTTP.UnknownFields = "refuse" }},
		{"an empty variable is none", map[string]string{"PIPESYNC_LOG_LEVEL": ""}, nil, func(*Config) {}},
		{"numbers and switches", map[string]string{"PIPESYNC_HTTP_MAX_BODY_BYTES": "2048", "PIPESYNC_INSECURE": "1"}, []string{"--bootstrap"},
			func(c *Config) { c.HTTP.MaxBodyBytes, c.Insecure, c.Bootstrap = 2048, true, true }},
		{"a switch turned off again", map[string]string{"PIPESYNC_BOOTSTRAP": "true"}, []string{"--bootstrap=false"}, func(*Config) {}},
		{"a secret replaces a file named below", map[string]string{"PIPESYNC_GOSSIP_KEY": "k"}, nil,
			func(c *Config) { c.Gossip.Key, c.Gossip.KeyFile = "k", "" }},
		{"a file replaces a secret given below", map[string]string{"PIPESYNC_GOSSIP_KEY": "k"}, []string{"--gossip-key-file", "f"},
			func(c *Config) { c.Gossip.KeyFile = "f" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, file, test.env, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			want := defaultConfig()
			want.HTTP.Addr, want.HTTP.UnknownFields = "127.0.0.1:1", ignoreUnknownFields
			want.Log.Level, want.Gossip.KeyFile = "warn", "from-file"
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFilesThatSayNothingKeepTheDefaults(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"\n", "# a comment\n", "---\n", "http:\n", "http: {}\ngossip:\n"} {
		cfg, err := load(t, file, nil)
		if diff := cmp.Diff(defaultConfig(), cfg); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", file, err, diff)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		file string
		env  map[string]string
		args []string
		want []string // each is in the error
	}{
		{name: "a typo in the file", file: "http:\n  adr: x\n", want: []string{"[2:3]", `unknown field "adr"`, "^"}},
		{name: "a key twice", file: "node_id: a\nnode_id: b\n", want: []string{"[2:1]", "already defined"}},
		{name: "a word for a number", file: "http:\n  max_body_bytes: 16MiB\n", want: []string{"[2:19]"}},
		{name: "two documents", file: "node_id: a\n---\nnode_id: b\n", want: []string{"more than one YAML document"}},
		{name: "a secret twice in the file", file: "gossip:\n  key: a\n  key_file: b\n", want: []string{"gossip.key_file and gossip.key are both set"}},
		{name: "a secret twice in the environment", env: map[string]string{"PIPESYNC_JOIN_TOKEN": "a", "PIPESYNC_JOIN_TOKEN_FILE": "b"},
			want: []string{"PIPESYNC_JOIN_TOKEN and PIPESYNC_JOIN_TOKEN_FILE are both set"}},
		{name: "no switch", env: map[string]string{"PIPESYNC_INSECURE": "maybe"}, want: []string{"reading PIPESYNC_INSECURE", `"maybe"`}},
		{name: "no such file", args: []string{"-c", "/nowhere/node.yaml"}, want: []string{"opening the configuration", "/nowhere/node.yaml"}},
		{name: "all faults at once", args: []string{"--log-level", "loud", "--log-format", "xml", "--http-max-body-bytes", "1", "--http-unknown-fields", "drop"},
			want: []string{"log.level", "log.format", "http.max_body_bytes", "http.unknown_fields"}},
		{name: "HTTP beyond loopback", args: []string{"--http-addr", "0.0.0.0:8800", "--insecure"}, want: []string{"http.addr is 0.0.0.0:8800", "--insecure-http"}},
		{name: "a certificate without its key", args: []string{"--http-tls-cert-file", "c"}, want: []string{"http.tls_key_file is not"}},
		{name: "a key without its certificate", args: []string{"--http-addr", ":8800", "--http-tls-key-file", "k"}, want: []string{"http.tls_cert_file is not", "--insecure-http"}},
		{name: "administrators' certificates without TLS", args: []string{"--http-client-ca-file", "a"}, want: []string{"http.client_ca_file is set"}},
		{name: "HTTP on all interfaces", args: []string{"--http-addr", ":8800"}, want: []string{"--insecure-http"}},
		{name: "HTTP on a host name", args: []string{"--http-addr", "example.com:8800"}, want: []string{"--insecure-http"}},
		{name: "nothing that others could dial", args: []string{"--peer-addr", "0.0.0.0:8801"}, want: []string{"set peer.advertise"}},
		{name: "no port", args: []string{"--peer-addr", "127.0.0.1"}, want: []string{"peer.addr", "HOST:PORT"}},
		{name: "a port too high", args: []string{"--join", "127.0.0.1:88010"}, want: []string{"join is", "HOST:PORT"}},
		{name: "both ways into a cluster", args: []string{"--bootstrap", "--join", "127.0.0.1:8801"}, want: []string{"bootstrap and join are both set"}},
		{name: "an address twice", args: []string{"--join", "127.0.0.1:8801,127.0.0.1:8801"}, want: []string{"address 2 is empty or a repetition"}},
		{name: "ten addresses", args: []string{"--join", strings.Repeat("127.0.0.1:8801,", 9) + "127.0.0.1:8802"}, want: []string{"join has 10 addresses", "at most 9"}},
		{name: "fewer addresses than nodes", args: []string{"--bootstrap-expect", "3", "--join", "127.0.0.1:8801,127.0.0.1:8811"}, want: []string{"bootstrap_expect is 3, and join has 2 addresses"}},
		{name: "alone and together", args: []string{"--bootstrap-expect", "2", "--bootstrap"}, want: []string{"bootstrap and bootstrap_expect are both set"}},
		{name: "each its own admin token", args: []string{"--bootstrap-expect", "1", "--join", "127.0.0.1:8801"}, want: []string{"give all nodes the same admin token"}},
		{name: "a node id like a path", args: []string{"--node-id", "../a"}, want: []string{"node_id"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.file, test.env, test.args...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in the error:\n%v", want, err)
				}
			}
		})
	}
}

func TestBindsThatAreAllowed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--http-addr", "localhost:0", "--peer-addr", "[::1]:8801", "--gossip-addr", "127.9.9.9:0"},
		{"--http-addr", "10.0.0.1:8800", "--insecure-http"},
		{"--http-addr", "10.0.0.1:8800", "--http-tls-cert-file", "c", "--http-tls-key-file", "k", "--http-client-ca-file", "a"},
		{"--http-addr", ":8800", "--insecure-http", "--http-advertise", "10.0.0.1:8800"},
		{"--peer-addr", "[::]:8801", "--gossip-addr", "10.0.0.1:8802", "--peer-advertise", "node-1.internal:8801"},
	} {
		if _, err := load(t, "", nil, args...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := mintGossipKey()
	tests := []struct {
		name string
		cfg  Config
		want string // in the error; empty: none
	}{
		{"from a file, with space around", Config{Gossip: GossipConfig{KeyFile: file("key", " "+key+"\n")}}, ""},
		{"given", Config{Gossip: GossipConfig{Key: key}}, ""},
		{"a short gossip key", Config{Gossip: GossipConfig{Key: "AAAA"}}, "not 32 bytes in base64"},
		{"no base64", Config{Gossip: GossipConfig{Key: key[1:] + "!"}}, "not 32 bytes in base64"},
		{"an empty file", Config{Gossip: GossipConfig{KeyFile: file("empty", "\n")}}, "is empty"},
		{"a missing file", Config{Gossip: GossipConfig{KeyFile: filepath.Join(dir, "none")}}, "reading the gossip key"},
		{"the wrong file", Config{Gossip: GossipConfig{KeyFile: file("large", strings.Repeat("x", 5000))}}, "right file"},
		{"zeros", Config{Gossip: GossipConfig{Key: strings.Repeat("A", 43) + "="}}, "not all zeros"},
		{"a short admin token", Config{Gossip: GossipConfig{Key: key}, AdminToken: "admin"}, "at least 16"},
		{"joining without a token", Config{Gossip: GossipConfig{Key: key}, Join: "127.0.0.1:1"}, "no join token"},
	}
	if s, err := new(Config).readSecrets(); err != nil || s.gossipKey != nil {
		t.Errorf("without any: %+v, %v", s, err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := test.cfg.readSecrets()
			switch {
			case test.want == "" && (err != nil || len(s.gossipKey) != gossipKeyBytes):
				t.Errorf("%d bytes, %v", len(s.gossipKey), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
}
