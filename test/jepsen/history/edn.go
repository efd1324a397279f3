package history

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// WriteEDN writes the operations as Jepsen has histories: for each a map when it was
// invoked and one when it ended, in the order of time, in nanoseconds. An operation
// whose outcome is unknown ends with :info.
func (h *History) WriteEDN(to io.Writer) error {
	type event struct {
		at   int64
		text string
	}
	events := make([]event, 0, 2*len(h.Ops))
	for i := range h.Ops {
		op := &h.Ops[i]
		invoked, ended := op.ednValues()
		events = append(events,
			event{int64(op.Invoked), op.edn("invoke", int64(op.Invoked), invoked)},
			event{int64(op.Returned), op.edn(string(op.Outcome), int64(op.Returned), ended)})
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	out := bufio.NewWriter(to)
	for _, e := range events {
		if _, err := out.WriteString(e.text); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (op *Op) edn(kind string, at int64, value string) string {
	f := "read"
	if op.Sync != nil {
		f = "sync"
	}
	text := fmt.Sprintf("{:type :%s, :f :%s, :process %d, :time %d, :op %d, :org %q, :node %q, :value %s",
		kind, f, op.Client, at, op.ID, op.Org, op.Node, value)
	if op.Code != "" && kind != "invoke" {
		text += ", :error :" + op.Code
	}
	return text + "}\n"
}

// ednValues are those of the invocation and of the end.
func (op *Op) ednValues() (invoked, ended string) {
	if op.Read != nil {
		list := "nil"
		if op.Outcome == OK {
			list = "["
			for _, r := range op.Read.Records {
				list += fmt.Sprintf("[%q %d %d]", r.ID, r.Value, r.Index)
			}
			list += "]"
		}
		return fmt.Sprintf("{:namespace %q, :linearizable %t, :records nil}", op.Read.Namespace, op.Read.Linearizable),
			fmt.Sprintf("{:namespace %q, :linearizable %t, :index %d, :records %s}", op.Read.Namespace, op.Read.Linearizable, op.Read.Index, list)
	}
	writes := "["
	for _, w := range op.Sync.Writes {
		value := "nil"
		if w.Value != 0 {
			value = strconv.FormatInt(w.Value, 10)
		}
		writes += fmt.Sprintf("[%q %q %s]", w.Namespace, w.ID, value)
	}
	writes += "]"
	return fmt.Sprintf("{:mode :%s, :writes %s}", op.Sync.Mode, writes),
		fmt.Sprintf("{:mode :%s, :index %d, :writes %s}", op.Sync.Mode, op.Sync.Index, writes)
}
