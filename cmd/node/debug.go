package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// debugWriteTimeout bounds what a profile may take, its seconds included.
const debugWriteTimeout = 10 * time.Minute

// What waits for a channel or a lock is sampled: one wait in each so long a time, and one
// contended unlock of so many. That costs less than can be measured.
const (
	blockSampleNanoseconds = 100_000
	mutexSampleEvents      = 100
)

// serveDebug serves Go's profiles, where that is asked for. They show memory and may
// take much time: the port is this machine's alone, and asks for no token.
func (n *node) serveDebug() error {
	if n.Debug.Addr == "" {
		return nil
	}
	listener, err := net.Listen("tcp", n.Debug.Addr)
	if err != nil {
		return err
	}
	n.debug = listener
	runtime.SetBlockProfileRate(blockSampleNanoseconds)
	runtime.SetMutexProfileFraction(mutexSampleEvents)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := n.newServer(mux, debugWriteTimeout)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			n.log.Warn("the debug port is closed", "error", err) // the node does without
		}
	}()
	n.started("the debug port", func(context.Context) error {
		err := server.Close() // nobody waits for a profile of a node that stops
		<-ended
		return err
	})
	return nil
}

// checkDebug wants an address that only this machine reaches.
func checkDebug(addr string) error {
	if addr == "" {
		return nil
	}
	if err := checkAddr("debug.addr", addr); err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(addr); !isLoopback(host) {
		return fmt.Errorf("debug.addr is %s, beyond loopback: profiles show memory and ask for no token; bind 127.0.0.1 and reach it by 'ssh -L'", addr)
	}
	return nil
}
