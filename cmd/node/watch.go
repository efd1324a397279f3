package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"pipesync/client"
)

// isTerminal takes every device of characters for one: what is drawn on /dev/null
// bothers nobody.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// watchStatus shows the status again and again, until ctx ends, as a watch does, or
// the node refuses to tell it. Of a node that can't be reached the last one stays.
func (a *app) watchStatus(ctx context.Context, c *client.Client, every time.Duration) error {
	for shown := false; ; {
		status, err := c.Status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			err = fmt.Errorf("asking for the status: %w", err)
			if staysRefused(err) {
				return err
			}
			report(a.stderr, err)
		} else {
			if err := a.showAgain(status, shown); err != nil {
				return err
			}
			shown = true
			if why := degradation(status); why != nil {
				report(a.stderr, why)
			}
		}
		if err := pause(ctx, every); err != nil {
			return nil
		}
	}
}

// showAgain shows a status: where people look at a table in the place of the last
// one, else after it, so that a program can tell where each begins.
func (a *app) showAgain(status client.Status, again bool) error {
	var text bytes.Buffer
	drawn := *a
	drawn.stdout = &text
	if err := drawn.printStatus(status); err != nil {
		return err
	}
	frame := text.Bytes()
	switch {
	case a.format == formatTable && a.terminal:
		frame = redrawn(frame)
	case a.format == formatTable && again:
		frame = append([]byte("\n"), frame...)
	case a.format == formatYAML && again:
		frame = append([]byte("---\n"), frame...)
	}
	if _, err := a.stdout.Write(frame); err != nil {
		return fmt.Errorf("showing the status: %w", err)
	}
	return nil
}

const (
	toTopLeft    = "\x1b[H"
	clearLine    = "\x1b[K" // from the cursor on
	clearToBelow = "\x1b[J" // likewise
)

// redrawn is text as it takes the place of what is on a terminal. Nothing is cleared
// that isn't written at once, so that it doesn't flicker.
func redrawn(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\n"), []byte(clearLine+"\n"))
	return append(append([]byte(toTopLeft), text...), clearToBelow...)
}
