package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// pipeline is Raft's, with requests limited as those of numberedTransport are,
// and with room for all answers.
//
// Raft stops taking answers at the first that is no success. The goroutine that
// sends may not have noticed when it sends once more, and Raft's own pipeline then
// waits for room for that request, which only comes when the answer before it is
// taken. It would wait for ever: the follower would get heartbeats and no entry
// until there is another leader, and the node could not be stopped
// (hashicorp/raft issue 612).
type pipeline struct {
	raft.AppendPipeline
	answered func(raft.AppendFuture) // at each answer
	answers  chan raft.AppendFuture
	closed   chan struct{}
	once     sync.Once
}

func newPipeline(p raft.AppendPipeline, answered func(raft.AppendFuture)) *pipeline {
	l := &pipeline{AppendPipeline: p, answered: answered, answers: make(chan raft.AppendFuture), closed: make(chan struct{})}
	go l.run()
	return l
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	limitEntries(args)
	limitCommit(args)
	return p.AppendPipeline.AppendEntries(args, resp)
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// run hands the answers on. Few are ever waiting: Raft takes them as they come,
// and sends only one or two more when it has stopped to.
func (p *pipeline) run() {
	var waiting []raft.AppendFuture
	for {
		var out chan raft.AppendFuture
		var next raft.AppendFuture
		if len(waiting) > 0 {
			out, next = p.answers, waiting[0]
		}
		select {
		case answer := <-p.AppendPipeline.Consumer():
			if answer.Error() == nil {
				p.answered(answer)
			}
			waiting = append(waiting, answer)
		case out <- next:
			waiting = waiting[1:]
		case <-p.closed:
			return
		}
	}
}

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.AppendPipeline.Close()
}
