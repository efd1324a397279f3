package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newAdminTokenCommand(a *app) *cobra.Command {
	return group("admin-token", "Replace the cluster's admin token", newAdminTokenRotate(a))
}

// rotatedToken is what is told of a new admin token.
type rotatedToken struct {
	AdminToken  string `json:"admin_token,omitempty"` // not where it is in a file
	Fingerprint string `json:"fingerprint"`
	Changes     uint64 `json:"changes"`
}

func newAdminTokenRotate(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the cluster's admin token by a new one",
		Long: `Replace the cluster's admin token by a new one, which is the only one at every node
from then on. Its text is told only this once. Give it to whoever needs it, as by
replacing DATA/admin-token where commands take it from there.`,
		Example: "  pipesync admin-token rotate --out new-admin-token",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&out, "out", "", "write the token to this new file, mode 0600, and not to stdout")
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		token := mintAdminToken()
		forget := func() {}
		if out != "" {
			// Made first: whoever loses the token after it is in force is shut out.
			file, err := newSecretFile(out)
			if err == nil {
				err = file.write(token)
			}
			if err != nil {
				return fmt.Errorf("making the file for the admin token: %w", err)
			}
			forget = file.remove
		}
		change, err := rotateAdminToken(cmd.Context(), c, token)
		if isUnknown(err) {
			return errors.Join(a.printRotatedToken(rotatedToken{AdminToken: token}, out), &exitError{code: exitRemote,
				err:  fmt.Errorf("rotating the admin token, which may be in force or not: %w", err),
				hint: "pipesync status with the new one, and with the old"})
		}
		if err != nil {
			forget()
			return fmt.Errorf("rotating the admin token: %w", err)
		}
		return a.printRotatedToken(rotatedToken{token, change.Fingerprint, change.Changes}, out)
	})
}

// rotateAdminToken asks for it and, where the answer is lost, with the new token whether
// it was done.
func rotateAdminToken(ctx context.Context, c *client.Client, token string) (client.AdminTokenChange, error) {
	change, err := c.RotateAdminToken(ctx, token)
	if isUnknown(err) {
		if again, fault := c.WithAdminToken(token).RotateAdminToken(ctx, token); fault == nil {
			return again, nil
		}
	}
	return change, err
}

// isUnknown says that a request may have been done.
func isUnknown(err error) bool {
	var conn *client.ConnectionError
	var refused *client.Error
	return errors.As(err, &conn) && conn.Sent || errors.As(err, &refused) && (refused.Code == "OUTCOME_UNKNOWN" || refused.Status >= 500 && refused.Code == "")
}

// printRotatedToken tells the token's text, unless it is in the file out.
func (a *app) printRotatedToken(t rotatedToken, out string) error {
	where := t.AdminToken
	if out != "" {
		t.AdminToken, where = "", "in "+out
	}
	return a.print(t, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "admin token\t%s\nfingerprint\t%s\n", where, orDash(t.Fingerprint))
	})
}
