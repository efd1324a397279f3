package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// bigSync is a full batch of records with 200 bytes of data.
func bigSync(from int, version int) *Sync {
	s := newSync(Incremental)
	s.Operations = make([]Operation, MaxOperations)
	for i := range s.Operations {
		data := fmt.Sprintf(`{"title":"record %d of version %d","body":"%s"}`, from+i, version, strings.Repeat("lorem ipsum ", 12))
		s.Operations[i] = upsert("articles", idOf(from+i), data)
	}
	return s
}

func BenchmarkEncodeSync5000(b *testing.B) {
	s := bigSync(0, 1)
	b.ReportAllocs()
	for b.Loop() {
		body, err := Encode(s)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(body)))
	}
}

func BenchmarkDecodeSync5000(b *testing.B) {
	body, err := Encode(bigSync(0, 1))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplySync5000(b *testing.B) {
	const rounds = 20 // batches before the records come again
	cases := map[string]func(n int) *Sync{
		"fresh":     func(n int) *Sync { return bigSync(n*MaxOperations, 1) },
		"updated":   func(n int) *Sync { return bigSync(n%rounds*MaxOperations, n) },
		"unchanged": func(n int) *Sync { return bigSync(n%rounds*MaxOperations, 1) },
		"refreshed": func(n int) *Sync { s := bigSync(0, n); s.Mode = FullRefresh; return s },
	}
	for _, name := range []string{"fresh", "updated", "unchanged", "refreshed"} {
		b.Run(name, func(b *testing.B) { benchmarkApply(b, rounds, cases[name]) })
	}
}

// BenchmarkApplySync1 is what each sync costs, whatever it has to do.
func BenchmarkApplySync1(b *testing.B) {
	benchmarkApply(b, 2000, func(n int) *Sync { return newSync(Incremental, upsert("articles", idOf(n), `{"a":1}`)) })
}

func benchmarkApply(b *testing.B, rounds int, make func(n int) *Sync) {
	r := newRig(b)
	r.setUp(MaxRequestsPerWindow)
	for n := range rounds {
		r.mustApply(make(n))
	}
	b.ReportAllocs()
	n, records := rounds, 0
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		r.now += windowLen * nanosPerMilli / MaxRequestsPerWindow // never full
		s := make(n)
		records += len(s.Operations)
		l := r.entry(s)
		n++
		b.StartTimer()
		r.applyLog(l)
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// newNode is a rig with a node's bounds and cache.
func newNode(b *testing.B) *rig {
	r := &rig{t: b, dir: b.TempDir(), next: 10, wall: testWall}
	r.opts = func(o *Options) { o.Bounds, o.CacheBytes = Bounds{}, 0 }
	r.open()
	b.Cleanup(r.close)
	r.setUp(MaxRequestsPerWindow)
	return r
}

// BenchmarkApplyReconcile goes through 300,000 records that a refresh has removed: each entry
// is what those behind it wait for.
func BenchmarkApplyReconcile(b *testing.B) {
	const batches = 60
	r := newNode(b)
	var each []time.Duration
	for n := range b.N {
		b.StopTimer()
		for i := range batches {
			r.mustApply(bigSync((n*batches+i)*MaxOperations, 1))
		}
		refresh := bigSync(0, n)
		refresh.Mode = FullRefresh
		r.mustApply(refresh)
		due := inView(r, func(v *View) ([]*ReconcileSweep, error) { return v.ReconcileSweeps(1) })
		b.StartTimer()
		for !due[0].Done() {
			if cmd := inView(r, func(v *View) (Command, error) { return due[0].Next(v, RequestID{}) }); cmd != nil {
				l := r.entry(cmd)
				began := time.Now()
				r.applyLog(l)
				each = append(each, time.Since(began))
			}
		}
	}
	reportMedian(b, each, "entry")
	b.ReportMetric(float64(len(each))/float64(b.N), "entries/op")
}

func reportMedian(b *testing.B, times []time.Duration, of string) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "median-µs/"+of)
}

func inView[T any](r *rig, ask func(*View) (T, error)) T {
	r.t.Helper()
	v, err := r.fsm.View()
	if err != nil {
		r.t.Fatal(err)
	}
	defer v.Close()
	answer, err := ask(v)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// BenchmarkKey is the question that every request begins with.
func BenchmarkKey(b *testing.B) {
	r := newRig(b)
	r.setUp(1)
	ways := map[string]func() (bool, error){
		"view": func() (found bool, err error) {
			v, err := r.fsm.View()
			if err != nil {
				return false, err
			}
			defer v.Close()
			_, found, err = v.Key(testKey)
			return found, err
		},
		"latest": func() (found bool, err error) {
			_, found, err = r.fsm.Key(testKey)
			return found, err
		},
	}
	for _, name := range []string{"view", "latest"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found, err := ways[name](); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkApplyChangeCollect goes through the change index of 300,000 records all of which
// were updated once, in another order: each entry is what those behind it wait for.
func BenchmarkApplyChangeCollect(b *testing.B) {
	const batches = 60
	r := newNode(b)
	var each, looks []time.Duration
	for n := range b.N {
		b.StopTimer()
		for version := range 2 {
			for i := range batches {
				s := bigSync(0, 2*n+version)
				for k := range s.Operations {
					number := i*MaxOperations + k
					if version == 1 {
						number = k*batches + i
					}
					s.Operations[k].ID = idOf(number)
				}
				r.mustApply(s)
			}
		}
		due := inView(r, func(v *View) ([]*ChangeSweep, error) { return v.ChangeSweeps(1) })
		b.StartTimer()
		for !due[0].Done() {
			began := time.Now()
			cmd := inView(r, func(v *View) (Command, error) { return due[0].Next(v, RequestID{}) })
			looks = append(looks, time.Since(began))
			if cmd != nil {
				l := r.entry(cmd)
				began := time.Now()
				r.applyLog(l)
				each = append(each, time.Since(began))
			}
		}
	}
	reportMedian(b, each, "entry")
	reportMedian(b, looks, "look")
	b.ReportMetric(float64(len(each))/float64(b.N), "entries/op")
}
