package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A burst that is begun anew while there is one lasts as long as the longer one.
func TestBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBursts()
		going := func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
			defer cancel()
			return b.await(ctx)
		}
		if going() {
			t.Error("there is one before it begins")
		}
		b.begin(3 * time.Second)
		time.Sleep(time.Second)
		b.begin(time.Second)
		time.Sleep(1900 * time.Millisecond)
		if !going() {
			t.Error("a shorter one has ended it")
		}
		b.begin(2 * time.Second)
		time.Sleep(1900 * time.Millisecond)
		if !going() {
			t.Error("it wasn't prolonged")
		}
		time.Sleep(time.Second)
		if going() {
			t.Error("it doesn't end")
		}
		b.begin(time.Second)
		if !going() {
			t.Error("there is no second one")
		}
		time.Sleep(2 * time.Second)
	})
}
