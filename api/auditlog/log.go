package auditlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxQueuedLines are those that the disk hasn't taken yet. What comes beyond is lost: a
// disk that hangs must not hold requests up.
const maxQueuedLines = 1024

// Options say where the log is. All fields are required.
type Options struct {
	Path       string // of the file that is written to
	MaxBytes   int64  // of all files together
	Node       string
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Log writes events in the background. Its methods may be called concurrently, until
// Close.
type Log struct {
	o        Options
	refusals limiter
	lines    chan []byte
	reopen   chan struct{}
	stop     chan struct{}
	stopped  chan struct{}

	lostLines, leftOut prometheus.Counter

	mu      sync.Mutex
	problem error // nil: the last line has been written
	lost    atomic.Uint64
}

// Open starts the writing. A file that can't be written is no error: see Problem.
func Open(o Options) *Log {
	l := &Log{
		o: o, lines: make(chan []byte, maxQueuedLines), reopen: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		lostLines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pipesync_audit_lost_lines_total", Help: "Lines of the audit log that could not be written.",
		}),
		leftOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pipesync_audit_refusals_left_out_total", Help: "Refused credentials that have no line of their own in the audit log.",
		}),
	}
	o.Registerer.MustRegister(l.lostLines, l.leftOut)
	go l.run(&file{path: o.Path, maxBytes: o.MaxBytes / keptFiles})
	return l
}

// Record takes down what an administrator has done. It doesn't wait for the disk.
func (l *Log) Record(e Event) {
	e.Event = Admin
	l.put(e)
}

// Refuse takes down that a credential was refused, unless there are too many: those are
// counted, and told in one line.
func (l *Log) Refuse(e Event, cause string) {
	e.Event = Refused
	is, before := l.refusals.allows(cause, l.o.Now())
	l.tellLeftOut(before)
	if !is {
		l.leftOut.Inc()
		return
	}
	l.put(e)
}

func (l *Log) tellLeftOut(count uint64) {
	if count > 0 {
		l.put(Event{Event: LeftOut, Count: count})
	}
}

func (l *Log) put(e Event) {
	e.Time, e.Node = l.o.Now(), l.o.Node
	select {
	case l.lines <- e.line():
	default:
		l.failed(fmt.Errorf("%d lines wait for the disk", maxQueuedLines), 1)
	}
}

// Reopen has the next line go to the file that has the log's name then: another one, if
// somebody has moved the last.
func (l *Log) Reopen() {
	select {
	case l.reopen <- struct{}{}:
	default: // it will
	}
}

// Problem is why the last line couldn't be written; nil: it could.
func (l *Log) Problem() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.problem == nil {
		return nil
	}
	return fmt.Errorf("writing the audit log %s: %w; lines lost since the node started: %d", l.o.Path, l.problem, l.lost.Load())
}

// failed notes that lines are lost, and logs the first of a row of failures.
func (l *Log) failed(err error, lines int) {
	l.lost.Add(uint64(lines))
	l.lostLines.Add(float64(lines))
	l.mu.Lock()
	before := l.problem
	l.problem = err
	l.mu.Unlock()
	if before == nil {
		l.o.Logger.Error("the audit log can't be written, and what should be in it is lost", "file", l.o.Path, "error", err)
	}
}

func (l *Log) wrote() {
	l.mu.Lock()
	before := l.problem
	l.problem = nil
	l.mu.Unlock()
	if before != nil {
		l.o.Logger.Info("the audit log can be written again", "file", l.o.Path, "lost_lines", l.lost.Load())
	}
}

func (l *Log) run(f *file) {
	defer close(l.stopped)
	tick := time.NewTicker(refusalWindow)
	defer tick.Stop()
	for {
		select {
		case line := <-l.lines:
			l.write(f, line)
		case <-l.reopen:
			_ = f.close() // what is in it has been synced
		case <-tick.C:
			l.tellLeftOut(l.refusals.ended(l.o.Now(), false))
		case <-l.stop:
			l.tellLeftOut(l.refusals.ended(l.o.Now(), true))
			l.write(f, nil)
			_ = f.close()
			return
		}
	}
}

// write writes line and all that wait, and makes them durable together.
func (l *Log) write(f *file, line []byte) {
	written := 0
	for {
		if line != nil {
			if err := f.write(line); err != nil {
				l.failed(err, 1)
			} else {
				written++
			}
		}
		select {
		case line = <-l.lines:
			continue
		default:
		}
		break
	}
	if written == 0 {
		return
	}
	if err := f.sync(); err != nil {
		l.failed(err, written)
		return
	}
	l.wrote()
}

// Close writes what waits, and ends. Afterwards nothing may be recorded.
func (l *Log) Close(ctx context.Context) error {
	close(l.stop)
	select {
	case <-l.stopped:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("the audit log's disk doesn't answer"), context.Cause(ctx))
	}
}
