package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

const (
	// A member that doesn't answer is waited for until it counts as dead, twice.
	defaultRotateTimeout = 2 * time.Minute
	rotatePoll           = 500 * time.Millisecond
)

func newGossipKeysCommand(a *app) *cobra.Command {
	return group("gossip-keys", "Rotate and list the keys that encrypt gossip", newGossipKeysRotate(a), newGossipKeysList(a), newGossipKeysNew(a))
}

func newGossipKeysNew(a *app) *cobra.Command {
	var out string
	create := &cobra.Command{
		Use:   "new",
		Short: "Make a gossip key for a new cluster to begin with",
		Long: `Make a gossip key for a new cluster to begin with. None is needed: the first node
of a cluster makes one itself, and others get it when they join.`,
		Example: "  pipesync gossip-keys new --out gossip.key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key := mintGossipKey()
			if out == "" {
				return a.print(map[string]string{"gossip_key": key}, func(w *tabwriter.Writer) { fmt.Fprintln(w, key) })
			}
			file, err := newSecretFile(out)
			if err != nil {
				return fmt.Errorf("making the file for the gossip key: %w", err)
			}
			defer file.discardUnwritten()
			if err := file.write(key); err != nil {
				return fmt.Errorf("writing the gossip key: %w", err)
			}
			return a.print(map[string]string{"gossip_key_file": out}, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "the gossip key is in %s\n", out)
			})
		},
	}
	create.Flags().StringVar(&out, "out", "", "write the key to this new file, mode 0600, and not to stdout")
	return create
}

func mintGossipKey() string {
	key := make([]byte, gossipKeyBytes)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return base64.StdEncoding.EncodeToString(key)
}

func newGossipKeysList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the cluster's gossip keys by their fingerprints, and which member has which",
		Args:  cobra.NoArgs,
	}
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		keys, err := c.GossipKeys(cmd.Context())
		if err != nil {
			return fmt.Errorf("listing the gossip keys: %w", err)
		}
		return a.printGossipKeys(keys)
	})
}

func (a *app) printGossipKeys(keys client.GossipKeys) error {
	return a.print(keys, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "FINGERPRINT\tPRIMARY\tADDED\tHELD BY\tUSED BY")
		for _, k := range keys.Keys {
			fmt.Fprintf(w, "%s\t%t\t%s\t%s\t%s\n", k.Fingerprint, k.Primary, timeOrDash(&k.AddedAt),
				orDash(strings.Join(k.HeldBy, ",")), orDash(strings.Join(k.UsedBy, ",")))
		}
		if len(keys.WaitingFor) > 0 {
			fmt.Fprintf(w, "without these keys so far, or not heard of: %s\n", strings.Join(keys.WaitingFor, ", "))
		}
		if len(keys.Dead) > 0 {
			fmt.Fprintf(w, "dead, and without these keys until they are back: %s\n", strings.Join(keys.Dead, ", "))
		}
	})
}

func newGossipKeysRotate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the gossip key by a new one, without downtime",
		Long: `Replace the gossip key by a new one, without downtime. Returns once every member
uses it and none has the old one any more. Members that are dead are not waited for
once they have not answered for 30 s: they get the new key when they are back.

If the command ends before, the rotation goes on: 'pipesync gossip-keys list'.`,
		Args: cobra.NoArgs,
	}
	return adminCommand(a, cmd, defaultRotateTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		keys, err := c.RotateGossipKey(cmd.Context())
		if err != nil {
			return fmt.Errorf("rotating the gossip key: %w", err)
		}
		timeout, _ := cmd.Flags().GetDuration("timeout")
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		if keys, err = a.awaitRotation(ctx, c, keys); err != nil {
			return &exitError{code: exitRemote, err: fmt.Errorf("rotating the gossip key, which goes on: %w", err),
				hint: "pipesync gossip-keys list"}
		}
		return a.printGossipKeys(keys)
	})
}

// awaitRotation returns the ring at the end of a rotation, when all members have it. What goes wrong with a look
// at it, as when the leader changes, is no reason to give up.
func (a *app) awaitRotation(ctx context.Context, c *client.Client, keys client.GossipKeys) (client.GossipKeys, error) {
	var fault error
	told := ""
	for keys.Rotating || len(keys.WaitingFor) > 0 {
		waiting := strings.Join(keys.WaitingFor, ", ")
		if waiting != told && waiting != "" {
			fmt.Fprintf(a.stderr, "waiting for %s\n", waiting)
		}
		told = waiting
		if err := pause(ctx, rotatePoll); err != nil {
			return keys, errors.Join(fmt.Errorf("waiting for %s: %w", orDash(waiting), err), fault)
		}
		now, err := c.GossipKeys(ctx)
		if fault = err; err == nil {
			keys = now
		}
	}
	return keys, nil
}
