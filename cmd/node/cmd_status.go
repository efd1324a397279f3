package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

const (
	readyPollInterval   = 200 * time.Millisecond
	statusWatchInterval = 2 * time.Second
	// maxVoterSilence towards the leader is far more than a busy voter needs.
	maxVoterSilence = 10 * time.Second
)

func newStatusCommand(a *app) *cobra.Command {
	var wait string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show a node's view of the cluster; exit code 3 where it is degraded",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&wait, "wait", "", "'ready': wait until syncs and reads work on the node; 'healthy': until nothing is degraded")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every 2 s until interrupted; --timeout bounds each")
	cmd.MarkFlagsMutuallyExclusive("wait", "watch")
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		switch {
		case wait == "ready":
			return a.waitUntil(cmd, c, wait, unready)
		case wait == "healthy":
			return a.waitUntil(cmd, c, wait, degradation)
		case wait != "":
			return fmt.Errorf("--wait is %q: it must be ready or healthy", wait)
		case watch:
			return a.watchStatus(cmd.Context(), c, statusWatchInterval)
		}
		status, err := c.Status(cmd.Context())
		if err != nil {
			return fmt.Errorf("asking for the status: %w", err)
		}
		if err := a.printStatus(status); err != nil {
			return err
		}
		return degradation(status)
	})
}

// waitUntil asks until nothing is wrong with the status, for as long as --timeout says.
func (a *app) waitUntil(cmd *cobra.Command, c *client.Client, what string, wrong func(client.Status) error) error {
	timeout, _ := cmd.Flags().GetDuration("timeout")
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	var last error
	for {
		status, err := c.Status(ctx)
		if err == nil {
			err = wrong(status)
			if err == nil {
				return a.printStatus(status)
			}
		} else if staysRefused(err) {
			return fmt.Errorf("waiting for the node to be %s: %w", what, err)
		}
		if last == nil || ctx.Err() == nil { // else it may say no more than that time was up
			last = err
		}
		if err := pause(ctx, readyPollInterval); err != nil {
			if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return fmt.Errorf("waiting for the node to be %s: %w", what, err)
			}
			return &exitError{code: exitDegraded,
				err: fmt.Errorf("waiting %s for the node to be %s: %w", timeout, what, last)}
		}
	}
}

// unready says why syncs and reads don't work on a node; nil: they do.
func unready(s client.Status) error {
	if s.Ready {
		return nil
	}
	return fmt.Errorf("node %s is %s and not ready", s.NodeID, s.Role)
}

// staysRefused says that waiting doesn't help: a wrong token stays wrong.
func staysRefused(err error) bool {
	var refused *client.Error
	return errors.As(err, &refused) && refused.Status/100 == 4
}

// degradation says why a status deserves exit code 3; nil: it doesn't.
func degradation(s client.Status) error {
	reason := ""
	for _, alarm := range s.Alarms {
		reason = fmt.Sprintf("it raises %s: %s", alarm.Code, alarm.Message)
	}
	for _, m := range s.Members {
		switch {
		case !m.Voter:
		case !m.Alive:
			reason = fmt.Sprintf("voter %s (%s) is not alive", m.ID, m.Peer)
		case m.LastContactMS != nil && *m.LastContactMS > maxVoterSilence.Milliseconds():
			reason = fmt.Sprintf("voter %s (%s) has not answered the leader for %d ms", m.ID, m.Peer, *m.LastContactMS)
		}
	}
	switch {
	case s.ClusterID == "":
		reason = "it belongs to no cluster"
	case s.Leader == nil:
		reason = "no leader is known"
	case !s.Ready:
		reason = "it is not ready"
	}
	if reason == "" {
		return nil
	}
	hint := "pipesync status --wait healthy"
	if s.ClusterID == "" {
		hint = refusalHints["NOT_JOINED"]
	}
	return &exitError{code: exitDegraded, err: fmt.Errorf("node %s is degraded: %s", s.NodeID, reason), hint: hint}
}

func (a *app) printStatus(s client.Status) error {
	return a.print(s, func(w *tabwriter.Writer) {
		leader := "none known"
		if s.Leader != nil {
			leader = fmt.Sprintf("%s (peer %s, http %s)", s.Leader.ID, s.Leader.Peer, orDash(s.Leader.HTTP))
		}
		fmt.Fprintf(w, "node\t%s (%s, %s)\n", s.NodeID, s.Role, orDash(s.Version))
		fmt.Fprintf(w, "cluster\t%s\n", orDash(s.ClusterID))
		fmt.Fprintf(w, "leader\t%s\n", leader)
		fmt.Fprintf(w, "term\t%d\n", s.Term)
		fmt.Fprintf(w, "ready\t%s\n", yesNo(s.Ready))
		fmt.Fprintf(w, "index\tlast command applied %d, committed %d, last in the log %d\n", s.AppliedIndex, s.CommitIndex, s.LastLogIndex)
		fmt.Fprintf(w, "heard\tfrom the leader %d ms ago\n", s.LastContactMS)
		fmt.Fprintf(w, "voters\t%d; %d may fail\n", s.Voters, s.FailuresTolerated)
		fmt.Fprintf(w, "disk\t%s of %s free at %s; no writes as leader below %s\n",
			humanBytes(s.Disk.FreeBytes), humanBytes(s.Disk.TotalBytes), orDash(s.Disk.Directory), humanBytes(s.Disk.MinFreeBytes))
		state := ""
		if s.Sizes.State != nil {
			state = humanBytes(*s.Sizes.State)
		}
		fmt.Fprintf(w, "sizes\traft.db %s, log since the snapshot %s, snapshot %s, state %s\n",
			humanBytes(s.Sizes.LogFile), humanBytes(s.Sizes.LogSinceSnapshot), humanBytes(s.Sizes.Snapshot), orDash(state))
		if s.Usage != nil {
			fmt.Fprintf(w, "stored\tat entry %d: %s\n", s.State.Index, describeUsage(*s.Usage))
		}
		fmt.Fprintf(w, "insecure\t%s\n", yesNo(s.Insecure))
		if c := s.Certificate; c != nil && c.NotAfter != nil {
			fmt.Fprintf(w, "certificate\tuntil %s\n", c.NotAfter.Format(time.RFC3339))
		}
		if c := s.HTTPCertificate; c != nil && c.NotAfter != nil {
			fmt.Fprintf(w, "http certificate\tuntil %s\n", c.NotAfter.Format(time.RFC3339))
		}
		if r := s.CARotation; r != nil {
			fmt.Fprintf(w, "CA rotation\t%s\n", describeRotation(*r))
		}
		fmt.Fprintf(w, "cluster version\t%d\n", s.State.ClusterVersion)
		if m := s.State.Mark; m != nil {
			fmt.Fprintf(w, "mark\tat entry %d, chain %s\n", m.Index, m.Chain)
		}
		if scrub := s.State.Scrub; scrub != nil {
			fmt.Fprintf(w, "scrub\tat entry %d, ended %s: %d rows, %s\n", scrub.Index, scrub.FinishedAt.Format(time.RFC3339), scrub.Rows, scrub.Verdict)
		}
		for _, alarm := range s.Alarms {
			fmt.Fprintf(w, "alarm\t%s: %s\n", alarm.Code, alarm.Message)
		}
		if len(s.Members) > 0 {
			fmt.Fprintln(w)
			membersTable(w, s.Members)
		}
	})
}

// pause waits, or returns the cause of ctx's end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
