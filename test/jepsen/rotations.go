package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const invalidToken = "INVALID_ADMIN_TOKEN"

var rotationFaults = []fault{
	{kind: "CA rotated while a member is down", begin: onAny(rotateCA)},
	{kind: "admin token replaced", begin: replaceAdminToken},
}

// rotateCA has the members get a new CA, one of them once it is there again.
func rotateCA(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	down, via := nodes[0], n.another(nodes[0])
	var rotation client.CARotationBegun
	b := &broken{on: nodes}
	b.heal = func(ctx context.Context) error {
		if err := down.Start(); err != nil || rotation.CA == "" {
			return err
		}
		return n.trustNew(ctx, rotation.CA)
	}
	before, err := via.Client().Status(ctx)
	if err != nil {
		return nil, err
	}
	if err := down.Kill9(); err != nil {
		return b, err
	}
	err = testcluster.Await(ctx, "a rotation of the CA", func(ctx context.Context) (err error) {
		rotation, err = via.Client().RotateCA(ctx)
		return err
	})
	if err != nil {
		return b, err
	}
	if err := testcluster.Await(ctx, "trust in the new CA", func(ctx context.Context) error {
		status, err := via.Client().Status(ctx)
		if err == nil && (status.Certificate == nil || !slices.Contains(status.Certificate.TrustedCAs, rotation.CA)) {
			err = errors.New("it isn't there yet")
		}
		return err
	}); err != nil {
		return b, err
	}
	if before.Certificate != nil && !slices.Contains(before.Certificate.TrustedCAs, rotation.CA) {
		b.proof = via.ID + " trusts another CA than before"
	}
	return b, nil
}

// trustNew waits until no member trusts another CA any more, and gives the spares
// certificates of it: they were no members.
func (n *nemesis) trustNew(ctx context.Context, ca string) error {
	for _, node := range n.cluster.Nodes {
		err := testcluster.Await(ctx, "the end of the old CA at "+node.ID, func(ctx context.Context) error {
			status, err := node.Client().Status(ctx)
			if err == nil && (status.Certificate == nil || !slices.Equal(status.Certificate.TrustedCAs, []string{ca}) ||
				status.CARotation == nil || status.CARotation.Phase != "done") {
				err = fmt.Errorf("%+v, %+v", status.Certificate, status.CARotation)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	from := n.cluster.Nodes[0].CertsDir()
	for _, spare := range n.cluster.Spares {
		to := spare.CertsDir()
		key, err := os.ReadFile(filepath.Join(from, "ca.pem"))
		if err == nil {
			err = os.RemoveAll(to)
		}
		if err == nil {
			err = n.cluster.Run("certs", "node", "--ca", from, "--node-id", spare.ID, "--out", to)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "ca.pem"), key, 0o600)
		}
		if err != nil {
			return fmt.Errorf("giving %s a certificate of the new CA: %w", spare.ID, err)
		}
	}
	return nil
}

// replaceAdminToken has another admin token count for a moment, and then the one again
// that the harness has.
func replaceAdminToken(ctx context.Context, n *nemesis) (*broken, error) {
	via := n.any()
	b := &broken{on: n.cluster.Nodes, heal: nothing}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	own, other := via.Client(), via.Client().WithAdminToken(hex.EncodeToString(raw))
	set := func(token string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := own.RotateAdminToken(ctx, token)
			if codeOf(err) == invalidToken { // an answer was lost, or it counts already
				_, err = other.RotateAdminToken(ctx, token)
			}
			return err
		}
	}
	if err := testcluster.Await(ctx, "another admin token", set(hex.EncodeToString(raw))); err != nil {
		return b, err
	}
	refused := 0
	for _, node := range n.cluster.Nodes {
		ask, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
		err := testcluster.Await(ask, "a refusal by "+node.ID, func(ctx context.Context) error {
			_, err := node.Client().Status(ctx)
			if codeOf(err) == invalidToken {
				return nil
			}
			return errors.Join(err, errors.New("it takes the old token"))
		})
		cancel()
		if err == nil {
			refused++
		}
	}
	if err := testcluster.Await(ctx, "the old admin token", set(n.cluster.AdminToken)); err != nil {
		return b, err
	}
	if refused == len(n.cluster.Nodes) {
		b.proof = "no node took the old token meanwhile"
	}
	return b, nil
}
