package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newNamespacesCommand(a *app) *cobra.Command {
	return group("namespaces", "List and delete the namespaces of a vector store", newNamespacesList(a), newNamespacesDelete(a))
}

func newNamespacesList(a *app) *cobra.Command {
	var list client.ListOptions
	cmd := &cobra.Command{
		Use:     "list VECTOR_STORE",
		Short:   "List the namespaces of a vector store that the API key may read",
		Example: "  pipesync namespaces list vs_docs --api-key-file key.txt",
		Args:    exactArgs(1, "the name of the vector store, vs_…"),
	}
	pageFlags(cmd, &list)
	return keyCommand(a, cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		page, err := c.Namespaces(cmd.Context(), args[0], client.ReadOptions{Limit: list.Limit, Cursor: list.Cursor})
		if err != nil {
			return fmt.Errorf("listing the namespaces of %s: %w", args[0], err)
		}
		if page.Namespaces == nil {
			page.Namespaces = []client.Namespace{}
		}
		a.tellMore(page.NextCursor)
		return a.print(page, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "NAMESPACE\tRECORDS\tBYTES\tDIGEST\tGENERATION\tINDEX\tUPDATED")
			for _, n := range page.Namespaces {
				fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%d\t%d\t%s\n", n.Name, n.Records, n.Bytes, n.Digest, n.Generation, n.Index, n.UpdatedAt.Format(time.RFC3339))
			}
		})
	})
}

func newNamespacesDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete VECTOR_STORE NAMESPACE --yes",
		Short:   "Remove a namespace and all of its records",
		Example: "  pipesync namespaces delete vs_docs crm_contacts --yes --api-key-file key.txt",
		Args:    exactArgs(2, "a vector store, vs_…, and a namespace of it"),
	}
	yesFlag(cmd, &yes, recordsGone)
	return keyCommand(a, cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if !yes {
			return unconfirmed("the namespace " + args[1] + " of " + args[0] + " and all of its records")
		}
		gone, err := c.DeleteNamespace(cmd.Context(), args[0], args[1])
		if err != nil {
			return fmt.Errorf("deleting the namespace %s of %s: %w", args[1], args[0], err)
		}
		return a.print(gone, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "namespace %s of %s is deleted, at index %d\n", gone.Namespace, gone.VectorStoreID, gone.Index)
		})
	})
}
