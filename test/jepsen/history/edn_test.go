package history_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/test/jepsen/history"
)

func write(namespace, id string, value int64) history.Write {
	return history.Write{Namespace: namespace, ID: id, Value: value}
}

func record(id string, value int64, index uint64) history.Record {
	return history.Record{ID: id, Value: value, Index: index}
}

func TestEDN(t *testing.T) {
	h := &history.History{Ops: []history.Op{
		{ID: 0, Client: 1, Org: "o", Node: "n1", Invoked: 10, Returned: 40, Outcome: history.OK,
			Sync: &history.Sync{Mode: history.Incremental, Index: 7, Writes: []history.Write{write("a", "x", 1), write("a", "y", 0)}}},
		{ID: 1, Client: 2, Org: "o", Node: "n2", Invoked: 20, Returned: 30, Outcome: history.Unknown, Code: "OUTCOME_UNKNOWN",
			Sync: &history.Sync{Mode: history.FullRefresh, Writes: []history.Write{write("r", "x", 2)}}},
		{ID: 2, Client: 1, Org: "o", Node: "n1", Invoked: 50, Returned: 60, Outcome: history.OK,
			Read: &history.Read{Namespace: "a", Linearizable: true, Index: 7, Records: []history.Record{record("x", 1, 7)}}},
	}}
	var out strings.Builder
	if err := h.WriteEDN(&out); err != nil {
		t.Fatal(err)
	}
	want := `{:type :invoke, :f :sync, :process 1, :time 10, :op 0, :org "o", :node "n1", :value {:mode :incremental, :writes [["a" "x" 1]["a" "y" nil]]}}
{:type :invoke, :f :sync, :process 2, :time 20, :op 1, :org "o", :node "n2", :value {:mode :full_refresh, :writes [["r" "x" 2]]}}
{:type :info, :f :sync, :process 2, :time 30, :op 1, :org "o", :node "n2", :value {:mode :full_refresh, :index 0, :writes [["r" "x" 2]]}, :error :OUTCOME_UNKNOWN}
{:type :ok, :f :sync, :process 1, :time 40, :op 0, :org "o", :node "n1", :value {:mode :incremental, :index 7, :writes [["a" "x" 1]["a" "y" nil]]}}
{:type :invoke, :f :read, :process 1, :time 50, :op 2, :org "o", :node "n1", :value {:namespace "a", :linearizable true, :records nil}}
{:type :ok, :f :read, :process 1, :time 60, :op 2, :org "o", :node "n1", :value {:namespace "a", :linearizable true, :index 7, :records [["x" 1 7]]}}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
