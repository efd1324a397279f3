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
	var ids []Identity
	for _, u := range cert.URIs {
		if u.Scheme != uriScheme {
			continue
		}
		node, ok := strings.CutPrefix(u.Path, uriNodePrefix)
		id := Identity{ClusterID: u.Host, NodeID: node}
		if !ok || node == "" || u.Host == "" || id.String() != u.String() {
			return Identity{}, fmt.Errorf("it names %q: expected pipesync://CLUSTER_ID/node/NODE_ID: %w", u, ErrNoIdentity)
		}
		ids = append(ids, id)
	}
	if len(ids) != 1 {
		return Identity{}, fmt.Errorf("it has %d URIs of the form pipesync://CLUSTER_ID/node/NODE_ID: expected 1: %w", len(ids), ErrNoIdentity)
	}
	return ids[0], nil
}
