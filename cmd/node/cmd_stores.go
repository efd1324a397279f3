package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newStoresCommand(a *app) *cobra.Command {
	return group("stores", "Make, list and delete vector stores", newStoresCreate(a), newStoresList(a), newStoresDelete(a))
}

func newStoresCreate(a *app) *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:     "create VECTOR_STORE",
		Short:   "Make a vector store, and its organization where that is missing",
		Example: "  pipesync stores create --org org_acme vs_docs",
		Args:    exactArgs(1, "the name of the vector store, vs_…"),
	}
	orgFlag(cmd, &org)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		store, err := c.CreateStore(cmd.Context(), client.StoreRequest{OrganizationID: org, VectorStoreID: args[0]})
		if err != nil {
			return fmt.Errorf("making the vector store %s: %w", args[0], err)
		}
		return a.print(store, func(w *tabwriter.Writer) {
			verb := "exists"
			if store.Created {
				verb = "is made"
			}
			fmt.Fprintf(w, "vector store %s of %s %s\n", store.VectorStoreID, store.OrganizationID, verb)
		})
	})
}

func newStoresList(a *app) *cobra.Command {
	var list client.ListOptions
	cmd := &cobra.Command{Use: "list", Short: "List vector stores", Args: cobra.NoArgs}
	listFlags(cmd, &list)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		page, err := c.Stores(cmd.Context(), list)
		if err != nil {
			return fmt.Errorf("listing the vector stores: %w", err)
		}
		if page.Stores == nil {
			page.Stores = []client.Store{}
		}
		a.tellMore(page.NextCursor)
		return a.print(page, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "ORGANIZATION\tVECTOR STORE\tCREATED\tNAMESPACES\tRECORDS\tBYTES\tDIGEST")
			for _, s := range page.Stores {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.OrganizationID, s.VectorStoreID, s.CreatedAt.Format(time.RFC3339),
					s.Usage.Namespaces, s.Usage.Records, s.Usage.Bytes, s.Usage.Digest)
			}
		})
	})
}

func newStoresDelete(a *app) *cobra.Command {
	var org string
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete VECTOR_STORE --yes",
		Short:   "Remove a vector store and all that is in it",
		Example: "  pipesync stores delete --org org_acme vs_docs --yes",
		Args:    exactArgs(1, "the name of the vector store, vs_…"),
	}
	orgFlag(cmd, &org)
	yesFlag(cmd, &yes, recordsGone)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if !yes {
			return unconfirmed("the vector store " + args[0] + " and all of its records")
		}
		gone, err := c.DeleteStore(cmd.Context(), org, args[0])
		if err != nil {
			return fmt.Errorf("deleting the vector store %s: %w", args[0], err)
		}
		return a.print(gone, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "vector store %s of %s is deleted\n", gone.VectorStoreID, gone.OrganizationID)
		})
	})
}

const defaultListRows = 1000

func listFlags(cmd *cobra.Command, list *client.ListOptions) {
	cmd.Flags().StringVar(&list.OrganizationID, "org", "", "only those of this organization")
	pageFlags(cmd, list)
}

func pageFlags(cmd *cobra.Command, list *client.ListOptions) {
	cmd.Flags().IntVar(&list.Limit, "limit", defaultListRows, "how many rows to show, 1 to 1000")
	cmd.Flags().StringVar(&list.Cursor, "cursor", "", "go on where a list ended")
}

func orgFlag(cmd *cobra.Command, org *string) {
	cmd.Flags().StringVar(org, "org", "", "organization, org_…")
	_ = cmd.MarkFlagRequired("org") // fails only for a flag that doesn't exist
}

// tellMore says on stderr that a list goes on.
func (a *app) tellMore(cursor *string) {
	if cursor != nil && a.format == formatTable {
		fmt.Fprintf(a.stderr, "there are more: add --cursor %s\n", *cursor)
	}
}
