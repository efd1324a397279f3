package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"pipesync/client"
)

const (
	exitOK          = 0
	exitLocal       = 1 // usage, configuration, this machine
	exitRemote      = 2 // the API or the running server
	exitDegraded    = 3 // degraded, or no quorum
	exitInterrupted = 130
)

// signalled is why a context was cancelled.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "received " + s.String() }

// exitError is an error with an exit code of its own, and maybe the next step.
type exitError struct {
	code int
	err  error
	hint string // empty: see hintFor
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exitCode(ctx context.Context, err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	var signal signalled
	if errors.As(context.Cause(ctx), &signal) {
		return exitInterrupted
	}
	var refused *client.Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case "NO_LEADER", "NOT_READY", "NOT_JOINED":
			return exitDegraded
		}
		return exitRemote
	}
	var conn *client.ConnectionError
	if errors.As(err, &conn) {
		return exitRemote
	}
	return exitLocal
}

// report tells people what failed, on which node, and what to do next.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "pipesync: %v\n", err)
	var refused *client.Error
	if errors.As(err, &refused) {
		if len(refused.Details) > 1 { // one alone is in the message
			for _, d := range refused.Details {
				fmt.Fprintf(w, "  %s: %s\n", d.Field, d.Message)
			}
		}
		if refused.RequestID != "" {
			fmt.Fprintf(w, "  request: %s\n", refused.RequestID)
		}
	}
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(w, "  next: %s\n", strings.ReplaceAll(hint, "\n", "\n        "))
	}
}

func hintFor(err error) string {
	var exit *exitError
	if errors.As(err, &exit) && exit.hint != "" {
		return exit.hint
	}
	var refused *client.Error
	if errors.As(err, &refused) {
		return refusalHints[refused.Code]
	}
	var conn *client.ConnectionError
	if errors.As(err, &conn) {
		if hint := tlsHint(err); hint != "" {
			return hint
		}
		if conn.Sent {
			return "whether it was done is unknown: look with 'pipesync status' before you try again"
		}
		return "start a node there with 'pipesync serve', or name another one by --addr HOST:PORT"
	}
	return ""
}

// tlsHint is for nodes that can't be spoken to as they were.
func tlsHint(err error) string {
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return "name the file with the CA of the node's certificate by --ca, or reach the node by a name that its certificate has"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the node speaks plain text: give its address as http://HOST:PORT"
	}
	return ""
}

var refusalHints = map[string]string{
	"MISSING_ADMIN_TOKEN":       adminTokenHint,
	"INVALID_ADMIN_TOKEN":       adminTokenHint,
	"INVALID_ADMIN_CERTIFICATE": "make a certificate where the CA is that the node is told by http.client_ca_file: pipesync certs client --ca DIR --name NAME --out DIR; or " + adminTokenHint,
	"MISSING_API_KEY":           apiKeyHint,
	"INVALID_API_KEY":           apiKeyHint,
	"NOT_JOINED":                "make the node join a cluster: pipesync join PEER_ADDR --token-file FILE",
	"NOT_READY":                 "wait for the node: pipesync status --wait ready",
	"NO_LEADER":                 "see which nodes are alive: pipesync members; a majority of the voters must run",
	"NO_CERTIFICATE":            "make one where the cluster's CA is: pipesync certs node --ca DIR --node-id ID --out NEWDIR; then put NEWDIR's files into the node's peer.certs_dir\nor join with a token of pipesync tokens create",
	"NO_CA":                     "replace it by hand: put the new CA's certificate into every node's trust.pem beside the old one; then give each node a certificate\nof the new CA; then take the old one out of every trust.pem (docs/security.md)",
	"CLUSTER_TOO_OLD":           "bring every member to the same version (pipesync members), and try again some seconds later",
	"QUORUM_AT_RISK":            "bring dead members back (pipesync members), or add --force if the rest may stop",
	"MEMBER_NOT_FOUND":          "list the members: pipesync members",
	"ORGANIZATION_NOT_FOUND":    "give it its limits, or its first key: pipesync limits set ORG NAME=VALUE, pipesync keys create --org ORG",
	"TOKEN_NOT_FOUND":           "list the join tokens: pipesync tokens list",
	"KEY_NOT_FOUND":             "list the keys: pipesync keys list",
	"KEY_SCOPE_DENIED":          "see what the key may do: pipesync keys list",
	"VECTOR_STORE_NOT_FOUND":    "list the vector stores: pipesync stores list",
	"NAMESPACE_NOT_FOUND":       "list the namespaces: pipesync namespaces list VECTOR_STORE",
	"JOIN_REFUSED":              joinTokenHint,
	"GOSSIP_KEY_ROTATING":       "see for which members it waits: pipesync gossip-keys list",
	"ALREADY_JOINED":            "see which cluster the node belongs to: pipesync status",
	"NODE_TOO_OLD":              "start the version on this node that the members run: pipesync members",
	"NODE_ID_TAKEN":             "remove the old member first (pipesync leave NODE), or start this node with another --node-id on an empty directory",
	"OUTCOME_UNKNOWN":           "look whether it was done before you try again: pipesync status",
	"DISK_FULL":                 "make room on the nodes that raise the alarm DISK_FULL: pipesync status",
	"OVERLOADED":                "try again in a moment",
}

const (
	adminTokenHint = "pass the admin token by --admin-token-file or PIPESYNC_ADMIN_TOKEN: it is DATA/admin-token of the node that formed the cluster, or that of the last 'pipesync admin-token rotate'"
	apiKeyHint     = "pass an API key by --api-key-file or PIPESYNC_API_KEY: 'pipesync keys create' makes one"
)

const joinTokenHint = "make a token at a member of the cluster, pipesync tokens create, and give it by --token-file (serve: --join-token-file) or PIPESYNC_JOIN_TOKEN"
