package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"pipesync/test/jepsen/history"
)

// maxSearchSeconds is how long the search for an order may take for one namespace. One
// that isn't found by then counts as an anomaly.
const maxSearchSeconds = 300

// Linearizable looks, for each namespace, for an order of syncs and linearizable reads
// that explains them all and agrees with real time, without believing any index
// (Wing and Gong, 1993, by way of porcupine). A sync of unknown outcome is never over,
// unless a read shows it: it has happened by then.
func Linearizable(h *history.History) *Report {
	r := newReport("linearizable")
	byNamespace := map[string][]porcupine.Operation{}
	shown := shownAt(h)
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Outcome == history.Fail || op.Sync != nil && op.Sync.Repeat {
			continue
		}
		for _, namespace := range namespacesOf(op) {
			end := int64(op.Returned)
			if op.Outcome == history.Unknown {
				end = math.MaxInt64
			}
			if op.Sync != nil {
				for _, w := range op.Sync.Writes {
					if at, seen := shown[w.Value]; seen {
						end = min(end, at)
					}
				}
			}
			name := op.Org + "/" + namespace
			byNamespace[name] = append(byNamespace[name], porcupine.Operation{
				ClientId: op.Client, Input: input{op, namespace}, Call: int64(op.Invoked), Output: op.Outcome, Return: end,
			})
		}
	}
	names := slices.Sorted(maps.Keys(byNamespace))
	for _, name := range names {
		tighten(byNamespace[name])
	}
	results := make([]porcupine.CheckResult, len(names))
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				results[i] = porcupine.CheckOperationsTimeout(namespaceModel, byNamespace[names[i]], maxSearchSeconds*time.Second)
			}
		})
	}
	all.Wait()
	for i, name := range names {
		ops := byNamespace[name]
		r.Figures["namespaces"]++
		r.Figures["operations"] += len(ops)
		switch results[i] {
		case porcupine.Illegal:
			culprit := firstUnexplained(ops)
			r.found([]int{culprit}, "no order explains the %d operations of %s, from operation %d on", len(ops), name, culprit)
		case porcupine.Unknown:
			r.found(nil, "no order was found within %d s for the %d operations of %s, nor that there is none", maxSearchSeconds, len(ops), name)
		}
	}
	return r
}

// shownAt is when a read first showed a value that one sync alone writes. A sync that was
// answered much later, after retries, has happened by then, which spares the search most
// of the orders that it would have to try.
func shownAt(h *history.History) map[int64]int64 {
	writers := map[int64]int{}
	for i := range h.Ops {
		if sync := h.Ops[i].Sync; sync != nil && !sync.Repeat {
			for _, w := range sync.Writes {
				writers[w.Value]++
			}
		}
	}
	first := map[int64]int64{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Read == nil || op.Outcome != history.OK {
			continue
		}
		for _, record := range op.Read.Records {
			if writers[record.Value] > 1 {
				continue
			}
			if at, seen := first[record.Value]; !seen || int64(op.Returned) < at {
				first[record.Value] = int64(op.Returned)
			}
		}
	}
	return first
}

// firstUnexplained is the first operation, by when it returned, at whose end there is no
// order any more. A moment without one is followed by none that has one.
func firstUnexplained(ops []porcupine.Operation) (id int) {
	byReturn := slices.Clone(ops)
	slices.SortFunc(byReturn, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	i := sort.Search(len(byReturn)-1, func(i int) bool {
		return porcupine.CheckOperationsTimeout(namespaceModel, until(ops, byReturn[i].Return), maxSearchSeconds*time.Second) == porcupine.Illegal
	})
	return byReturn[i].Input.(input).op.ID
}

// until are the operations as they were known at a moment: of those under way a read is
// nothing yet, and a sync is not over.
func until(ops []porcupine.Operation, end int64) (known []porcupine.Operation) {
	for _, o := range ops {
		switch {
		case o.Return <= end:
		case o.Call > end || o.Input.(input).op.Read != nil:
			continue
		default:
			o.Return = math.MaxInt64
		}
		known = append(known, o)
	}
	return known
}

// namespacesOf are those that an operation is about, as far as porcupine needs it.
func namespacesOf(op *history.Op) (names []string) {
	if op.Read != nil {
		if op.Read.Linearizable && op.Outcome == history.OK {
			return []string{op.Read.Namespace}
		}
		return nil
	}
	for _, w := range op.Sync.Writes {
		if !slices.Contains(names, w.Namespace) {
			names = append(names, w.Namespace)
		}
	}
	return names
}

// input is an operation as one namespace sees it.
type input struct {
	op        *history.Op
	namespace string
}

// namespaceModel has the live records as its state, as text, and those deleted ones whose
// timestamps count.
var namespaceModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, in, _ any) (bool, any) {
		text, i := state.(string), in.(input)
		if i.op.Read != nil {
			return live(text) == textOf(i.op.Read.Records), state
		}
		return true, i.apply(text)
	},
	DescribeOperation: func(in, _ any) string {
		i := in.(input)
		if i.op.Read != nil {
			return fmt.Sprintf("%d reads %s", i.op.ID, textOf(i.op.Read.Records))
		}
		return fmt.Sprintf("%d %s %v", i.op.ID, i.op.Sync.Mode, i.op.Sync.Writes)
	},
}

func textOf(records []history.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s=%d ", r.ID, r.Value)
	}
	return b.String()
}

// live is the text of those records of a state that are live, without timestamps.
func live(state string) string {
	if !strings.Contains(state, "@") {
		return state
	}
	var b strings.Builder
	for record := range strings.FieldsSeq(state) {
		if record, _, _ = strings.Cut(record, "@"); !strings.HasSuffix(record, "=0") {
			b.WriteString(record + " ")
		}
	}
	return b.String()
}

// apply returns what becomes of the records.
func (i input) apply(state string) string {
	records := map[string]string{} // by id: the value, and behind an @ the timestamp if there is one
	if i.op.Sync.Mode != history.FullRefresh {
		for record := range strings.FieldsSeq(state) {
			id, value, _ := strings.Cut(record, "=")
			records[id] = value
		}
	}
	for _, w := range i.op.Sync.Writes {
		_, stamp, _ := strings.Cut(records[w.ID], "@")
		before, _ := strconv.ParseInt(stamp, 10, 64) // 0 where there is none
		switch {
		case w.Namespace != i.namespace:
		case i.op.Sync.Timestamp != 0 && i.op.Sync.Timestamp < before:
		case i.op.Sync.Timestamp != 0:
			records[w.ID] = fmt.Sprintf("%d@%d", w.Value, i.op.Sync.Timestamp)
		case w.Value == 0:
			delete(records, w.ID)
		default:
			records[w.ID] = fmt.Sprint(w.Value)
		}
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(records)) {
		fmt.Fprintf(&b, "%s=%s ", id, records[id])
	}
	return b.String()
}
