package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// deployed is one node as a file of deploy/ has it started, checked by what the
// program itself makes of its flags, environment and configuration.
type deployed struct {
	args []string // after 'pipesync'
	env  map[string]string
	// mounted has the files that the node finds, by their path there.
	mounted map[string]string
}

func (d deployed) config(t *testing.T) Config {
	t.Helper()
	if len(d.args) == 0 || d.args[0] != "serve" {
		t.Fatalf("it runs %v", d.args)
	}
	var known []string
	for _, s := range settings {
		known = append(known, s.env())
	}
	for name := range d.env {
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) {
			t.Errorf("there is no setting %s", name)
		}
	}
	args := slices.Clone(d.args[1:])
	for i, arg := range args {
		if text, ok := d.mounted[arg]; ok { // a configuration, which is read
			file := filepath.Join(t.TempDir(), path.Base(arg))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args[i] = file
		}
	}
	cmd := newServeCommand(&app{})
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(cmd.Flags(), func(name string) string { return d.env[name] })
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{cfg.AdminTokenFile, cfg.JoinTokenFile} {
		if _, ok := d.mounted[file]; file != "" && !ok {
			t.Errorf("%s isn't mounted among %v", file, d.mounted)
		}
	}
	if cfg.Join != "" && cfg.JoinTokenFile == "" {
		t.Errorf("it has no join token: %+v", cfg)
	}
	return cfg
}

// aCluster wants one of the nodes to found a cluster and the others to join it.
func aCluster(t *testing.T, nodes []Config) {
	t.Helper()
	var founder string
	for _, c := range nodes {
		if c.Bootstrap && founder != "" {
			t.Error("two nodes found a cluster")
		}
		if c.Bootstrap {
			founder = c.Peer.Advertise
		}
	}
	addrs := map[string]bool{}
	for _, c := range nodes {
		if !c.Bootstrap && c.Join != founder {
			t.Errorf("a node joins %q, the founder is %q", c.Join, founder)
		}
		addrs[c.HTTP.Advertise], addrs[c.Peer.Advertise] = true, true
	}
	if len(nodes) != 3 || founder == "" || len(addrs) != 6 {
		t.Errorf("%d nodes, founder %q, addresses %v", len(nodes), founder, addrs)
	}
}

const containerfile = "../../deploy/container/Containerfile"

// imageEnv is what the image sets.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, m := range regexp.MustCompile(`(PIPESYNC_\w+)=(\S+)`).FindAllStringSubmatch(string(mustRead(t, containerfile)), -1) {
		env[m[1]] = m[2]
	}
	return env
}

func TestContainerfile(t *testing.T) {
	text := string(mustRead(t, containerfile))
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mustRead(t, "../../go.mod")))[1]
	env := imageEnv(t)
	for _, want := range []string{
		"FROM golang:" + goVersion + " AS build\n", "./cmd/node\n", `ENTRYPOINT ["/usr/bin/pipesync"]` + "\n", `CMD ["serve"]` + "\n",
		"EXPOSE 8800/tcp 8801/tcp 8802/tcp 8802/udp\n", "\nVOLUME " + env["PIPESYNC_DATA_DIR"] + "\n", "\nUSER 10001:10001\n", "\nFROM scratch\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the Containerfile has no %q", want)
		}
	}
	if env["PIPESYNC_HTTP_ADDR"] != "0.0.0.0:8800" || env["PIPESYNC_PEER_ADDR"] != "0.0.0.0:8801" || env["PIPESYNC_GOSSIP_ADDR"] != "0.0.0.0:8802" {
		t.Errorf("its ports are %v", env)
	}
}

func TestComposeRunsACluster(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Hostname    string
			Environment map[string]string
			Ports       []string
			Volumes     []string
			Secrets     []string
			Grace       string `yaml:"stop_grace_period"`
			Build       struct{ Context, Dockerfile string }
		}
		Secrets map[string]struct{ File string }
		Volumes map[string]struct{}
	}
	if err := yaml.Unmarshal(mustRead(t, "../../deploy/container/compose.yaml"), &compose); err != nil {
		t.Fatal(err)
	}
	var nodes []Config
	for name, s := range compose.Services {
		d := deployed{args: []string{"serve"}, env: imageEnv(t), mounted: map[string]string{}}
		for k, v := range s.Environment {
			d.env[k] = v
		}
		for _, secret := range s.Secrets {
			if compose.Secrets[secret].File == "" {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
			d.mounted["/run/secrets/"+secret] = ""
		}
		cfg := d.config(t)
		nodes = append(nodes, cfg)
		volume, where, _ := strings.Cut(s.Volumes[0], ":")
		if _, ok := compose.Volumes[volume]; !ok || where != cfg.DataDir {
			t.Errorf("%s: the volumes are %v, the data is in %s", name, s.Volumes, cfg.DataDir)
		}
		if s.Hostname != name || !strings.HasPrefix(cfg.Peer.Advertise, name+":") || !strings.HasSuffix(s.Ports[0], ":8800") {
			t.Errorf("%s: hostname %s, ports %v, peer %s", name, s.Hostname, s.Ports, cfg.Peer.Advertise)
		}
		if grace, err := time.ParseDuration(s.Grace); err != nil || grace <= maxStop {
			t.Errorf("%s: a stop may take %s, and takes up to %s", name, s.Grace, maxStop)
		}
		if _, err := os.Stat(filepath.Join("../../deploy/container", s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	aCluster(t, nodes)
}
