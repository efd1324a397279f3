package main

import (
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newMembersCommand(a *app) *cobra.Command {
	return adminCommand(a, &cobra.Command{
		Use:   "members",
		Short: "List the members of the cluster",
		Args:  cobra.NoArgs,
	}, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		members, err := c.Members(cmd.Context())
		if err != nil {
			return fmt.Errorf("listing the members: %w", err)
		}
		return a.print(members, func(w *tabwriter.Writer) { membersTable(w, members.Members) })
	})
}

func membersTable(w *tabwriter.Writer, members []client.Member) {
	fmt.Fprintln(w, "NODE\tPART\tALIVE\tLAG\tANSWERED\tPEER\tHTTP\tVERSION\tCLOCK\tSTATE")
	for _, m := range members {
		part := "nonvoter"
		switch {
		case m.Leader:
			part = "leader"
		case m.Voter:
			part = "voter"
		}
		lag, answered, clock := "", "", ""
		if m.LagEntries != nil {
			lag = strconv.FormatUint(*m.LagEntries, 10)
		}
		if m.LastContactMS != nil {
			answered = fmt.Sprintf("%d ms ago", *m.LastContactMS)
		}
		if m.ClockOffsetMS != nil {
			clock = fmt.Sprintf("%+d ms", *m.ClockOffsetMS)
		}
		state := "ok"
		if m.Diverged {
			state = "DIVERGED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, part, yesNo(m.Alive), orDash(lag), orDash(answered), m.Peer, orDash(m.HTTP), orDash(m.Version), orDash(clock), state)
	}
}
