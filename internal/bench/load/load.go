// Package load gives several systems the same work, and measures how they bear it. Each
// has a driver, a process of its own that starts the system and serves jobs, one after the
// other, over its standard input and output.
package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kinds of work.
const (
	Fresh  = "fresh"  // records that weren't there before
	Update = "update" // random ones of the existing, with other content
	Repush = "repush" // neighbours among the existing again, 1 in 100 with other content
	Read   = "read"   // one random record, linearizable
)

// repushShare is of how many records of a Repush one has other content.
const repushShare = 100

// Places that requests are sent to.
const (
	Leader    = "leader"
	Followers = "followers"
	Spread    = "spread" // all nodes in turn
)

// Job is one repetition of one work.
type Job struct {
	Kind       string `json:"kind"`
	Clients    int    `json:"clients"`    // each sends its next request when the last is answered
	Operations int    `json:"operations"` // a request
	Requests   int    `json:"requests"`   // of all clients together
	Bytes      int    `json:"bytes"`      // of data, a record
	To         string `json:"to"`
}

// Figures are what a job has shown. Times are of whole requests.
type Figures struct {
	Seconds  float64 `json:"seconds"` // from the first request to the last reply
	Requests int     `json:"requests"`
	Records  int     `json:"records"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
}

// RecordsPerSecond is that of requests too where each has one operation.
func (f Figures) RecordsPerSecond() float64 { return float64(f.Records) / f.Seconds }

// Run has the job's clients send its requests by calling send, for each number below
// j.Requests once; client is below j.Clients. It ends at the first error, with that.
func Run(ctx context.Context, j Job, send func(ctx context.Context, client, request int) error) (Figures, error) {
	if j.Clients < 1 || j.Requests < 1 {
		return Figures{}, fmt.Errorf("%+v: it needs a client and a request", j)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	times := make([]time.Duration, j.Requests)
	began := time.Now()
	for client := range j.Clients {
		all.Go(func() {
			for {
				request := int(next.Add(1)) - 1
				if request >= j.Requests || ctx.Err() != nil {
					return
				}
				sent := time.Now()
				if err := send(ctx, client, request); err != nil {
					cancel(fmt.Errorf("request %d of %+v: %w", request, j, err))
					return
				}
				times[request] = time.Since(sent)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		return Figures{}, err
	}
	slices.Sort(times)
	return Figures{
		Seconds: took.Seconds(), Requests: j.Requests, Records: j.Requests * j.Operations,
		P50: milliseconds(Percentile(times, 50)), P99: milliseconds(Percentile(times, 99)),
	}, nil
}

// Percentile is that of sorted values, of which there is at least one: the smallest that
// percent of 100 values aren't above.
func Percentile[V any](sorted []V, percent int) V {
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
