package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newOrgsCommand(a *app) *cobra.Command {
	return group("orgs", "List and delete organizations", newOrgsList(a), newOrgsDelete(a))
}

func newOrgsList(a *app) *cobra.Command {
	var list client.ListOptions
	cmd := &cobra.Command{Use: "list", Short: "List organizations", Args: cobra.NoArgs}
	pageFlags(cmd, &list)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		page, err := c.Organizations(cmd.Context(), list)
		if err != nil {
			return fmt.Errorf("listing the organizations: %w", err)
		}
		if page.Organizations == nil {
			page.Organizations = []client.Organization{}
		}
		a.tellMore(page.NextCursor)
		return a.print(page, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "ORGANIZATION\tCREATED\tNAMESPACES\tRECORDS\tBYTES\tDIGEST")
			for _, o := range page.Organizations {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", o.OrganizationID, o.CreatedAt.Format(time.RFC3339),
					o.Usage.Namespaces, o.Usage.Records, o.Usage.Bytes, o.Usage.Digest)
			}
		})
	})
}

func newOrgsDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete ORGANIZATION --yes",
		Short:   "Remove an organization with its keys and vector stores",
		Example: "  pipesync orgs delete org_acme --yes",
		Args:    exactArgs(1, "the organization, org_…"),
	}
	yesFlag(cmd, &yes, recordsGone)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if !yes {
			return unconfirmed("the organization " + args[0] + " with its keys and vector stores")
		}
		gone, err := c.DeleteOrganization(cmd.Context(), args[0])
		if err != nil {
			return fmt.Errorf("deleting the organization %s: %w", args[0], err)
		}
		return a.print(gone, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "organization %s is deleted\n", gone.OrganizationID)
		})
	})
}

// yesFlag confirms what.
func yesFlag(cmd *cobra.Command, yes *bool, what string) {
	cmd.Flags().BoolVar(yes, "yes", false, "confirm that "+what)
}

const recordsGone = "all of its records shall be gone"

// unconfirmed refuses what can't be undone.
func unconfirmed(what string) error {
	return &exitError{code: exitLocal, err: fmt.Errorf("this would remove %s for good", what), hint: "repeat it with --yes"}
}
