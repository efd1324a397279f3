package fsm

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"

	"pipesync/storage"
)

// FuzzApply applies whatever decodes: an entry that would end the process is in
// the log of every node, and would end them all at each start.
func FuzzApply(f *testing.F) {
	for name := range goldenCommands() {
		f.Add(readGolden(f, name), int64(0), int64(0))
	}
	for _, s := range newHistory(f, 1, 200).steps {
		f.Add(s.log.Data, 2*retentionSeconds*second, -second)
	}
	f.Fuzz(func(t *testing.T, body []byte, ahead, wall int64) {
		if len(body) >= entrySumEnd {
			body = sealEntry(bytes.Clone(body))
		}
		applyWhatDecodes(t, body, ahead, wall)
	})
}

// FuzzApplyOperations is FuzzApply behind the compression.
func FuzzApplyOperations(f *testing.F) {
	for _, name := range []string{"entry-sync", "entry-sync-refresh", "entry-sync-reject"} {
		count, raw := goldenOperations(f, name)
		f.Add(byte(Incremental), byte(0), count, raw)
		f.Add(byte(FullRefresh), byte(0), count, raw)
	}
	f.Fuzz(func(t *testing.T, mode, how byte, count uint16, raw []byte) {
		s := Sync{
			SyncID: "sync_1", Org: testOrg, KeyID: testKey, Store: testStore, Mode: Mode(mode),
			HasTimestamp: how&1 != 0, Timestamp: testWall, OnStale: OnStale(how >> 1 & 1),
		}
		if how&4 != 0 {
			s.SetIdempotencyKey("sync", "k")
		}
		cmd, err := Decode(rawSync(uint32(count), uint32(len(raw)), s2.Encode(nil, raw)))
		if err != nil {
			classified(t, err)
			return
		}
		s.Operations = cmd.(*Sync).Operations
		if how&8 != 0 {
			s.omitting(every)
		}
		body, err := Encode(&s)
		if err != nil {
			return // of a mode that there isn't
		}
		applyWhatDecodes(t, body, 0, 0)
	})
}

// fill makes records and tombstones of those that random histories speak of.
func (r *rig) fill() {
	r.t.Helper()
	r.setUp(historyLimit)
	r.mustApply(&VersionRaise{Version: MaxClusterVersion})
	r.mustApply(&GossipKeyAdd{Key: storage.GossipKey{1}, First: true})
	r.mustApply(newSync(FullRefresh, upsert("n", "a", "1"), upsert("n", "b", "1"), upsert("m", "a", "1")).at(-10))
	r.mustApply(newSync(Incremental, remove("n", "a"), upsert("n", "c", "3")).at(-5).keyed("k"))
}

// stops says that this program has to stop at cmd: no leader of it admits it.
func stops(cmd Command) bool {
	raise, ok := cmd.(*VersionRaise)
	return ok && raise.Version > maxVersion
}

// applyWhatDecodes applies body twice to a filled state, and reads it.
func applyWhatDecodes(t *testing.T, body []byte, ahead, wall int64) {
	cmd, err := Decode(body)
	if err != nil {
		return
	}
	if stops(cmd) {
		return
	}
	r := newCrashingRig(t)
	r.fill()
	for range 2 {
		r.now += ahead
		stamp := Stamp{Term: testTerm, ClusterTime: r.now, WallTime: testWall + wall}
		r.applyLog(&raft.Log{Index: r.next, Term: testTerm, Data: body, Extensions: EncodeStamp(stamp, body)})
		r.next++
	}
	dump(t, r.fsm)
}

// TestNoCommandIsPoison is FuzzApply with commands of random histories, in which a
// few fields have other values: mutated bytes seldom get that far.
func TestNoCommandIsPoison(t *testing.T) {
	steps := newHistory(t, 1, 200).steps
	rapid.Check(t, func(rt *rapid.T) {
		fs, err := newCrashDisk()
		must(t, err)
		r := &rig{t: t, dir: crashHome, next: 10, wall: testWall, opts: func(o *Options) { o.FS = fs }}
		r.open()
		defer r.close()
		r.fill()
		for range 30 {
			cmd, err := Decode(rapid.SampledFrom(steps).Draw(rt, "step").log.Data)
			must(t, err)
			for range rapid.IntRange(0, 4).Draw(rt, "changes") {
				tamper(rt, reflect.ValueOf(cmd).Elem())
			}
			r.now += second
			if _, err := Encode(cmd); err == nil && !stops(cmd) {
				r.apply(cmd)
			}
		}
		dump(t, r.fsm)
	})
}

// tamper gives one field, however deep, another value.
func tamper(rt *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		tamper(rt, v.Field(rapid.IntRange(0, v.NumField()-1).Draw(rt, "field")))
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		tamper(rt, v.Elem())
	case reflect.Slice, reflect.Array:
		n := v.Len()
		if v.Kind() == reflect.Slice && rapid.Bool().Draw(rt, "resize") {
			n = rapid.IntRange(0, n+2).Draw(rt, "length")
			v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, n), v.Slice(0, min(n, v.Len()))).Slice(0, n))
		}
		if n > 0 {
			tamper(rt, v.Index(rapid.IntRange(0, n-1).Draw(rt, "element")))
		}
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "n", "m", "zz", testOrg, testKey, testStore}), rapid.String()).Draw(rt, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(rt, "bool"))
	case reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.SampledFrom([]int64{0, -1, testWall, math.MaxInt64, math.MinInt64}), rapid.Int64()).Draw(rt, "int"))
	default:
		limit := uint64(1)<<(8*v.Type().Size()-1)<<1 - 1
		v.SetUint(rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 2, limit}), rapid.Uint64Range(0, limit)).Draw(rt, "uint"))
	}
}
