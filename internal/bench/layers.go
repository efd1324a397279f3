package main

import (
	"fmt"
	"slices"
	"strings"

	"pipesync/internal/bench/plot"
)

// sampleMilliseconds is how much CPU time a sample stands for: Go takes a hundred a
// second.
const sampleMilliseconds = 10

// layers have the functions whose names begin so, and what these call. A sample counts in
// the first layer that one of its functions is of, so what is called stands before what
// calls it.
var layers = []struct {
	name      string
	functions []string
}{
	{"garbage collection", []string{"runtime.gc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.deductSweepCredit", "runtime.wbBufFlush"}},
	{"Pebble: flushes and compactions", []string{"pebble.(*DB).runCompaction", "pebble.(*DB).compact", "pebble.(*DB).flush", "pebble.(*DB).maybeScheduleCompaction",
		"pebble.(*tableCompaction)", "pebble.(*cleanupManager)", "pebble.openCleanupManager", "sstable.(*RawColumnWriter)"}},
	{"body: content hashes", []string{"contenthash."}},
	{"body: JSON, but for the hashes", []string{"syncjson."}},
	{"encoding the entry", []string{"fsm.Encode"}},
	{"admission at the leader", []string{"admission.(*Gate)", "admission.(*line)"}},
	{"appending to the log", []string{"cluster.(*meteredLog).StoreLogs", "cluster.(*logCache).StoreLogs"}},
	{"Apply: decoding the entry", []string{"fsm.decodeEntry"}},
	{"Apply: commit, memtable", []string{"pebble.(*memTable).apply"}},
	{"Apply: commit to Pebble, but for the memtable", []string{"storage.(*Batch).Commit"}},
	{"Apply: looking up what is there", []string{"fsm.(*namespaceWriter).read"}},
	{"Apply: deciding, and what else it does", []string{"fsm.(*FSM).Apply"}},
	{"Raft: replication", []string{"raft.(*Raft).replicate", "raft.(*Raft).pipeline", "raft.(*Raft).heartbeat", "raft.(*Raft).processRPC",
		"raft.(*Raft).processHeartbeat", "raft.(*NetworkTransport)", "raft.(*netPipeline)", "cluster.(*pipeline)"}},
	{"Raft: the rest", []string{"raft."}},
	{"hop to the leader, but for what is above", []string{"cluster.(*hopClient)", "cluster.(*Node).ServeHTTP", "cluster.(*Node).serveHop",
		"http.(*persistConn)", "http.(*Transport)"}},
	{"taking the profiles", []string{"pprof.handler", "pprof.Index", "pprof.Profile", "pprof.profileWriter"}},
	{"API: keys, names and the reply", []string{"api."}},
	{"HTTP and TLS of clients and of the hop", []string{"http.(*conn)", "http.(*connReader)", "http.(*Server)"}},
	{"scheduler of goroutines", []string{"runtime.mcall", "runtime.mstart", "runtime.morestack", "runtime.sysmon"}},
	{"the rest", nil},
}

// layerOf is the number of the layer that a stack counts in.
func layerOf(functions []string) int {
	for i, layer := range layers {
		for _, begin := range layer.functions {
			if slices.ContainsFunc(functions, func(name string) bool { return strings.HasPrefix(name, begin) }) {
				return i
			}
		}
	}
	return len(layers) - 1
}

// perLayer are the samples of each layer, and of all.
func perLayer(stacks []plot.Stack) (samples []int, all int) {
	samples = make([]int, len(layers))
	for _, s := range stacks {
		samples[layerOf(s.Functions)] += s.Samples
		all += s.Samples
	}
	return samples, all
}

// layerTable says where the CPU time of one request goes.
func layerTable(work string, leader, followers []plot.Stack, requests float64) string {
	atLeader, ofLeader := perLayer(leader)
	atFollowers, ofFollowers := perLayer(followers)
	all := ofLeader + ofFollowers
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nMilliseconds of CPU for one request, the two followers together: of %d samples of %d ms, taken while %.1f requests\nwere answered.\n\n",
		work, all, sampleMilliseconds, requests)
	fmt.Fprintf(&b, "| layer | leader | followers | all | %% |\n|---|---:|---:|---:|---:|\n")
	row := func(name string, leader, followers int) {
		each := func(samples int) float64 { return float64(samples) * sampleMilliseconds / requests }
		fmt.Fprintf(&b, "| %s | %.3f | %.3f | %.3f | %.1f |\n", name, each(leader), each(followers), each(leader+followers),
			100*float64(leader+followers)/float64(max(all, 1)))
	}
	for i, layer := range layers {
		row(layer.name, atLeader[i], atFollowers[i])
	}
	row("all", ofLeader, ofFollowers)
	return b.String()
}
