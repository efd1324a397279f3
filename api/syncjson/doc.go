// Package syncjson turns the body of a sync request into an fsm.Sync.
//
// It walks the JSON once, token by token and without reflection, and names
// every bad operation in that one pass. What it accepts is stricter than
// RFC 8259: duplicate keys, invalid UTF-8, lone surrogates, deep nesting and
// very long numbers are refused, because two readers could understand them
// differently, and what is stored here is read by others.
//
// The order of keys is free, so what depends on two fields (a delete with
// data, a full refresh without operations) is decided when their object ends.
package syncjson
