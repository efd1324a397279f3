package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// manifest is as much of a Kubernetes object as is checked.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		ServiceName string `yaml:"serviceName"`
		Replicas    int
		Selector    map[string]any
		Ports       []struct {
			Port       int
			TargetPort string `yaml:"targetPort"`
			Protocol   string
		}
		Template struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []container
				Volumes    []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
		Claims []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
	}
}

type container struct {
	Args  []string
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name     string
		Port     int `yaml:"containerPort"`
		Protocol string
	}
	Lifecycle struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	Liveness  probe   `yaml:"livenessProbe"`
	Readiness probe   `yaml:"readinessProbe"`
	Mounts    []mount `yaml:"volumeMounts"`
}

type mount struct {
	Name string
	Path string `yaml:"mountPath"`
}

type probe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	found := map[string]manifest{}
	decoder := yaml.NewDecoder(bytes.NewReader(mustRead(t, "../../deploy/kubernetes/pipesync.yaml")))
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found[m.Kind+" "+m.Metadata.Name] = m
	}
}

func TestKubernetesRunsACluster(t *testing.T) {
	all := manifests(t)
	set, configs := all["StatefulSet pipesync"], all["ConfigMap pipesync"]
	pod := set.Spec.Template.Spec
	if len(pod.Containers) != 1 || set.Spec.Replicas != 3 || len(configs.Data) != set.Spec.Replicas {
		t.Fatalf("%d replicas, %d configurations", set.Spec.Replicas, len(configs.Data))
	}
	c := pod.Containers[0]
	before := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	if grace := time.Duration(pod.Grace) * time.Second; before == 0 || grace <= before+maxStop {
		t.Errorf("a stop may take %s, begins after %s and takes up to %s", grace, before, maxStop)
	}
	ports := map[string]int{}
	for _, p := range c.Ports {
		ports[p.Name] = p.Port
	}
	for name, m := range all {
		for _, p := range m.Spec.Ports {
			if ports[p.TargetPort] != p.Port || (p.Protocol == "UDP") != strings.HasSuffix(p.TargetPort, "-udp") {
				t.Errorf("%s has port %+v, the container %v", name, p, ports)
			}
		}
	}
	if _, ok := all["Service "+set.Spec.ServiceName]; !ok {
		t.Errorf("there is no service %s", set.Spec.ServiceName)
	}
	var nodes []Config
	for name := range configs.Data {
		name = strings.TrimSuffix(name, ".yaml")
		cfg := podOf(c, configs.Data, name).config(t)
		nodes = append(nodes, cfg)
		for port, addr := range map[string]string{"http": cfg.HTTP.Addr, "peer": cfg.Peer.Addr, "gossip": cfg.Gossip.Addr, "gossip-udp": cfg.Gossip.Addr} {
			if want := fmt.Sprintf("0.0.0.0:%d", ports[port]); addr != want {
				t.Errorf("%s listens at %s for %s, the container has %s", name, addr, port, want)
			}
		}
		if cfg.Peer.Advertise != name+"."+set.Spec.ServiceName+":8801" {
			t.Errorf("%s is at %s", name, cfg.Peer.Advertise)
		}
		onVolume := func(m mount) bool {
			return m.Name == set.Spec.Claims[0].Metadata.Name && strings.HasPrefix(cfg.DataDir, m.Path+"/")
		}
		if !slices.ContainsFunc(c.Mounts, onVolume) {
			t.Errorf("%s keeps its data in %s, the volumes are %+v", name, cfg.DataDir, c.Mounts)
		}
	}
	aCluster(t, nodes)
	spec := string(mustRead(t, "../../api/openapi.yaml"))
	for _, path := range []string{c.Liveness.Get.Path, c.Readiness.Get.Path, set.Spec.Template.Metadata.Annotations["prometheus.io/path"]} {
		if path == "" || !strings.Contains(spec, "\n  "+path+":\n") {
			t.Errorf("the API has no route %q", path)
		}
	}
	if c.Liveness.Get.Path != "/livez" || c.Readiness.Get.Path != "/readyz" {
		t.Errorf("a node that isn't ready must not be killed for it: %+v, %+v", c.Liveness, c.Readiness)
	}
}

// podOf is the container as Kubernetes starts it in the pod of that name.
func podOf(c container, configs map[string]string, name string) deployed {
	filled := strings.NewReplacer("$(POD_NAME)", name, "$(POD_IP)", "10.1.2.3")
	d := deployed{env: map[string]string{}, mounted: map[string]string{
		"/etc/pipesync/secrets/admin-token": "",
	}}
	for file, text := range configs {
		d.mounted["/etc/pipesync/config/"+file] = text
	}
	for _, arg := range c.Args {
		d.args = append(d.args, filled.Replace(arg))
	}
	for _, e := range c.Env {
		d.env[e.Name] = filled.Replace(e.Value)
	}
	return d
}
