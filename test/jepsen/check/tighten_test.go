package check

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"pipesync/test/jepsen/history"
)

// TestTightenedHistoriesHaveTheSameOrders makes histories of records that are written once,
// right ones and wrong ones: the search says the same of them as of the tightened ones.
func TestTightenedHistoriesHaveTheSameOrders(t *testing.T) {
	var legal, illegal int
	rapid.Check(t, func(t *rapid.T) {
		var ops []porcupine.Operation
		var shown []history.Record
		at := rapid.Int64Range(0, 3)
		now := int64(0)
		for i := range rapid.IntRange(1, 10).Draw(t, "operations") {
			now += at.Draw(t, "then") // when it happens
			op := &history.Op{ID: i, Outcome: history.OK}
			end := now + at.Draw(t, "until")
			if rapid.Bool().Draw(t, "read") {
				records := shown
				if len(shown) > 0 && rapid.IntRange(0, 9).Draw(t, "wrong") == 0 {
					records = shown[:len(shown)-1]
				}
				op.Read = &history.Read{Namespace: "n", Linearizable: true, Records: records}
			} else {
				w := history.Write{Namespace: "n", ID: fmt.Sprintf("%03d", i), Value: int64(i + 1)}
				op.Sync = &history.Sync{Mode: history.Incremental, Writes: []history.Write{w}}
				if rapid.IntRange(0, 3).Draw(t, "unknown") == 0 {
					end = math.MaxInt64
				}
				if end != math.MaxInt64 || rapid.Bool().Draw(t, "done") {
					shown = append(shown[:len(shown):len(shown)], history.Record{ID: w.ID, Value: w.Value})
				}
			}
			ops = append(ops, porcupine.Operation{ClientId: i, Input: input{op, "n"}, Call: now - at.Draw(t, "since"), Return: end})
		}
		lie := &history.Op{Read: &history.Read{Namespace: "n", Linearizable: true, Records: []history.Record{{ID: "nobody's", Value: 1}}}}
		wrong := append(slices.Clone(ops), porcupine.Operation{Input: input{lie, "n"}, Call: now, Return: now + 1})
		for _, ops := range [][]porcupine.Operation{ops, wrong} {
			want := porcupine.CheckOperations(namespaceModel, ops)
			tighten(ops)
			if got := porcupine.CheckOperations(namespaceModel, ops); got != want {
				t.Fatalf("there is an order: %t, and with what reads say of it: %t", want, got)
			}
			if want {
				legal++
			} else {
				illegal++
			}
		}
	})
	if legal == 0 || illegal == 0 {
		t.Errorf("%d histories have an order, %d have none", legal, illegal)
	}
}

// TestABurstIsSearchedInTime has many syncs at once, any of which may be before any other,
// and reads that each show another half of them so far.
func TestABurstIsSearchedInTime(t *testing.T) {
	const burst = 60
	var ops []porcupine.Operation
	var shown []history.Record
	for i := range burst {
		w := history.Write{Namespace: "n", ID: fmt.Sprintf("%03d", i), Value: int64(i + 1)}
		op := &history.Op{ID: i, Sync: &history.Sync{Mode: history.Incremental, Writes: []history.Write{w}}}
		// The last to be shown are the first to be sent, which is where the search begins.
		ops = append(ops, porcupine.Operation{ClientId: i, Input: input{op, "n"}, Call: int64(burst - i), Return: 10_000})
	}
	for i := range burst {
		shown = append(shown[:i:i], history.Record{ID: fmt.Sprintf("%03d", i), Value: int64(i + 1)})
		op := &history.Op{ID: burst + i, Read: &history.Read{Namespace: "n", Linearizable: true, Records: shown}}
		ops = append(ops, porcupine.Operation{ClientId: burst + i, Input: input{op, "n"}, Call: int64(1000 + 10*i), Return: int64(1005 + 10*i)})
	}
	tighten(ops)
	if got := porcupine.CheckOperationsTimeout(namespaceModel, ops, time.Minute); got != porcupine.Ok {
		t.Errorf("the search says %v", got)
	}
}

func TestRecordsThatChangeAreNotTightened(t *testing.T) {
	for name, writes := range map[string][]history.Write{
		"written twice": {{Namespace: "n", ID: "a", Value: 1}, {Namespace: "n", ID: "a", Value: 2}},
		"deleted":       {{Namespace: "n", ID: "a", Value: 0}},
		"many":          {{Namespace: "n", ID: "a", Value: 1, Count: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			sync := &history.Op{Sync: &history.Sync{Mode: history.Incremental, Writes: writes}}
			read := &history.Op{Read: &history.Read{Namespace: "n", Linearizable: true}}
			ops := []porcupine.Operation{{Input: input{sync, "n"}, Call: 1, Return: 9}, {Input: input{read, "n"}, Call: 2, Return: 3}}
			tighten(ops)
			if ops[0].Call != 1 || ops[1].Return != 3 {
				t.Errorf("%+v", ops)
			}
		})
	}
}
