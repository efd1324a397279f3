package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"pipesync/fsm"
	"pipesync/internal/durable"
)

const (
	// scrubBytesPerSecond bounds what a scrub reads, so that it takes little from
	// whoever is served meanwhile.
	scrubBytesPerSecond = 32 << 20
	// scrubStep is how much is read between two looks at the clock, and scrubPause
	// how long that may take at least.
	scrubStep  = 1 << 20
	scrubPause = time.Second * scrubStep / scrubBytesPerSecond
	// maxScrubs is how many scrubs are kept, so that a member that finishes late
	// still finds the others' of the same mark.
	maxScrubs = 2
	// maxScrubFileBytes bounds what is read of the file.
	maxScrubFileBytes = 64 << 10
)

// Scrub is the outcome of one scrub, as the file has it.
type Scrub struct {
	Index      uint64    `json:"index"`
	Hash       string    `json:"hash"` // hexadecimal
	Rows       uint64    `json:"rows"`
	Bytes      uint64    `json:"bytes"`
	FinishedAt time.Time `json:"finished_at"`
	// Problems are contradictions between rows, in words.
	Problems []string `json:"problems"`
}

// enqueue pins the state as it is now. While one scrub waits for another to end,
// further ones are left out.
func (a *Auditor) enqueue() {
	view, err := a.state.View()
	if err != nil {
		a.log.Warn("could not begin a scrub", "error", err)
		return
	}
	select {
	case a.queue <- view:
	default:
		view.Close()
		a.log.Warn("left a scrub out: another one is waiting", "mark", view.Applied())
	}
}

// Run scrubs what marks ask for, one after another, until ctx ends.
func (a *Auditor) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			select {
			case view := <-a.queue:
				view.Close()
			default:
			}
			return
		case view := <-a.queue:
			a.scrub(ctx, view)
		}
	}
}

func (a *Auditor) scrub(ctx context.Context, view *fsm.View) {
	defer view.Close()
	p := pacer{ctx: ctx, began: time.Now()}
	found, err := view.Scrub(p.pace)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		// Storage has told whoever ends the process if it can't go on.
		a.log.Error("a scrub failed", "mark", view.Applied(), "error", err)
		return
	}
	s := Scrub{
		Index: found.Index, Hash: hex.EncodeToString(found.Hash[:]), Rows: found.Rows, Bytes: found.Bytes,
		FinishedAt: time.Now().UTC().Truncate(time.Millisecond), Problems: found.Problems,
	}
	a.log.Info("scrubbed the state", "mark", s.Index, "rows", s.Rows, "bytes", s.Bytes, "took", time.Since(p.began))
	for _, problem := range s.Problems {
		a.log.Error("a scrub found rows that contradict one another", "mark", s.Index, "problem", problem)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scrubs = append(a.scrubs, s)
	a.scrubs = a.scrubs[max(0, len(a.scrubs)-maxScrubs):]
	a.save()
}

// pacer keeps a scrub to its rate.
type pacer struct {
	ctx    context.Context
	began  time.Time
	unpaid int   // bytes
	steps  int64 // paid
}

func (p *pacer) pace(bytes int) error {
	if p.unpaid += bytes; p.unpaid < scrubStep {
		return nil
	}
	p.steps += int64(p.unpaid / scrubStep)
	p.unpaid %= scrubStep
	timer := time.NewTimer(time.Until(p.began.Add(time.Duration(p.steps) * scrubPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// LastScrub is the last scrub of this node's state that has ended, with its
// verdict; false where there is none.
func (a *Auditor) LastScrub() (Scrub, Verdict, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.scrubs) == 0 {
		return Scrub{}, Unknown, false
	}
	last := a.scrubs[len(a.scrubs)-1]
	if own := a.rows.own; own.at >= last.Index || bad(own.verdict) {
		return last, own.verdict, true
	}
	return last, Unknown, true
}

// save writes the file; mu is held. Without it a restart forgets what was found,
// until the next scrub.
func (a *Auditor) save() {
	b, err := json.MarshalIndent(a.scrubs, "", "  ")
	if err == nil {
		err = durable.Replace(filepath.Dir(a.file), filepath.Base(a.file), append(b, '\n'))
	}
	if err != nil {
		a.log.Error("writing down what a scrub found", "error", err)
	}
}

func readScrubs(file string, log *slog.Logger) []Scrub {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var scrubs []Scrub
	if err == nil && len(b) > maxScrubFileBytes {
		err = fmt.Errorf("%d bytes, at most %d", len(b), maxScrubFileBytes)
	}
	if err == nil {
		err = json.Unmarshal(b, &scrubs)
	}
	if err != nil || len(scrubs) > maxScrubs {
		log.Error("reading what the last scrubs found; they are forgotten", "file", file, "error", err)
		return nil
	}
	return scrubs
}
