package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// queueName is one of a node's queues before the log.
type queueName string

const (
	queueMemory   queueName = "memory"   // for room for the bytes in flight
	queueForwards queueName = "forwards" // of a follower, to the leader
)

var queueNames = []queueName{queueMemory, queueForwards}

// queueMeters count what becomes of those who take turns. Nil ones count nothing.
type queueMeters struct {
	waits   prometheus.Observer
	full    prometheus.Counter
	expired prometheus.Counter
}

func (m *meters) addQueues() {
	waits := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pipesync_queue_wait_duration_seconds", Buckets: requestBuckets,
		Help: "Time until a proposal got its turn before the log, 0 where there was room: for the bytes in flight (memory), or to be forwarded to the leader (forwards)."}, []string{"queue"})
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pipesync_queue_refusals_total",
		Help: "Proposals that got no turn: the queue was full, or their time had expired."}, []string{"queue", "reason"})
	m.collectors = append(m.collectors, waits, refusals)
	m.queues = map[queueName]*queueMeters{}
	for _, name := range queueNames {
		m.queues[name] = &queueMeters{
			waits: waits.WithLabelValues(string(name)),
			full:  refusals.WithLabelValues(string(name), "full"), expired: refusals.WithLabelValues(string(name), "expired"),
		}
	}
}

// waited counts one who has got a turn, or why there was none until ctx ended.
func (q *queueMeters) waited(ctx context.Context, began time.Time, err error) {
	switch {
	case q == nil, errors.Is(err, ErrStopped):
	case err == nil:
		q.waits.Observe(since(began))
	case ctx.Err() != nil:
		q.expired.Inc()
	default:
		q.full.Inc()
	}
}

var (
	waitingDesc      = gaugeDesc("queue_waiting", "Proposals that wait for their turn before the log.", "queue")
	waitingBytesDesc = gaugeDesc("queue_waiting_bytes", "Bytes of the bodies of those that wait.", "queue")
	usedDesc         = gaugeDesc("queue_room_used_ratio", "Part of the room that is taken; at 1 whoever comes has to wait.", "queue")
)

// length is how much waits, and which part of the room is taken.
func (t *turns) length() (waiting int, bytes int64, used float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting, t.waitingBytes, float64(t.used) / float64(t.room)
}
