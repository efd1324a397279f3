package storage

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestFilterPauses(t *testing.T) {
	const chunk = 4 * time.Millisecond
	for name, c := range map[string]struct {
		patient bool
		chunks  int
		paused  time.Duration
	}{
		"nobody else needs the processor": {false, 1000, 0},
		"a million keys":                  {true, 240, 240 * 3 * chunk},
		"ten million keys":                {true, 2400, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pauses, began := newFilterPacing(c.patient), time.Now()
				for range c.chunks {
					if pauses.after(chunk, nil) {
						t.Fatal("it was stopped")
					}
				}
				if paused := time.Since(began); paused != c.paused {
					t.Errorf("it paused for %s instead of %s", paused, c.paused)
				}
				stop := make(chan struct{})
				close(stop)
				if !newFilterPacing(c.patient).after(time.Hour, stop) || time.Since(began) != c.paused {
					t.Error("it doesn't end when it is stopped")
				}
			})
		})
	}
}
