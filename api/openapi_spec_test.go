package api

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"pipesync/fsm"
)

// loadSpec reads openapi.yaml and validates it, its examples included.
func loadSpec(t *testing.T) *openapi3.T {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatalf("reading the document: %v", err)
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text)
	if err != nil {
		t.Fatalf("loading the document: %v", err)
	}
	err = doc.Validate(loader.Context, openapi3.EnableExamplesValidation(),
		openapi3.EnableSchemaPatternValidation(), openapi3.EnableMultiError())
	if err != nil {
		t.Fatalf("validating the document: %v", err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Fatalf("the document is of OpenAPI %s", doc.OpenAPI)
	}
	return doc
}

func TestSpecIsValid(t *testing.T) {
	doc := loadSpec(t)
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q is empty or used twice", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			if op.Summary == "" || len(op.Tags) == 0 {
				t.Errorf("%s %s: no summary or no tag", method, path)
			}
		}
	}
}

// checkClosed fails for each object that admits members it doesn't describe,
// but for those whose content is the callers' own.
func checkClosed(t *testing.T, path string, ref *openapi3.SchemaRef) {
	t.Helper()
	s := ref.Value
	field := path[strings.LastIndex(path, ".")+1:]
	own := field == "data" || field == "file"
	extra := s.AdditionalProperties
	if s.Type.Includes("object") && !own && extra.Schema == nil && (extra.Has == nil || *extra.Has) {
		t.Errorf("%s is an open object", path)
	}
	for name, p := range s.Properties {
		if p.Ref == "" {
			checkClosed(t, path+"."+name, p)
		}
	}
	if s.Items != nil && s.Items.Ref == "" {
		checkClosed(t, path+"[]", s.Items)
	}
}

// A reply with a field that isn't described fails against the document.
func TestSpecShapesAreClosed(t *testing.T) {
	doc := loadSpec(t)
	for name, ref := range doc.Components.Schemas {
		checkClosed(t, name, ref)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status, r := range op.Responses.Map() {
				media := r.Value.Content.Get("application/json")
				if media != nil && media.Schema.Ref == "" {
					checkClosed(t, method+" "+path+" "+status, media.Schema)
				}
			}
		}
	}
}

// codesOf are the error codes that a response's schema admits.
func codesOf(r *openapi3.Response) []string {
	media := r.Content.Get("application/json")
	if media == nil || media.Schema == nil {
		return nil
	}
	var codes []string
	for _, part := range media.Schema.Value.AllOf {
		body := part.Value.Properties["error"]
		if body == nil || body.Value.Properties["code"] == nil || part.Ref != "" {
			continue
		}
		code := body.Value.Properties["code"].Value
		for _, c := range append(code.Enum, code.Const) {
			if text, ok := c.(string); ok {
				codes = append(codes, text)
			}
		}
	}
	return codes
}

// Each code of the table is described under its status and no other.
func TestSpecHasEachErrorCodeUnderItsStatus(t *testing.T) {
	doc := loadSpec(t)
	statuses := map[string]map[string]bool{} // by code
	note := func(status string, r *openapi3.ResponseRef) {
		for _, code := range codesOf(r.Value) {
			if statuses[code] == nil {
				statuses[code] = map[string]bool{}
			}
			statuses[code][status] = true
		}
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status, r := range op.Responses.Map() {
				note(status, r)
			}
		}
	}
	note("404", doc.Components.Responses["RouteNotFound"]) // these two belong to no route
	note("405", doc.Components.Responses["MethodNotAllowed"])
	for _, row := range errorTable {
		if s := statuses[string(row.code)]; len(s) != 1 || !s[strconv.Itoa(row.status)] {
			t.Errorf("%s is described under %v, the table has %d", row.code, s, row.status)
		}
	}
}

// checkFiguresSchema: a schema describes exactly the figures, with their ranges.
func checkFiguresSchema[Row any](t *testing.T, schema *openapi3.Schema, figures fsm.Figures[Row]) {
	t.Helper()
	if len(schema.Properties) != len(figures) {
		t.Errorf("%d figures are described, there are %d", len(schema.Properties), len(figures))
	}
	for _, f := range figures {
		p := schema.Properties[f.Name]
		if p == nil || p.Value.Min == nil || p.Value.Max == nil {
			t.Errorf("%s is not described, or without its range", f.Name)
			continue
		}
		if *p.Value.Min != float64(f.Min) || *p.Value.Max != float64(f.Max) {
			t.Errorf("%s is described from %v to %v, its range is %d to %d", f.Name, *p.Value.Min, *p.Value.Max, f.Min, f.Max)
		}
	}
}

func TestSpecHasEachFigure(t *testing.T) {
	schemas := loadSpec(t).Components.Schemas
	for _, name := range []string{"Settings", "SettingsChange"} {
		checkFiguresSchema(t, schemas[name].Value, fsm.SettingsFigures)
	}
	for _, name := range []string{"Limits", "LimitsChange"} {
		checkFiguresSchema(t, schemas[name].Value, fsm.LimitsFigures)
	}
	if got := len(schemas["Limits"].Value.Required); got != len(fsm.LimitsFigures) {
		t.Errorf("%d limits are always there, want all", got)
	}
	if got := len(schemas["Settings"].Value.Required); got != len(fsm.SettingsFigures) {
		t.Errorf("%d figures are always there, want all", got)
	}
}
