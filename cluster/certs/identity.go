package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	uriScheme     = "pipesync"
	uriNodePrefix = "/node/"
)

// Identity is whom a certificate is for.
type Identity struct {
	ClusterID string
	NodeID    string
}

func (i Identity) uri() *url.URL {
	return &url.URL{Scheme: uriScheme, Host: i.ClusterID, Path: uriNodePrefix + i.NodeID}
}

// String is the URI that a certificate of i has.
func (i Identity) String() string { return i.uri().String() }

var errIncompleteIdentity = errors.New("a cluster id and a node id are required")

// IdentityOf reads whom cert names, whoever has signed it. A certificate may have
// other names, but only one URI of the scheme pipesync.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	cluster, node, err := namedBy(cert, uriNodePrefix, "NODE_ID")
	return Identity{ClusterID: cluster, NodeID: node}, err
}

// namedBy reads the cluster's id, and what follows prefix, from cert's one URI of the
// scheme pipesync. what is the name of that in errors.
func namedBy(cert *x509.Certificate, prefix, what string) (cluster, name string, err error) {
	found := 0
	for _, u := range cert.URIs {
		if u.Scheme != uriScheme {
			continue
		}
		var ok bool
		cluster = u.Host
		name, ok = strings.CutPrefix(u.Path, prefix)
		if canonical := (&url.URL{Scheme: uriScheme, Host: cluster, Path: prefix + name}); !ok || name == "" || cluster == "" || canonical.String() != u.String() {
			return "", "", fmt.Errorf("it names %q: expected pipesync://CLUSTER_ID%s%s: %w", u, prefix, what, ErrNoIdentity)
		}
		found++
	}
	if found != 1 {
		return "", "", fmt.Errorf("it has %d URIs of the form pipesync://CLUSTER_ID%s%s: expected 1: %w", found, prefix, what, ErrNoIdentity)
	}
	return cluster, name, nil
}
