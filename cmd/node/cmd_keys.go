package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newKeysCommand(a *app) *cobra.Command {
	return group("keys", "Make, list, rotate and revoke API keys",
		newKeysCreate(a), newKeysList(a), newKeysRotate(a), newKeysRevoke(a))
}

func newKeysCreate(a *app) *cobra.Command {
	var req client.KeyRequest
	var out string
	var expires days
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an API key; its text is told only this once",
		Long: "Make an API key; its text is told only this once.\n\n" +
			"--action, --scope-store and --namespace limit what the key may do, for as long as it lives; without them it\n" +
			"may do everything in its organization.",
		Example: "  pipesync keys create --org org_acme --vector-store vs_docs --out key.txt\n" +
			"  pipesync keys create --org org_acme --action upsert,delete --scope-store vs_docs --namespace 'crm_*' --expires 90d",
		Args: cobra.NoArgs,
	}
	orgFlag(cmd, &req.OrganizationID)
	flags := cmd.Flags()
	flags.StringVar(&req.VectorStoreID, "vector-store", "", "the key's default vector store, made if missing")
	flags.StringVar(&req.Name, "name", "", "what the key is for")
	flags.StringSliceVar(&req.Actions, "action", nil, "allow this alone: read, upsert, delete, full_refresh, delete_namespace; repeatable")
	flags.StringSliceVar(&req.VectorStoreIDs, "scope-store", nil, "allow this vector store alone; repeatable")
	flags.StringArrayVar(&req.Namespaces, "namespace", nil, "allow this namespace alone, or those that begin with what is before a * at the end; repeatable")
	flags.Var(&expires, "expires", "how long the key lives, such as 90d or 12h; without it for ever")
	outFlag(cmd, &out)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if cmd.Flags().Changed("expires") && expires == 0 {
			return errors.New("--expires is 0: leave it out for a key that never expires")
		}
		req.ExpiresInSeconds = expires.seconds()
		return a.keepNewKey(out, func() (client.RotatedKey, error) {
			key, err := c.CreateKey(cmd.Context(), req)
			if err != nil {
				return client.RotatedKey{}, fmt.Errorf("making a key: %w", err)
			}
			return client.RotatedKey{NewKey: key}, nil
		})
	})
}

const defaultOverlap = days(24 * time.Hour)

func newKeysRotate(a *app) *cobra.Command {
	var out string
	overlap := defaultOverlap
	cmd := &cobra.Command{
		Use:   "rotate KEY_ID",
		Short: "Replace a key by one that may do the same; its text is told only this once",
		Args:  exactArgs(1, "the id of the key, key_…"),
	}
	cmd.Flags().Var(&overlap, "overlap", "how long the old key works on, such as 7d or 1h; 0 revokes it at once")
	outFlag(cmd, &out)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		return a.keepNewKey(out, func() (client.RotatedKey, error) {
			key, err := c.RotateKey(cmd.Context(), args[0], time.Duration(overlap))
			if err != nil {
				return key, fmt.Errorf("rotating the key %s: %w", args[0], err)
			}
			return key, nil
		})
	})
}

func outFlag(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVar(out, "out", "", "write the key to this new file, mode 0600, and not to stdout")
}

// keepNewKey has a key made, which may replace another, and tells its text or
// writes it to the new file out.
func (a *app) keepNewKey(out string, makeKey func() (client.RotatedKey, error)) error {
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
	key, err := makeKey()
	if err != nil {
		return err
	}
	if err := write(key.Key); err != nil {
		return fmt.Errorf("keeping the key, which is useless now: revoke %s: %w", key.KeyID, err)
	}
	return a.printNewKey(key, out)
}

// printNewKey tells the key's text, unless it is in the file out already.
func (a *app) printNewKey(key client.RotatedKey, out string) error {
	shown := struct {
		Key string `json:"key,omitempty"`
		client.KeyInfo
		Previous *client.Key `json:"previous,omitempty"`
	}{Key: key.Key, KeyInfo: key.KeyInfo}
	if out != "" {
		shown.Key = ""
	}
	if key.Previous.KeyID != "" {
		shown.Previous = &key.Previous
	}
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
		fmt.Fprintf(w, "actions\t%s\n", orAll(key.Actions))
		fmt.Fprintf(w, "vector stores\t%s\n", orAll(key.VectorStoreIDs))
		fmt.Fprintf(w, "namespaces\t%s\n", orAll(key.Namespaces))
		fmt.Fprintf(w, "expires\t%s\n", timeOrDash(key.ExpiresAt))
		if old := shown.Previous; old != nil {
			fmt.Fprintf(w, "previous\t%s, %s\n", old.KeyID, fate(old))
		}
	})
}

func newKeysList(a *app) *cobra.Command {
	var list client.ListOptions
	cmd := &cobra.Command{Use: "list", Short: "List API keys, without their secrets", Args: cobra.NoArgs}
	listFlags(cmd, &list)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		page, err := c.Keys(cmd.Context(), list)
		if err != nil {
			return fmt.Errorf("listing the keys: %w", err)
		}
		if page.Keys == nil {
			page.Keys = []client.Key{}
		}
		a.tellMore(page.NextCursor)
		return a.print(page, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "KEY ID\tORGANIZATION\tDEFAULT STORE\tNAME\tACTIONS\tVECTOR STORES\tNAMESPACES\tCREATED\tEXPIRES\tREVOKED")
			for _, k := range page.Keys {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.KeyID, k.OrganizationID, orDash(deref(k.VectorStoreID)), orDash(k.Name),
					orAll(k.Actions), orAll(k.VectorStoreIDs), orAll(k.Namespaces), timeOrDash(&k.CreatedAt), timeOrDash(k.ExpiresAt), timeOrDash(k.RevokedAt))
			}
		})
	})
}

func newKeysRevoke(a *app) *cobra.Command {
	return adminCommand(a, &cobra.Command{
		Use:   "revoke KEY_ID",
		Short: "End a key at once",
		Args:  exactArgs(1, "the id of the key, key_…"),
	}, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		revoked, err := c.RevokeKey(cmd.Context(), args[0])
		if err != nil {
			return fmt.Errorf("revoking the key %s: %w", args[0], err)
		}
		return a.print(revoked, func(w *tabwriter.Writer) { fmt.Fprintf(w, "key %s is revoked\n", revoked.KeyID) })
	})
}

// fate is what becomes of a key that was rotated.
func fate(k *client.Key) string {
	if k.RevokedAt != nil {
		return "revoked"
	}
	return "works until " + timeOrDash(k.ExpiresAt)
}

// orAll lists what a key is limited to; the rest of a long list is counted.
func orAll(list []string) string {
	const shown = 3
	switch {
	case len(list) == 0:
		return "all"
	case len(list) > shown:
		return fmt.Sprintf("%s,+%d", strings.Join(list[:shown], ","), len(list)-shown)
	}
	return strings.Join(list, ",")
}

func timeOrDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
