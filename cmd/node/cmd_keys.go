package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newKeysCommand(a *app) *cobra.Command {
	return group("keys", "Make, list and revoke API keys", newKeysCreate(a), newKeysList(a), newKeysRevoke(a))
}

func newKeysCreate(a *app) *cobra.Command {
	var req client.KeyRequest
	var out string
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make an API key; its text is told only this once",
		Example: "  pipesync keys create --org org_acme --vector-store vs_docs --out key.txt",
		Args:    cobra.NoArgs,
	}
	orgFlag(cmd, &req.OrganizationID)
	cmd.Flags().StringVar(&req.VectorStoreID, "vector-store", "", "the key's default vector store, made if missing")
	cmd.Flags().StringVar(&req.Name, "name", "", "what the key is for")
	cmd.Flags().StringVar(&out, "out", "", "write the key to this new file, mode 0600, and not to stdout")
	return adminCommand(a, cmd, defaultAdminTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		write := func(string) error { return nil }
		if out != "" {
			// Made first: a key whose text can't be kept would be lost.
			file, err := newSecretFile(out)
			if err != nil {
				return fmt.Errorf("making the file for the key: %w", err)
			}
			write = file.write
			defer file.discardUnwritten()
		}
		key, err := c.CreateKey(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		if err := write(key.Key); err != nil {
			return fmt.Errorf("keeping the key, which is useless now: revoke %s: %w", key.KeyID, err)
		}
		return a.printNewKey(key, out)
	})
}

// printNewKey tells the key's text, unless it is in the file out already.
func (a *app) printNewKey(key client.NewKey, out string) error {
	if out != "" {
		key.Key = ""
	}
	shown := struct {
		Key string `json:"key,omitempty"`
		// Shadowed by Key above: absent rather than empty.
		client.NewKey
	}{key.Key, key}
	return a.print(shown, func(w *tabwriter.Writer) {
		if out != "" {
			fmt.Fprintf(w, "key\tin %s\n", out)
		} else {
			fmt.Fprintf(w, "key\t%s\n", key.Key)
		}
		fmt.Fprintf(w, "key id\t%s\n", key.KeyID)
		fmt.Fprintf(w, "organization\t%s\n", key.OrganizationID)
		fmt.Fprintf(w, "vector store\t%s\n", orDash(deref(key.VectorStoreID)))
		fmt.Fprintf(w, "name\t%s\n", orDash(key.Name))
	})
}

func newKeysList(a *app) *cobra.Command {
	var list client.ListOptions
	cmd := &cobra.Command{Use: "list", Short: "List API keys, without their secrets", Args: cobra.NoArgs}
	listFlags(cmd, &list)
	return adminCommand(a, cmd, defaultAdminTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		page, err := c.Keys(cmd.Context(), list)
		if err != nil {
			return fmt.Errorf("listing the keys: %w", err)
		}
		if page.Keys == nil {
			page.Keys = []client.Key{}
		}
		a.tellMore(page.NextCursor)
		return a.print(page, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "KEY ID\tORGANIZATION\tVECTOR STORE\tNAME\tCREATED\tREVOKED")
			for _, k := range page.Keys {
				revoked := "-"
				if k.RevokedAt != nil {
					revoked = k.RevokedAt.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.KeyID, k.OrganizationID,
					orDash(deref(k.VectorStoreID)), orDash(k.Name), k.CreatedAt.Format(time.RFC3339), revoked)
			}
		})
	})
}

func newKeysRevoke(a *app) *cobra.Command {
	return adminCommand(a, &cobra.Command{
		Use:   "revoke KEY_ID",
		Short: "End a key at once",
		Args:  exactArgs(1, "the id of the key, key_…"),
	}, defaultAdminTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		revoked, err := c.RevokeKey(cmd.Context(), args[0])
		if err != nil {
			return fmt.Errorf("revoking the key %s: %w", args[0], err)
		}
		return a.print(revoked, func(w *tabwriter.Writer) { fmt.Fprintf(w, "key %s is revoked\n", revoked.KeyID) })
	})
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
