package api

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// TestOpenAPIAgrees: the description has exactly the routes that are served,
// with the access that they need, and exactly the error codes of the table.
func TestOpenAPIAgrees(t *testing.T) {
	var described struct {
		Paths      map[string]map[string]any `yaml:"paths"`
		Components struct {
			Schemas map[string]struct {
				Enum []string `yaml:"enum"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	body := newEdge(t).do("GET", "/openapi.yaml", "").want(200, "").wantHeader("Content-Type", "application/yaml").body
	if err := yaml.Unmarshal([]byte(body), &described); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	parameter := regexp.MustCompile(`:[a-z]+|\{[a-z_]+\}`)
	for _, r := range (&server{}).routes() {
		want = append(want, r.method+" "+parameter.ReplaceAllString(r.pattern, "{}")+" "+
			map[access]string{open: "", keyed: "ApiKey", admin: "AdminToken"}[r.access])
	}
	for path, methods := range described.Paths {
		for method, operation := range methods {
			if method == "parameters" {
				continue
			}
			scheme := ""
			if security, ok := operation.(map[string]any)["security"].([]any); ok {
				for name := range security[0].(map[string]any) {
					scheme = name
				}
			}
			got = append(got, strings.ToUpper(method)+" "+parameter.ReplaceAllString(path, "{}")+" "+scheme)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-served +described):\n%s", diff)
	}
	want = nil
	for _, row := range errorTable {
		want = append(want, string(row.code))
	}
	if diff := cmp.Diff(want, described.Components.Schemas["ErrorCode"].Enum); diff != "" {
		t.Errorf("codes (-told +described):\n%s", diff)
	}
}
