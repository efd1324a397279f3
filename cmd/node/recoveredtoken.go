package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"pipesync/api/auditlog"
	"pipesync/fsm"
	"pipesync/internal/durable"
)

const recoveredTokenPause = time.Second

// takeRecoveredToken makes an admin token the cluster's that was recovered on this node's
// disk, if one was.
func (n *node) takeRecoveredToken() error {
	path := filepath.Join(n.DataDir, recoveredTokenName)
	text, err := secret("", path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return fmt.Errorf("%s holds no hash: remove it, and run 'pipesync recover admin-token' again", path)
	}
	command := &fsm.AdminTokenSet{Hash: [sha256.Size]byte(raw)}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	body, err := fsm.Encode(command)
	if err != nil {
		return err
	}
	n.inBackground("the recovered admin token", func(ctx context.Context) { n.setRecoveredToken(ctx, path, body, text[:8]) })
	return nil
}

// setRecoveredToken goes on until it is done: there may be no quorum yet.
func (n *node) setRecoveredToken(ctx context.Context, path string, body []byte, fingerprint string) {
	told := ""
	for {
		err := n.admits(fsm.KindAdminTokenSet)
		if err == nil {
			err = n.propose(ctx, body)
		}
		if err == nil {
			break
		}
		if text := err.Error(); text != told && ctx.Err() == nil {
			told = text
			n.log.Warn("could not make the recovered admin token the cluster's yet", "error", err)
		}
		if pause(ctx, recoveredTokenPause) != nil {
			return
		}
	}
	// Before it is gone a restart would set the token again, instead of a later one.
	err := os.Remove(path)
	if err == nil {
		err = durable.SyncDir(n.DataDir)
	}
	n.log.Info("the cluster's admin token is the one that was recovered", "fingerprint", fingerprint, "error", err)
	n.auditLog.Record(auditlog.Event{
		Actor: "recover", Action: "recover admin-token", Target: map[string]string{"new_admin_token": fingerprint},
	})
}

// admits says whether there may be entries of the kind in the cluster's log.
func (n *node) admits(k fsm.Kind) error {
	view, err := n.state.View()
	if err != nil {
		return err
	}
	defer view.Close()
	if !view.Admits(k) {
		return errors.New("the node hasn't caught up, or a member of its cluster runs a program that doesn't know of it")
	}
	return nil
}
