package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"pipesync/api/syncjson"
)

const (
	maxAdminBodyBytes   = 64 << 10
	maxKeyNameChars     = 255
	maxNameSuffixChars  = 64 // of organizations and vector stores, after the prefix
	organizationPrefix  = "org_"
	vectorStorePrefix   = "vs_"
	paramOrganizationID = "organization_id"
	paramVectorStoreID  = "vector_store_id"
)

// readAdminBody decodes the request's body into v, as strictly as a sync's. An
// empty body is an empty object.
func (s *server) readAdminBody(c *call, v any) error {
	body, err := s.readJSONBody(c, maxAdminBodyBytes)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	err = json.Unmarshal(body, v, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return problemsFailure(syncjson.Malformed(body, err))
	}
	field := strings.TrimPrefix(string(semantic.JSONPointer), "/")
	if errors.Is(err, json.ErrUnknownName) {
		return failField(codeValidationFailed, field, syncjson.UnknownField, "is not a field of this request")
	}
	rule := "must be a JSON object"
	switch semantic.GoType.Kind() {
	case reflect.String:
		rule = "must be a string"
	case reflect.Bool:
		rule = "must be true or false"
	case reflect.Slice:
		rule = "must be an array"
	case reflect.Int64:
		rule = "must be a whole number"
	}
	return failField(codeValidationFailed, field, syncjson.WrongType, rule)
}

// fieldRules collects what is wrong with the fields of an admin request.
type fieldRules struct{ details []detail }

func (r *fieldRules) add(field, code, format string, args ...any) {
	r.details = append(r.details, detail{Field: field, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (r *fieldRules) name(field, value, prefix string, required bool) {
	if value == "" {
		if required {
			r.add(field, syncjson.Required, "is required")
		}
		return
	}
	if !validName(value, prefix) {
		r.add(field, syncjson.InvalidValue, "must be %q followed by 1 to %d letters, digits, underscores or hyphens",
			prefix, maxNameSuffixChars)
	}
}

func (r *fieldRules) text(field, value string, maxChars int) {
	if utf8.RuneCountInString(value) > maxChars || strings.ContainsFunc(value, unicode.IsControl) {
		r.add(field, syncjson.InvalidValue, "must have at most %d characters, none of them a control character", maxChars)
	}
}

// seconds is a duration within bounds, 0 where it isn't given.
func (r *fieldRules) seconds(field string, value *int64, least, most int64) uint32 {
	switch {
	case value == nil:
		return 0
	case *value < least || *value > most:
		r.add(field, syncjson.InvalidValue, "must be from %d to %d", least, most)
		return 0
	}
	return uint32(*value)
}

// err is nil where no rule was broken.
func (r *fieldRules) err() error {
	if len(r.details) == 0 {
		return nil
	}
	f := fail(codeValidationFailed, "%s %s", r.details[0].Field, r.details[0].Message)
	if f.total = len(r.details); f.total > 1 {
		f.message = fmt.Sprintf("%d problems; the first: %s", f.total, f.message)
	}
	f.details = r.details
	return f
}

func validName(name, prefix string) bool {
	suffix, ok := strings.CutPrefix(name, prefix)
	if !ok || suffix == "" || len(suffix) > maxNameSuffixChars {
		return false
	}
	return !strings.ContainsFunc(suffix, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return false
		}
		return true
	})
}
