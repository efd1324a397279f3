package main

import (
	"fmt"
	"net"
	"strconv"
)

// resolvePort turns port 0 of a host:port into one that is free now, for TCP and
// UDP. Nothing keeps it free until it is bound, but the kernel hands out
// ephemeral ports in no order, so that a clash is rare.
func resolvePort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return addr, err
	}
	const maxAttempts = 20
	for range maxAttempts {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			return "", err
		}
		chosen := listener.Addr().(*net.TCPAddr).Port
		found := net.JoinHostPort(host, strconv.Itoa(chosen))
		packets, err := net.ListenPacket("udp", found)
		_ = listener.Close()
		if err == nil {
			_ = packets.Close()
			return found, nil
		}
	}
	return "", fmt.Errorf("finding a free port on %s: %d attempts failed", host, maxAttempts)
}

// isFree says whether addr can be bound, TCP and UDP.
func isFree(addr string) bool {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	_ = listener.Close()
	packets, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	_ = packets.Close()
	return true
}
