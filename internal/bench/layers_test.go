package main

import (
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pipesync/internal/bench/plot"
)

const traces = `File: pipesync
Type: samples
Duration: 5s, Total samples = 1205
-----------+-------------------------------------------------------
    pebble:  compact
output-level:  L6
         5   runtime.memmove
             github.com/cockroachdb/pebble/v2/sstable.(*RawColumnWriter).Add (inline)
             github.com/cockroachdb/pebble/v2.(*DB).runCompaction
-----------+-------------------------------------------------------
      1200   pipesync/storage.get[go.shape.struct {},go.shape.*pipesync/storage.empty]
             pipesync/fsm.(*FSM).Apply
-----------+-------------------------------------------------------
`

func TestTracesAreRead(t *testing.T) {
	got, err := parseTraces(traces)
	want := []plot.Stack{
		{Samples: 5, Functions: []string{"runtime.memmove", "sstable.(*RawColumnWriter).Add", "pebble.(*DB).runCompaction"}},
		{Samples: 1200, Functions: []string{"storage.get[…]", "fsm.(*FSM).Apply"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	want = append(want, plot.Stack{Samples: 24, Functions: []string{"(no stack)"}})
	if got, err := parseTraces(strings.Replace(traces, "= 1205", "= 1229", 1)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for name, broken := range map[string]string{
		"samples that are no number":       strings.Replace(traces, "      1200 ", "       1 2 ", 1),
		"a larger sum than it begins with": strings.Replace(traces, "  1200 ", "  1201 ", 1),
		"a much smaller one":               strings.Replace(traces, "= 1205", "= 1230", 1),
		"no sum":                           strings.Replace(traces, "Total samples", "Samples", 1),
		"nothing":                          "",
	} {
		if got, err := parseTraces(broken); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The functions of each are from the leaf to the root.
var layered = []struct{ stack, layer string }{
	{"runtime.scanobject runtime.gcDrain runtime.gcBgMarkWorker", "garbage collection"},
	{"runtime.gcAssistAlloc runtime.mallocgc syncjson.Decode api.(*server).sync http.(*conn).serve", "garbage collection"},
	{"syscall.write sstable.(*RawColumnWriter).drainWriteQueue", "Pebble: flushes and compactions"},
	{"arenaskl.(*Iterator).Next pebble.(*DB).flush1 pprof.Do pebble.(*DB).flush", "Pebble: flushes and compactions"},
	{"sha256.block contenthash.(*Hasher).Sum syncjson.(*decoder).operation syncjson.Decode api.(*server).sync", "body: content hashes"},
	{"runtime.mallocgc syncjson.(*decoder).operation syncjson.Decode api.(*server).sync http.(*conn).serve", "body: JSON, but for the hashes"},
	{"fsm.(*Sync).encode fsm.Encode api.(*server).propose http.(*conn).serve", "encoding the entry"},
	{"pebble.(*DB).Get fsm.checkSync admission.(*Gate).Admit cluster.(*Node).propose cluster.(*Node).serveHop http.(*conn).serve", "admission at the leader"},
	{"syscall.Fdatasync raft-boltdb.(*BoltStore).StoreLogs cluster.(*meteredLog).StoreLogs raft.(*Raft).dispatchLogs raft.(*Raft).run", "appending to the log"},
	{"syscall.Fdatasync cluster.(*meteredLog).StoreLogs raft.(*Raft).appendEntries raft.(*Raft).processRPC raft.(*Raft).run", "appending to the log"},
	{"fsm.decodeSync fsm.decodeEntry fsm.(*FSM).Apply raft.(*Raft).runFSM", "Apply: decoding the entry"},
	{"arenaskl.(*Inserter).Add pebble.(*memTable).apply pebble.(*DB).Apply storage.(*Batch).Commit fsm.(*FSM).Apply raft.(*Raft).runFSM", "Apply: commit, memtable"},
	{"storage.(*fingerprintTable).put storage.(*Batch).Commit fsm.(*FSM).Apply raft.(*Raft).runFSM", "Apply: commit to Pebble, but for the memtable"},
	{"pebble.(*Iterator).SeekPrefixGE storage.(*lookup).at fsm.(*namespaceWriter).read fsm.(*syncEntry).decide fsm.(*FSM).Apply raft.(*Raft).runFSM", "Apply: looking up what is there"},
	{"storage.(*Batch).PutContent fsm.(*syncWriter).write fsm.(*syncEntry).decide fsm.(*FSM).Apply raft.(*Raft).runFSM", "Apply: deciding, and what else it does"},
	{"tls.(*Conn).Write raft.(*netPipeline).AppendEntries raft.(*Raft).pipelineSend raft.(*Raft).replicate", "Raft: replication"},
	{"codec.(*Decoder).Decode raft.(*NetworkTransport).handleCommand raft.(*NetworkTransport).handleConn", "Raft: replication"},
	{"runtime.selectgo raft.(*deferError).Error cluster.(*Node).propose api.(*server).propose http.(*conn).serve", "Raft: the rest"},
	{"http.(*Transport).roundTrip cluster.(*hopClient).send cluster.(*Node).Propose api.(*server).propose http.(*conn).serve", "hop to the leader, but for what is above"},
	{"tls.(*Conn).Write http.persistConnWriter.Write http.(*persistConn).writeLoop", "hop to the leader, but for what is above"},
	{"io.ReadAll cluster.(*Node).readHopBody cluster.(*Node).serveHop cluster.(*Node).ServeHTTP http.(*conn).serve", "hop to the leader, but for what is above"},
	{"flate.(*compressor).write pprof.(*Profile).WriteTo pprof.handler.ServeHTTP http.(*conn).serve", "taking the profiles"},
	{"storage.rows.OrgKey fsm.(*View).Key api.(*server).authenticate http.(*conn).serve", "API: keys, names and the reply"},
	{"tls.(*Conn).Write bufio.(*Writer).Flush http.(*response).finishRequest http.(*conn).serve", "HTTP and TLS of clients and of the hop"},
	{"runtime.futex runtime.findRunnable runtime.schedule runtime.park_m runtime.mcall", "scheduler of goroutines"},
	{"memberlist.(*Memberlist).packetListen", "the rest"},
	{"", "the rest"},
}

func TestASampleCountsInOneLayer(t *testing.T) {
	met := map[string]bool{}
	for _, c := range layered {
		got := layers[layerOf(strings.Fields(c.stack))].name
		met[got] = true
		if got != c.layer {
			t.Errorf("%s counts as %s, want %s", c.stack, got, c.layer)
		}
	}
	for _, layer := range layers {
		if !met[layer.name] {
			t.Errorf("nothing is of %s", layer.name)
		}
	}
}

// ours are the project's packages that layers name functions of.
var ours = []string{"api", "api/syncjson", "cluster", "fsm", "fsm/admission", "fsm/contenthash", "storage"}

func TestLayersNameFunctionsThatExist(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (?:\(\w+ ([*\w]+)\) )?(\w+)\(`)
	names := map[string][]string{} // by package
	for _, dir := range ours {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		pack := path.Base(dir)
		for _, file := range files {
			for _, m := range declared.FindAllStringSubmatch(read(t, file), -1) {
				receiver := ""
				if m[1] != "" {
					receiver = "(" + m[1] + ")."
				}
				names[pack] = append(names[pack], pack+"."+receiver+m[2])
			}
		}
	}
	for _, layer := range layers {
		for _, begin := range layer.functions {
			pack, _, _ := strings.Cut(begin, ".")
			if declares := names[pack]; declares != nil && !slices.ContainsFunc(declares, func(name string) bool { return strings.HasPrefix(name, begin) }) {
				t.Errorf("%s: nothing is called %s", layer.name, begin)
			}
		}
	}
}

func TestLayersAddUp(t *testing.T) {
	leader := []plot.Stack{{Samples: 30, Functions: []string{"syncjson.Decode"}}, {Samples: 10, Functions: []string{"fsm.Encode"}}, {Samples: 8}}
	followers := []plot.Stack{{Samples: 20, Functions: []string{"syncjson.Decode"}}, {Samples: 12, Functions: []string{"syncjson.Decode", "api.sync"}}}
	got := layerTable("a work", leader, followers, 20)
	for _, want := range []string{
		"# a work\n", " 80 samples of 10 ms,", " 20.0 requests\n",
		"| body: JSON, but for the hashes | 15.000 | 16.000 | 31.000 | 77.5 |\n",
		"| encoding the entry | 5.000 | 0.000 | 5.000 | 12.5 |\n",
		"| the rest | 4.000 | 0.000 | 4.000 | 10.0 |\n",
		"| all | 24.000 | 16.000 | 40.000 | 100.0 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if rows := strings.Count(got, "\n| "); rows != len(layers)+2 {
		t.Errorf("%d rows:\n%s", rows, got)
	}
}
