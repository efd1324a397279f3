package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// progressEvery is how often somebody who waits is told how far it is.
const progressEvery = 10 * time.Second

// counter counts what is written to it.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// progress tells how much of something long is done: as much as was written to it.
type progress struct {
	done  counter
	total int64 // bytes; 0: not known
	ended chan struct{}
	quiet chan struct{} // closed when nothing is told any more
}

func (a *app) startProgress(what string, totalBytes int64) *progress {
	p := &progress{total: totalBytes, ended: make(chan struct{}), quiet: make(chan struct{})}
	go func() {
		defer close(p.quiet)
		p.tell(a.stderr, what)
	}()
	return p
}

func (p *progress) Write(b []byte) (int, error) { return p.done.Write(b) }

func (p *progress) tell(w io.Writer, what string) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			fmt.Fprintln(w, what+": "+p.text())
		}
	}
}

func (p *progress) text() string {
	done := p.done.n.Load()
	if p.total <= 0 {
		return fmt.Sprintf("%d bytes", done)
	}
	return fmt.Sprintf("%d %% of %d bytes", min(done*100/p.total, 100), p.total)
}

func (p *progress) stop() {
	close(p.ended)
	<-p.quiet
}
