package fsm

import (
	"fmt"
	"strings"
	"testing"
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
