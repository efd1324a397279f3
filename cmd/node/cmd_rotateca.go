package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

const (
	// rotationDone is the phase of a rotation that is whole.
	rotationDone         = "done"
	rotationPollInterval = 500 * time.Millisecond
)

func newCertsRotateCA(a *app) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "rotate-ca",
		Short: "Put a new CA in the place of the cluster's own, while it serves",
		Long: `Put a new CA in the place of the cluster's own, while it serves. All members come to
trust the new CA (phase trust), then get certificates of it (issue), then cease to
trust the old one (retire); a phase begins when all members are done with the one
before. So a member that is down holds it up: start it again, or take it out of the
cluster with 'pipesync leave NODE'.

It returns when the rotation is whole. Where one is under way, no other begins: it
waits for that one. The rotation goes on also when this command ends.`,
		Example: "  pipesync certs rotate-ca\n  pipesync status",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the rotation has begun")
	return adminCommand(a, cmd, 10*time.Minute, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		begun, err := c.RotateCA(cmd.Context())
		if err != nil {
			return fmt.Errorf("beginning to replace the CA: %w", err)
		}
		if noWait {
			return a.print(begun, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "a new CA, with the SHA-256 %s, is taking the place of the old one: pipesync status\n", begun.CA)
			})
		}
		timeout, _ := cmd.Flags().GetDuration("timeout")
		return a.waitRotated(cmd.Context(), c, begun.CA, timeout, rotationPollInterval)
	})
}

// waitRotated returns when the rotation is whole, and tells meanwhile how far it is.
func (a *app) waitRotated(ctx context.Context, c *client.Client, ca string, timeout, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last, told, heard := errors.New("the node has not heard of it yet"), "", false
	for {
		status, err := c.Status(ctx)
		switch r := status.CARotation; {
		case err != nil && ctx.Err() == nil:
			if last = err; staysRefused(err) {
				return fmt.Errorf("waiting for the new CA: %w", err)
			}
		case err == nil && r != nil && r.CA == ca && r.Phase == rotationDone:
			return a.print(r, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "all members trust the new CA alone: its SHA-256 is %s\n", r.CA)
			})
		case err == nil && r != nil && (heard || r.CA == ca):
			ca, heard = r.CA, true // another one, where whoever made the first is lost
			last = errors.New(describeRotation(*r))
		}
		if now := last.Error(); now != told {
			told = now
			fmt.Fprintln(a.stderr, now)
		}
		if err := pause(ctx, every); err != nil {
			if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return fmt.Errorf("waiting for the new CA: %w", err)
			}
			return &exitError{code: exitDegraded, err: fmt.Errorf("waiting %s for the new CA, whose rotation goes on: %w", timeout, last),
				hint: "start the members that are waited for, or take those that are lost for good out of the cluster (pipesync leave NODE);\nthen wait on: pipesync certs rotate-ca"}
		}
	}
}

// describeRotation says how far a rotation is, in one line.
func describeRotation(r client.CARotation) string {
	if r.Phase == rotationDone {
		return "done since " + r.PhaseAt.Format(time.RFC3339)
	}
	var who []string
	for _, m := range r.WaitingFor {
		who = append(who, fmt.Sprintf("%s (%s)", m.NodeID, m.Reason))
	}
	if len(who) == 0 {
		who = []string{"nobody"}
	}
	return fmt.Sprintf("phase %s; waiting for %s", r.Phase, strings.Join(who, ", "))
}
