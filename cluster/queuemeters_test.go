package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestQueuesAreMetered: each who needs room is counted once, by what became of it;
// those whose wait the node's stop ends aren't.
func TestQueuesAreMetered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters()
		stopping := make(chan struct{})
		q := &turns{room: 10, maxWaitingBytes: 100, stopping: stopping, meters: m.queues[queueMemory]}
		take := func(timeout time.Duration, room, bytes int64) (free func(), err error) {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			return q.take(ctx, "a", room, bytes)
		}
		free, err := take(time.Hour, 5, 5) // at once
		if err != nil {
			t.Fatal(err)
		}
		if _, err := take(time.Hour, 0, 5); err != nil { // needs none
			t.Fatal(err)
		}
		ends := make(chan error, 3)
		go func() { _, err := take(time.Hour, 10, 60); ends <- err }()
		synctest.Wait()
		if waiting, bytes, used := q.length(); waiting != 1 || bytes != 60 || used != 0.5 {
			t.Errorf("%d of %d bytes wait beside %v", waiting, bytes, used)
		}
		if _, err := take(time.Hour, 5, 50); !errors.Is(err, ErrOverloaded) { // no room to wait
			t.Error(err)
		}
		if _, err := take(3*time.Second, 5, 20); !errors.Is(err, ErrOverloaded) {
			t.Error(err)
		}
		free()
		if err := <-ends; err != nil {
			t.Error(err)
		}
		go func() { _, err := take(time.Hour, 5, 5); ends <- err }()
		synctest.Wait()
		close(stopping)
		if err := <-ends; !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]float64{
			"pipesync_queue_refusals_total expired forwards": 0, "pipesync_queue_refusals_total forwards full": 0,
			"pipesync_queue_refusals_total expired memory": 1, "pipesync_queue_refusals_total full memory": 1,
			"pipesync_queue_wait_duration_seconds forwards": 0, "pipesync_queue_wait_duration_seconds memory": 3,
			"pipesync_queue_wait_duration_seconds forwards count": 0, "pipesync_queue_wait_duration_seconds memory count": 2,
		}, queueSeries(t, m)); diff != "" {
			t.Error(diff)
		}
	})
}

// queueSeries are those of the queues, by name and labels; of a histogram its sum and count.
func queueSeries(t *testing.T, m *meters) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.collectors...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "pipesync_queue_") {
			continue
		}
		for _, metric := range f.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			slices.Sort(labels)
			name := f.GetName() + " " + strings.Join(labels, " ")
			got[name] = metric.GetCounter().GetValue() + metric.GetHistogram().GetSampleSum()
			if h := metric.GetHistogram(); h != nil {
				got[name+" count"] = float64(h.GetSampleCount())
			}
		}
	}
	return got
}
