// Package testcluster runs clusters of real pipesync processes on loopback:
// each node with its own ports, directory and log file, killed and paused by
// signals as an operator or a machine would. It is what the end-to-end tests,
// the benchmark, the soak and the quickstart stand on.
//
// Processes that it starts never outlive the program that started them, even
// one that is itself killed, and nothing else is ever signalled.
package testcluster
