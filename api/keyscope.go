package api

import (
	"fmt"
	"slices"
	"strings"

	"pipesync/api/syncjson"
	"pipesync/fsm"
)

// keyActions names what a key may do, from the first bit on.
var keyActions = []string{"read", "upsert", "delete", "full_refresh", "delete_namespace"}

func keyActionNames(set fsm.KeyActions) []string {
	var names []string
	for bit, name := range keyActions {
		if set&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// scopeFields are the fields of a key's scope in requests and replies. One that is
// null limits nothing.
type scopeFields struct {
	Actions        *[]string `json:"actions"`
	VectorStoreIDs *[]string `json:"vector_store_ids"`
	Namespaces     *[]string `json:"namespaces"`
}

func newScopeFields(s fsm.Scope) scopeFields {
	return scopeFields{
		Actions:        listOrNull(keyActionNames(s.Actions)),
		VectorStoreIDs: listOrNull(s.Stores),
		Namespaces:     listOrNull(s.Namespaces),
	}
}

func listOrNull(list []string) *[]string {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// scope is what the fields say; rules are told what is wrong with them.
func (f scopeFields) scope(rules *fieldRules) fsm.Scope {
	var s fsm.Scope
	for i, name := range rules.list("actions", f.Actions) {
		bit := slices.Index(keyActions, name)
		if bit < 0 {
			rules.add(element("actions", i), syncjson.InvalidValue, "must be one of %s", strings.Join(keyActions, ", "))
			continue
		}
		s.Actions |= 1 << bit
	}
	s.Stores = rules.list("vector_store_ids", f.VectorStoreIDs)
	for i, name := range s.Stores {
		rules.name(element("vector_store_ids", i), name, vectorStorePrefix, true)
	}
	s.Namespaces = rules.list("namespaces", f.Namespaces)
	for i, pattern := range s.Namespaces {
		if fault := syncjson.NameFault(pattern); fault != "" {
			rules.add(element("namespaces", i), syncjson.InvalidValue, "%s", fault)
		}
	}
	return s
}

func element(field string, i int) string { return fmt.Sprintf("%s/%d", field, i) }

// list is a list that limits something, nil where it isn't given.
func (r *fieldRules) list(field string, list *[]string) []string {
	switch {
	case list == nil:
		return nil
	case len(*list) == 0:
		r.add(field, syncjson.InvalidValue, "must not be empty; leave it out to limit nothing")
	case len(*list) > fsm.MaxScopeNames:
		r.add(field, syncjson.InvalidValue, "must have at most %d elements", fsm.MaxScopeNames)
	default:
		return *list
	}
	return nil
}

// denySync is the failure for a sync that the caller's key doesn't allow, or nil.
func (c caller) denySync(s *fsm.Sync) error {
	denial := c.scope.Deny(s.Store, s.Mode, s.Outline().Uses)
	if denial == nil {
		return nil
	}
	f := denied(denial)
	if i := denial.Operation; i >= 0 {
		f.message = fmt.Sprintf("operation %d: %s", i, f.message)
		f.details[0].Index, f.details[0].ID, f.details[0].Namespace = &i, s.Operations[i].ID, s.Operations[i].Namespace
	}
	return f
}

// denySeeing is why the caller's key may not see a sync of the history, or nil. Its
// own it may always see: who writes has to learn what came of it.
func (c caller) denySeeing(s *fsm.SyncInfo) *fsm.Denial {
	if s.KeyID == c.keyID {
		return nil
	}
	names := make([]string, len(s.ByNamespace))
	for i := range names {
		names[i] = s.ByNamespace[i].Name
	}
	return c.scope.DenyNamespaces(fsm.MayRead, s.Store, names...)
}

// denied tells what a key's scope doesn't allow.
func denied(d *fsm.Denial) *failure {
	told := detail{Code: syncjson.NotAllowed}
	switch {
	case d.Action != 0:
		told.Field = map[fsm.KeyActions]string{fsm.MayUpsert: "action", fsm.MayDelete: "action", fsm.MayFullRefresh: "sync_mode"}[d.Action]
		told.Message = fmt.Sprintf("the API key's actions don't include %s", strings.Join(keyActionNames(d.Action), ", "))
	case d.Store != "":
		told.Field, told.Message = paramVectorStoreID, fmt.Sprintf("the API key isn't for the vector store %s", d.Store)
	default:
		told.Field, told.Namespace = "namespace", d.Namespace
		told.Message = fmt.Sprintf("the API key isn't for the namespace %q", d.Namespace)
	}
	f := fail(codeKeyScopeDenied, "%s", told.Message)
	f.details, f.total = []detail{told}, 1
	return f
}
