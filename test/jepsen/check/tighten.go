package check

import (
	"slices"

	"github.com/anishathalye/porcupine"

	"pipesync/test/jepsen/history"
)

// tighten narrows when the operations of one namespace may have happened, where each
// record is written once and stays, as those of a namespace of syncs without keys. Then a
// read says of each sync whether it came before: in any order that explains the read, the
// one that came first has happened before the other returned, and the other after it was
// invoked. A burst of syncs, each of which may be before or after each other, would leave
// the search every subset of them to try.
//
// Where that contradicts itself, the operations stay as they are: the search has to find
// that there is no order.
func tighten(ops []porcupine.Operation) {
	writes := map[string]int{} // of each id
	var reads, syncs []int
	for i, o := range ops {
		in := o.Input.(input)
		if in.op.Read != nil {
			reads = append(reads, i)
			continue
		}
		syncs = append(syncs, i)
		for _, w := range in.op.Sync.Writes {
			if w.Namespace != in.namespace {
				continue
			}
			if writes[w.ID]++; writes[w.ID] > 1 || w.Value == 0 || w.Count != 0 || in.op.Sync.Mode == history.FullRefresh {
				return
			}
		}
	}
	before := make([][2]int, 0, len(reads)*len(syncs)) // the first of each pair is before the second
	for _, r := range reads {
		shown := map[string]bool{}
		for _, record := range ops[r].Input.(input).op.Read.Records {
			shown[record.ID] = true
		}
		for _, s := range syncs {
			if in := ops[s].Input.(input); shown[in.firstID()] {
				before = append(before, [2]int{s, r})
			} else {
				before = append(before, [2]int{r, s})
			}
		}
	}
	narrowed := slices.Clone(ops)
	for changed := true; changed; {
		changed = false
		for _, pair := range before {
			first, second := &narrowed[pair[0]], &narrowed[pair[1]]
			if second.Return < first.Return {
				first.Return, changed = second.Return, true
			}
			if first.Call > second.Call {
				second.Call, changed = first.Call, true
			}
			if first.Call > first.Return || second.Call > second.Return {
				return
			}
		}
	}
	copy(ops, narrowed)
}

// firstID is of the first record that the sync writes in the namespace.
func (i input) firstID() string {
	for _, w := range i.op.Sync.Writes {
		if w.Namespace == i.namespace {
			return w.ID
		}
	}
	return ""
}
