// Package certs keeps a node's certificates: it makes them, reads them, and says
// who is at the other side of a connection between nodes.
//
// # Who is who
//
// A node's certificate names the node in one URI:
//
//	pipesync://CLUSTER_ID/node/NODE_ID
//
// Host names and addresses play no part, since nodes move. A certificate counts
// if its chain ends at a CA that is trusted, if it is valid now, if it is for
// this cluster, and, where a node is dialled, if it is that node's. Which CA
// signs is up to the operator: the cluster's own, whose certificate is
// constrained to the cluster's id, or another that puts the URI in.
//
// # Files
//
//	trust.pem    the CA certificates that are trusted, one or more; no secret
//	node.pem     the node's certificate, with intermediates if any, and its key
//	ca.pem       the cluster's own CA: certificate and key; where there is none,
//	             this node signs nothing
//	ca-next.pem  a CA that is to take its place: see rotate.go
//
// A certificate and its key share a file, so that they are replaced together.
// Files are replaced while the node runs: it looks at them every WatchInterval and
// puts them in force together if they are right.
//
// The files with keys are refused if others than their owner may read them.
package certs
